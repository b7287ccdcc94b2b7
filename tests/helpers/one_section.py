"""Darknet files of small networks, each with a section or a key in which runtimes may differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seyolo.darknet.cfg import read_cfg
from seyolo.darknet.weights import tensor_shapes, write_weights

FRONT = """[net]
width=64
height=32
channels=3

[convolutional]
filters=8
size=3
stride=2
pad=1
activation=leaky
"""
HEAD = """
[convolutional]
filters=14
size=1
activation=linear

[yolo]
mask=0,1
anchors=10,14, 23,27
classes=2
num=2
"""


def convolution(**keys: object) -> str:
    """A `[convolutional]` of 8 channels, 3x3, with these keys changed; None leaves a key out."""
    keys = {
        "batch_normalize": 1,
        "filters": 8,
        "size": 3,
        "stride": 1,
        "pad": 1,
        "activation": "leaky",
    } | keys
    lines = [f"{key}={value}" for key, value in keys.items() if value is not None]
    return "\n".join(["", "[convolutional]", *lines, ""])


def section(kind: str, **keys: object) -> str:
    lines = [f"{key.rstrip('_')}={value}" for key, value in keys.items()]
    return "\n".join(["", f"[{kind}]", *lines, ""])


CONV = convolution()
GATE = section("avgpool") + convolution(size=1, activation="logistic")
IN_OPENCV = "linear leaky relu logistic swish mish tanh".split()
NOT_IN_OPENCV = "relu6 hard_mish hardtan elu selu gelu loggy relie ramp plse lhtan".split()
NETWORKS: dict[str, tuple[str, str | None]] = {
    **{f"activation {name}": (convolution(activation=name), None) for name in IN_OPENCV},
    **{
        f"activation {name}": (convolution(activation=name), f"no activation={name}")
        for name in NOT_IN_OPENCV
    },
    "activation not given": (convolution(activation=None), None),
    "size and stride not given": (convolution(size=None, stride=None, pad=None), None),
    "filters not given": (convolution(filters=None) + CONV, None),
    "no batch normalisation": (convolution(batch_normalize=None), None),
    "padding in pixels": (convolution(size=5, pad=None, padding=2), None),
    "padding besides pad": (convolution(pad=1, padding=7), None),
    "no padding": (convolution(pad=0), None),
    "even kernel": (convolution(size=2), None),
    "depthwise": (convolution(groups=8), None),
    "groups": (convolution(groups=2), None),
    "equal strides of a convolution": (convolution(stride_x=2, stride_y=2), None),
    "strides of a convolution": (convolution(stride_x=2), "one stride for both sides"),
    "dilation": (convolution(dilation=2), "ignores dilation=2"),
    "dilation of a 1x1 kernel": (convolution(size=1, dilation=3), None),
    "training keys": (convolution(stopbackward=1), None),
    "pool": (section("maxpool", size=2, stride=2), None),
    "pool without a size": (section("maxpool", stride=2), None),
    "pool without anything": (section("maxpool"), None),
    "pool of stride 1": (section("maxpool", size=2, stride=1), None),
    "pool of 5": (section("maxpool", size=5, stride=1), None),
    "pool of 4": (section("maxpool", size=4, stride=2), None),
    "pool with padding": (section("maxpool", size=3, stride=2, padding=1), None),
    "pool without padding": (section("maxpool", size=3, stride=1, padding=0), None),
    "equal strides of a pool": (section("maxpool", size=2, stride_x=2, stride_y=2), None),
    "strides of a pool": (section("maxpool", size=2, stride_x=1, stride_y=2), "one stride for both sides"),
    "pool over channels": (section("maxpool", maxpool_depth=1, out_channels=4), "no maxpool_depth=1"),
    "local average": (section("local_avgpool", size=2, stride=2), r"no \[local_avgpool\]"),
    "upsample": (section("upsample", stride=2), None),
    "upsample without a stride": (section("upsample"), None),
    "upsample by 1": (section("upsample", stride=1), None),
    "upsample with a scale": (section("upsample", stride=2, scale=0.5), r"ignores scale=0\.5"),
    "dropout": (CONV + section("dropout", probability=0.3) + section("shortcut", from_=-3), None),
    "reorg": (section("reorg", stride=2), None),
    "reorg without a stride": (section("reorg"), None),
    "reorg3d": (section("reorg3d", stride=2), r"no \[reorg3d\]"),
    "implicit": (
        section("implicit", filters=8) + section("scale_channels", from_=-2),
        r"no \[implicit\]",
    ),
    "route": (CONV + section("route", layers="-1,-2"), None),
    "route to absolute layers": (CONV + section("route", layers="1,0"), None),
    "route of one layer": (CONV + section("route", layers="-2"), None),
    "route to a part": (CONV + section("route", layers="-1", groups=2, group_id=1), None),
    "route to parts": (CONV + section("route", layers="-1,-2", groups=2, group_id=1), "of one layer only"),
    "route with an unread layer": (CONV + CONV + section("route", layers="-2"), None),
    "shortcut": (CONV + section("shortcut", from_=-2), None),
    "shortcut to an absolute layer": (CONV + section("shortcut", from_=0, activation="linear"), None),
    "shortcut with an activation": (CONV + section("shortcut", from_=-2, activation="leaky"), None),
    "shortcut with relu6": (CONV + section("shortcut", from_=-2, activation="relu6"), "no activation=relu6"),
    "shortcut of two layers": (CONV + CONV + section("shortcut", from_="-2,-3"), "adds one layer only"),
    "shortcut of fewer channels": (convolution(filters=12) + section("shortcut", from_=-2), None),
    "shortcut of more channels": (convolution(filters=4) + section("shortcut", from_=-2), None),
    "shortcut of a larger layer": (
        convolution(stride=2) + section("shortcut", from_=-2),
        "layers of one size only",
    ),
    "weighted shortcut": (
        CONV + section("shortcut", from_=-2, weights_type="per_channel", weights_normalization="softmax"),
        "no weights_type=per_channel",
    ),
    "gate": (GATE + section("scale_channels", from_=-3), None),
    "gate with an activation": (GATE + section("scale_channels", from_=-3, activation="leaky"), None),
    "gate per pixel": (
        convolution(filters=1) + section("scale_channels", from_=-2, scale_wh=1),
        "no scale_wh=1",
    ),
    "spatial attention": (convolution(activation="logistic") + section("sam", from_=-2), None),
    "spatial attention with an activation": (CONV + section("sam", from_=-2, activation="mish"), None),
}
"""What stands between `FRONT` and `HEAD`, and why OpenCV's reader refuses it, where it has no form for it."""
THREE_ANCHORS = HEAD.replace("23,27", "23,27, 30,30")
TO_FRONT = section("route", layers=0)
HEADS: dict[str, str] = {
    "no mask": HEAD.replace("mask=0,1\n", ""),
    "mask in another order": HEAD.replace("mask=0,1", "mask=1,0"),
    "more anchors than num": THREE_ANCHORS,
    "mask of a part": THREE_ANCHORS.replace("mask=0,1", "mask=2,0").replace("num=2", "num=3"),
    "threshold": HEAD + "thresh=0.9\n",
    "scale_x_y": HEAD + "scale_x_y=1.2\n",
    "new_coords": HEAD.replace("linear", "logistic") + "new_coords=1\nscale_x_y=2\n",
    "two heads": HEAD + TO_FRONT + HEAD,
    "two heads, an unread layer": HEAD + TO_FRONT + CONV + TO_FRONT + HEAD,
}
"""Detection sections that differ."""


def write_network(folder: Path, body: str = "", head: str = HEAD, front: str = FRONT) -> Path:
    """Writes `net.cfg` and `net.weights`, which keep the size of the signal; returns the path of the cfg."""
    cfg = folder / "net.cfg"
    cfg.write_text(front + body + head, encoding="utf-8")
    network = read_cfg(cfg)
    generator = np.random.default_rng(0)
    state = {}
    for name, shape in tensor_shapes(network).items():
        fan_in = int(np.prod(shape[1:])) if name.endswith("conv.weight") else 4
        values = generator.normal(0, 1 / fan_in**0.5, shape)
        state[name] = np.abs(values) + 0.5 if name.endswith("running_var") else values
    write_weights(cfg.with_suffix(".weights"), network, state)
    return cfg
