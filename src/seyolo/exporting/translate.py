"""A description and its weights as an ONNX graph, section by section, without tracing.

Tracing takes ten seconds and gigabytes to find what the description already says. Operators are kept to
those that ONNX Runtime, OpenVINO and OpenCV all run. Batch normalisation must be folded beforehand.

Shape letters: N images, A anchors, H and W cells, C classes, P = H·W·A predictions of one `[yolo]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from seyolo.checkpoint import Checkpoint
from seyolo.darknet import graph
from seyolo.darknet.graph import Shape
from seyolo.darknet.sections import (
    Activation,
    AvgPool,
    Cbam,
    Convolutional,
    Detection,
    Dropout,
    Implicit,
    LocalAvgPool,
    MaxPool,
    Region,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Section,
    Shortcut,
    Upsample,
    Yolo,
)
from seyolo.torchnet.activations import (
    GELU_CUBIC,
    GELU_LINEAR,
    LEAKY_SLOPE,
    RELIE_SLOPE,
    SELU_ALPHA,
    SELU_SCALE,
)
from seyolo.torchnet.head import MAX_LOG_SIZE
from seyolo.torchnet.layers import shortcut_shares

OPSET = 17
IR_VERSION = 8
IMAGES = "images"
RAW = "raw"


def to_onnx(model_file: Checkpoint, size: tuple[int, int], dynamic_batch: bool = False) -> onnx.ModelProto:
    """The network with decoding inside, for images of `size` (height, width) pixels.

    Args:
        model_file: without batch normalisation, see `network.folding`.
        size: multiples of the largest stride.
        dynamic_batch: any number of images instead of one.
    """
    translation = _Translation(model_file, size)
    translation.add_layers()
    batch = "batch" if dynamic_batch else 1
    inputs = [helper.make_tensor_value_info(IMAGES, TensorProto.FLOAT, [batch, 3, *size])]
    num_columns = 5 + graph.num_classes(model_file.network)
    output_shape = [batch, translation.num_predictions, num_columns]
    outputs = [helper.make_tensor_value_info(RAW, TensorProto.FLOAT, output_shape)]
    body = helper.make_graph(
        translation.nodes, "seyolo", inputs, outputs, initializer=translation.initializers
    )
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(body, opset_imports=[opset], ir_version=IR_VERSION, producer_name="seyolo")


class _Translation:
    """The graph under construction; values are named after their layer."""

    def __init__(self, model_file: Checkpoint, size: tuple[int, int]) -> None:
        network = model_file.network
        self.sections = network.layers
        self.state = model_file.state
        self.size = size
        self.inputs = graph.inputs(network)
        image = Shape(network.net.channels, *size)
        self.shapes = (*graph.shapes(network, *size), image)  # [-1] is the image
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.num_predictions = 0
        self._values = [IMAGES]  # of layer i at i + 1, so that -1 + 1 is the image

    def add_layers(self) -> None:
        writers: dict[type[Section], Callable[[int, Any, list[str]], str]] = {
            Convolutional: self._convolution,
            MaxPool: self._max_pool,
            LocalAvgPool: self._local_avg_pool,
            Reorg: self._reorg,
            Reorg3d: lambda _, section, inputs: self._space_to_depth(inputs[0], section.stride),
            Implicit: self._implicit,
            AvgPool: lambda index, _, inputs: self._node("GlobalAveragePool", inputs),
            Upsample: self._upsample,
            Dropout: lambda index, _, inputs: inputs[0],
            Route: self._route,
            Shortcut: self._shortcut,
            ScaleChannels: self._multiply,
            Sam: self._multiply,
            Cbam: self._cbam,
            Yolo: self._detection,
            Region: self._detection,
        }
        heads: list[str] = []
        for index, section in enumerate(self.sections):
            inputs = [self._values[source + 1] for source in self.inputs[index]]
            self._values.append(writers[type(section)](index, section, inputs))
            if isinstance(section, Detection):
                heads.append(self._values[-1])
        self.nodes.append(helper.make_node("Concat", heads, [RAW], axis=1))

    def _node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        output = f"layer{len(self._values) - 1}_{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def _constant(self, value: object, dtype: type[np.generic] = np.float32) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def _tensor(self, name: str) -> str:
        self.initializers.append(numpy_helper.from_array(self.state[name], name))
        return name

    def _slice(self, value: str, start: int, end: int, axis: int) -> str:
        bounds = [self._constant([bound], np.int64) for bound in (start, end, axis)]
        return self._node("Slice", [value, *bounds])

    def _clip(self, value: str, low: float | None, high: float) -> str:
        return self._node("Clip", [value, "" if low is None else self._constant(low), self._constant(high)])

    def _activate(self, value: str, activation: Activation) -> str:
        def times(factor: str) -> str:
            return self._node("Mul", [value, factor])

        def ramp() -> str:
            half = times(self._constant(0.5))
            return self._clip(self._node("Add", [half, self._constant(1.0)]), 0.0, 1.0)

        writers: dict[Activation, Callable[[], str]] = {
            "linear": lambda: value,
            "leaky": lambda: self._node("LeakyRelu", [value], alpha=LEAKY_SLOPE),
            "relu": lambda: self._node("Relu", [value]),
            "relu6": lambda: self._clip(value, 0.0, 6.0),
            "logistic": lambda: self._node("Sigmoid", [value]),
            "swish": lambda: times(self._node("Sigmoid", [value])),
            "mish": lambda: times(self._node("Tanh", [self._node("Softplus", [value])])),
            "hard_mish": lambda: times(ramp()),
            "hardtan": lambda: self._clip(value, -1.0, 1.0),
            "tanh": lambda: self._node("Tanh", [value]),
            "elu": lambda: self._node("Elu", [value]),
            "selu": lambda: self._node("Selu", [value], alpha=SELU_ALPHA, gamma=SELU_SCALE),
            "gelu": lambda: self._gelu(value),
            "loggy": lambda: self._affine(self._node("Sigmoid", [value]), 2.0, -1.0),
            "relie": lambda: self._node("LeakyRelu", [value], alpha=RELIE_SLOPE),
            "ramp": lambda: self._node("Add", [self._node("Relu", [value]), times(self._constant(0.1))]),
            "plse": lambda: self._flattened(value, (-4.0, 4.0), 0.01, 0.125, 0.5),
            "lhtan": lambda: self._flattened(value, (0.0, 1.0), 0.001, 1.0, 0.0),
        }
        return writers[activation]()

    def _affine(self, value: str, factor: float, added: float) -> str:
        scaled = self._node("Mul", [value, self._constant(factor)])
        return self._node("Add", [scaled, self._constant(added)])

    def _gelu(self, value: str) -> str:
        square = self._node("Mul", [value, value])
        inner = self._node("Mul", [value, self._affine(square, GELU_CUBIC, GELU_LINEAR)])
        return self._node("Mul", [value, self._affine(self._node("Tanh", [inner]), 0.5, 0.5)])

    def _flattened(
        self, value: str, bounds: tuple[float, float], slope: float, factor: float, added: float
    ) -> str:
        """factor · x + added inside the bounds, and `slope` outside."""
        inside = self._clip(value, *bounds)
        outside = self._node("Mul", [self._node("Sub", [value, inside]), self._constant(slope)])
        return self._node("Add", [self._affine(inside, factor, added), outside])

    def _conv(self, value: str, module: str, kernel: int, **attributes: object) -> str:
        tensors = [self._tensor(f"{module}.weight")]
        if f"{module}.bias" in self.state:
            tensors.append(self._tensor(f"{module}.bias"))
        return self._node("Conv", [value, *tensors], kernel_shape=[kernel, kernel], **attributes)

    def _convolution(self, index: int, section: Convolutional, inputs: list[str]) -> str:
        value = self._conv(
            inputs[0],
            f"layers.{index}.conv",
            section.size,
            strides=section.strides,
            pads=[section.padding_px] * 4,
            dilations=[section.kernel_dilation] * 2,
            group=section.groups,
        )
        return self._activate(value, section.activation)

    def _max_pool(self, index: int, section: MaxPool, inputs: list[str]) -> str:
        if section.maxpool_depth:
            return self._max_over_channels(index, section, inputs[0])
        return self._node("MaxPool", inputs, **_window(section))

    def _max_over_channels(self, index: int, section: MaxPool, value: str) -> str:
        width, step = self._widths(index)[0], section.out_channels
        parts = [self._slice(value, start, start + step, 1) for start in range(0, width, step)]
        return parts[0] if len(parts) == 1 else self._node("Max", parts)

    def _local_avg_pool(self, _: int, section: LocalAvgPool, inputs: list[str]) -> str:
        return self._node("AveragePool", inputs, count_include_pad=0, **_window(section))

    def _space_to_depth(self, value: str, step: int) -> str:
        return self._node("SpaceToDepth", [value], blocksize=step)

    def _reorg(self, index: int, section: Reorg, inputs: list[str]) -> str:
        front, step = self.shapes[self.inputs[index][0]], section.stride
        spread = [-1, front.channels // step**2, front.height * step, front.width * step]
        value = self._node("Reshape", [inputs[0], self._constant(spread, np.int64)])
        mixed = self._space_to_depth(value, step)
        return self._node("Reshape", [mixed, self._constant([-1, *self.shapes[index]], np.int64)])

    def _implicit(self, index: int, section: Implicit, inputs: list[str]) -> str:
        del inputs
        return self._constant(self.state[f"layers.{index}.weights"].reshape(1, section.filters, 1, 1))

    def _upsample(self, _: int, section: Upsample, inputs: list[str]) -> str:
        scales = self._constant([1, 1, section.stride, section.stride])
        value = self._node(
            "Resize",
            [inputs[0], "", scales],
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )
        return value if section.scale == 1.0 else self._node("Mul", [value, self._constant(section.scale)])

    def _route(self, index: int, section: Route, inputs: list[str]) -> str:
        if section.groups > 1:
            parts = [
                self._slice(value, width * section.group_id, width * (section.group_id + 1), 1)
                for value, width in zip(inputs, self._widths(index, section.groups), strict=True)
            ]
        else:
            parts = inputs
        return parts[0] if len(parts) == 1 else self._node("Concat", parts, axis=1)

    def _widths(self, index: int, groups: int = 1) -> list[int]:
        return [self.shapes[source].channels // groups for source in self.inputs[index]]

    def _shortcut(self, index: int, section: Shortcut, inputs: list[str]) -> str:
        if section.weights_type != "none":
            inputs = self._weighted(index, section, inputs)
        total, width = inputs[0], self._widths(index)[0]
        for other, other_width in zip(inputs[1:], self._widths(index)[1:], strict=True):
            total = self._add_shared(total, width, other, other_width)
        return self._activate(total, section.activation)

    def _weighted(self, index: int, section: Shortcut, inputs: list[str]) -> list[str]:
        """The inputs of a shortcut times their weights, each as wide as what of it is added."""
        weights = torch.from_numpy(self.state[f"layers.{index}.weights"])
        shares = shortcut_shares(weights, section.weights_normalization).numpy()
        widths = self._widths(index)
        weighted = []
        for value, share, width in zip(inputs, shares, widths, strict=True):
            shared = min(width, widths[0])
            part = value if shared == width else self._slice(value, 0, shared, 1)
            factors = self._constant(np.reshape(share, (1, -1, 1, 1))[:, :shared])
            weighted.append(self._node("Mul", [part, factors]))
        return weighted

    def _add_shared(self, front: str, width: int, other: str, other_width: int) -> str:
        if other_width >= width:
            other = other if other_width == width else self._slice(other, 0, width, 1)
            return self._node("Add", [front, other])
        shared = self._node("Add", [self._slice(front, 0, other_width, 1), other])
        return self._node("Concat", [shared, self._slice(front, other_width, width, 1)], axis=1)

    def _multiply(self, _: int, section: ScaleChannels | Sam, inputs: list[str]) -> str:
        factors, features = inputs
        return self._activate(self._node("Mul", [features, factors]), section.activation)

    def _cbam(self, index: int, section: Cbam, inputs: list[str]) -> str:
        features = inputs[0]
        # The shared MLP runs once, on both pooled vectors as two rows.
        pools = [self._node(pool, [features]) for pool in ("GlobalAveragePool", "GlobalMaxPool")]
        hidden = self._conv(self._node("Concat", pools, axis=2), f"layers.{index}.squeeze", 1)
        answers = self._conv(self._node("Relu", [hidden]), f"layers.{index}.excite", 1)
        total = self._node("Add", [self._slice(answers, row, row + 1, 2) for row in (0, 1)])
        channel_gate = self._node("Sigmoid", [total])
        gated = self._node("Mul", [features, channel_gate])
        maps = [self._node(reduce, [gated], axes=[1], keepdims=1) for reduce in ("ReduceMean", "ReduceMax")]
        if section.floor:
            maps[1] = self._node("Relu", [maps[1]])
        joined = self._node("Concat", maps, axis=1)
        pads = [section.size // 2] * 4
        logits = self._conv(joined, f"layers.{index}.spatial", section.size, pads=pads)
        gated = self._node("Mul", [gated, self._node("Sigmoid", [logits])])
        return self._node("Add", [features, gated]) if section.join == "add" else gated

    def _detection(self, index: int, section: Detection, inputs: list[str]) -> str:
        shape = self.shapes[index]
        anchors = self._anchors_px(shape, section)
        num = shape.height * shape.width * len(anchors)
        self.num_predictions += num
        last = self._node("Transpose", inputs, perm=[0, 2, 3, 1])
        rows = self._node("Reshape", [last, self._constant([-1, num, 5 + section.classes], np.int64)])
        offsets, sizes = self._slice(rows, 0, 2, 2), self._slice(rows, 2, 4, 2)
        scores = self._slice(rows, 4, 5 + section.classes, 2)
        cells = shape.height * shape.width
        if isinstance(section, Yolo) and section.new_coords:
            factors = self._node("Mul", [sizes, sizes])
            scale_wh = np.tile(4 * anchors, (cells, 1))
        else:
            offsets, scores = self._node("Sigmoid", [offsets]), self._probabilities(section, scores)
            factors = self._node("Exp", [self._clip(sizes, None, MAX_LOG_SIZE)])
            scale_wh = np.tile(anchors, (cells, 1))
        scale_x_y = section.scale_x_y if isinstance(section, Yolo) else 1.0
        stride_xy, origins = self._cells(shape, scale_x_y, len(anchors))
        stretched = self._node("Mul", [offsets, self._constant(stride_xy * scale_x_y)])
        centres = self._node("Add", [stretched, self._constant(origins)])
        boxes = self._node("Mul", [factors, self._constant(scale_wh)])
        return self._node("Concat", [centres, boxes, scores], axis=2)

    def _anchors_px(self, shape: Shape, section: Detection) -> NDArray[np.float64]:
        anchors = np.asarray(section.masked_anchors, np.float64)
        return anchors * self._stride_xy(shape) if isinstance(section, Region) else anchors

    def _stride_xy(self, shape: Shape) -> NDArray[np.float64]:
        return np.array([self.size[1] / shape.width, self.size[0] / shape.height])

    def _probabilities(self, section: Detection, scores: str) -> str:
        """Objectness and class logits (N, P, 1+C) as probabilities."""
        if isinstance(section, Yolo):
            return self._node("Sigmoid", [scores])
        objectness = self._node("Sigmoid", [self._slice(scores, 0, 1, 2)])
        classes = self._node("Softmax", [self._slice(scores, 1, 1 + section.classes, 2)], axis=2)
        return self._node("Concat", [objectness, classes], axis=2)

    def _cells(self, shape: Shape, scale_x_y: float, num_anchors: int) -> tuple[Any, Any]:
        """The stride as (x, y), and per prediction where an offset of 0 lies in input pixels, (P, 2)."""
        stride_xy = self._stride_xy(shape)
        rows, columns = np.mgrid[: shape.height, : shape.width]
        corners = np.stack([columns.ravel(), rows.ravel()], axis=1) - (scale_x_y - 1) / 2
        return stride_xy, np.repeat(corners * stride_xy, num_anchors, axis=0)


def _window(section: MaxPool | LocalAvgPool) -> dict[str, Any]:
    """The attributes of a pooling node."""
    before = section.padding_px // 2
    pads = [before] * 2 + [section.padding_px - before] * 2
    return {"kernel_shape": [section.kernel_px] * 2, "strides": section.strides, "pads": pads}
