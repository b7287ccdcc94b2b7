"""Protocol of a runtime backend, and what the backends share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from seyolo.class_names import default_names
from seyolo.errors import BackendError, UsageError, counted
from seyolo.letterbox import Mode
from seyolo.sizes import InputSize, input_text, size_hw

Runtime = Literal["onnxruntime", "openvino", "ncnn", "mnn", "litert", "opencv", "torch"]
ForRuntime = Literal["onnxruntime", "openvino", "opencv5"]  # those with a form of .onnx that they run best
FUSING: frozenset[ForRuntime] = frozenset({"openvino"})  # join an int8 convolution and its activation
Precision = Literal["f32", "bf16", "f16"]  # of float32 layers; int8 layers and decoding keep their precision


@runtime_checkable
class Backend(Protocol):
    """A detector ready to run.

    It may also have `input_channels` (1 for grey images, 3 where it is missing), `pad_value` (grey level of
    the padding of `letterbox`, 0 to 255, 114 where it is missing), and `layout` (that of the file's output).
    """

    @property
    def name(self) -> str:
        """The runtime as tables name it, one of `Runtime`."""

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, in the order of the output's columns."""

    @property
    def letterbox_mode(self) -> Mode:
        """The fit of an image to the input."""

    def infer(self, batch: Float32[np.ndarray, "n c h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the network on RGB or grey images in [0, 1].

        Returns:
            Rows of cx, cy, w, h in pixels of the input, objectness, class probabilities.
        """


@dataclass(frozen=True)
class Session:
    """Settings with which a runtime opens a file."""

    weights: Path | None = None  # the `.weights` file of a `.cfg`
    precision: Precision = "f32"  # only OpenVINO and PyTorch have others
    threads: int | None = None  # of the CPU, for each image; None leaves the number to the runtime
    device: str = "cpu"  # or `cuda` where the runtime has it
    names: Sequence[str] | None = None  # class names instead of those in the file
    parallel: int = 1  # calls of `infer` at the same time, from several threads


USUAL_SESSION = Session()


def class_names(names: Sequence[str] | None, num_classes: int, source: str | Path) -> tuple[str, ...]:
    """Returns `names`, or `class 0`, `class 1`, ... without them; a BackendError refuses another number."""
    if names is None:
        return default_names(num_classes)
    if len(names) != num_classes:
        given = f"{counted(len(names), 'name')} {'is' if len(names) == 1 else 'are'} given"
        raise BackendError(f"{source}: the network has {counted(num_classes, 'class')}, but {given}")
    return tuple(names)


def require_batch(batch: Float32[np.ndarray, "n c h w"], shape: tuple[int, int, int], source: Path) -> None:
    """Refuses a batch whose images do not have the shape (channels, height, width) of a network's input."""
    if batch.shape[1:] != (expected := shape):
        raise BackendError(f"{source}: expected images of shape {expected}, got {batch.shape[1:]}")


def require_size(backend: Backend, size: InputSize | None) -> tuple[int, int]:
    """Returns a backend's input (height, width) in pixels; a UsageError refuses a `size` unlike it."""
    height, width = backend.input_size
    if size is not None and (height, width) != size_hw(size):
        made = f"this file is made for {width}x{height} pixels"
        raise UsageError(f"--size {input_text(size)}: {made}; leave --size out")
    return height, width
