"""What every runtime looks like from outside, and the choice of one by a file's ending.

`.onnx` runs on ONNX Runtime, `.xml` on OpenVINO, `.cfg` (with its `.weights`) on OpenCV's Darknet reader
where OpenCV still has one and the network is Darknet's own, `.safetensors` and everything else on PyTorch.
Another runtime may be asked for: OpenVINO reads `.onnx`, too, and PyTorch `.cfg`. A runtime is imported only
when it is chosen, so none has to be installed for the others to work. A detector that comes with the package
goes by its name, see `shipped.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import Float32

from seyolo.checkpoint import default_names
from seyolo.errors import BackendError, UsageError
from seyolo.letterbox import Mode
from seyolo.runtime.installed import needing
from seyolo.runtime.shipped import is_shipped, model_path

EXPORTED_ENDINGS = (".onnx", ".xml")
"""Files that are run as they are, without our network behind them."""
MODEL_ENDINGS = (*EXPORTED_ENDINGS, ".safetensors", ".cfg")

Runtime = Literal["onnxruntime", "openvino", "opencv", "torch"]
Precision = Literal["f32", "bf16", "f16"]
"""Of what the file has in float32; int8 layers stay int8, and decoding stays float32."""
RUNTIMES: dict[str, tuple[Runtime, ...]] = {
    ".onnx": ("onnxruntime", "openvino"),
    ".xml": ("openvino",),
    ".safetensors": ("torch",),
    ".cfg": ("opencv", "torch"),
}
"""What reads the files of each ending, the usual one first."""


@runtime_checkable
class Backend(Protocol):
    """A detector ready to run."""

    @property
    def name(self) -> str:
        """The runtime, as it stands in tables: `onnxruntime`, `openvino`, `opencv`, `torch`."""

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width in pixels of the images it takes."""

    @property
    def names(self) -> tuple[str, ...]:
        """The classes in the order of the output's columns."""

    @property
    def letterbox_mode(self) -> Mode:
        """How a photo is fitted to the input."""

    def infer(self, batch: Float32[np.ndarray, "n 3 h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the network on RGB images in [0, 1].

        Returns:
            Rows of cx, cy, w, h in pixels of the input, objectness, class probabilities.
        """


def open_backend(
    path: str | Path,
    weights: str | Path | None = None,
    *,
    runtime: Runtime | None = None,
    precision: Precision = "f32",
    threads: int | None = None,
    device: str = "cpu",
    names: Sequence[str] | None = None,
) -> Backend:
    """Opens a model file with the runtime that fits its ending, or another that reads it.

    Args:
        path: an `.onnx`, `.xml`, `.safetensors` or `.cfg` file, or the name of a shipped detector.
        weights: the `.weights` file of a `.cfg`; by default the one beside it with the same name.
        runtime: by default the usual one for the file; a `.cfg` that OpenCV cannot read runs on PyTorch.
        precision: of what the file has in float32; another than `f32` is for OpenVINO and PyTorch.
        threads: of the CPU; by default the runtime's own choice.
        device: `cpu`, or `cuda` where the runtime has it.
        names: the classes, instead of those in the file.

    Raises:
        BackendError: no such file, an unknown ending, or a runtime that is missing, refuses the file or does
            not have the precision.
        CfgError, WeightsError, ModelError: the file is damaged.
    """
    path = model_path(path)
    readers = _readers(path)
    darknet = darknet_weights(path, weights) if "opencv" in readers else None
    runtime = _chosen_runtime(path, readers, runtime, device)
    if threads is not None and threads < 1:
        raise BackendError(f"threads must be at least 1, got {threads}")
    if precision != "f32" and runtime in ("onnxruntime", "opencv"):
        raise BackendError(
            f"{path}: {runtime} computes float32 as the file has it, not in {precision}; "
            "openvino and torch have other precisions"
        )
    if runtime == "onnxruntime":
        return _open_onnx(path, threads, device, names)
    if runtime == "openvino":
        return _open_openvino(path, precision, threads, device, names)
    if runtime == "opencv" and darknet is not None:
        return _open_opencv(path, darknet, threads, names)
    return _open_torch(path, darknet, precision=precision, threads=threads, device=device, names=names)


def is_exported(model: str | Path) -> bool:
    """Whether a MODEL is run as it is: a shipped detector, or a file of `EXPORTED_ENDINGS`."""
    return is_shipped(model) or Path(model).suffix in EXPORTED_ENDINGS


def check_choice(runtime: str | None, precision: str, source: object) -> None:
    """Refuses a runtime or a precision that does not exist; `source` says where it was named.

    Raises:
        BackendError: names those that do.
    """
    for value, choices in ((runtime, get_args(Runtime)), (precision, get_args(Precision))):
        if value is not None and value not in choices:
            raise BackendError(f"{source}: {value!r} is none of {_one_of(choices)}")


def _readers(path: Path) -> tuple[Runtime, ...]:
    """What reads the file; refuses one that nothing does, or that is not there."""
    readers = RUNTIMES.get(ending := path.suffix.lower())
    if readers is None:
        raise BackendError(
            f"{path}: no runtime reads {ending or 'a name without ending'!r}; give {_one_of(MODEL_ENDINGS)}"
        )
    if not path.is_file():
        raise BackendError(f"{path}: there is no such model file")
    return readers


def _chosen_runtime(
    path: Path, readers: tuple[Runtime, ...], runtime: Runtime | None, device: str
) -> Runtime:
    """The runtime asked for, or the usual one for the file."""
    if runtime is None:
        return "torch" if readers[0] == "opencv" and not _opencv_reads(path, device) else readers[0]
    if runtime not in readers:
        raise BackendError(
            f"{path}: {runtime} does not read {path.suffix} files; {' or '.join(readers)} does"
        )
    if runtime == "opencv" and device != "cpu":
        raise BackendError(f"{path}: opencv runs on cpu here, not on {device!r}")
    return runtime


def require_size(backend: Backend, size: int | None) -> tuple[int, int]:
    """(height, width) in pixels of what a backend takes.

    Raises:
        UsageError: `size`, the side of a square, is another.
    """
    height, width = backend.input_size
    if size is not None and (height, width) != (size, size):
        raise UsageError(f"--size {size}: this file is made for {width}x{height} pixels; leave --size out")
    return height, width


def darknet_weights(cfg: Path, weights: str | Path | None) -> Path:
    """The `.weights` file that goes with `cfg`: the one given, or the one beside it.

    Raises:
        BackendError: it is not there.
    """
    path = Path(weights) if weights is not None else cfg.with_suffix(".weights")
    if not path.is_file():
        raise BackendError(f"{path}: there is no such weights file for {cfg.name}; give it with --weights")
    return path


def class_names(names: Sequence[str] | None, num_classes: int, source: str | Path) -> tuple[str, ...]:
    """`names` as a tuple, or numbered ones without them.

    Raises:
        BackendError: there are more or fewer names than classes.
    """
    if names is None:
        return default_names(num_classes)
    if len(names) != num_classes:
        raise BackendError(
            f"{source}: the network has {num_classes} classes, but {len(names)} names are given"
        )
    return tuple(names)


# Each runtime is imported here and nowhere else: a missing one must only matter when it is chosen.


def _opencv_reads(cfg: Path, device: str) -> bool:
    from seyolo.runtime.opencv_backend import can_read  # noqa: PLC0415

    return device == "cpu" and can_read(cfg)


def _open_onnx(path: Path, threads: int | None, device: str, names: Sequence[str] | None) -> Backend:
    from seyolo.runtime.onnxruntime_backend import OnnxRuntimeBackend  # noqa: PLC0415

    return OnnxRuntimeBackend(path, threads=threads, device=device, names=names)


def needing_openvino(path: Path) -> AbstractContextManager[None]:
    """Around what imports OpenVINO for the sake of `path`.

    Raises:
        BackendError: OpenVINO is not installed.
    """
    return needing("openvino", path, "'seyolo[openvino]'")


def _open_openvino(
    path: Path, precision: Precision, threads: int | None, device: str, names: Sequence[str] | None
) -> Backend:
    with needing_openvino(path):
        from seyolo.runtime.openvino_backend import OpenVinoBackend  # noqa: PLC0415
    return OpenVinoBackend(path, threads=threads, device=device, names=names, precision=precision)


def _open_opencv(cfg: Path, weights: Path, threads: int | None, names: Sequence[str] | None) -> Backend:
    from seyolo.runtime.opencv_backend import OpenCvBackend  # noqa: PLC0415

    return OpenCvBackend(cfg, weights, threads=threads, names=names)


def _open_torch(
    path: Path,
    weights: Path | None,
    *,
    precision: Precision,
    threads: int | None,
    device: str,
    names: Sequence[str] | None,
) -> Backend:
    instead = " (or export the model to .onnx, which needs no PyTorch)"
    with needing("torch", path, '"seyolo[train]"', instead):
        from seyolo.runtime.torch_backend import TorchBackend  # noqa: PLC0415
    return TorchBackend.open(path, weights, threads=threads, device=device, names=names, precision=precision)


def _one_of(choices: Sequence[str]) -> str:
    return ", ".join(choices[:-1]) + f" or {choices[-1]}"
