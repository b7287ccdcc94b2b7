"""Other forms of an ONNX graph, for runtimes that compute an operator in another way than ONNX says."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

BLOCKS_FIRST = [0, 3, 5, 1, 2, 4]


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Returns the values of a node's attributes by their names."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def shapes_of(graph: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every value of a graph of fixed shapes."""
    inferred = shape_inference.infer_shapes(graph).graph
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    return {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim) for value in values}


def without_space_to_depth(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy with SpaceToDepth as reshape, transpose, reshape: MNN orders its channels otherwise."""
    result, shapes = deepcopy(graph), shapes_of(graph)
    nodes: list[onnx.NodeProto] = []
    for node in result.graph.node:
        if node.op_type != "SpaceToDepth":
            nodes.append(node)
            continue
        (step,) = attributes_of(node).values()
        n, c, h, w = shapes[node.input[0]]
        spread = [n, c, h // step, step, w // step, step]
        (output,) = node.output
        for name, shape in ((f"{output}_spread", spread), (f"{output}_shape", shapes[output])):
            result.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
        parts = [f"{output}_{part}" for part in ("parts", "turned")]
        nodes += [
            helper.make_node("Reshape", [node.input[0], f"{output}_spread"], parts[:1], name=parts[0]),
            helper.make_node("Transpose", parts[:1], parts[1:], name=parts[1], perm=BLOCKS_FIRST),
            helper.make_node("Reshape", [parts[1], f"{output}_shape"], [output], name=output),
        ]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result
