"""Sections that put out detections: `[yolo]`, `[region]`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from seyolo.darknet.sections.base import Count, NotNegative, Positive, SameShape, Weightless, WiringError
from seyolo.errors import shortened


class _Detection(Weightless, SameShape):
    """A section that decodes the numbers in front into boxes, for each cell and anchor."""

    mask: tuple[int, ...] = ()
    anchors: tuple[float, ...]
    classes: int
    num: int

    @property
    def masked_anchors(self) -> tuple[tuple[float, float], ...]:
        """This layer's (width, height) anchors: `[yolo]` in input pixels, `[region]` in cells."""
        return tuple((self.anchors[2 * m], self.anchors[2 * m + 1]) for m in self.mask or range(self.num))

    def problems(self) -> Iterator[str]:
        count = len(self.anchors)
        if count < 2 * self.num:
            yield f"num={self.num} needs {2 * self.num} numbers in anchors=, got {count}"
        if count % 2:
            yield f"anchors= are pairs of width and height, got {count} numbers"

    def output_channels(self, widths: Sequence[int]) -> int:
        num_anchors = len(self.masked_anchors)
        expected = num_anchors * (5 + self.classes)
        if widths[0] != expected:
            message = f"{num_anchors} anchors and classes={self.classes} need {expected} channels in front"
            formula = f"{num_anchors}·(5+{self.classes})"
            raise WiringError(f"{message} ({formula}), got {widths[0]}: set filters={expected} there")
        return widths[0]


@dataclass(frozen=True, kw_only=True)
class Yolo(_Detection):
    """`[yolo]`: decodes anchors into boxes.

    `anchors` are (width, height) pairs in input pixels, `mask` picks this layer's. `scale_x_y` stretches the
    cell offset; with `new_coords` the numbers in front are already sigmoids and sizes are (2t)² · anchor.
    """

    kind: ClassVar[str] = "yolo"
    training_keys: ClassVar[frozenset[str]] = frozenset(
        """jitter ignore_thresh truth_thresh iou_thresh iou_thresh_kind random resize iou_loss iou_normalizer
        cls_normalizer obj_normalizer delta_normalizer max_delta beta_nms nms_kind max focal_loss
        label_smooth_eps counters_per_class objectness_smooth thresh map show_details total bias_match rescore
        coords softmax absolute object_scale noobject_scale class_scale coord_scale embedding_layer sim_thresh
        dets_for_track dets_for_show track_ciou_norm track_history_size truth_thresh_kind
        uc_normalizer beta1""".split()
    )
    reasons: ClassVar[dict[str, str]] = {"from": "a [yolo] that reads another layer than the one in front"}

    mask: tuple[NotNegative, ...] = ()
    anchors: tuple[Positive, ...] = ()
    classes: Count = 20
    num: Count = 1
    scale_x_y: Positive = 1.0
    new_coords: bool = False

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        text = ",".join(map(str, self.mask))
        if any(number >= self.num for number in self.mask):
            yield f"mask={shortened(text)} names anchors beyond num={self.num}; they count from 0"
        if len(set(self.mask)) < len(self.mask):
            yield f"mask={shortened(text)} names an anchor twice"


@dataclass(frozen=True, kw_only=True)
class Region(_Detection):
    """`[region]`: YOLOv2's detections; classes exclude each other. `anchors` are (width, height) in cells."""

    kind: ClassVar[str] = "region"
    training_keys: ClassVar[frozenset[str]] = frozenset(
        """jitter resize rescore thresh absolute random coord_scale object_scale noobject_scale mask_scale
        class_scale bias_match focal_loss max classfix""".split()
    )
    neutral_values: ClassVar[dict[str, str]] = {"coords": "4", "log": "0", "sqrt": "0", "background": "0"}
    reasons: ClassVar[dict[str, str]] = {
        "tree": "the tree of classes of YOLO9000",
        "map": "the tree of classes of YOLO9000",
    }

    anchors: tuple[Positive, ...] = ()
    classes: Count = 20
    num: Count = 1
    softmax: bool = False

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if not self.softmax:
            yield "is only supported with softmax=1"


Detection = Yolo | Region
"""The sections that put out detections."""
