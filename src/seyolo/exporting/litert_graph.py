"""Translation of our ONNX graph, plain or with conversions to bytes, into a LiteRT file.

An operator whose inputs all come from bytes and whose output goes to bytes computes in int8. ONNX's bytes are
unsigned here and LiteRT's signed: the same numbers less 128.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx

from seyolo.errors import ExportError
from seyolo.exporting.litert_file import Scale, Tensor
from seyolo.exporting.litert_values import LAST, TO_LAST, GraphValues, Stored
from seyolo.exporting.rewriting import attributes_of
from seyolo.translation import RAW

TO_FIRST = [0, 3, 1, 2]
SAME, VALID = 0, 1
LOWEST = float(np.finfo(np.float32).min)
LOGISTIC_SCALE = Scale(np.array([1 / 256], np.float32), np.array([-128]))  # the only one of LOGISTIC in int8
IN_BYTES = frozenset(
    "Conv LeakyRelu Relu Clip Sigmoid Add Mul Concat MaxPool GlobalAveragePool Resize".split()
)
PLAIN = {
    "Relu": "RELU", "Tanh": "TANH", "Exp": "EXP", "Elu": "ELU", "Sigmoid": "LOGISTIC",
    "Sub": "SUB", "Div": "DIV", "Mul": "MUL", "Add": "ADD",
}  # fmt: skip
FOLDED = {"Max": "MAXIMUM", "Min": "MINIMUM"}


def litert_bytes(graph: onnx.ModelProto, *, half: bool) -> bytes:
    """Returns the LiteRT file of a graph of batch 1; `half` stores its kernels in 16 bits.

    Raises:
        ExportError: names an operator without a form, and its layer.
    """
    return _Translation(graph, half=half).to_bytes()


class _Translation(GraphValues):
    def __init__(self, graph: onnx.ModelProto, *, half: bool) -> None:
        super().__init__(graph)
        self.half = half
        self.aliases: set[str] = set()  # of four axes, stored as in ONNX

    def to_bytes(self) -> bytes:
        (image,) = self.graph.input
        self.values[image.name] = self.file.tensor(self.stored_shape(image.name), name=image.name)
        for node in self.graph.node:
            self._translate(node)
        return self.file.to_bytes([self.values[image.name]], [self.values[RAW]])

    def _translate(self, node: onnx.NodeProto) -> None:
        writer = WRITERS.get(node.op_type)
        if writer is None:
            layer = node.name.partition("_")[0]
            raise ExportError(f"{layer}: seyolo has no {node.op_type} for LiteRT; export to .onnx")
        self.in_bytes = self._is_in_bytes(node)
        writer(self, node, attributes_of(node))

    def _is_in_bytes(self, node: onnx.NodeProto) -> bool:
        (output,) = node.output
        reader = self.readers.get(output)
        if node.op_type not in IN_BYTES or reader is None or reader.op_type != "QuantizeLinear":
            return False
        inputs = [name for name in node.input if name and (name not in self.arrays or name in self.stored)]
        is_known = all(name in self.bytes or name in self.stored for name in inputs)
        is_clip = node.op_type == "Clip" and self._bounds(node) != (0.0, 6.0)
        return is_known and bool(inputs) and self.num_readers[output] == 1 and not is_clip

    def dequantize(self, node: onnx.NodeProto, _: dict[str, Any]) -> None:
        source, (output,) = node.input[0], node.output
        if source not in self.arrays:
            self.bytes[output] = self.bytes[source]
            return
        array, scale = self.arrays[source], self.scale_of(node)
        if array.dtype == np.uint8:
            array = (array.astype(np.int16) - 128).astype(np.int8)
        self.stored[output] = Stored(array, scale)
        sides = [1] * array.ndim
        if len(scale.factor) > 1:
            sides[scale.axis] = len(scale.factor)
        factor, zero = (part.reshape(sides or ()) for part in (scale.factor, scale.zero))
        self.arrays[output] = ((array - zero) * factor).astype(np.float32)

    def quantize(self, node: onnx.NodeProto, _: dict[str, Any]) -> None:
        source, (output,) = node.input[0], node.output
        if source in self.bytes and self.num_readers[source] == 1:
            self.bytes[output] = self.bytes[source]
            return
        value = self.read(source)
        made = self.file.tensor(value.shape, "int8", self.scale_of(node))
        self.bytes[output] = self.file.add("QUANTIZE", [value], made)

    def plain(self, node: onnx.NodeProto, _: dict[str, Any]) -> None:
        inputs = [self.read(name) for name in node.input]
        if node.op_type == "Sigmoid" and self.in_bytes:
            made = self.file.tensor(inputs[0].shape, "int8", LOGISTIC_SCALE)
            self.file.add("LOGISTIC", inputs, made)
            self.file.add("QUANTIZE", [made], self.result(node))
            return
        self.file.add(PLAIN[node.op_type], inputs, self.result(node))

    def folded(self, node: onnx.NodeProto, _: dict[str, Any]) -> None:
        first, *others, last = [self.read(name) for name in node.input]
        for other in others:
            first = self.file.add(FOLDED[node.op_type], [first, other], self.like(first, first.shape))
        self.file.add(FOLDED[node.op_type], [first, last], self.result(node))

    def _bounds(self, node: onnx.NodeProto) -> tuple[float | None, float]:
        low, high = (float(self.arrays[name]) if name else None for name in node.input[1:])
        assert high is not None, "all our limits have an upper bound"
        return low, high

    def clip(self, node: onnx.NodeProto, _: dict[str, Any]) -> None:
        low, high = self._bounds(node)
        value = self.read(node.input[0])
        if (low, high) == (0.0, 6.0):
            self.file.add("RELU6", [value], self.result(node))
            return
        if low is not None:
            bound = self.file.constant(np.array(low, np.float32))
            value = self.file.add("MAXIMUM", [value, bound], self.like(value, value.shape))
        bound = self.file.constant(np.array(high, np.float32))
        self.file.add("MINIMUM", [value, bound], self.result(node))

    def leaky(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
        self.file.add("LEAKY_RELU", [self.read(node.input[0])], self.result(node), alpha=attributes["alpha"])

    def softmax(self, node: onnx.NodeProto, _: dict[str, Any]) -> None:
        self.file.add("SOFTMAX", [self.read(node.input[0])], self.result(node), beta=1.0)

    def softplus(self, node: onnx.NodeProto, _: dict[str, Any]) -> None:
        """Adds max(x, 0) + log(1 + exp(-|x|))."""
        value = self.read(node.input[0])
        step = partial(self._step, value)
        one = self.file.constant(np.array(1, np.float32))
        small = step("EXP", step("NEG", step("ABS", value)))
        self.file.add("ADD", [step("RELU", value), step("LOG", step("ADD", small, one))], self.result(node))

    def selu(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
        """Adds gamma · (max(x, 0) + alpha · (exp(min(x, 0)) - 1)), where ELU is the parts for alpha 1."""
        value = self.read(node.input[0])
        step = partial(self._step, value)
        alpha, gamma = (
            self.file.constant(np.array(attributes[name], np.float32)) for name in ("alpha", "gamma")
        )
        positive = step("RELU", value)
        negative = step("SUB", step("ELU", value), positive)
        total = step("ADD", positive, step("MUL", negative, alpha))
        self.file.add("MUL", [total, gamma], self.result(node))

    def _step(self, like: Tensor, operator: str, *inputs: Tensor) -> Tensor:
        return self.file.add(operator, inputs, self.like(like, like.shape))

    def concat(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
        inputs = [self.read(name) for name in node.input]
        result = self.result(node)
        inputs = [self.rescaled(value, result.scale) for value in inputs]
        axis = self.axis(node.output[0], attributes["axis"])
        self.file.add("CONCATENATION", inputs, result, axis=axis)

    def convolution(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
        group = attributes.get("group", 1)
        kernel = self.arrays[node.input[1]]
        is_depthwise = group > 1 and group == self.shapes[node.input[0]][1]
        turned = (1, 2, 3, 0) if is_depthwise else (0, 2, 3, 1)
        strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
        spread = [
            (size - 1) * dilation + 1 for size, dilation in zip(kernel.shape[2:], dilations, strict=True)
        ]
        value, padding = self.padded(
            self.read(node.input[0]), spread, strides, attributes.get("pads", [0] * 4), 0.0
        )
        options = {
            "padding": padding,
            "strideH": strides[0],
            "strideW": strides[1],
            "dilationHFactor": dilations[0],
            "dilationWFactor": dilations[1],
        }
        if is_depthwise:
            options["depthMultiplier"] = len(kernel) // group
        operands = [value, self._kernel(node.input[1], turned), self._bias(node, value)]
        self.file.add(
            "DEPTHWISE_CONV_2D" if is_depthwise else "CONV_2D", operands, self.result(node), **options
        )

    def _kernel(self, name: str, turned: Sequence[int]) -> Tensor:
        if self.in_bytes:
            stored = self.stored[name]
            scale = Scale(stored.scale.factor, stored.scale.zero, turned.index(0))
            return self.file.constant(stored.array.transpose(turned), scale)
        kernel = self.arrays[name].transpose(turned).astype(np.float32)
        if not self.half:
            return self.file.constant(kernel)
        halved = self.file.constant(kernel.astype(np.float16))
        return self.file.add("DEQUANTIZE", [halved], self.file.tensor(kernel.shape))

    def _bias(self, node: onnx.NodeProto, value: Tensor) -> Tensor:
        num = len(self.arrays[node.input[1]])
        if not self.in_bytes:
            bias = self.arrays[node.input[2]] if len(node.input) > 2 else np.zeros(num)
            return self.file.constant(bias.astype(np.float32))
        assert value.scale is not None, "an input in bytes"
        factors = self.stored[node.input[1]].scale.factor * value.scale.factor
        real = self.arrays[node.input[2]] if len(node.input) > 2 else np.zeros(num)
        whole = np.rint(real / factors.astype(np.float64)).astype(np.int32)
        zeros = np.zeros(len(factors), np.int64)
        return self.file.constant(whole, Scale(factors.astype(np.float32), zeros))

    def padded(
        self,
        value: Tensor,
        window: Sequence[int] | None,
        strides: Sequence[int],
        pads: Sequence[int],
        fill: float,
    ) -> tuple[Tensor, int]:
        """Returns a value and the kind of padding that give a window these paddings.

        Without a window the paddings are always added by an operator.
        """
        if not any(pads):
            return value, VALID
        sides = value.shape[1:3]
        pairs = list(zip(pads[:2], pads[2:], strict=True))
        usual = [_same(*numbers) for numbers in zip(sides, window or (), strides, strict=window is not None)]
        if pairs == usual:
            return value, SAME
        bounds = self.file.constant(np.array([(0, 0), *pairs, (0, 0)], np.int32))
        shape = [1, *(side + sum(pair) for side, pair in zip(sides, pairs, strict=True)), value.shape[3]]
        if fill == 0.0:
            return self.file.add("PAD", [value, bounds], self.like(value, shape)), VALID
        number = np.array([-128], np.int8) if value.dtype == "int8" else np.array([fill], np.float32)
        filled = self.file.constant(number, value.scale)
        return self.file.add("PADV2", [value, bounds, filled], self.like(value, shape)), VALID

    def max_pool(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
        scale = self.scale_of(self.readers[node.output[0]]) if self.in_bytes else None
        value = self.rescaled(self.read(node.input[0]), scale)
        value, options = self._window(value, attributes, LOWEST)
        self.file.add("MAX_POOL_2D", [value], self.result(node), **options)

    def average_pool(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
        """Averages with zeros around the map, divided by the part of the window that lies on the map."""
        value = self.read(node.input[0])
        (top, left, bottom, right), window = attributes["pads"], attributes["kernel_shape"]
        inside = np.pad(np.ones(value.shape[1:3], np.float32), ((top, bottom), (left, right)))
        windows = np.lib.stride_tricks.sliding_window_view(inside, window)
        down, across = attributes["strides"]
        shares = windows[::down, ::across].mean(axis=(2, 3), dtype=np.float32)
        value, options = self._window(value, attributes, 0.0, always=True)
        pooled = self.file.tensor(self.stored_shape(node.output[0]))
        self.file.add("AVERAGE_POOL_2D", [value], pooled, **options)
        self.file.add("MUL", [pooled, self.file.constant(1 / shares[None, :, :, None])], self.result(node))

    def _window(
        self, value: Tensor, attributes: dict[str, Any], fill: float, *, always: bool = False
    ) -> tuple[Tensor, dict[str, int]]:
        """Returns the input of a pooling and its options; `always` pads by an operator."""
        window, strides = attributes["kernel_shape"], attributes["strides"]
        value, padding = self.padded(value, None if always else window, strides, attributes["pads"], fill)
        sides = {"filterHeight": window[0], "filterWidth": window[1]}
        return value, {"padding": padding, "strideH": strides[0], "strideW": strides[1], **sides}

    def reduce(self, operator: str, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
        axes = self.ints([LAST[axis] for axis in attributes.get("axes", [2, 3])])
        self.file.add(operator, [self.read(node.input[0]), axes], self.result(node), keepDims=True)

    def resize(self, node: onnx.NodeProto, _: dict[str, Any]) -> None:
        value, result = self.read(node.input[0]), self.result(node)
        value = self.rescaled(value, result.scale)
        self.file.add("RESIZE_NEAREST_NEIGHBOR", [value, self.ints(result.shape[1:3])], result)

    def slice(self, node: onnx.NodeProto, _: dict[str, Any]) -> None:
        value = self.read(node.input[0])
        starts, ends, axes = (self.arrays[name].tolist() for name in node.input[1:4])
        steps = self.arrays[node.input[4]].tolist() if len(node.input) > 4 else [1] * len(axes)
        bounds = [[0] * len(value.shape), list(value.shape), [1] * len(value.shape)]
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            place = self.axis(node.input[0], axis)
            for numbers, number in zip(bounds, (start, min(end, value.shape[place]), step), strict=True):
                numbers[place] = number
        inputs = [value, *(self.ints(numbers) for numbers in bounds)]
        self.file.add("STRIDED_SLICE", inputs, self.result(node))

    def pad(self, node: onnx.NodeProto, _: dict[str, Any]) -> None:
        before, after = np.split(self.arrays[node.input[1]], 2)
        pairs = np.stack([before, after], axis=1)[TO_LAST].astype(np.int32)
        inputs = [self.read(node.input[0]), self.file.constant(pairs)]
        self.file.add("PAD", inputs, self.result(node))

    def transpose(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
        """Adds nothing: the transposition to rows of predictions is how the value is stored."""
        assert list(attributes["perm"]) == TO_LAST, "the only transposition of our graphs"
        self.values[node.output[0]] = self.read(node.input[0])
        self.aliases.add(node.output[0])

    def reshape(self, node: onnx.NodeProto, _: dict[str, Any]) -> None:
        source, (output,) = node.input[0], node.output
        value = self.read(source)
        if len(self.shapes[source]) == 4 and source not in self.aliases:
            value = self._turned(value, TO_FIRST, None)
        shape = self.shapes[output]
        is_map = len(shape) == 4
        flat = self.like(value, shape) if is_map else self.result(node, shape)
        self.file.add("RESHAPE", [value, self.ints(shape)], flat, newShape=list(shape))
        if is_map:
            self._turned(flat, TO_LAST, self.result(node))

    def _turned(self, value: Tensor, order: Sequence[int], result: Tensor | None) -> Tensor:
        result = result or self.like(value, [value.shape[axis] for axis in order])
        return self.file.add("TRANSPOSE", [value, self.ints(order)], result)

    def space_to_depth(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
        inputs = [self.read(node.input[0])]
        self.file.add("SPACE_TO_DEPTH", inputs, self.result(node), blockSize=attributes["blocksize"])


Writer = Callable[[_Translation, onnx.NodeProto, dict[str, Any]], None]


def _reduce(operator: str) -> Writer:
    return lambda translation, node, attributes: translation.reduce(operator, node, attributes)


WRITERS: dict[str, Writer] = {
    **dict.fromkeys(PLAIN, _Translation.plain),
    **dict.fromkeys(FOLDED, _Translation.folded),
    "Conv": _Translation.convolution,
    "Clip": _Translation.clip,
    "LeakyRelu": _Translation.leaky,
    "Softmax": _Translation.softmax,
    "Softplus": _Translation.softplus,
    "Selu": _Translation.selu,
    "Concat": _Translation.concat,
    "MaxPool": _Translation.max_pool,
    "AveragePool": _Translation.average_pool,
    "GlobalAveragePool": _reduce("MEAN"),
    "ReduceMean": _reduce("MEAN"),
    "GlobalMaxPool": _reduce("REDUCE_MAX"),
    "ReduceMax": _reduce("REDUCE_MAX"),
    "Resize": _Translation.resize,
    "Slice": _Translation.slice,
    "Pad": _Translation.pad,
    "Transpose": _Translation.transpose,
    "Reshape": _Translation.reshape,
    "SpaceToDepth": _Translation.space_to_depth,
    "QuantizeLinear": _Translation.quantize,
    "DequantizeLinear": _Translation.dequantize,
}


def _same(side: int, window: int, stride: int) -> tuple[int, int]:
    """Returns the padding in front and behind of LiteRT's SAME."""
    total = max((-(-side // stride) - 1) * stride + window - side, 0)
    return total // 2, total - total // 2
