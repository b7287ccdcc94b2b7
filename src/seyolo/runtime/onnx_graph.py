"""Graph of an ONNX file: parameters, MACs and operators, read with the package onnx."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import helper, shape_inference

from seyolo.errors import BackendError
from seyolo.runtime.onnx_file import Dimension, OnnxConvolution, OnnxCost, OnnxFile, OnnxValue
from seyolo.sizes import InputSize, size_hw
from seyolo.translation.builder import BAND, ONES

LEARNED_INPUTS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm"), (1, 2)),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization", "LayerNormalization"), (1, 2)),
    **{"ConvInteger": (1,), "QLinearConv": (3, 8), "MatMul": (0, 1), "PRelu": (1,)},
}
"""Per operator the inputs that hold learned weights, where they are constants; running statistics do not."""
WRAPPERS = frozenset(["DequantizeLinear", "Identity", "Cast", "Transpose", "Reshape"])  # pass a weight on
Shapes = Mapping[str, tuple[int, ...]]


def read(path: Path, size: InputSize | None = None) -> OnnxFile:
    """Reads a file and counts its parameters and MACs; `size` is as in `read_onnx_file`."""
    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as error:
        raise BackendError(f"{path}: not an ONNX file, or a damaged one ({error})") from None
    try:
        return _described(model, path, size)
    except (shape_inference.InferenceError, ValueError) as error:
        raise BackendError(f"{path}: not a valid ONNX graph ({error})") from None


def _described(model: onnx.ModelProto, path: Path, size: InputSize | None) -> OnnxFile:
    graph = model.graph
    if not graph.node or not graph.output:
        raise BackendError(f"{path}: not an ONNX file: it holds no graph")
    constants = _constants(graph)
    values = [value for value in graph.input if value.name not in constants]
    sides = () if size is None else size_hw(size)
    for value in values:
        dimensions = value.type.tensor_type.shape.dim
        for dimension, side in zip(dimensions[2:], sides, strict=False) if len(dimensions) == 4 else ():
            if not dimension.HasField("dim_value"):
                dimension.dim_value = side
    return OnnxFile(
        tuple(map(_value, values)),
        tuple(map(_value, graph.output)),
        {_text(entry.key): _text(entry.value) for entry in model.metadata_props},
        _cost(model, constants),
    )


def _value(info: onnx.ValueInfoProto) -> OnnxValue:
    tensor = info.type.tensor_type
    known = tensor.elem_type in onnx.TensorProto.DataType.values() and tensor.elem_type
    dtype = str(helper.tensor_dtype_to_np_dtype(tensor.elem_type)) if known else "unknown"
    return OnnxValue(_text(info.name), dtype, tuple(map(_dimension, tensor.shape.dim)))


def _text(value: str | bytes) -> str:
    """Returns a text of the file; protobuf gives the bytes of one that is not UTF-8."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _dimension(dimension: onnx.TensorShapeProto.Dimension) -> Dimension:
    if dimension.HasField("dim_value"):
        return int(dimension.dim_value)
    return str(dimension.dim_param) if dimension.dim_param else None


def _constants(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every constant by the name of its value."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                shapes[node.output[0]] = tuple(attribute.t.dims)
    return shapes


def _cost(model: onnx.ModelProto, constants: Shapes) -> OnnxCost:
    graph = model.graph
    sources = {
        node.output[0]: node.input[0] for node in graph.node if node.op_type in WRAPPERS and node.input
    }
    nodes = [node for node in graph.node if not any(name.endswith((ONES, BAND)) for name in node.input[1:2])]
    names = {name for node in nodes for name in _weights(node, sources)}
    params = sum(prod(constants[name]) for name in names & constants.keys())
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    values = [_value(info) for info in (*inferred.input, *inferred.value_info, *inferred.output)]
    shapes = {value.name: value.shape for value in values}
    convolutions = [
        _convolution(node, _weights(node, sources), constants, shapes)
        for node in nodes
        if node.op_type in ("Conv", "ConvInteger", "QLinearConv")
    ]
    operators = Counter(_text(node.op_type) for node in graph.node)
    return OnnxCost(params, tuple(convolutions), dict(operators.most_common()))


def _weights(node: onnx.NodeProto, sources: Mapping[str, str]) -> list[str]:
    """Returns the names of the learned inputs of a node, followed back through `WRAPPERS`."""
    names = [node.input[i] for i in LEARNED_INPUTS.get(node.op_type, ()) if i < len(node.input)]
    for index, name in enumerate(names):
        while name in sources:
            name = sources[name]  # noqa: PLW2901 (one step up)
        names[index] = name
    return names


def _convolution(
    node: onnx.NodeProto,
    weights: Sequence[str],
    constants: Shapes,
    shapes: Mapping[str, tuple[Dimension, ...]],
) -> OnnxConvolution:
    kernel = constants.get(weights[0], ())
    strides = next((tuple(a.ints) for a in node.attribute if a.name == "strides"), (1,))
    output = tuple(side for side in shapes.get(node.output[0], ())[1:] if isinstance(side, int))
    is_known = len(kernel) > 2 and len(output) == len(kernel) - 1
    return OnnxConvolution(
        kernel=kernel[2] if len(kernel) > 2 else 0,
        stride=strides[0],
        output=output if is_known else None,
        params=sum(prod(constants[name]) for name in weights if name in constants),
        macs=prod(output) * prod(kernel[1:]) if is_known else None,  # C_out·H·W · C_in/groups·k²
    )
