"""Description of an ONNX file of any exporter: inputs, outputs, class names, parameters and MACs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seyolo.runtime.metadata import read_any_names, read_any_size

Dimension = int | str | None  # fixed, named, or unknown


@dataclass(frozen=True)
class OnnxValue:
    """An input or output: name, element type and shape."""

    name: str
    dtype: str
    shape: tuple[Dimension, ...]


@dataclass(frozen=True)
class OnnxConvolution:
    """A Conv node; `output` and `macs` are None where the shapes cannot be inferred."""

    kernel: int  # height in pixels, as the stride
    stride: int
    output: tuple[int, ...] | None  # (C, H, W)
    params: int
    macs: int | None


@dataclass(frozen=True)
class OnnxCost:
    """Cost of a graph."""

    params: int  # learned weights: kernels, matrices, biases, scales; other constants do not count
    convolutions: tuple[OnnxConvolution, ...]  # in the order of the graph
    operators: Mapping[str, int]  # number of nodes

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of the convolutions for one image; None where a shape is unknown."""
        parts = [convolution.macs for convolution in self.convolutions]
        return None if None in parts else sum(part for part in parts if part is not None)


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file."""

    inputs: tuple[OnnxValue, ...]
    outputs: tuple[OnnxValue, ...]
    metadata: Mapping[str, str]
    cost: OnnxCost

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(height, width) of the input in pixels; None where the file leaves the size open."""
        match next((value.shape[2:] for value in self.inputs if len(value.shape) == 4), ()):
            case [int(height), int(width)]:
                return height, width
        return read_any_size(self.metadata)

    @property
    def names(self) -> tuple[str, ...] | None:
        """The class names, where the metadata holds them."""
        return read_any_names(self.metadata)
