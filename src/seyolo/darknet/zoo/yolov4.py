"""YOLOv4 (Bochkovskiy 2020), its tiny siblings, and CSPResNeXt-50 (Wang 2019) with the same neck."""

from __future__ import annotations

from seyolo.darknet.cfg import Network
from seyolo.darknet.sections import Activation
from seyolo.darknet.zoo import blocks
from seyolo.darknet.zoo.blocks import YOLOV4_HEADS, Heads
from seyolo.darknet.zoo.stack import Stack

LEVELS = (128, 256, 512)
"""Filters of the neck's levels at strides 8, 16 and 32."""


def yolov4(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv4: CSPDarknet-53, SPP, PAN, heads at strides 8, 16 and 32; 162 layers, 608x608 pixels."""
    stack = Stack(num_classes, width, "mish")
    laterals = _csp_darknet53(stack)
    stack.activation = "leaky"
    _neck_and_heads(stack, laterals, YOLOV4_HEADS)
    return stack.network("yolov4", 608)


def yolov4_sam_mish(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv4 with Mish everywhere and SAM in front of each head; 168 layers, 512x512 pixels."""
    stack = Stack(num_classes, width, "mish")
    laterals = _csp_darknet53(stack)
    blocks.spp(stack, 512)
    coarse = stack.last
    blocks.top_down(stack, laterals[1], 256)
    blocks.five_convs(stack, 256)
    middle = stack.last
    blocks.top_down(stack, laterals[0], 128)
    _attended_convs(stack, 128)
    blocks.detect_between(stack, (stack.last, middle, coarse), LEVELS, _attended_convs, YOLOV4_HEADS)
    return stack.network("yolov4-sam-mish", 512)


def yolov4_tiny(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv4-tiny: CSP on half of the channels, heads at strides 32 and 16; 38 layers, 416x416 pixels.

    As published, its second head takes the anchors 1, 2, 3.
    """
    stack = Stack(num_classes, width)
    _, lateral = _tiny(stack)
    narrow = blocks.bottlenecks(stack, 256, 1)
    stack.yolo((3, 4, 5), blocks.TINY_ANCHORS, 1.05)
    blocks.merge(stack, narrow, lateral, 128)
    stack.conv(256, 3)
    stack.yolo((1, 2, 3), blocks.TINY_ANCHORS, 1.05)
    return stack.network("yolov4-tiny", 416)


def yolov4_tiny_3l(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv4-tiny with a third head at stride 8 and YOLOv4's anchors; 45 layers, 608x608 pixels."""
    stack = Stack(num_classes, width)
    finer, fine = _tiny(stack)
    source = blocks.bottlenecks(stack, 256, 1)
    stack.yolo((6, 7, 8), blocks.YOLOV4_ANCHORS, 1.05)
    for filters, lateral, mask in ((128, fine, (3, 4, 5)), (64, finer, (0, 1, 2))):
        blocks.merge(stack, source, lateral, filters)
        source = stack.conv(2 * filters, 3)
        stack.yolo(mask, blocks.YOLOV4_ANCHORS, 1.05)
    return stack.network("yolov4-tiny-3l", 608)


def csresnext50_panet_spp(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds CSPResNeXt-50 in groups of 32 with SPP and PAN; 138 layers, 512x512 pixels."""
    stack = Stack(num_classes, width)
    _neck_and_heads(stack, _csp_resnext50(stack), Heads(blocks.COCO_ANCHORS, (1.0, 1.0, 1.0)))
    return stack.network("csresnext50-panet-spp", 512)


def csresnext50_panet_spp_original_optimal(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds CSPResNeXt-50 with YOLOv4's anchors and cell offsets; 138 layers, 608x608 pixels."""
    stack = Stack(num_classes, width)
    _neck_and_heads(stack, _csp_resnext50(stack), YOLOV4_HEADS)
    return stack.network("csresnext50-panet-spp-original-optimal", 608)


def _neck_and_heads(stack: Stack, laterals: tuple[int, int], heads: Heads) -> None:
    blocks.spp(stack, 512)
    levels = blocks.top_down_path(stack, laterals, LEVELS, blocks.five_convs)
    blocks.detect_between(stack, levels, LEVELS, blocks.five_convs, heads)


def _attended_convs(stack: Stack, filters: int) -> None:
    blocks.bottlenecks(stack, filters, 2)
    stack.spatial_attention()
    stack.conv(filters, 1)


def _csp_darknet53(stack: Stack) -> tuple[int, int]:
    """Returns the last layers of strides 8 and 16."""
    stack.conv(32, 3)
    blocks.csp_stage(stack, 64, 1, split=64, squeezed=32)
    stages = [blocks.csp_stage(stack, *stage) for stage in ((128, 2), (256, 8), (512, 8), (1024, 4))]
    return stages[1], stages[2]


def _tiny(stack: Stack) -> tuple[int, int]:
    """Adds the backbone; returns the joined halves of strides 8 and 16."""
    stack.conv(32, 3, 2)
    stack.conv(64, 3, 2)
    joined = [_half_block(stack, filters) for filters in (64, 128, 256)]
    stack.conv(512, 3)
    return joined[1], joined[2]


def _half_block(stack: Stack, filters: int) -> int:
    """Adds a CSP block on the second half of the channels, and pooling; returns the joined half."""
    whole = stack.conv(filters, 3)
    stack.second_half()
    first = stack.conv(filters // 2, 3)
    stack.conv(filters // 2, 3)
    stack.route(stack.last, first)
    joined = stack.conv(filters, 1)
    stack.route(whole, joined)
    stack.maxpool(2, 2)
    return joined


def _csp_resnext50(stack: Stack) -> tuple[int, int]:
    """Returns the last layers of strides 8 and 16."""
    stack.conv(64, 7, 2)
    source = stack.maxpool(2, 2)
    kept = stack.conv(128, 1)
    stack.route(source)
    stack.conv(64, 1)
    stages = [_resnext_stage(stack, 128, 3, kept)]
    for filters, repeats, activation in _RESNEXT_STAGES:
        source = stack.conv(filters, 3, 2, groups=32)
        kept = stack.conv(filters, 1, activation=activation)
        stack.route(source)
        stack.conv(filters, 1, activation=activation)
        stages.append(_resnext_stage(stack, filters, repeats, kept))
    return stages[1], stages[2]


_RESNEXT_STAGES: tuple[tuple[int, int, Activation], ...] = (
    (256, 3, "linear"),
    (512, 5, "linear"),
    (1024, 2, "leaky"),
)
"""Filters, residual blocks, and the activation where the paths part."""


def _resnext_stage(stack: Stack, filters: int, repeats: int, kept: int) -> int:
    for _ in range(repeats):
        source = stack.last
        stack.conv(filters, 1)
        stack.conv(filters, 3, groups=32)
        stack.conv(filters, 1, activation="linear")
        stack.shortcut(source, "leaky")
    stack.conv(filters, 1)
    stack.route(stack.last, kept)
    return stack.conv(2 * filters, 1)
