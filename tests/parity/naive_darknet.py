"""A naive Darknet in numpy, from AlexeyAB's definitions: it reads cfg text and weights bytes by itself.

Float64 and plain loops over kernel positions; nothing of seyolo is imported. For what OpenCV's reader cannot
read: `[reorg3d]`, weighted shortcuts, `[local_avgpool]`, maxima over channels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Section = tuple[str, dict[str, str]]


def sections_of(text: str) -> list[Section]:
    sections: list[Section] = []
    for raw in text.splitlines():
        line = raw.split("#")[0].strip()
        if line.startswith("["):
            sections.append((line[1:-1], {}))
        elif line:
            key, value = line.split("=")
            sections[-1][1][key.strip()] = value.strip()
    return sections


class Numbers:
    """The floats of a weights file, taken in order."""

    def __init__(self, content: bytes) -> None:
        self.values = np.frombuffer(content[20:], "<f4").astype(np.float64)
        self.used = 0

    def take(self, *shape: int) -> Array:
        count = math.prod(shape)
        self.used += count
        return self.values[self.used - count : self.used].reshape(shape)


def activate(name: str, x: Array) -> Array:
    if name == "leaky":
        return np.where(x > 0, x, 0.1 * x)
    if name == "mish":
        return x * np.tanh(np.log1p(np.exp(np.minimum(x, 20))) + np.maximum(x - 20, 0))
    if name == "logistic":
        return 1 / (1 + np.exp(-np.clip(x, -700, 700)))
    if name == "swish":
        return x / (1 + np.exp(-np.clip(x, -700, 700)))
    assert name == "linear", name
    return x


def convolve(x: Array, keys: dict[str, str], numbers: Numbers) -> Array:
    filters, size = int(keys["filters"]), int(keys["size"])
    stride, groups = int(keys.get("stride", 1)), int(keys.get("groups", 1))
    pad = size // 2 if int(keys.get("pad", 0)) else int(keys.get("padding", 0))
    bias = numbers.take(filters)
    normalised = int(keys.get("batch_normalize", 0))
    if normalised:
        scale, mean, variance = (numbers.take(filters) for _ in range(3))
    channels = x.shape[0] // groups
    kernel = numbers.take(filters, channels, size, size)
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    height, width = ((side + 2 * pad - size) // stride + 1 for side in x.shape[1:])
    out = np.zeros((filters, height, width))
    per_group = filters // groups
    for group in range(groups):
        rows = slice(group * per_group, (group + 1) * per_group)
        part = padded[group * channels : (group + 1) * channels]
        for dy in range(size):
            for dx in range(size):
                seen = part[:, dy : dy + stride * height : stride, dx : dx + stride * width : stride]
                out[rows] += np.tensordot(kernel[rows, :, dy, dx], seen, axes=1)
    if normalised:
        out = (out - mean[:, None, None]) / np.sqrt(variance + 1e-6)[:, None, None] * scale[:, None, None]
    return activate(keys["activation"], out + bias[:, None, None])


def pool(x: Array, keys: dict[str, str], average: bool) -> Array:
    size, stride = int(keys["size"]), int(keys.get("stride", 1))
    offset = -(int(keys.get("padding", size - 1)) // 2)
    padding = int(keys.get("padding", size - 1))
    height, width = ((side + padding - size) // stride + 1 for side in x.shape[1:])
    out = np.zeros((x.shape[0], height, width))
    for row in range(height):
        for column in range(width):
            top, left = row * stride + offset, column * stride + offset
            window = x[:, max(top, 0) : top + size, max(left, 0) : left + size]
            out[:, row, column] = window.mean((1, 2)) if average else window.max((1, 2))
    return out


def reorg3d(x: Array, stride: int) -> Array:
    channels, height, width = x.shape
    out = np.zeros((channels * stride**2, height // stride, width // stride))
    for k in range(len(out)):
        offset, source = divmod(k, channels)
        out[k] = x[source, offset // stride :: stride, offset % stride :: stride]
    return out


def add_weighted(inputs: list[Array], keys: dict[str, str], numbers: Numbers) -> Array:
    kind, normalization = keys.get("weights_type", "none"), keys.get("weights_normalization", "none")
    channels = inputs[0].shape[0]
    if kind == "none":
        weights = np.ones((len(inputs), channels))
    elif kind == "per_channel":
        weights = numbers.take(len(inputs), channels)
    else:
        weights = np.repeat(numbers.take(len(inputs), 1), channels, axis=1)
    if kind != "none" and normalization != "none":
        raw = np.exp(weights - weights.max(0)) if normalization == "softmax" else np.maximum(weights, 0)
        weights = raw / (raw.sum(0) + 1e-4)
    total = inputs[0] * weights[0][:, None, None]
    for x, weight in zip(inputs[1:], weights[1:], strict=True):
        shared = min(channels, x.shape[0])
        total[:shared] += x[:shared] * weight[:shared, None, None]
    return activate(keys.get("activation", "linear"), total)


def decode(x: Array, keys: dict[str, str], net: tuple[int, int]) -> Array:
    """[yolo]: rows of cx, cy, w, h in pixels, objectness, class probabilities."""
    anchors = [float(value) for value in keys["anchors"].split(",")]
    mask, classes = [int(m) for m in keys["mask"].split(",")], int(keys["classes"])
    scale, new_coords = float(keys.get("scale_x_y", 1)), int(keys.get("new_coords", 0))
    rows = []
    for row, column in np.ndindex(*x.shape[1:]):
        for place, m in enumerate(mask):
            t = x[place * (5 + classes) : (place + 1) * (5 + classes), row, column]
            s = t if new_coords else activate("logistic", t)
            cx = (s[0] * scale - 0.5 * (scale - 1) + column) / x.shape[2] * net[1]
            cy = (s[1] * scale - 0.5 * (scale - 1) + row) / x.shape[1] * net[0]
            w, h = ((2 * t[i]) ** 2 if new_coords else math.exp(t[i]) for i in (2, 3))
            rows.append([cx, cy, w * anchors[2 * m], h * anchors[2 * m + 1], *s[4:]])
    return np.array(rows)


def run(text: str, weights: bytes, image: Array) -> Array:
    """The raw output for one image (3, H, W) of any size."""
    sections = sections_of(text)[1:]
    numbers = Numbers(weights)
    outputs: list[Array] = []
    rows = []
    for index, (kind, keys) in enumerate(sections):
        front = outputs[-1] if outputs else image
        named = [int(value) for value in keys.get("layers", keys.get("from", "")).split(",") if value]
        others = [outputs[layer if layer >= 0 else index + layer] for layer in named]
        if kind == "convolutional":
            outputs.append(convolve(front, keys, numbers))
        elif kind == "route":
            groups, part = int(keys.get("groups", 1)), int(keys.get("group_id", 0))
            outputs.append(np.concatenate([np.split(x, groups)[part] for x in others]))
        elif kind == "shortcut":
            outputs.append(add_weighted([front, *others], keys, numbers))
        elif kind in ("sam", "scale_channels"):
            outputs.append(activate(keys.get("activation", "linear"), others[0] * front))
        elif kind == "upsample":
            outputs.append(front.repeat(int(keys["stride"]), 1).repeat(int(keys["stride"]), 2))
        elif kind == "maxpool" and int(keys.get("maxpool_depth", 0)):
            step = int(keys["out_channels"])
            outputs.append(np.stack([front[g::step].max(0) for g in range(step)]))
        elif kind in ("maxpool", "local_avgpool"):
            outputs.append(pool(front, keys, average=kind == "local_avgpool"))
        elif kind == "avgpool":
            outputs.append(front.mean((1, 2), keepdims=True))
        elif kind == "reorg3d":
            outputs.append(reorg3d(front, int(keys["stride"])))
        elif kind == "implicit":
            outputs.append(numbers.take(int(keys["filters"]), 1, 1))
        else:
            assert kind == "yolo", kind
            outputs.append(front)
            rows.append(decode(front, keys, image.shape[1:]))
    assert numbers.used == len(numbers.values)
    return np.concatenate(rows)
