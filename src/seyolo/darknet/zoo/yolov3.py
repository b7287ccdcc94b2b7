"""YOLOv3 (Redmon 2018), also with SPP, and its tiny variants: tiny, tiny-3l and tiny-PRN (Wang 2019)."""

from __future__ import annotations

from seyolo.darknet.cfg import Network
from seyolo.darknet.zoo import blocks
from seyolo.darknet.zoo.stack import Stack

SMALL_OBJECT_ANCHORS = (4, 7, 7, 15, 13, 25, 25, 42, 41, 67, 75, 94, 91, 162, 158, 205, 250, 332)


def yolov3(num_classes: int = 80, width: float = 1.0, scale_x_y: float = 1.0) -> Network:
    """Builds YOLOv3: Darknet-53 and three heads at strides 32, 16 and 8; 107 layers, 416x416 pixels."""
    stack = Stack(num_classes, width)
    stages = _darknet53(stack)
    narrow = blocks.bottlenecks(stack, 512, 3)
    _heads(stack, stages, narrow, scale_x_y)
    return stack.network("yolov3", 416)


def yolov3_spp(num_classes: int = 80, width: float = 1.0, scale_x_y: float = 1.0) -> Network:
    """Builds YOLOv3 with SPP (5, 9, 13 pixel windows) before the first head; 114 layers, 416x416 pixels."""
    stack = Stack(num_classes, width)
    stages = _darknet53(stack)
    blocks.bottlenecks(stack, 512, 1)
    stack.conv(512, 1)
    stack.route(*reversed(blocks.pyramid(stack)))
    narrow = blocks.bottlenecks(stack, 512, 2)
    _heads(stack, stages, narrow, scale_x_y)
    return stack.network("yolov3-spp", 416)


def yolov3_tiny(num_classes: int = 80, width: float = 1.0, scale_x_y: float = 1.0) -> Network:
    """Builds YOLOv3-tiny: a plain backbone, two heads at strides 32 and 16; 24 layers, 416x416 pixels.

    The second head takes the anchors 0, 1, 2; Darknet's published file has 1, 2, 3 by mistake.
    """
    stack = Stack(num_classes, width)
    lateral = blocks.tiny_backbone(stack)[-1]
    stack.conv(1024, 3)
    narrow = blocks.bottlenecks(stack, 256, 1)
    stack.yolo((3, 4, 5), blocks.TINY_ANCHORS, scale_x_y)
    blocks.merge(stack, narrow, lateral, 128)
    stack.conv(256, 3)
    stack.yolo((0, 1, 2), blocks.TINY_ANCHORS, scale_x_y)
    return stack.network("yolov3-tiny", 416)


def yolov3_tiny_3l(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv3-tiny with a third head at stride 8, small-object anchors; 31 layers, 608x608 pixels."""
    stack = Stack(num_classes, width)
    *_, finer, fine = blocks.tiny_backbone(stack)
    stack.conv(1024, 3)
    source = blocks.bottlenecks(stack, 256, 1)
    stack.yolo((6, 7, 8), SMALL_OBJECT_ANCHORS)
    for filters, lateral, mask in ((256, fine, (3, 4, 5)), (128, finer, (0, 1, 2))):
        blocks.merge(stack, source, lateral, 128)
        source = stack.conv(filters, 3)
        stack.yolo(mask, SMALL_OBJECT_ANCHORS)
    return stack.network("yolov3-tiny-3l", 608)


def yolov3_tiny_prn(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv3-tiny with partial residual connections for concatenations; 28 layers, 416x416 pixels.

    As published, its second head takes the anchors 1, 2, 3.
    """
    stack = Stack(num_classes, width)
    lateral = blocks.tiny_backbone(stack)[-1]
    source = stack.last - 1
    stack.conv(512, 3)
    stack.shortcut(source, "leaky")
    blocks.prn_heads(stack, lateral)
    return stack.network("yolov3-tiny-prn", 416)


def _darknet53(stack: Stack) -> list[int]:
    """Returns the last layer of each stage."""
    stages = []
    stack.conv(32, 3)
    for filters, repeats in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        stack.conv(filters, 3, 2)
        for _ in range(repeats):
            blocks.residual(stack, filters // 2, filters)
        stages.append(stack.last)
    return stages


def _heads(stack: Stack, stages: list[int], narrow: int, scale_x_y: float) -> None:
    stack.yolo((6, 7, 8), blocks.COCO_ANCHORS, scale_x_y)
    for filters, lateral, mask in ((256, stages[-2], (3, 4, 5)), (128, stages[-3], (0, 1, 2))):
        blocks.merge(stack, narrow, lateral, filters)
        narrow = blocks.bottlenecks(stack, filters, 3)
        stack.yolo(mask, blocks.COCO_ANCHORS, scale_x_y)
