"""A small ONNX detector written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

NUM_CLASSES = 2
Shape = list[int | str]


def write_model(
    path: Path,
    *,
    image: Shape | None = None,
    output: Shape | None = None,
    metadata: dict[str, str] | None = None,
    element: int = TensorProto.FLOAT,
    num_outputs: int = 1,
) -> Path:
    """A graph that gives the mean of each colour plane as a row: raw[n, p, c] = mean[n, p] * (c + 1)."""
    image = [1, 3, 32, 64] if image is None else image
    output = [image[0], 3, 5 + NUM_CLASSES] if output is None else output
    factors = np.arange(1, 6 + NUM_CLASSES).reshape(1, 1, -1)
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["means"], keepdims=0),
        helper.make_node("Unsqueeze", ["means", "last"], ["column"]),
        helper.make_node("Mul", ["column", "factors"], ["raw0"]),
        *(helper.make_node("Identity", ["raw0"], [f"raw{i}"]) for i in range(1, num_outputs)),
    ]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("images", element, image)],
        [helper.make_tensor_value_info(f"raw{i}", element, output) for i in range(num_outputs)],
        [
            helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3]),
            helper.make_tensor("last", TensorProto.INT64, [1], [2]),
            helper.make_tensor("factors", element, factors.shape, factors.ravel().tolist()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
