"""The zoo: the detection networks of AlexeyAB's Darknet (and dog-qiuqiu's small ones) as functions.

Each returns the description of a network at its published size and depth, for 80 COCO classes or the 20 of
Pascal VOC. At width 1 it is the published network, layer for layer, but for the keys of Darknet's training
and the anchors that yolov3-tiny's second head takes. All read letterboxed images, while most published ones
are stretched. All raise a `ModelError` for `num_classes` below 1 or a `width` outside (0, 8].

stack.py       the builder: one method per section, the width multiplier
blocks.py      shared blocks: CSP stages, spatial pyramids, FPN, PAN, heads
yolov2.py, yolov3.py, yolov4.py, scaled_yolov4.py, yolov7.py, mobile.py   the networks
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import attach
from seyolo.darknet.placement import GATE_TITLES, GateKind, default_site
from seyolo.darknet.zoo.mobile import (
    enetb0_coco,
    mobilenetv2_yolov3_lite,
    mobilenetv2_yolov3_nano,
    yolo_fastest_1_1,
    yolo_fastest_1_1_xl,
)
from seyolo.darknet.zoo.scaled_yolov4 import (
    cspx_p7_mish,
    yolov4_csp,
    yolov4_csp_swish,
    yolov4_csp_x_swish,
    yolov4_p5,
    yolov4_p6,
    yolov4x_mish,
)
from seyolo.darknet.zoo.yolov2 import yolov2, yolov2_tiny, yolov2_tiny_voc, yolov2_voc
from seyolo.darknet.zoo.yolov3 import yolov3, yolov3_spp, yolov3_tiny, yolov3_tiny_3l, yolov3_tiny_prn
from seyolo.darknet.zoo.yolov4 import (
    csresnext50_panet_spp,
    csresnext50_panet_spp_original_optimal,
    yolov4,
    yolov4_sam_mish,
    yolov4_tiny,
    yolov4_tiny_3l,
)
from seyolo.darknet.zoo.yolov7 import yolov7, yolov7_tiny, yolov7x
from seyolo.errors import ModelError

ZOO: Mapping[str, Callable[..., Network]] = {
    "yolov2": yolov2,
    "yolov2-voc": yolov2_voc,
    "yolov2-tiny": yolov2_tiny,
    "yolov2-tiny-voc": yolov2_tiny_voc,
    "yolov3": yolov3,
    "yolov3-spp": yolov3_spp,
    "yolov3-tiny": yolov3_tiny,
    "yolov3-tiny-3l": yolov3_tiny_3l,
    "yolov3-tiny-prn": yolov3_tiny_prn,
    "yolov4": yolov4,
    "yolov4-tiny": yolov4_tiny,
    "yolov4-tiny-3l": yolov4_tiny_3l,
    "yolov4-sam-mish": yolov4_sam_mish,
    "yolov4-csp": yolov4_csp,
    "yolov4-csp-swish": yolov4_csp_swish,
    "yolov4x-mish": yolov4x_mish,
    "yolov4-csp-x-swish": yolov4_csp_x_swish,
    "yolov4-p5": yolov4_p5,
    "yolov4-p6": yolov4_p6,
    "cspx-p7-mish": cspx_p7_mish,
    "yolov7-tiny": yolov7_tiny,
    "yolov7": yolov7,
    "yolov7x": yolov7x,
    "csresnext50-panet-spp": csresnext50_panet_spp,
    "csresnext50-panet-spp-original-optimal": csresnext50_panet_spp_original_optimal,
    "enetb0-coco": enetb0_coco,
    "mobilenetv2-yolov3-lite": mobilenetv2_yolov3_lite,
    "mobilenetv2-yolov3-nano": mobilenetv2_yolov3_nano,
    "yolo-fastest-1.1": yolo_fastest_1_1,
    "yolo-fastest-1.1-xl": yolo_fastest_1_1_xl,
}
"""Published name -> the function that makes it, called with `num_classes` and `width`."""

DEFAULT_MODEL, QUICK_MODEL = "yolov3@0.25", "yolov3-tiny@0.5"
"""The network for most tasks with few classes, and the one where training must be quick."""

_OTHER_FAMILY = re.compile(r"yolo-?v?([5689]|[12]\d)(\D.*)?", re.IGNORECASE)
_NAME = re.compile(
    rf"(?:(?P<gate>{'|'.join(GATE_TITLES)})-)?(?P<base>{'|'.join(map(re.escape, ZOO))})"
    r"(?:@(?P<width>\d*\.?\d+))?"
)


def zoo_names() -> tuple[str, ...]:
    """Returns all names without a width multiplier."""
    prefixes = ("", *(f"{kind}-" for kind in GATE_TITLES))
    return tuple(prefix + base for prefix in prefixes for base in ZOO)


def is_zoo_name(name: str) -> bool:
    """Tells whether `network_from_name` knows `name`."""
    return _NAME.fullmatch(name) is not None


def network_from_name(name: str, num_classes: int | None = None) -> Network:
    """Returns the network called `[GATE-]NAME[@width]`, e.g. `se-yolov3@0.25`.

    `num_classes` defaults to that of the published network. The prefix attaches gates to every residual
    branch, in the neck of a network without shortcuts, or in the head of one without a neck.

    Raises:
        ModelError: there is no such name; the close ones are named.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        base = name.partition("@")[0]
        close = difflib.get_close_matches(base, zoo_names(), n=3, cutoff=0.5) or tuple(ZOO)
        advice = f"; close names are {', '.join(close)} (and @width)"
        if _OTHER_FAMILY.fullmatch(base):
            advice = (
                f": YOLOv5, YOLOv6, YOLOv8 and later are no Darknet networks; take {DEFAULT_MODEL}, or "
                f"{QUICK_MODEL} where training must be quick{advice}"
            )
        raise ModelError(f"there is no network {name!r}{advice}")
    classes = {} if num_classes is None else {"num_classes": num_classes}
    network = ZOO[match["base"]](**classes, width=float(match["width"] or 1))
    if match["gate"] is not None:
        gate = cast("GateKind", match["gate"])
        network = attach(network, gate, default_site(network, gate)).network
    return replace(network, source=name)
