"""OpenCV backend: Darknet networks on the reader of OpenCV 4; OpenCV 5 has none.

The reader shares no code with our network, so parity with it is an independent test of both. It gets the text
of `opencv_form`, never the file. OpenCV returns centre and size as fractions of the input, and class scores
multiplied by the objectness and zeroed below a threshold, which is printed as 0; the backend divides by the
objectness. For `[region]` OpenCV also runs non-maximum suppression (IoU 0.4) on the class scores, without a
switch.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32

from seyolo.class_names import names_beside
from seyolo.darknet.cfg import Network, read_cfg
from seyolo.darknet.graph import detection_layers, num_classes
from seyolo.darknet.sections import Region
from seyolo.darknet.weights import read_weights
from seyolo.errors import BackendError
from seyolo.runtime.opencv_form import opencv_form, require_own_boxes
from seyolo.runtime.protocol import USUAL_SESSION, Session, class_names


class OpenCvBackend:
    """A Darknet network on OpenCV's DNN module, CPU, float32; `threads` is for the whole process."""

    name = "opencv"

    def __init__(self, cfg: Path, weights: Path, session: Session = USUAL_SESSION) -> None:
        network = read_cfg(cfg)
        require_own_boxes(network)
        # OpenCV accepts weights that are too short or too long.
        read_weights(weights, network)
        net, count = network.net, num_classes(network)
        self.input_size, self.input_channels = net.input_size, net.channels
        self.letterbox_mode, self.pad_value = net.letterbox_mode, net.pad_value
        self.names = class_names(session.names or names_beside(cfg, count), count, cfg)
        if session.threads is not None:
            cv2.setNumThreads(session.threads)
        self._net, self._outputs = read_net(network, weights)

    def infer(self, batch: Float32[np.ndarray, "n c h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the network once per image, since OpenCV plans its memory anew when the batch changes."""
        return np.stack([self._infer_one(image) for image in batch])

    def _infer_one(self, image: Float32[np.ndarray, "c h w"]) -> Float32[np.ndarray, "p columns"]:
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


def read_net(network: Network, weights: Path) -> tuple[cv2.dnn.Net, list[str]]:
    """Returns OpenCV's network, and the names of its detection layers in order.

    Raises:
        BackendError: OpenCV has no reader, or the reader no form for the network.
    """
    if not hasattr(cv2.dnn, "readNetFromDarknet"):
        raise BackendError(
            f"OpenCV {cv2.__version__} no longer reads Darknet files, OpenCV 4 does; run {network.source} "
            "without @opencv, or export it: seyolo export MODEL OUT.onnx"
        )
    text = opencv_form(network).to_cfg().encode()
    try:
        numbers = np.fromfile(weights, dtype=np.uint8)
        net = cv2.dnn.readNetFromDarknet(np.frombuffer(text, np.uint8), numbers)
    except cv2.error as error:
        raise BackendError(
            f"{network.source}: OpenCV cannot read this network: {error.err or error}"
        ) from None
    except OSError as error:
        raise BackendError(f"{weights}: cannot be read: {error.strerror}") from None
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    return net, [_output_name(network, index) for index in detection_layers(network)]


def _output_name(network: Network, index: int) -> str:
    return "detection_out" if isinstance(network.layers[index], Region) else f"yolo_{index}"
