"""YOLOv3, YOLOv3-SPP and YOLOv3-tiny (Redmon 2018) as functions that return their description.

`width` multiplies the filters of every convolution except those in front of `[yolo]`, rounded to
multiples of 8. The printed cfg at width 1 and 80 classes is Darknet's own network, layer for layer.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import GateKind, attach
from seyolo.darknet.placement import layers_to_gate
from seyolo.darknet.sections import (
    Convolutional,
    MaxPool,
    Net,
    Reference,
    Route,
    Section,
    Shortcut,
    Upsample,
    Yolo,
)
from seyolo.errors import ModelError

COCO_ANCHORS = (10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326)
TINY_ANCHORS = (10, 14, 23, 27, 37, 58, 81, 82, 135, 169, 344, 319)
MAX_WIDTH = 8.0


@dataclass
class _Stack:
    """Layers under construction, with the choices that all of them share."""

    num_classes: int
    width: float
    scale_x_y: float
    anchors: tuple[int, ...]
    layers: list[Section] = field(default_factory=list)

    def conv(self, filters: int, size: int, stride: int = 1) -> None:
        self.layers.append(
            Convolutional(
                batch_normalize=1,
                filters=max(8, math.floor(self.width * filters / 8 + 0.5) * 8),
                size=size,
                stride=stride,
                pad=1,
                activation="leaky",
            )
        )

    def residual(self, filters: int) -> None:
        self.conv(filters // 2, 1)
        self.conv(filters, 3)
        self.layers.append(Shortcut(from_=(self._back(3),)))

    def route(self, *references: int) -> None:
        """Negative references count back from here, others are layer indices."""
        spelled = (Reference(r, relative=False) if r >= 0 else self._back(-r) for r in references)
        self.layers.append(Route(layers=tuple(spelled)))

    def maxpool(self, size: int, stride: int) -> None:
        self.layers.append(MaxPool(size=size, stride=stride))

    def neck(self, filters: int, size: int, lateral: int) -> None:
        """From the layer four back, up to the resolution of the backbone's layer `lateral`."""
        self.route(-4)
        self.conv(filters, size)
        self.layers.append(Upsample(stride=2))
        self.route(-1, lateral)

    def yolo(self, *mask: int) -> None:
        extras = (("jitter", ".3"), ("ignore_thresh", ".7"), ("truth_thresh", "1"), ("random", "1"))
        filters = len(mask) * (5 + self.num_classes)
        self.layers.append(Convolutional(filters=filters, size=1, stride=1, pad=1, activation="linear"))
        self.layers.append(
            Yolo(
                mask=mask,
                anchors=tuple(float(side) for side in self.anchors),
                classes=self.num_classes,
                num=len(self.anchors) // 2,
                scale_x_y=self.scale_x_y,
                extras=extras,
            )
        )

    def network(self, source: str) -> Network:
        extras = (("batch", "1"), ("subdivisions", "1"))
        net = Net(width=416, height=416, channels=3, letter_box=True, extras=extras)
        return Network(net, tuple(self.layers), source)

    def _back(self, distance: int) -> Reference:
        return Reference(len(self.layers) - distance)


def yolov3(num_classes: int = 80, width: float = 1.0, scale_x_y: float = 1.0) -> Network:
    """YOLOv3: Darknet-53 and three heads at strides 32, 16 and 8; 107 layers, 416x416 pixels.

    Raises:
        ModelError: `num_classes` below 1 or `width` outside (0, 8].
    """
    stack = _stack(num_classes, width, scale_x_y, COCO_ANCHORS)
    _darknet53(stack)
    _bottlenecks(stack, 512, 3)
    _upper_heads(stack)
    return stack.network("yolov3")


def yolov3_spp(num_classes: int = 80, width: float = 1.0, scale_x_y: float = 1.0) -> Network:
    """YOLOv3 with spatial pyramid pooling (5, 9, 13 pixel windows) in front of the first head; 114 layers.

    Raises:
        ModelError: `num_classes` below 1 or `width` outside (0, 8].
    """
    stack = _stack(num_classes, width, scale_x_y, COCO_ANCHORS)
    _darknet53(stack)
    _bottlenecks(stack, 512, 1)
    stack.conv(512, 1)
    _pyramid(stack)
    _bottlenecks(stack, 512, 2)
    _upper_heads(stack)
    return stack.network("yolov3-spp")


