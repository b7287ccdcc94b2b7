"""Scaled-YOLOv4 (Wang 2020): CSP in backbone and neck, from YOLOv4-CSP to P7."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from seyolo.darknet.cfg import Network
from seyolo.darknet.zoo import blocks
from seyolo.darknet.zoo.blocks import SCALED_HEADS, Heads
from seyolo.darknet.zoo.stack import Stack

CSP_LEVELS = (128, 256, 512)
CSP_X_LEVELS = (160, 320, 640)
P6_LEVELS = (128, 256, 512, 512)
P7_LEVELS = (128, 320, 640, 640, 640)
P7_HEADS = (320, 640, 1280, 1280, 1280)
P5_ANCHORS = (
    13, 17, 31, 25, 24, 51, 61, 45, 48, 102, 119, 96, 97, 189, 217, 184, 171, 384, 324, 451, 616, 618,
    800, 800,
)  # fmt: skip
P6_ANCHORS = (
    13, 17, 31, 25, 24, 51, 61, 45, 61, 45, 48, 102, 119, 96, 97, 189, 97, 189, 217, 184, 171, 384, 324, 451,
    324, 451, 545, 357, 616, 618, 1024, 1024,
)  # fmt: skip
P7_ANCHORS = (
    13, 17, 22, 25, 27, 66, 55, 41, 57, 88, 112, 69, 69, 177, 136, 138, 136, 138, 287, 114, 134, 275,
    268, 248, 268, 248, 232, 504, 445, 416, 640, 640, 812, 393, 477, 808, 1070, 908, 1408, 1408,
)  # fmt: skip


def yolov4_csp(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv4-CSP: YOLOv4 with CSP in the neck too; 175 layers, 512x512 pixels."""
    stack = Stack(num_classes, width, "mish")
    levels = _csp(stack)
    blocks.detect_between(stack, levels, CSP_LEVELS, partial(blocks.csp_plain, repeats=2), SCALED_HEADS)
    return stack.network("yolov4-csp", 512)


def yolov4_csp_swish(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv4-CSP with Swish for Mish and the heads behind the neck; 176 layers, 640x640 pixels."""
    stack = Stack(num_classes, width, "swish")
    _pan_and_heads(stack, _csp(stack), CSP_LEVELS, 2, SCALED_HEADS)
    return stack.network("yolov4-csp-swish", 640)


def yolov4x_mish(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv4x: YOLOv4-CSP, wider and deeper by a quarter or more; 203 layers, 640x640 pixels."""
    stack = Stack(num_classes, width, "mish")
    levels = _csp_x(stack)
    blocks.detect_between(stack, levels, CSP_X_LEVELS, partial(blocks.csp_plain, repeats=3), SCALED_HEADS)
    return stack.network("yolov4x-mish", 640)


def yolov4_csp_x_swish(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv4x with Swish for Mish and the heads behind the neck; 204 layers, 640x640 pixels."""
    stack = Stack(num_classes, width, "swish")
    _pan_and_heads(stack, _csp_x(stack), CSP_X_LEVELS, 3, SCALED_HEADS)
    return stack.network("yolov4-csp-x-swish", 640)


def yolov4_p5(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv4-P5: heads with four anchors each at strides 8 to 32; 244 layers, 896x896 pixels."""
    stack = Stack(num_classes, width, "mish")
    stack.conv(32, 3)
    levels = _levels(stack, _P5_STAGES, CSP_LEVELS, 3)
    _pan_and_heads(stack, levels, CSP_LEVELS, 3, Heads(P5_ANCHORS, (2.0,) * 3, new_coords=True))
    return stack.network("yolov4-p5", 896)


def yolov4_p6(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv4-P6: YOLOv4-P5 with one more level, stride 64; 305 layers, 1280x1280 pixels."""
    stack = Stack(num_classes, width, "mish")
    stack.conv(32, 3)
    levels = _levels(stack, (*_P5_STAGES, (1024, 7)), P6_LEVELS, 3)
    _pan_and_heads(stack, levels, P6_LEVELS, 3, Heads(P6_ANCHORS, (2.0,) * 4, new_coords=True))
    return stack.network("yolov4-p6", 1280)


def cspx_p7_mish(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds Darknet's P7: five levels to stride 128, SAM in each head; 375 layers, 1536x1536 pixels.

    The published file says `num=16` of its 20 anchors, though the last head reads the last four.
    """
    stack = Stack(num_classes, width, "mish")
    _stem(stack, 80, 80)
    stages = ((160, 3), (320, 15), (640, 15), (1280, 7), (1280, 7), (1280, 7))
    block = partial(blocks.csp_plain, repeats=3)
    levels = _levels(stack, stages, P7_LEVELS, 3)
    outputs = blocks.bottom_up_path(stack, levels, P7_LEVELS, block)
    heads = Heads(P7_ANCHORS, (2.0,) * 5, new_coords=True)
    for level, (output, filters) in enumerate(zip(outputs, P7_HEADS, strict=True)):
        stack.route(output)
        stack.conv(filters, 1)
        stack.spatial_attention()
        stack.conv(filters, 1)
        heads.detect(stack, level)
    return stack.network("cspx-p7-mish", 1536)


_P5_STAGES = ((64, 1), (128, 3), (256, 15), (512, 15), (1024, 7))
"""Filters and residual blocks."""


def _csp(stack: Stack) -> tuple[int, ...]:
    _stem(stack, 32, 64)
    return _levels(stack, ((128, 2), (256, 8), (512, 8), (1024, 4)), CSP_LEVELS, 2)


def _csp_x(stack: Stack) -> tuple[int, ...]:
    _stem(stack, 32, 80)
    return _levels(stack, ((160, 3), (320, 10), (640, 10), (1280, 5)), CSP_X_LEVELS, 3, spp_repeats=2)


def _stem(stack: Stack, first: int, second: int) -> None:
    """Downsamples to stride 2 and adds one residual block that is not split."""
    stack.conv(first, 3)
    stack.conv(second, 3, 2)
    blocks.residual(stack, second // 2, second)


def _levels(
    stack: Stack,
    stages: Sequence[tuple[int, int]],
    filters: Sequence[int],
    repeats: int,
    spp_repeats: int = 1,
) -> tuple[int, ...]:
    """Adds backbone stages, CSP-SPP and the FPN of the neck; returns the neck's levels."""
    outputs = [blocks.csp_stage(stack, *stage) for stage in stages]
    blocks.csp_spp(stack, filters[-1], spp_repeats)
    return blocks.top_down_path(
        stack, outputs[-len(filters) : -1], filters, partial(blocks.csp_plain, repeats=repeats)
    )


def _pan_and_heads(
    stack: Stack, levels: Sequence[int], filters: Sequence[int], repeats: int, heads: Heads
) -> None:
    outputs = blocks.bottom_up_path(stack, levels, filters, partial(blocks.csp_plain, repeats=repeats))
    blocks.detect_behind(stack, outputs, [2 * count for count in filters], heads)
