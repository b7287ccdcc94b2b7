"""Values of an ONNX graph as tensors of a LiteRT file.

LiteRT has channels last: a value of four axes is stored as (N, H, W, C), so that the transpositions in front
of the detection layers vanish. Values of three axes, the rows of predictions, are as in ONNX.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from seyolo.exporting.litert_file import LiteRtFile, Scale, Tensor
from seyolo.exporting.rewriting import shapes_of

LAST = {0: 0, 1: 3, 2: 1, 3: 2}  # axis of four, where the channels are last
TO_LAST = [0, 2, 3, 1]


@dataclass(frozen=True, eq=False)
class Stored:
    """A constant in bytes."""

    array: NDArray[Any]
    scale: Scale


class GraphValues:
    """Values of a graph, in float and in bytes; a translation of operators reads and adds them."""

    def __init__(self, graph: onnx.ModelProto) -> None:
        self.graph = graph.graph
        self.file = LiteRtFile()
        self.shapes = shapes_of(graph)
        self.arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.graph.initializer}
        self.stored: dict[str, Stored] = {}  # constants in bytes, by the name of their float value
        self.values: dict[str, Tensor] = {}
        self.bytes: dict[str, Tensor] = {}  # of float values that come from bytes, and of bytes
        self.readers = {name: node for node in self.graph.node for name in node.input}
        self.num_readers = Counter(name for node in self.graph.node for name in node.input)
        self.in_bytes = False  # the operator at hand

    def stored_shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a value as it is stored."""
        shape = self.shapes[name]
        return tuple(shape[axis] for axis in TO_LAST) if len(shape) == 4 else shape

    def axis(self, name: str, axis: int) -> int:
        """Returns an axis of a value as it is stored."""
        rank = len(self.shapes.get(name, ()))
        return LAST[axis % 4] if rank == 4 else axis % rank

    def read(self, name: str) -> Tensor:
        """Returns an input of the operator at hand, in bytes where it computes in bytes."""
        if self.in_bytes:
            if name in self.bytes:
                return self.bytes[name]
            stored = self.stored[name]
            return self.file.constant(np.atleast_1d(_last(stored.array)), stored.scale)
        if name in self.values:
            return self.values[name]
        if name in self.arrays:
            self.values[name] = self.file.constant(_last(self.arrays[name].astype(np.float32)))
        else:
            source = self.bytes[name]
            self.values[name] = self.file.add("DEQUANTIZE", [source], self.file.tensor(source.shape))
        return self.values[name]

    def like(self, source: Tensor, shape: Sequence[int]) -> Tensor:
        """Adds an intermediate value with the numbers of another."""
        return self.file.tensor(shape, source.dtype, source.scale)

    def ints(self, numbers: Sequence[int]) -> Tensor:
        """Adds a constant of whole numbers."""
        return self.file.constant(np.array(numbers, np.int32))

    def result(self, node: onnx.NodeProto, shape: Sequence[int] | None = None) -> Tensor:
        """Adds the output of the operator at hand."""
        (name,) = node.output
        shape = self.stored_shape(name) if shape is None else shape
        if not self.in_bytes:
            self.values[name] = self.file.tensor(shape, name=name)
            return self.values[name]
        scale = self.scale_of(self.readers[name])
        self.bytes[name] = self.file.tensor(shape, "int8", scale, name=name)
        return self.bytes[name]

    def scale_of(self, node: onnx.NodeProto) -> Scale:
        """Returns the scale of a QuantizeLinear or DequantizeLinear in signed bytes."""
        factor = np.atleast_1d(self.arrays[node.input[1]]).astype(np.float32)
        zero = np.atleast_1d(self.arrays[node.input[2]])
        shift = 128 if zero.dtype == np.uint8 else 0
        (axis,) = [item.i for item in node.attribute if item.name == "axis"] or [0]
        return Scale(factor, zero.astype(np.int64) - shift, axis if len(factor) > 1 else 0)

    def rescaled(self, source: Tensor, scale: Scale | None) -> Tensor:
        """Returns a value in bytes with this scale."""
        if scale is None or scale.equals(source.scale):
            return source
        return self.file.add("QUANTIZE", [source], self.file.tensor(source.shape, "int8", scale))


def _last(array: NDArray[Any]) -> NDArray[Any]:
    """Returns an array of four axes with the channels last."""
    return np.ascontiguousarray(array.transpose(TO_LAST)) if array.ndim == 4 else array