def yolov3_tiny(num_classes: int = 80, width: float = 1.0, scale_x_y: float = 1.0) -> Network:
    """YOLOv3-tiny: a plain backbone and two heads at strides 32 and 16; 24 layers.

    The second head takes the anchors 0, 1, 2; Darknet's published file has 1, 2, 3 by mistake.

    Raises:
        ModelError: `num_classes` below 1 or `width` outside (0, 8].
    """
    stack = _stack(num_classes, width, scale_x_y, TINY_ANCHORS)
    for filters in (16, 32, 64, 128, 256):
        stack.conv(filters, 3)
        stack.maxpool(2, 2)
    stack.conv(512, 3)
    stack.maxpool(2, 1)
    stack.conv(1024, 3)
    _bottlenecks(stack, 256, 1)
    stack.yolo(3, 4, 5)
    stack.neck(128, 1, lateral=8)
    stack.conv(256, 3)
    stack.yolo(0, 1, 2)
    return stack.network("yolov3-tiny")


def _stack(num_classes: int, width: float, scale_x_y: float, anchors: tuple[int, ...]) -> _Stack:
    if num_classes < 1:
        raise ModelError(f"a detector has at least one class, got num_classes={num_classes}")
    if not 0 < width <= MAX_WIDTH:
        raise ModelError(f"the width multiplier must be above 0 and at most {MAX_WIDTH:g}, got {width:g}")
    return _Stack(num_classes, width, scale_x_y, anchors)


def _darknet53(stack: _Stack) -> None:
    stack.conv(32, 3)
    for filters, repeats in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        stack.conv(filters, 3, stride=2)
        for _ in range(repeats):
            stack.residual(filters)


def _bottlenecks(stack: _Stack, filters: int, repeats: int) -> None:
    for _ in range(repeats):
        stack.conv(filters, 1)
        stack.conv(2 * filters, 3)


def _pyramid(stack: _Stack) -> None:
    stack.maxpool(5, 1)
    stack.route(-2)
    stack.maxpool(9, 1)
    stack.route(-4)
    stack.maxpool(13, 1)
    stack.route(-1, -3, -5, -6)


def _upper_heads(stack: _Stack) -> None:
    stack.yolo(6, 7, 8)
    stack.neck(256, 1, lateral=61)
    _bottlenecks(stack, 256, 3)
    stack.yolo(3, 4, 5)
    stack.neck(128, 1, lateral=36)
    _bottlenecks(stack, 128, 3)
    stack.yolo(0, 1, 2)


_NAME = re.compile(r"(?:(?P<gate>se|cbam)-)?(?P<base>yolov3(?:-spp|-tiny)?)(?:@(?P<width>\d*\.?\d+))?")


def zoo_names() -> tuple[str, ...]:
    """All names without a width multiplier."""
    bases = ("yolov3", "yolov3-spp", "yolov3-tiny")
    return tuple(prefix + base for prefix in ("", "se-", "cbam-") for base in bases)


def is_zoo_name(name: str) -> bool:
    """Whether `network_from_name` knows `name`."""
    return _NAME.fullmatch(name) is not None


def network_from_name(name: str, num_classes: int | None = None) -> Network:
    """The network called `[se-|cbam-]yolov3[-spp|-tiny][@width]`, e.g. `se-yolov3@0.25`.

    80 classes unless told. The prefix attaches gates to every residual branch, or in the neck of a network
    without shortcuts.

    Raises:
        ModelError: there is no such name; the close ones are named.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        base = name.partition("@")[0]
        close = difflib.get_close_matches(base, zoo_names(), n=3, cutoff=0.5) or zoo_names()
        raise ModelError(f"there is no network {name!r}; close names are {', '.join(close)} (and @width)")
    builders: dict[str, Callable[..., Network]] = {
        "yolov3": yolov3,
        "yolov3-spp": yolov3_spp,
        "yolov3-tiny": yolov3_tiny,
    }
    classes = 80 if num_classes is None else num_classes
    network = builders[match["base"]](num_classes=classes, width=float(match["width"] or 1))
    gates: dict[str | None, GateKind] = {"se": "se", "cbam": "cbam"}
    if gate := gates.get(match["gate"]):
        place = "residual" if layers_to_gate(network, "residual") else "neck"
        network = attach(network, gate, place).network
    return replace(network, source=name)
