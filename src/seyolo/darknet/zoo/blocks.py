"""The blocks that families of networks share: residual and CSP stages, spatial pyramids, FPN, PAN and heads.

Every block continues at the newest layer of the stack and leaves its output there. Levels of a feature
pyramid are listed from the finest to the coarsest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seyolo.darknet.zoo.stack import Stack

Block = Callable[[Stack, int], object]
"""Adds layers with a number of filters."""

COCO_ANCHORS = (10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326)
TINY_ANCHORS = (10, 14, 23, 27, 37, 58, 81, 82, 135, 169, 344, 319)
YOLOV4_ANCHORS = (12, 16, 19, 36, 40, 28, 36, 75, 76, 55, 72, 146, 142, 110, 192, 243, 459, 401)


@dataclass(frozen=True)
class Heads:
    """Detection layers of a pyramid: each level takes its share of the anchors and its own `scale_x_y`."""

    anchors: tuple[int, ...]
    scale_x_y: tuple[float, ...]
    new_coords: bool = False

    def detect(self, stack: Stack, level: int) -> None:
        """Adds the detection of one level."""
        share = len(self.anchors) // (2 * len(self.scale_x_y))
        mask = range(level * share, (level + 1) * share)
        stack.yolo(mask, self.anchors, self.scale_x_y[level], self.new_coords)


YOLOV4_HEADS = Heads(YOLOV4_ANCHORS, (1.2, 1.1, 1.05))
SCALED_HEADS = Heads(YOLOV4_ANCHORS, (2.0, 2.0, 2.0), new_coords=True)


def tiny_backbone(stack: Stack) -> list[int]:
    """Adds the plain backbone of YOLOv2-tiny and YOLOv3-tiny; returns the convolutions of strides 1 to 16."""
    convolutions = []
    for filters in (16, 32, 64, 128, 256):
        convolutions.append(stack.conv(filters, 3))
        stack.maxpool(2, 2)
    stack.conv(512, 3)
    stack.maxpool(2, 1)
    return convolutions


def residual(stack: Stack, squeezed: int, filters: int) -> None:
    """Adds Darknet's residual block: 1x1, 3x3, addition."""
    source = stack.last
    stack.conv(squeezed, 1)
    stack.conv(filters, 3)
    stack.shortcut(source)


def bottlenecks(stack: Stack, filters: int, repeats: int) -> int:
    """Adds pairs of 1x1 and, twice as wide, 3x3; returns the last 1x1."""
    narrow = stack.last
    for _ in range(repeats):
        narrow = stack.conv(filters, 1)
        stack.conv(2 * filters, 3)
    return narrow


def five_convs(stack: Stack, filters: int) -> None:
    """Adds 1x1, 3x3, 1x1, 3x3 and 1x1, which follow a concatenation in YOLOv4's neck."""
    bottlenecks(stack, filters, 2)
    stack.conv(filters, 1)


def pyramid(stack: Stack, windows: Sequence[int] = (5, 9, 13)) -> tuple[int, ...]:
    """Adds spatial pyramid pooling; returns the layer in front and its maxima, one per window, unjoined."""
    source = stack.last
    levels = [source]
    for window in windows:  # SPP (He 2015) with stride 1, as in YOLOv3-SPP
        if len(levels) > 1:
            stack.route(source)
        levels.append(stack.maxpool(window, 1))
    return tuple(levels)


def spp(stack: Stack, filters: int) -> None:
    """Adds spatial pyramid pooling between two triples of convolutions, as in YOLOv4."""
    bottlenecks(stack, filters, 1)
    stack.conv(filters, 1)
    stack.route(*reversed(pyramid(stack)))
    bottlenecks(stack, filters, 1)
    stack.conv(filters, 1)


def csp_spp(stack: Stack, filters: int, repeats: int = 1, smallest_first: bool = False) -> None:
    """Adds spatial pyramid pooling on one of two paths (Scaled-YOLOv4).

    `repeats` pairs of 1x1 and 3x3 follow it. The pyramid is joined from the largest window down unless told.
    """
    kept = stack.conv(filters, 1)
    stack.route(kept - 1)
    stack.conv(filters, 1)
    stack.conv(filters, 3)
    stack.conv(filters, 1)
    levels = pyramid(stack)
    stack.route(*(levels if smallest_first else reversed(levels)))
    _plain(stack, filters, repeats)
    stack.route(stack.last, kept)
    stack.conv(filters, 1)


