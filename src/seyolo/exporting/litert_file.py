"""A LiteRT file (TensorFlow Lite's flatbuffer) under construction: tensors, constants and operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

ALIGNMENT = 16  # bytes, of the numbers of a constant
DTYPES = {"float32": "FLOAT32", "float16": "FLOAT16", "int32": "INT32", "int8": "INT8"}
BYTE_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3}  # of operators on int8; of the others it is 2
VERSIONS = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 2}  # on other numbers; of the others it is 1
HALF_DEQUANTIZE = 3


@dataclass(frozen=True, eq=False)
class Scale:
    """Real value = (integer - zero) · factor, with one factor or one per index of `axis`."""

    factor: NDArray[np.float32]
    zero: NDArray[np.int64]
    axis: int = 0

    def equals(self, other: Scale | None) -> bool:
        """Tells whether both stand for the same values."""
        pairs = () if other is None else ((self.factor, other.factor), (self.zero, other.zero))
        return bool(pairs) and all(np.array_equal(one, two) for one, two in pairs)


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the file."""

    index: int
    shape: tuple[int, ...]
    dtype: str
    scale: Scale | None = None


class LiteRtFile:
    """One graph; `add` appends operators in the order of execution."""

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._buffers = [schema.BufferT()]  # the first is empty: that of tensors without a constant
        self._operators: list[Any] = []
        self._codes: dict[tuple[str, int], int] = {}

    def tensor(
        self, shape: Sequence[int], dtype: str = "float32", scale: Scale | None = None, *, name: str = ""
    ) -> Tensor:
        """Adds a value that an operator writes, or an input."""
        made = schema.TensorT(
            shape=list(shape), type=getattr(schema.TensorType, DTYPES[dtype]), name=name, buffer=0
        )
        if scale is not None:
            made.quantization = schema.QuantizationParametersT(
                scale=scale.factor.ravel(), zeroPoint=scale.zero.ravel(), quantizedDimension=scale.axis
            )
        self._tensors.append(made)
        return Tensor(len(self._tensors) - 1, tuple(shape), dtype, scale)

    def constant(self, array: NDArray[Any], scale: Scale | None = None) -> Tensor:
        """Adds a constant."""
        made = self.tensor(array.shape, str(array.dtype), scale)
        self._tensors[made.index].buffer = len(self._buffers)
        self._buffers.append(schema.BufferT(data=np.frombuffer(array.tobytes(), np.uint8)))
        return made

    def add(self, operator: str, inputs: Sequence[Tensor], output: Tensor, **options: Any) -> Tensor:
        """Adds an operator; `options` are fields of its table, such as `padding`. Returns the output."""
        made = schema.OperatorT(
            opcodeIndex=self._code(operator, inputs, output),
            inputs=[tensor.index for tensor in inputs],
            outputs=[output.index],
        )
        if table := OPTION_TABLES.get(operator):
            made.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            made.builtinOptions = getattr(schema, f"{table}T")(**options)
        self._operators.append(made)
        return output

    def to_bytes(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> bytes:
        """Returns the file."""
        graph = schema.SubGraphT(
            tensors=self._tensors,
            inputs=[tensor.index for tensor in inputs],
            outputs=[tensor.index for tensor in outputs],
            operators=self._operators,
            name="main",
        )
        codes = [
            schema.OperatorCodeT(
                builtinCode=(code := getattr(schema.BuiltinOperator, name)),
                deprecatedBuiltinCode=min(code, 127),
                version=version,
            )
            for name, version in self._codes
        ]
        model = schema.ModelT(
            version=3, operatorCodes=codes, subgraphs=[graph], buffers=self._buffers, description="seyolo"
        )
        builder = _Aligned(sum(len(buffer.data) for buffer in self._buffers[1:]) + (1 << 16))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _code(self, operator: str, inputs: Sequence[Tensor], output: Tensor) -> int:
        dtypes = {tensor.dtype for tensor in (*inputs, output)}
        version = BYTE_VERSIONS.get(operator, 2) if "int8" in dtypes else VERSIONS.get(operator, 1)
        version = HALF_DEQUANTIZE if "float16" in dtypes else version
        return self._codes.setdefault((operator, version), len(self._codes))


OPTION_TABLES = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SPACE_TO_DEPTH": "SpaceToDepthOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "SOFTMAX": "SoftmaxOptions",
    "RESHAPE": "ReshapeOptions",
    "MEAN": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "DIV": "DivOptions",
}


class _Aligned(flatbuffers.Builder):  # type: ignore[misc]
    """A builder whose byte vectors begin where a runtime may read them as floats."""

    def StartVector(self, size: int, count: int, alignment: int) -> Any:  # noqa: N802
        """Begins a vector, see the base class."""
        return super().StartVector(size, count, ALIGNMENT if size == 1 else alignment)
