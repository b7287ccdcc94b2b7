"""What every runtime looks like from outside, and the choice of one by a file's ending.

`.onnx` runs on ONNX Runtime, `.xml` on OpenVINO, `.cfg` (with its `.weights`) on OpenCV's Darknet reader
where OpenCV still has one and the network is Darknet's own, `.safetensors` and everything else on PyTorch. A
runtime is imported only when it is chosen, so none has to be installed for the others to work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from seyolo.errors import BackendError
from seyolo.letterbox import Mode
from seyolo.model_file import default_names

EXPORTED_ENDINGS = (".onnx", ".xml")
"""Files that are run as they are, without our network behind them."""
MODEL_ENDINGS = (*EXPORTED_ENDINGS, ".safetensors", ".cfg")


@runtime_checkable
class Backend(Protocol):
    """A detector ready to run."""

    @property
    def name(self) -> str:
        """The runtime, as it stands in tables: `onnxruntime`, `openvino`, `opencv`, `torch`."""

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width in pixels of the pictures it takes."""

    @property
    def names(self) -> tuple[str, ...]:
        """The classes in the order of the output's columns."""

    @property
    def letterbox_mode(self) -> Mode:
        """How a photo is fitted to the input."""

    def infer(self, batch: Float32[np.ndarray, "n 3 h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the network on RGB pictures in [0, 1].

        Returns:
            Rows of cx, cy, w, h in pixels of the input, objectness, class probabilities.
        """


def open_backend(
    path: str | Path,
    weights: str | Path | None = None,
    *,
    threads: int | None = None,
    device: str = "cpu",
    names: Sequence[str] | None = None,
) -> Backend:
    """Opens a model file with the runtime that fits its ending.

    Args:
        path: an `.onnx`, `.xml`, `.safetensors` or `.cfg` file.
        weights: the `.weights` file of a `.cfg`; by default the one beside it with the same name.
        threads: of the CPU; by default the runtime's own choice.
        device: `cpu`, or `cuda` where the runtime has it.
        names: the classes, instead of those in the file.

    Raises:
        BackendError: no such file, an unknown ending, or a runtime that is missing or refuses the file.
        CfgError, WeightsError, ModelError: the file is damaged.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in MODEL_ENDINGS:
        raise BackendError(
            f"{path}: no runtime reads {ending or 'a name without ending'!r}; give {_one_of(MODEL_ENDINGS)}"
        )
    if not path.is_file():
        raise BackendError(f"{path}: there is no such model file")
    if threads is not None and threads < 1:
        raise BackendError(f"threads must be at least 1, got {threads}")
    if ending == ".onnx":
        return _open_onnx(path, threads, device, names)
    if ending == ".xml":
        return _open_openvino(path, threads, device, names)
    if ending == ".cfg":
        return _open_darknet(path, darknet_weights(path, weights), threads, device, names)
    return _open_torch(path, None, threads, device, names)


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


def _open_onnx(path: Path, threads: int | None, device: str, names: Sequence[str] | None) -> Backend:
    from seyolo.runtime.onnxruntime_backend import OnnxRuntimeBackend  # noqa: PLC0415

    return OnnxRuntimeBackend(path, threads=threads, device=device, names=names)


@contextmanager
def needing_openvino(path: Path) -> Iterator[None]:
    """Around what imports OpenVINO for the sake of `path`.

    Raises:
        BackendError: OpenVINO is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "openvino":
            raise
        raise BackendError(
            f"{path} needs OpenVINO, which is not installed; get it with: pip install 'seyolo[openvino]'"
        ) from None


def _open_openvino(path: Path, threads: int | None, device: str, names: Sequence[str] | None) -> Backend:
    with needing_openvino(path):
        from seyolo.runtime.openvino_backend import OpenVinoBackend  # noqa: PLC0415
    return OpenVinoBackend(path, threads=threads, device=device, names=names)


def _open_darknet(
    cfg: Path, weights: Path, threads: int | None, device: str, names: Sequence[str] | None
) -> Backend:
    from seyolo.runtime.opencv_backend import OpenCvBackend, can_read  # noqa: PLC0415

    if device == "cpu" and can_read(cfg):
        return OpenCvBackend(cfg, weights, threads=threads, names=names)
    return _open_torch(cfg, weights, threads, device, names)


def _open_torch(
    path: Path, weights: Path | None, threads: int | None, device: str, names: Sequence[str] | None
) -> Backend:
    try:
        from seyolo.runtime.torch_backend import TorchBackend  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise BackendError(
            f'{path} needs PyTorch, which is not installed; get it with: pip install "seyolo[train]" '
            "(or export the model to .onnx, which needs no PyTorch)"
        ) from None
    return TorchBackend.open(path, weights, threads=threads, device=device, names=names)


def _one_of(choices: Sequence[str]) -> str:
    return ", ".join(choices[:-1]) + f" or {choices[-1]}"
