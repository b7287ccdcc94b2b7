"""Detectors on inverted residuals (Sandler 2018): EfficientNet-B0, MobileNetV2-YOLOv3 and Yolo-Fastest.

EfficientNet-B0 (Tan 2019) is AlexeyAB's, with squeeze-and-excitation; the others are dog-qiuqiu's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from seyolo.darknet.cfg import Network
from seyolo.darknet.zoo.blocks import prn_heads, pyramid
from seyolo.darknet.zoo.stack import Stack

MOBILENET_ANCHORS = (12, 18, 37, 49, 52, 132, 115, 74, 119, 199, 243, 238)
FASTEST_ANCHORS = (12, 18, 37, 49, 52, 132, 115, 73, 119, 199, 242, 238)


class Inverted(NamedTuple):
    """An inverted residual, `repeats` times: 1x1 to `expanded`, depthwise, 1x1 to `filters`.

    Blocks that keep the number of filters and the resolution add their input. `squeezed` are the filters
    of the squeeze in SE; there is none at 0.
    """

    expanded: int
    filters: int
    stride: int = 1
    repeats: int = 1
    size: int = 3
    squeezed: int = 0


def enetb0_coco(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds EfficientNet-B0 with the heads of YOLOv3-tiny-PRN; 146 layers, 416x416 pixels.

    As published, its second head takes the anchors 1, 2, 3.
    """
    stack = Stack(num_classes, width, "swish")
    stack.conv(32, 3, 2)
    expansions = _inverted_residuals(stack, 32, _EFFICIENTNET_B0, dropout=True)
    stack.conv(1280, 1)
    prn_heads(stack, lateral=expansions[-5])
    return stack.network("enetb0-coco", 416)


