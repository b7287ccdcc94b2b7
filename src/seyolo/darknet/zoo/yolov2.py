"""YOLOv2 (Redmon 2016) for COCO and Pascal VOC: Darknet-19 or a plain tiny backbone, and one `[region]`."""

from __future__ import annotations

from seyolo.darknet.cfg import Network
from seyolo.darknet.zoo.blocks import tiny_backbone
from seyolo.darknet.zoo.stack import Stack

COCO_CELLS = (0.57273, 0.677385, 1.87446, 2.06253, 3.33843, 5.47434, 7.88282, 3.52778, 9.77052, 9.16828)
VOC_CELLS = (1.3221, 1.73145, 3.19275, 4.00944, 5.05587, 8.09892, 9.47112, 4.84053, 11.2364, 10.0071)
TINY_VOC_CELLS = (1.08, 1.19, 3.42, 4.41, 6.63, 11.38, 9.42, 5.11, 16.62, 10.52)


def yolov2(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv2: Darknet-19 and a passthrough of stride 16 into stride 32; 32 layers, 608x608 pixels."""
    return _yolov2(num_classes, width, COCO_CELLS).network("yolov2", 608)


def yolov2_voc(num_classes: int = 20, width: float = 1.0) -> Network:
    """Builds YOLOv2 as published for Pascal VOC: other anchors; 32 layers, 416x416 pixels."""
    return _yolov2(num_classes, width, VOC_CELLS).network("yolov2-voc", 416)


def yolov2_tiny(num_classes: int = 80, width: float = 1.0) -> Network:
    """Builds YOLOv2-tiny: seven convolutions and a head at stride 32; 16 layers, 416x416 pixels."""
    return _tiny(num_classes, width, 512, COCO_CELLS).network("yolov2-tiny", 416)


def yolov2_tiny_voc(num_classes: int = 20, width: float = 1.0) -> Network:
    """Builds YOLOv2-tiny for Pascal VOC: a wider head and other anchors; 16 layers, 416x416 pixels."""
    return _tiny(num_classes, width, 1024, TINY_VOC_CELLS).network("yolov2-tiny-voc", 416)


def _yolov2(num_classes: int, width: float, anchors: tuple[float, ...]) -> Stack:
    stack = Stack(num_classes, width)
    passthrough = _darknet19(stack)
    stack.conv(1024, 3)
    coarse = stack.conv(1024, 3)
    stack.route(passthrough)
    stack.conv(64, 1)
    stack.route(stack.reorg(), coarse)
    stack.conv(1024, 3)
    stack.region(anchors)
    return stack


def _darknet19(stack: Stack) -> int:
    """Returns the last layer of stride 16."""
    stack.conv(32, 3)
    for filters, convolutions in ((64, 1), (128, 3), (256, 3), (512, 5), (1024, 5)):
        source = stack.last
        stack.maxpool(2, 2)
        stack.conv(filters, 3)
        for _ in range(convolutions // 2):
            stack.conv(filters // 2, 1)
            stack.conv(filters, 3)
    return source


def _tiny(num_classes: int, width: float, head: int, anchors: tuple[float, ...]) -> Stack:
    stack = Stack(num_classes, width)
    tiny_backbone(stack)
    stack.conv(1024, 3)
    stack.conv(head, 3)
    stack.region(anchors)
    return stack
