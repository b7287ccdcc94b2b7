"""Shipped detectors: trained files that come with the package, such as `hand`, `shipped/hand.onnx`.

A shipped detector is NAME.onnx, NAME.md (card) and NAME.json (figures) in that folder. A path with a folder
or an ending, such as `./hand` or `hand.onnx`, is a file of the user.
"""

from __future__ import annotations

import warnings
from importlib.resources import files
from pathlib import Path

from seyolo.errors import UsageError

FOLDER, ENDING = Path(str(files("seyolo"))) / "shipped", ".onnx"


def shipped_names() -> tuple[str, ...]:
    """Returns the names of the shipped detectors, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{ENDING}")))


def is_shipped(model: str | Path | None) -> bool:
    """Tells whether a MODEL is the name of a shipped detector."""
    return str(model) in shipped_names()


def model_path(model: str | Path) -> Path:
    """Returns the file of a MODEL, a shipped detector or a path; warns where a file here has its name."""
    if is_shipped(model) and Path(model).exists():
        kind = "folder" if Path(model).is_dir() else "file"
        warnings.warn(
            f"{model}: runs the detector that comes with seyolo, not the {kind} of that name here; "
            f"a model file of yours needs its ending, as in {model}{ENDING}",
            stacklevel=2,
        )
    return model_file(model)


def model_file(model: str | Path) -> Path:
    """Returns what `model_path` does, without a warning."""
    return FOLDER / f"{model}{ENDING}" if is_shipped(model) else Path(model)


def card_path(name: str) -> Path:
    """Returns the path of the model card of a shipped detector."""
    return FOLDER / f"{name}.md"


def refuse_shipped(model: str | Path | None) -> None:
    """Refuses (UsageError) a shipped detector where a network is needed."""
    if (advice := shipped_advice(model)) is not None:
        raise UsageError(advice)


def shipped_advice(model: str | Path | None) -> str | None:
    """Returns why a shipped detector is no network to work on, and where its file is; None for another."""
    if not is_shipped(model):
        return None
    name = str(model)
    return (
        f"{name}: comes with seyolo as a finished .onnx file ({model_file(name)}), which cannot be trained, "
        "pruned or exported; give a zoo name, a .cfg or a checkpoint (how to train one like it: "
        f"{card_path(name)})"
    )
