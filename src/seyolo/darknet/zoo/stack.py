"""The builder all networks of the zoo share: one method per section, and each returns the index of its layer.

Filters are given as published. `width` multiplies them, rounded to multiples of 8 and not below 8 unless the
published number is; at width 1 they are the published ones exactly. The convolution in front of a detection
keeps its filters; depthwise kernels and gates are as wide as the features they work on; groups shrink to what
still divides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from seyolo.darknet import sections
from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import IMAGE
from seyolo.darknet.sections import Activation, Net, Reference, Section
from seyolo.errors import ModelError

MAX_WIDTH = 8.0
IMAGE_CHANNELS = 3
FAR = 10
"""Layers further back than this are spelled by their absolute index."""


@dataclass
class Stack:
    """Layers under construction, their channels, and the settings that all of them share."""

    num_classes: int
    width: float
    activation: Activation = "leaky"
    layers: list[Section] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.num_classes < 1:
            raise ModelError(f"a detector has at least one class, got num_classes={self.num_classes}")
        if not 0 < self.width <= MAX_WIDTH:
            limits = f"above 0 and at most {MAX_WIDTH:g}"
            raise ModelError(f"the width multiplier must be {limits}, got {self.width:g}")

    @property
    def last(self) -> int:
        """The index of the newest layer."""
        return len(self.layers) - 1

    def conv(
        self,
        filters: int,
        size: int = 1,
        stride: int = 1,
        *,
        activation: Activation | None = None,
        groups: int = 1,
    ) -> int:
        """Adds a convolution with batch normalisation; by default with the activation all layers share."""
        scaled = self._scaled(filters)
        divisor = math.gcd(groups, self._front, scaled)
        return self._conv(scaled, activation or self.activation, size=size, stride=stride, groups=divisor)

    def depthwise(self, size: int, stride: int = 1) -> int:
        """Adds a convolution with one kernel per channel and batch normalisation."""
        return self._conv(self._front, self.activation, size=size, stride=stride, groups=self._front)

    def maxpool(self, size: int, stride: int) -> int:
        """Adds the maximum over `size` x `size` pixels."""
        return self._add(sections.MaxPool(size=size, stride=stride))

    def upsample(self) -> int:
        """Doubles the resolution, nearest neighbour."""
        return self._add(sections.Upsample(stride=2))

    def reorg(self) -> int:
        """Halves the resolution; four times the channels."""
        return self._add(sections.Reorg(stride=2))

    def dropout(self) -> int:
        """Adds a dropout, which does nothing at inference."""
        return self._add(sections.Dropout())

    def route(self, *layers: int) -> int:
        """Concatenates layers, in this order."""
        return self._add(sections.Route(layers=self._spelled(*layers)))

    def second_half(self) -> int:
        """Selects the second half of the channels in front."""
        return self._add(sections.Route(layers=self._spelled(self.last), groups=2, group_id=1))

    def shortcut(self, layer: int, activation: Activation = "linear") -> int:
        """Adds another layer to the one in front."""
        return self._add(sections.Shortcut(from_=self._spelled(layer), activation=activation))

    def squeeze_excitation(self, hidden: int) -> int:
        """Multiplies each channel of the layer in front by its gate (SE, Hu 2018)."""
        features = self.last
        self._add(sections.AvgPool())
        self._conv(self._scaled(hidden), self.activation, batch_normalize=0)
        self._conv(self.channels[features], "logistic", batch_normalize=0)
        return self._add(sections.ScaleChannels(from_=self._spelled(features)))

    def spatial_attention(self) -> int:
        """Multiplies the layer in front by the sigmoid of a 1x1 convolution of it (SAM as in YOLOv4)."""
        features = self.last
        self._conv(self._front, "logistic")
        return self._add(sections.Sam(from_=self._spelled(features)))

    def yolo(
        self, mask: Sequence[int], anchors: Sequence[float], scale_x_y: float = 1.0, new_coords: bool = False
    ) -> int:
        """Adds a detection and its convolution. `anchors` in pixels; `mask` picks this layer's."""
        filters = len(mask) * (5 + self.num_classes)
        self._conv(filters, "logistic" if new_coords else "linear", batch_normalize=0)
        section = sections.Yolo(
            mask=tuple(mask),
            anchors=tuple(float(side) for side in anchors),
            classes=self.num_classes,
            num=len(anchors) // 2,
            scale_x_y=scale_x_y,
            new_coords=new_coords,
            extras=(("jitter", ".3"), ("ignore_thresh", ".7"), ("truth_thresh", "1"), ("random", "1")),
        )
        return self._add(section)

    def region(self, anchors: tuple[float, ...]) -> int:
        """Adds YOLOv2's detection and its convolution. `anchors` in cells."""
        num = len(anchors) // 2
        self._conv(num * (5 + self.num_classes), "linear", batch_normalize=0)
        return self._add(sections.Region(anchors=anchors, classes=self.num_classes, num=num, softmax=True))

    def network(self, source: str, size_px: int) -> Network:
        """Returns the description, for letterboxed images of `size_px` x `size_px`."""
        extras = (("batch", "1"), ("subdivisions", "1"))
        net = Net(width=size_px, height=size_px, channels=IMAGE_CHANNELS, letter_box=True, extras=extras)
        return Network(net, tuple(self.layers), source)

    @property
    def _front(self) -> int:
        """The channels of the newest layer."""
        return self.channels[-1] if self.channels else IMAGE_CHANNELS

    def _scaled(self, filters: int) -> int:
        if self.width == 1:
            return filters
        return max(min(8, filters), math.floor(self.width * filters / 8 + 0.5) * 8)

    def _conv(self, filters: int, activation: Activation, **keys: Any) -> int:
        """Adds a convolution, 1x1 and with batch normalisation unless the keys say otherwise."""
        keys = {"batch_normalize": 1, "pad": 1} | keys
        return self._add(sections.Convolutional(filters=filters, activation=activation, **keys))

    def _add(self, section: Section) -> int:
        sources = section.inputs(len(self.layers))
        widths = [IMAGE_CHANNELS if source == IMAGE else self.channels[source] for source in sources]
        self.layers.append(section)
        self.channels.append(section.output_channels(widths))
        return self.last

    def _spelled(self, *layers: int) -> tuple[Reference, ...]:
        return tuple(Reference(layer, relative=len(self.layers) - layer <= FAR) for layer in layers)
