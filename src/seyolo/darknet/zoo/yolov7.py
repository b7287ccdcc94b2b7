"""YOLOv7 (Wang 2022) in the deployed form that AlexeyAB's Darknet reads: ELAN blocks, CSP-SPP and PAN."""

from __future__ import annotations

from collections.abc import Callable

from seyolo.darknet.cfg import Network
from seyolo.darknet.zoo import blocks
from seyolo.darknet.zoo.blocks import COCO_ANCHORS, SCALED_HEADS, Heads
from seyolo.darknet.zoo.stack import Stack


def yolov7_tiny(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv7-tiny: short ELAN blocks and pooling in between; 99 layers, 416x416 pixels."""
    stack = Stack(num_classes, width)
    stack.conv(32, 3, 2)
    stack.conv(64, 3, 2)
    stages = [_elan_tiny(stack, 32)]
    for filters in (64, 128, 256):
        stack.maxpool(2, 2)
        stages.append(_elan_tiny(stack, filters))
    coarse = _csp_spp_tiny(stack)
    blocks.top_down(stack, stages[2], 128)
    middle = _elan_tiny(stack, 64)
    blocks.top_down(stack, stages[1], 64)
    outputs = [_elan_tiny(stack, 32)]
    for lateral, filters in ((middle, 128), (coarse, 256)):
        blocks.bottom_up(stack, lateral, filters)
        outputs.append(_elan_tiny(stack, filters // 2))
    heads = Heads(COCO_ANCHORS, (2.0, 2.0, 2.0), new_coords=True)
    blocks.detect_behind(stack, outputs, (128, 256, 512), heads)
    return stack.network("yolov7-tiny", 416)


def yolov7(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv7: ELAN blocks of four, heads at strides 8, 16 and 32; 143 layers, 640x640 pixels."""
    stack = Stack(num_classes, width, "swish")
    _yolov7(stack, 32, 4, lambda filters: _elan_wide(stack, filters))
    return stack.network("yolov7", 640)


def yolov7x(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv7-X: a quarter wider, ELAN blocks of six convolutions; 159 layers, 640x640 pixels."""
    stack = Stack(num_classes, width, "swish")
    _yolov7(stack, 40, 6, lambda filters: _elan(stack, filters * 4 // 5, 6, filters))
    return stack.network("yolov7x", 640)


def _yolov7(stack: Stack, first: int, convolutions: int, neck_block: Callable[[int], int]) -> None:
    """Adds YOLOv7 with `first` filters in the first convolution and these ELAN blocks in the neck."""
    _stem(stack, first)
    stages = [_elan(stack, 64, convolutions, 8 * first)]
    for multiple, split in ((4, 128), (8, 256), (16, 256)):
        _downsample(stack, multiple * first)
        stages.append(_elan(stack, split, convolutions, min(4 * multiple, 32) * first))
    blocks.csp_spp(stack, 16 * first, smallest_first=True)
    coarse = stack.last
    blocks.top_down(stack, stages[2], 8 * first)
    middle = neck_block(8 * first)
    blocks.top_down(stack, stages[1], 4 * first)
    outputs = [neck_block(4 * first)]
    for lateral, multiple in ((middle, 4), (coarse, 8)):
        _downsample(stack, multiple * first, lateral)
        outputs.append(neck_block(2 * multiple * first))
    blocks.detect_behind(stack, outputs, (8 * first, 16 * first, 32 * first), SCALED_HEADS)


def _stem(stack: Stack, filters: int) -> None:
    """Downsamples to stride 4."""
    stack.conv(filters, 3)
    stack.conv(2 * filters, 3, 2)
    stack.conv(2 * filters, 3)
    stack.conv(4 * filters, 3, 2)


def _downsample(stack: Stack, filters: int, *laterals: int) -> None:
    """Downsamples by max-pooling and a strided convolution, both concatenated with the laterals."""
    source = stack.last
    stack.maxpool(2, 2)
    pooled = stack.conv(filters, 1)
    stack.route(source)
    stack.conv(filters, 1)
    stack.conv(filters, 3, 2)
    stack.route(stack.last, pooled, *laterals)


def _paths(stack: Stack, split: int, hidden: int, convolutions: int) -> tuple[int, ...]:
    """Returns ELAN's layers, unjoined: two 1x1 convolutions and a chain of 3x3 behind the second."""
    kept = stack.conv(split, 1)
    stack.route(kept - 1)
    chain = [stack.conv(split, 1)]
    chain += [stack.conv(hidden, 3) for _ in range(convolutions)]
    return kept, *chain


def _elan(stack: Stack, split: int, convolutions: int, filters: int) -> int:
    """Joins every second layer of the chain, the last one first."""
    kept, *chain = _paths(stack, split, split, convolutions)
    stack.route(*reversed([kept, *chain[::2]]))
    return stack.conv(filters, 1)


def _elan_wide(stack: Stack, filters: int) -> int:
    """Joins every layer of a chain half as wide, the last one first."""
    stack.route(*reversed(_paths(stack, filters, filters // 2, 4)))
    return stack.conv(filters, 1)


def _elan_tiny(stack: Stack, split: int) -> int:
    """Joins every layer of a short chain, the last one last."""
    stack.route(*_paths(stack, split, split, 2))
    return stack.conv(2 * split, 1)


def _csp_spp_tiny(stack: Stack) -> int:
    kept = stack.conv(256, 1)
    stack.route(kept - 1)
    stack.conv(256, 1)
    stack.route(*reversed(blocks.pyramid(stack)))
    stack.conv(256, 1)
    stack.route(kept, stack.last)
    return stack.conv(256, 1)
