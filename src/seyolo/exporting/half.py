"""Weights stored as 16-bit floats: half the file size, the same arithmetic.

The graph casts every kernel to float32, which a runtime does once when it loads the file. So input,
arithmetic and decoding are float32 on every runtime, and the speed does not change.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from seyolo.checkpoint import Checkpoint
from seyolo.errors import ExportError

KERNEL = ".weight"
"""Suffix of the names of kernels; biases, anchors and grids are small and remain float32."""


def round_kernels(model_file: Checkpoint) -> Checkpoint:
    """Returns the network with every kernel rounded to 16 bits.

    Args:
        model_file: without batch normalisation, whose folding scales the kernels.

    Raises:
        ExportError: a weight is above 65504, the largest 16-bit float.
    """
    state = dict(model_file.state)
    for name, array in model_file.state.items():
        if name.endswith(KERNEL):
            if np.abs(array).max(initial=0.0) > np.finfo(np.float16).max:
                raise ExportError(f"{name}: a weight does not fit into 16 bits; export without --half")
            state[name] = array.astype(np.float16).astype(np.float32)
    return replace(model_file, state=state)


def store_halves(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy of a graph of rounded kernels that stores them in 16 bits."""
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    casts = []
    for tensor in result.graph.initializer:
        if tensor.name.endswith(KERNEL):
            name, stored = tensor.name, f"{tensor.name}.half"
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), stored))
            casts.append(helper.make_node("Cast", [stored], [name], name=name, to=TensorProto.FLOAT))
    nodes = [*casts, *result.graph.node]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result
