"""Table of the runtimes, and the choice of one by a file's ending.

`.onnx` and `.cfg` (with its `.weights`) run on ONNX Runtime, `.xml` on OpenVINO, `.ncnn.param` on ncnn,
`.mnn` on MNN, `.tflite` on LiteRT, `.safetensors` on PyTorch, or on ONNX Runtime where PyTorch is not
installed. ONNX Runtime and OpenVINO run a cfg or a checkpoint as the ONNX file that it would be exported to.
The caller may choose another runtime that reads the file. A runtime is imported when it is chosen, so that
the others need not be installed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from seyolo.errors import BackendError
from seyolo.installing import pip_install
from seyolo.processor import granted_cores, has_bf16, processor_name
from seyolo.runtime.foreign import foreign_advice
from seyolo.runtime.protocol import Backend, Precision, Runtime, Session
from seyolo.runtime.shipped import is_shipped, model_path

if TYPE_CHECKING:
    from seyolo.runtime.in_memory import Translated


EXPORTED_ENDINGS = (".onnx", ".xml", ".param", ".mnn", ".tflite")
"""Endings of files that a runtime runs without our network."""
EXPORT_NAMES = tuple(".ncnn.param" if ending == ".param" else ending for ending in EXPORTED_ENDINGS)
"""Ends of the names that those files have behind a common stem."""

MOST_THREADS = 1024
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class RuntimeKind:
    """One runtime."""

    title: str  # its name in prose
    endings: tuple[str, ...]  # of the files that it reads
    open: Callable[[Path, Session], Backend]  # imports the runtime
    module: str  # its package, by the name that Python imports
    extra: str = ""  # of seyolo, which brings it; the base install has the others
    precisions: tuple[Precision, ...] = ("f32",)  # of float32 layers
    reentrant: bool = False  # several threads may call `infer` of one backend at once
    is_usual: Callable[[str, str], bool] = lambda ending, device: True  # where the order does not decide
    is_fast: bool = False  # worth a measurement on a CPU, also with fewer threads than it has cores

    @property
    def package(self) -> str:
        """Its name for pip."""
        return "opencv-python-headless" if self.module == "cv2" else self.module.lower().replace("_", "-")

    def needed_by(
        self, what: object, package: str = "", *, extra: str = "", instead: str = ""
    ) -> AbstractContextManager[None]:
        """Turns its missing package, or another of an extra, into a BackendError, as `needing` does."""
        install = f"seyolo[{extra or self.extra}]" if self.extra else self.package
        title = self.title if package in ("", self.module) else package
        return needing(package or self.module, what, install, title=title, instead=instead)


def open_backend(
    path: str | Path,
    weights: str | Path | None = None,
    *,
    runtime: Runtime | None = None,
    precision: Precision = "f32",
    threads: int | None = None,
    device: str = "cpu",
    names: Sequence[str] | None = None,
    parallel: int = 1,
) -> Backend:
    """Opens a model file with the usual runtime for its ending, or with the runtime given.

    Args:
        path: an `.onnx`, `.xml`, `.safetensors` or `.cfg` file, or the name of a shipped detector.
        weights: the `.weights` file of a `.cfg`; by default the one beside it with the same name.
        runtime: by default the usual one for the file.
        precision, threads, device, names, parallel: as in `Session`.

    Raises:
        BackendError: no such file, an unknown ending, or a runtime that is missing, refuses the file or does
            not have the precision.
        CfgError, WeightsError, ModelError: the file is damaged.
    """
    path = model_path(path)
    readers = runtimes_for(path, device)
    darknet = darknet_weights(path, weights) if path.suffix.lower() == ".cfg" else None
    runtime = readers[0] if runtime is None else runtime
    if runtime not in readers:
        raise BackendError(_not_a_reader(path, runtime, readers))
    check_threads(threads)
    if precision not in RUNTIMES[runtime].precisions:
        able = " or ".join(name for name, kind in RUNTIMES.items() if precision in kind.precisions)
        raise BackendError(f"{path}: {runtime} computes in float32, not in {precision}; use {able}")
    threads = threads or granted_cores()  # no runtime knows a quota, ONNX Runtime no affinity
    usual = RUNTIMES[readers[0]].title
    instead = f", or leave the runtime out: the model runs on {usual}" if runtime != readers[0] else ""
    with RUNTIMES[runtime].needed_by(path, instead=instead):
        backend = RUNTIMES[runtime].open(path, Session(darknet, precision, threads, device, names, parallel))
    layout = getattr(backend, "layout", None)
    if layout is not None and layout.is_suppressed:
        effect = "an IoU threshold changes nothing, and boxes below the confidence of its export are missing"
        _LOGGER.info("%s: non-maximum suppression is inside the file: %s", path.name, effect)
    return backend


def is_exported(model: str | Path) -> bool:
    """Tells whether a MODEL runs as it is: a shipped detector, or a file of `EXPORTED_ENDINGS`."""
    return is_shipped(model) or Path(model).suffix in EXPORTED_ENDINGS


def check_choice(runtime: str | None, precision: str, source: object) -> None:
    """Refuses (BackendError) a runtime or precision that does not exist; the message starts with `source`."""
    for value, choices in ((runtime, tuple(RUNTIMES)), (precision, get_args(Precision))):
        if value is not None and value not in choices:
            raise BackendError(f"{source}: {value!r} is none of {_one_of(choices)}")


def check_threads(threads: int | None) -> None:
    """Refuses (BackendError) a number of threads that no machine has."""
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        limit = "at least 1" if threads < 1 else f"at most {MOST_THREADS:,}"
        raise BackendError(f"threads must be {limit}, got {threads:,}")


def darknet_weights(cfg: Path, weights: str | Path | None) -> Path:
    """Returns the `.weights` file of `cfg`: the one given, or the one beside it."""
    path = Path(weights) if weights is not None else cfg.with_suffix(".weights")
    if not path.is_file():
        raise BackendError(f"{path}: there is no such weights file for {cfg.name}; give it with --weights")
    return path


@contextmanager
def needing(
    package: str, what: object, install: str, *, title: str = "", instead: str = ""
) -> Iterator[None]:
    """Turns a failed import of `package` in its block into a BackendError with the install command.

    Args:
        package: its import name; `title` is its name in prose, where that is another.
        what: start of the message, the file or option that needs it.
        install: what pip installs, a package or an extra such as `seyolo[openvino]`.
        instead: end of the message, a way without the package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise BackendError(
            f"{what} needs {title or package}, which is not installed; "
            f"get it with: {pip_install(install)}{instead}"
        ) from None