def mobilenetv2_yolov3_lite(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds MobileNetV2 with a small SPP and heads at strides 32 and 16; 81 layers, 320x320 pixels."""
    stack = Stack(num_classes, width, "relu")
    stack.conv(32, 3, 2)
    expansions = _inverted_residuals(stack, 32, _MOBILENETV2)
    _mobilenet_heads(stack, lateral=expansions[-3])
    return stack.network("mobilenetv2-yolov3-lite", 320)


def mobilenetv2_yolov3_nano(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds a MobileNetV2 of half the width with the same heads; 80 layers, 320x320 pixels."""
    stack = Stack(num_classes, width, "relu")
    stack.conv(16, 3, 2)
    stack.depthwise(3)
    stack.conv(8, 1, activation="linear")
    expansions = _inverted_residuals(stack, 8, _MOBILENETV2_NANO)
    _mobilenet_heads(stack, lateral=expansions[-3])
    return stack.network("mobilenetv2-yolov3-nano", 320)


def yolo_fastest_1_1(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds Yolo-Fastest 1.1: two heads of 5x5 depthwise convolutions; 131 layers, 320x320 pixels."""
    return _yolo_fastest(num_classes, width, 1).network("yolo-fastest-1.1", 320)


def yolo_fastest_1_1_xl(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds Yolo-Fastest 1.1 with a backbone twice as wide; 131 layers, 320x320 pixels."""
    return _yolo_fastest(num_classes, width, 2).network("yolo-fastest-1.1-xl", 320)


_EFFICIENTNET_B0 = (
    Inverted(32, 16, squeezed=8),
    Inverted(96, 24, stride=2, squeezed=16),
    Inverted(144, 24, squeezed=8),
    Inverted(144, 40, stride=2, size=5, squeezed=8),
    Inverted(192, 40, size=5, squeezed=16),
    Inverted(192, 80, squeezed=16),
    Inverted(384, 80, repeats=2, squeezed=24),
    Inverted(384, 112, stride=2, size=5, squeezed=24),
    Inverted(576, 112, repeats=2, size=5, squeezed=32),
    Inverted(576, 192, stride=2, size=5, squeezed=32),
    Inverted(960, 192, repeats=3, size=5, squeezed=64),
    Inverted(960, 320, squeezed=64),
)
_MOBILENETV2 = (
    Inverted(32, 16),
    Inverted(96, 24, stride=2),
    Inverted(144, 24),
    Inverted(144, 32, stride=2),
    Inverted(192, 32, repeats=2),
    Inverted(192, 64),
    Inverted(384, 64, repeats=3),
    Inverted(384, 96, stride=2),
    Inverted(576, 96, repeats=2),
    Inverted(576, 160, stride=2),
    Inverted(960, 160, repeats=2),
)
_MOBILENETV2_NANO = (
    Inverted(48, 12, stride=2),
    Inverted(72, 12),
    Inverted(72, 16, stride=2),
    Inverted(96, 16, repeats=2),
    Inverted(96, 32, stride=2),
    Inverted(192, 32, repeats=3),
    Inverted(192, 48),
    Inverted(288, 48, repeats=2),
    Inverted(288, 80, stride=2),
    Inverted(480, 80, repeats=2),
)
_FASTEST = (
    Inverted(8, 4),
    Inverted(8, 4),
    Inverted(24, 8, stride=2),
    Inverted(32, 8, repeats=2),
    Inverted(32, 8, stride=2),
    Inverted(48, 8, repeats=2),
    Inverted(48, 16),
    Inverted(96, 16, repeats=4),
    Inverted(96, 24, stride=2),
    Inverted(136, 24, repeats=4),
    Inverted(136, 48, stride=2),
    Inverted(224, 48, repeats=5),
)


def _inverted_residuals(
    stack: Stack, filters: int, blocks: Sequence[Inverted], dropout: bool = False
) -> list[int]:
    """Adds the blocks behind a layer of `filters`; returns their expansions. `dropout` precedes additions."""
    expansions = []
    for block in blocks:
        for _ in range(block.repeats):
            source = stack.last
            expansions.append(stack.conv(block.expanded, 1))
            stack.depthwise(block.size, block.stride)
            if block.squeezed:
                stack.squeeze_excitation(block.squeezed)
            stack.conv(block.filters, 1, activation="linear")
            if block.stride == 1 and block.filters == filters:
                if dropout:
                    stack.dropout()
                stack.shortcut(source)
            filters = block.filters
    return expansions


def _mobilenet_heads(stack: Stack, lateral: int) -> None:
    stack.route(*reversed(pyramid(stack, (3, 5, 9))))
    source = stack.conv(288, 1)
    _separable(stack, 96, 384)
    stack.yolo((3, 4, 5), MOBILENET_ANCHORS, 1.1)
    stack.route(source)
    stack.upsample()
    stack.route(stack.last, lateral)
    stack.conv(80, 1)
    stack.conv(288, 1)
    _separable(stack, 192, 288)
    stack.yolo((0, 1, 2), MOBILENET_ANCHORS, 1.05)


def _separable(stack: Stack, *filters: int) -> None:
    """Adds a depthwise convolution, then 1x1 ones."""
    stack.depthwise(3)
    for count in filters:
        stack.conv(count, 1)


def _yolo_fastest(num_classes: int, width: float, multiple: int) -> Stack:
    """Builds Yolo-Fastest with a backbone `multiple` times as wide; the first head keeps its width."""
    stack = Stack(num_classes, width)
    stack.conv(8 * multiple, 3, 2)
    blocks = [
        block._replace(expanded=multiple * block.expanded, filters=multiple * block.filters)
        for block in _FASTEST
    ]
    expansions = _inverted_residuals(stack, 8 * multiple, blocks, dropout=True)
    lateral = expansions[-6] - 1
    stack.route(*reversed(pyramid(stack, (3, 5, 9))))
    source = stack.conv(96, 1)
    _fastest_head(stack, 96, (3, 4, 5))
    stack.route(source)
    stack.upsample()
    stack.route(stack.last, lateral)
    _fastest_head(stack, 96 + 24 * multiple, (0, 1, 2))
    return stack


def _fastest_head(stack: Stack, filters: int, mask: tuple[int, ...]) -> None:
    for _ in range(2):
        stack.depthwise(5)
        stack.conv(filters, 1, activation="linear")
    stack.yolo(mask, FASTEST_ANCHORS)
