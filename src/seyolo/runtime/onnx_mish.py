"""Mish as ONNX Runtime computes it fast.

Its Softplus takes one number at a time. tanh(softplus(x)) is a fraction of exponentials instead: with
e = exp(x) and w = e·(e + 2) it is w / (w + 2), which float32 cannot tell from 1 above x = 20.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from onnx import GraphProto, NodeProto, TensorProto, helper, load_model, numpy_helper

_LIMIT, _TWO = "mish_limit", "mish_two"
_CONSTANTS = {_LIMIT: 20.0, _TWO: 2.0}
_LEAST_OPSET = 13


def faster_graph(path: Path) -> bytes | None:
    """Returns the graph of an ONNX file with its Mish rewritten; None for a file that stays as it is."""
    try:
        model = load_model(str(path), load_external_data=False)
    except DecodeError:
        return None  # ONNX Runtime says what is wrong
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        return None  # in files beside it, found from its place
    if any(opset.domain == "" and opset.version < _LEAST_OPSET for opset in model.opset_import):
        return None
    return model.SerializeToString() if rewrite_mish(model.graph) else None


def rewrite_mish(graph: GraphProto) -> int:
    """Rewrites the Mish of a graph that takes float32, in place; returns how many there were."""
    if any(value.type.tensor_type.elem_type != TensorProto.FLOAT for value in graph.input):
        return 0
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return 0  # a graph inside may read any value
    makers = {output: node for node in graph.node for output in node.output}
    nodes: list[NodeProto] = []
    number = 0
    for node in graph.node:
        source = _argument(node, makers)
        if source is None:
            nodes.append(node)
        else:
            nodes += _fraction(source, node.output[0])
            number += 1
    if number:
        for operator in ("Tanh", "Softplus"):
            read = {name for node in nodes for name in node.input} | {value.name for value in graph.output}
            nodes = [node for node in nodes if node.op_type != operator or node.output[0] in read]
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.extend(
            numpy_helper.from_array(np.array(value, np.float32), name) for name, value in _CONSTANTS.items()
        )
    return number


def _argument(node: NodeProto, makers: Mapping[str, NodeProto]) -> str | None:
    """Returns the value whose Mish a node is: x of Mish(x), or of x · tanh(softplus(x))."""
    match (node.op_type, list(node.input)):
        case ("Mish", [source]):
            return str(source)
        case ("Mul", [first, second]):
            pairs = (first, second), (second, first)
            return next((source for source, factor in pairs if _gate_of(factor, makers) == source), None)
    return None


def _gate_of(value: str, makers: Mapping[str, NodeProto]) -> str | None:
    """Returns x where a value is tanh(softplus(x))."""
    for operator in ("Tanh", "Softplus"):
        node = makers.get(value)
        if node is None or node.op_type != operator or len(node.input) != 1:
            return None
        value = node.input[0]
    return value


def _fraction(source: str, output: str) -> list[NodeProto]:
    """Returns nodes that compute the Mish of `source`."""
    names = {part: f"{output}_{part}" for part in ("limited", "exp", "more", "product", "sum", "factor")}
    steps = [
        ("Min", (source, _LIMIT), names["limited"]),
        ("Exp", (names["limited"],), names["exp"]),
        ("Add", (names["exp"], _TWO), names["more"]),
        ("Mul", (names["exp"], names["more"]), names["product"]),
        ("Add", (names["product"], _TWO), names["sum"]),
        ("Div", (names["product"], names["sum"]), names["factor"]),
        ("Mul", (source, names["factor"]), output),
    ]
    return [helper.make_node(operator, inputs, [name], name=name) for operator, inputs, name in steps]