def installed_version(package: str) -> str | None:
    """Returns the version of a package by its name for pip; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def runtimes_for(path: Path, device: str = "cpu") -> tuple[Runtime, ...]:
    """Returns the runtimes that read a file, the usual one first; refuses a file that none reads."""
    ending = path.suffix.lower()
    readers = tuple(name for name, kind in RUNTIMES.items() if ending in kind.endings)
    if not readers:
        if advice := foreign_advice(path):
            raise BackendError(advice)
        raise BackendError(
            f"{path}: no runtime reads {ending or 'a name without ending'!r}; give {_one_of(MODEL_ENDINGS)}"
        )
    if not path.is_file():
        raise BackendError(f"{path}: there is no such model file")
    usual = next(name for name in readers if RUNTIMES[name].is_usual(ending, device))
    return usual, *(name for name in readers if name != usual)


def _not_a_reader(path: Path, runtime: Runtime, readers: Sequence[Runtime]) -> str:
    """Returns why a runtime cannot be chosen for a file."""
    able = " or ".join(name for name in RUNTIMES if name in readers)
    own = " and ".join(RUNTIMES[runtime].endings)
    ours = f"seyolo runs {path.suffix} files on {able}; {runtime} is for {own}"
    theirs = " (OpenCV itself reads the file with cv2.dnn.readNetFromONNX)"
    return f"{path}: {ours}{theirs if (path.suffix, runtime) == ('.onnx', 'opencv') else ''}"


# A missing runtime must only matter when it is chosen, so the functions import it.
def _open_onnxruntime(path: Path, session: Session) -> Backend:
    from seyolo.runtime.onnxruntime_backend import OnnxRuntimeBackend  # noqa: PLC0415

    return OnnxRuntimeBackend(path, session, _translated(path, session))


def _translated(path: Path, session: Session, *, inline: bool = False) -> Translated | None:
    """Translates a cfg or a checkpoint to ONNX in memory; None for a file that a runtime reads itself."""
    if path.suffix.lower() in EXPORTED_ENDINGS:
        return None
    from seyolo.runtime.in_memory import translate_file  # noqa: PLC0415

    return translate_file(path, session, inline=inline)


def _is_usual_on_onnxruntime(ending: str, device: str) -> bool:
    if ending == ".safetensors":
        return find_spec("torch") is None
    if ending == ".onnx" or device == "cpu":
        return True
    from seyolo.runtime.onnxruntime_backend import runs_on  # noqa: PLC0415

    return runs_on(device)


def _open_openvino(path: Path, session: Session) -> Backend:
    from seyolo.runtime.openvino_backend import OpenVinoBackend  # noqa: PLC0415

    if session.precision == "bf16" and has_bf16() is False:
        # OpenVINO would imitate it, slower than float32.
        raise BackendError(f"{path}: this processor ({processor_name()}) has no bf16; leave :bf16 out")
    return OpenVinoBackend(path, session, _translated(path, session, inline=True))


def _open_ncnn(path: Path, session: Session) -> Backend:
    from seyolo.runtime.ncnn_backend import NcnnBackend  # noqa: PLC0415

    return NcnnBackend(path, session)


def _open_mnn(path: Path, session: Session) -> Backend:
    from seyolo.runtime.mnn_backend import MnnBackend  # noqa: PLC0415

    return MnnBackend(path, session)


def _open_litert(path: Path, session: Session) -> Backend:
    from seyolo.runtime.litert_backend import LiteRtBackend  # noqa: PLC0415

    return LiteRtBackend(path, session)


def _open_opencv(path: Path, session: Session) -> Backend:
    from seyolo.runtime.opencv_backend import OpenCvBackend  # noqa: PLC0415

    if session.device != "cpu":
        raise BackendError(f"{path}: opencv runs on cpu here, not on {session.device!r}")
    return OpenCvBackend(path, darknet_weights(path, session.weights), session)


def _open_torch(path: Path, session: Session) -> Backend:
    from seyolo.runtime.torch_backend import TorchBackend  # noqa: PLC0415

    return TorchBackend.open(path, session)


RUNTIMES: dict[Runtime, RuntimeKind] = {
    "onnxruntime": RuntimeKind(
        "ONNX Runtime",
        (".onnx", ".cfg", ".safetensors"),
        _open_onnxruntime,
        "onnxruntime",
        reentrant=True,
        is_usual=_is_usual_on_onnxruntime,
        is_fast=True,
    ),
    "openvino": RuntimeKind(
        "OpenVINO",
        (".onnx", ".xml", ".cfg", ".safetensors"),
        _open_openvino,
        "openvino",
        "openvino",
        get_args(Precision),
        reentrant=True,
        is_usual=lambda ending, device: ending in EXPORTED_ENDINGS,
        is_fast=True,
    ),
    "ncnn": RuntimeKind("ncnn", (".param",), _open_ncnn, "ncnn", "ncnn", is_fast=True),
    "mnn": RuntimeKind("MNN", (".mnn",), _open_mnn, "MNN", "mnn", is_fast=True),
    "litert": RuntimeKind("LiteRT", (".tflite",), _open_litert, "ai_edge_litert", "litert", is_fast=True),
    "opencv": RuntimeKind("OpenCV", (".cfg",), _open_opencv, "cv2", is_usual=lambda ending, device: False),
    "torch": RuntimeKind(
        "PyTorch",
        (".safetensors", ".cfg"),
        _open_torch,
        "torch",
        "train",
        get_args(Precision),
        reentrant=True,
    ),
}
"""All runtimes; of those that read a file the first is the usual one."""

MODEL_ENDINGS = tuple(dict.fromkeys(ending for kind in RUNTIMES.values() for ending in kind.endings))


def _one_of(choices: Sequence[str]) -> str:
    return ", ".join(choices[:-1]) + f" or {choices[-1]}"
