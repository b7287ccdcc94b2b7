"""What an ONNX file says about itself, whoever exported it: inputs, outputs, classes, and what it costs.

The graph is read with the package onnx. Where only ONNX Runtime is installed, that tells inputs, outputs and
metadata, and the rest stays unknown.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seyolo.errors import BackendError, UsageError

Dimension = int | str | None
"""Fixed, named, or unknown."""


@dataclass(frozen=True)
class OnnxValue:
    """An input or output: its name, the type of its numbers, and its shape."""

    name: str
    dtype: str
    shape: tuple[Dimension, ...]


@dataclass(frozen=True)
class OnnxConvolution:
    """A Conv node: `kernel` and `stride` in pixels (height), its output (C, H, W), and what it costs.

    `output` and `macs` are None where the shapes cannot be inferred.
    """

    kernel: int
    stride: int
    output: tuple[int, ...] | None
    params: int
    macs: int | None


@dataclass(frozen=True)
class OnnxCost:
    """What the graph holds and does.

    Attributes:
        params: learned weights: kernels, matrices, biases, scales. Constants of the arithmetic do not count.
        convolutions: in the order of the graph.
        operators: how often each occurs, most frequent first.
    """

    params: int
    convolutions: tuple[OnnxConvolution, ...]
    operators: Mapping[str, int]

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of the convolutions for one image; None where a shape is unknown."""
        parts = [convolution.macs for convolution in self.convolutions]
        return None if None in parts else sum(part for part in parts if part is not None)


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file; `cost` is None where the package onnx is not installed."""

    inputs: tuple[OnnxValue, ...]
    outputs: tuple[OnnxValue, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    cost: OnnxCost | None = None

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(height, width) in pixels of the image it takes; None where that is open."""
        match self._image_size(), _json(self.metadata.get("input_size", "")):
            case [int(height), int(width)], _:
                return height, width
            case _, [int(height), int(width)]:
                return height, width
        return None

    @property
    def names(self) -> tuple[str, ...] | None:
        """The classes, where the exporter wrote them down: as JSON, or as some others do, a Python dict."""
        text = self.metadata.get("names", "")
        value = _json(text)
        if value is None:
            value = _literal(text)
        if isinstance(value, Mapping):
            value = list(value.values())
        return tuple(map(str, value)) if isinstance(value, list) else None

    def _image_size(self) -> Sequence[Dimension]:
        return next((value.shape[2:] for value in self.inputs if len(value.shape) == 4), ())


def read_onnx_file(path: str | Path, size: int | None = None) -> OnnxFile:
    """Reads an ONNX file without running it.

    Args:
        path: the file.
        size: side of the square image in pixels, for a file that leaves its size open.

    Raises:
        BackendError: there is no such file, or it is no ONNX file.
        UsageError: another size than the one the file is made for.
    """
    path = Path(path)
    if not path.is_file():
        raise BackendError(f"{path}: there is no such model file")
    try:
        # Part of the train install only.
        from seyolo.runtime import onnx_graph  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("onnx", "google"):
            raise
        return _from_runtime(path)
    file = onnx_graph.read(path, size)
    if size is not None and file.input_size not in (None, (size, size)):
        height, width = file.input_size or (0, 0)
        raise UsageError(f"--size {size}: {path} is made for {width}x{height} pixels; leave --size out")
    return file


def _from_runtime(path: Path) -> OnnxFile:
    # Takes a while to be imported, and is needed here only.
    from seyolo.runtime.onnxruntime_backend import open_session  # noqa: PLC0415

    session = open_session(path)
    inputs, outputs = (
        tuple(OnnxValue(value.name, _dtype(value.type), tuple(value.shape)) for value in values)
        for values in (session.get_inputs(), session.get_outputs())
    )
    return OnnxFile(inputs, outputs, dict(session.get_modelmeta().custom_metadata_map))


def _dtype(text: str) -> str:
    name = text.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, name)


def _json(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None
    return value


def _literal(text: str) -> object:
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value
