"""YOLOv7 (Wang 2022) in the deployed form that AlexeyAB's Darknet reads: ELAN blocks, CSP-SPP and PAN."""

from __future__ import annotations

from seyolo.darknet.cfg import Network
from seyolo.darknet.zoo.blocks import (
    COCO_ANCHORS,
    SCALED_HEADS,
    Heads,
    bottom_up,
    csp_spp,
    detect_behind,
    pyramid,
    top_down,
)
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
    top_down(stack, stages[2], 128)
    middle = _elan_tiny(stack, 64)
    top_down(stack, stages[1], 64)
    outputs = [_elan_tiny(stack, 32)]
    for lateral, filters in ((middle, 128), (coarse, 256)):
        bottom_up(stack, lateral, filters)
        outputs.append(_elan_tiny(stack, filters // 2))
    heads = Heads(COCO_ANCHORS, (2.0, 2.0, 2.0), new_coords=True)
    detect_behind(stack, outputs, (128, 256, 512), heads)
    return stack.network("yolov7-tiny", 416)


def yolov7(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv7: ELAN blocks of four, heads at strides 8, 16 and 32; 143 layers, 640x640 pixels."""
    stack = Stack(num_classes, width, "swish")
    _stem(stack, 32)
    stages = [_elan(stack, 64, 4, 256)]
    for filters, split in ((128, 128), (256, 256), (512, 256)):
        _downsample(stack, filters)
        stages.append(_elan(stack, split, 4, 4 * min(filters, 256)))
    csp_spp(stack, 512, smallest_first=True)
    coarse = stack.last
    top_down(stack, stages[2], 256)
    middle = _elan_wide(stack, 256)
    top_down(stack, stages[1], 128)
    outputs = [_elan_wide(stack, 128)]
    for lateral, filters in ((middle, 128), (coarse, 256)):
        _downsample(stack, filters, lateral)
        outputs.append(_elan_wide(stack, 2 * filters))
    detect_behind(stack, outputs, (256, 512, 1024), SCALED_HEADS)
    return stack.network("yolov7", 640)


def yolov7x(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv7-X: a quarter wider, ELAN blocks of six convolutions; 159 layers, 640x640 pixels."""
    stack = Stack(num_classes, width, "swish")
    _stem(stack, 40)
    stages = [_elan(stack, 64, 6, 320)]
    for filters, split in ((160, 128), (320, 256), (640, 256)):
        _downsample(stack, filters)
        stages.append(_elan(stack, split, 6, 5 * split))
    csp_spp(stack, 640, smallest_first=True)
    coarse = stack.last
    top_down(stack, stages[2], 320)
    middle = _elan(stack, 256, 6, 320)
    top_down(stack, stages[1], 160)
    outputs = [_elan(stack, 128, 6, 160)]
    for lateral, filters, split in ((middle, 160, 256), (coarse, 320, 512)):
        _downsample(stack, filters, lateral)
        outputs.append(_elan(stack, split, 6, 2 * filters))
    detect_behind(stack, outputs, (320, 640, 1280), SCALED_HEADS)
    return stack.network("yolov7x", 640)


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
    stack.route(*reversed(pyramid(stack)))
    stack.conv(256, 1)
    stack.route(kept, stack.last)
    return stack.conv(256, 1)
