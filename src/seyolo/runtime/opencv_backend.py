"""OpenCV backend: Darknet cfg and weights on the reader of OpenCV 4; OpenCV 5 has none.

The reader shares no code with our network, so parity with it is an independent test of both.
OpenCV returns centre and size as fractions of the input, and class scores multiplied by the objectness and
zeroed below a threshold from the cfg. The backend sets the threshold to 0 and divides by the objectness. For
`[region]` OpenCV also runs non-maximum suppression (IoU 0.4) on the class scores; it has no switch for that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32

from seyolo.darknet import sections
from seyolo.darknet.cfg import read_cfg
from seyolo.darknet.graph import num_classes
from seyolo.darknet.weights import read_weights
from seyolo.errors import BackendError
from seyolo.runtime.protocol import class_names

KNOWN_ACTIVATIONS = frozenset(["linear", "leaky", "relu", "swish", "mish", "logistic", "tanh"])


def can_read(cfg: str | Path) -> bool:
    """Tells whether this OpenCV runs the network: it has the reader, and the reader knows every section."""
    layers = read_cfg(cfg).layers
    return hasattr(cv2.dnn, "readNetFromDarknet") and not any(map(_is_foreign, layers))


def _is_foreign(section: sections.Section) -> bool:
    """Tells whether OpenCV's reader refuses the section, or silently reads it as another."""
    return (
        isinstance(section, sections.Cbam | sections.Implicit | sections.LocalAvgPool | sections.Reorg3d)
        or (isinstance(section, sections.Convolutional) and section.activation not in KNOWN_ACTIVATIONS)
        or (isinstance(section, sections.Shortcut) and section.weights_type != "none")
        or (isinstance(section, sections.MaxPool) and section.maxpool_depth)
        or (isinstance(section, sections.ScaleChannels) and section.scale_wh)
    )


class OpenCvBackend:
    """A Darknet network on OpenCV's DNN module, CPU, float32.

    `threads` sets the number of threads of the whole process, as OpenCV has no other setting.
    """

    name = "opencv"

    def __init__(
        self,
        cfg: str | Path,
        weights: str | Path,
        *,
        threads: int | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        network = read_cfg(cfg)
        # OpenCV accepts weights that are too short or too long.
        read_weights(weights, network)
        self.input_size = network.net.height, network.net.width
        self.letterbox_mode = network.net.letterbox_mode
        self.names = class_names(names, num_classes(network), cfg)
        if threads is not None:
            cv2.setNumThreads(threads)
        self._net = _read_net(Path(cfg), Path(weights))
        self._outputs = self._net.getUnconnectedOutLayersNames()

    def infer(self, batch: Float32[np.ndarray, "n 3 h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the network once per image, since OpenCV plans its memory anew when the batch changes."""
        return np.stack([self._infer_one(image) for image in batch])

    def _infer_one(self, image: Float32[np.ndarray, "3 h w"]) -> Float32[np.ndarray, "p columns"]:
        self._net.setInput(image[None])
        rows = np.concatenate(self._net.forward(self._outputs), axis=0)
        return to_raw(rows, self.input_size)


def to_raw(
    rows: Float32[np.ndarray, "p columns"], input_size: tuple[int, int]
) -> Float32[np.ndarray, "p columns"]:
    """Turns OpenCV's rows (fractions of the input, scores times objectness) into raw output in pixels."""
    height, width = input_size
    raw = rows.astype(np.float32)
    raw[:, :4] *= np.array([width, height, width, height], dtype=np.float32)  # fractions -> pixels
    objectness = raw[:, 4:5]  # where it is 0 the class probabilities are unknown and stay 0
    np.divide(raw[:, 5:], objectness, out=raw[:, 5:], where=objectness > 0)
    return raw


def without_threshold(cfg_text: str) -> str:
    """Returns the cfg with `thresh=0` in every detection layer, so that OpenCV zeroes no score."""
    text = re.sub(r"(?m)^\s*thresh\s*=.*\n?", "", cfg_text)
    return re.sub(r"(?m)^(\s*\[(?:yolo|region)\])[^\n]*$", r"\1\nthresh=0", text)


def _read_net(cfg: Path, weights: Path) -> cv2.dnn.Net:
    if not hasattr(cv2.dnn, "readNetFromDarknet"):
        raise BackendError(
            f"OpenCV {cv2.__version__} no longer reads Darknet files; convert {cfg.name} with: "
            f"seyolo export {cfg.name} {cfg.stem}.onnx"
        )
    description = without_threshold(cfg.read_text(encoding="utf-8")).encode()
    try:
        net = cv2.dnn.readNetFromDarknet(
            np.frombuffer(description, np.uint8), np.fromfile(weights, dtype=np.uint8)
        )
    except cv2.error as error:
        raise BackendError(f"{cfg}: OpenCV cannot read this network: {error.err or error}") from None
    except OSError as error:
        raise BackendError(f"{weights}: cannot be read: {error.strerror}") from None
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    return net