def csp_stage(
    stack: Stack, filters: int, repeats: int, split: int | None = None, squeezed: int | None = None
) -> int:
    """Downsamples and splits (CSP, Wang 2019): keeps one path, sends the other through residual blocks.

    Both paths have `split` filters, by default half of `filters`, and so have the squeezed convolutions.
    """
    split = split or filters // 2
    source = stack.conv(filters, 3, 2)
    kept = stack.conv(split, 1)
    stack.route(source)
    stack.conv(split, 1)
    for _ in range(repeats):
        residual(stack, squeezed or split, split)
    stack.conv(split, 1)
    stack.route(stack.last, kept)
    return stack.conv(filters, 1)


def csp_plain(stack: Stack, filters: int, repeats: int) -> None:
    """Adds a CSP stage of a neck: `repeats` pairs of 1x1 and 3x3, no residual blocks, no downsampling."""
    source = stack.conv(filters, 1)
    kept = stack.conv(filters, 1)
    stack.route(source)
    _plain(stack, filters, repeats)
    stack.route(stack.last, kept)
    stack.conv(filters, 1)


def _plain(stack: Stack, filters: int, repeats: int) -> None:
    for _ in range(repeats):
        stack.conv(filters, 1)
        stack.conv(filters, 3)


def merge(stack: Stack, source: int, lateral: int, filters: int) -> None:
    """Narrows `source`, upsamples it and concatenates it with the finer `lateral`, as YOLOv3 does."""
    stack.route(source)
    stack.conv(filters, 1)
    stack.upsample()
    stack.route(stack.last, lateral)


def top_down(stack: Stack, lateral: int, filters: int) -> None:
    """Narrows the layer in front and the finer `lateral` and concatenates them: one step up of an FPN."""
    stack.conv(filters, 1)
    coarse = stack.upsample()
    stack.route(lateral)
    stack.conv(filters, 1)
    stack.route(stack.last, coarse)


def bottom_up(stack: Stack, lateral: int, filters: int) -> None:
    """Downsamples the layer in front, concatenates it with the coarser `lateral`: one step down of a PAN."""
    stack.conv(filters, 3, 2)
    stack.route(stack.last, lateral)


def top_down_path(
    stack: Stack, laterals: Sequence[int], filters: Sequence[int], block: Block
) -> tuple[int, ...]:
    """Adds an FPN over all laterals, the newest layer being the coarsest level; returns the levels.

    `filters` are those of the levels: one more than there are laterals.
    """
    levels = [stack.last]
    for lateral, count in zip(reversed(laterals), reversed(filters[:-1]), strict=True):
        top_down(stack, lateral, count)
        block(stack, count)
        levels.append(stack.last)
    return tuple(reversed(levels))


def detect_between(
    stack: Stack, levels: Sequence[int], filters: Sequence[int], block: Block, heads: Heads
) -> None:
    """Adds a PAN from the newest layer down; the head of each level is in front of the step to the next."""
    for level, count in enumerate(filters):
        if level:
            bottom_up(stack, levels[level], count)
            block(stack, count)
        output = stack.last
        stack.conv(2 * count, 3)
        heads.detect(stack, level)
        if level < len(filters) - 1:
            stack.route(output)


def bottom_up_path(
    stack: Stack, levels: Sequence[int], filters: Sequence[int], block: Block
) -> tuple[int, ...]:
    """Adds a PAN without heads, from the newest layer, the finest level, down; returns the levels."""
    outputs = [stack.last]
    for lateral, count in zip(levels[1:], filters[1:], strict=True):
        bottom_up(stack, lateral, count)
        block(stack, count)
        outputs.append(stack.last)
    return tuple(outputs)


def detect_behind(stack: Stack, levels: Sequence[int], filters: Sequence[int], heads: Heads) -> None:
    """Adds a 3x3 convolution with `filters` and a detection on each level."""
    for level, (source, count) in enumerate(zip(levels, filters, strict=True)):
        stack.route(source)
        stack.conv(count, 3)
        heads.detect(stack, level)


def prn_heads(stack: Stack, lateral: int) -> None:
    """Adds two heads; the finer one adds the first channels of `lateral` (partial residual network)."""
    narrow = stack.conv(256, 1, activation="leaky")
    wide = stack.conv(256, 3, activation="leaky")
    stack.shortcut(narrow, "leaky")
    stack.yolo((3, 4, 5), TINY_ANCHORS)
    stack.route(wide)
    stack.conv(128, 1, activation="leaky")
    upsampled = stack.upsample()
    stack.shortcut(lateral, "leaky")
    stack.conv(128, 3, activation="leaky")
    stack.shortcut(upsampled, "leaky")
    stack.shortcut(lateral, "leaky")
    stack.yolo((1, 2, 3), TINY_ANCHORS)
