"""Translation of a description and its weights into an ONNX graph, section by section, without tracing.

Tracing takes ten seconds and gigabytes to find what the description already holds. Operators are limited to
those that ONNX Runtime, OpenVINO and OpenCV all run. Batch normalisation must be folded beforehand
(`folding`). No torch: runtimes translate a cfg when they open it.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from seyolo.checkpoint import Checkpoint
from seyolo.darknet.graph import IMAGE, Shape, num_classes, shapes
from seyolo.darknet.sections import Detection
from seyolo.translation import attention, convolution, detection, joining, pooling, resampling
from seyolo.translation.builder import GraphBuilder, Layer, WriterTable

OPSET, IR_VERSION = 17, 8
IMAGES, RAW = "images", "raw"
KINDS = (convolution, pooling, resampling, joining, attention, detection)
WRITERS: WriterTable = {section: writer for kind in KINDS for section, writer in kind.WRITERS.items()}


def to_onnx(
    checkpoint: Checkpoint, size: tuple[int, int], dynamic_batch: bool = False, *, inline: bool = True
) -> onnx.ModelProto:
    """Returns the network, without batch normalisation, for images of `size` (height, width) pixels.

    Without `inline` the graph names the tensors of the checkpoint and does not hold their numbers.
    """
    network = checkpoint.network
    outputs = shapes(network, *size)
    graph = GraphBuilder(checkpoint.state, size, inline=inline)
    num_predictions = _add_layers(graph, checkpoint, outputs)
    batch = "batch" if dynamic_batch else 1
    raw_shape = [batch, num_predictions, 5 + num_classes(network)]
    images = helper.make_tensor_value_info(IMAGES, TensorProto.FLOAT, [batch, network.net.channels, *size])
    raw = helper.make_tensor_value_info(RAW, TensorProto.FLOAT, raw_shape)
    body = helper.make_graph(graph.nodes, "seyolo", [images], [raw], initializer=graph.initializers)
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(body, opset_imports=[opset], ir_version=IR_VERSION, producer_name="seyolo")


def _add_layers(graph: GraphBuilder, checkpoint: Checkpoint, outputs: tuple[Shape, ...]) -> int:
    """Adds the nodes of all layers; returns the number of predictions per image."""
    network = checkpoint.network
    values = {IMAGE: IMAGES}
    known = {IMAGE: Shape(network.net.channels, *graph.image_size), **dict(enumerate(outputs))}
    heads: list[str] = []
    num_predictions = 0
    for index, section in enumerate(network.layers):
        sources = section.inputs(index)
        read = [known[source] for source in sources]
        graph.layer = index
        layer = Layer(index, [values[source] for source in sources], read, outputs[index])
        values[index] = WRITERS[type(section)](graph, section, layer)
        if isinstance(section, Detection):
            heads.append(values[index])
            num_predictions += detection.num_predictions(section, outputs[index])
    graph.nodes.append(helper.make_node("Concat", heads, [RAW], axis=1))
    return num_predictions
