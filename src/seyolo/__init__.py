"""seyolo: add attention to YOLO detectors of the Darknet family, train, slim and ship them.

Public names load on first use, so that `import seyolo` is quick and `Detector` needs no PyTorch. Functions
refuse arguments of the wrong kind with a `seyolo.errors.UsageError`.
"""

from __future__ import annotations

from importlib import import_module
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seyolo import api
    from seyolo.api import evaluate, slim, train
    from seyolo.detections import Detections
    from seyolo.detector import Detector
    from seyolo.errors import SeyoloError
    from seyolo.exporting.formats import export
    from seyolo.opening.network import load, save
    from seyolo.pruning.planning.plan import Plan
    from seyolo.pruning.prune import prune
    from seyolo.torchnet.attention import attach
    from seyolo.tracking.tracker import Tracker
    from seyolo.verbs.benchmark import benchmark

__version__ = "0.1.0"

__all__ = [
    "Detections",
    "Detector",
    "Plan",
    "SeyoloError",
    "Tracker",
    "__version__",
    "api",
    "attach",
    "benchmark",
    "evaluate",
    "export",
    "load",
    "prune",
    "save",
    "slim",
    "train",
]

_HOMES = {
    "Detections": "seyolo.detections",
    "Detector": "seyolo.detector",
    "Plan": "seyolo.pruning.planning.plan",
    "SeyoloError": "seyolo.errors",
    "Tracker": "seyolo.tracking.tracker",
    "attach": "seyolo.torchnet.attention",
    "benchmark": "seyolo.verbs.benchmark",
    "evaluate": "seyolo.api",
    "export": "seyolo.exporting.formats",
    "load": "seyolo.opening.network",
    "prune": "seyolo.pruning.prune",
    "save": "seyolo.opening.network",
    "slim": "seyolo.api",
    "train": "seyolo.api",
}
"""Where each public name lives."""

_DETECT = 'detect with seyolo.Detector("hand.onnx").detect("photo.jpg")'
_INSTEAD = {
    "YOLO": f"{_DETECT}, train with seyolo.train(DATA, MODEL), open a network with seyolo.load(MODEL)",
    "predict": _DETECT,
    "detect": _DETECT,
    "val": 'measure with seyolo.evaluate("hand.onnx", DATA)',
    "track": "follow objects with seyolo.Tracker",
}
"""What to write for names of other packages."""


if not TYPE_CHECKING:  # a type checker would take it for a promise that every name exists

    def __getattr__(name: str) -> Any:
        if name == "api":
            return _home("seyolo.api")
        if name not in _HOMES:
            advice = f"; {_INSTEAD[name]}" if name in _INSTEAD else ""
            raise AttributeError(f"module 'seyolo' has no attribute {name!r}{advice}")
        found = getattr(_home(_HOMES[name]), name)
        if isinstance(found, FunctionType):
            found = import_module("seyolo.arguments").checked(found)
        # From now on Python finds it without asking here.
        globals()[name] = found
        return found


def _home(module: str) -> ModuleType:
    """Imports a module; raises SeyoloError, with what to install, where a package of an extra is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if text := import_module("seyolo.installing").missing(error):
            raise import_module("seyolo.errors").BackendError(text) from error
        raise


def __dir__() -> list[str]:
    return sorted(__all__)
