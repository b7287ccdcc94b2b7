"""Rows of OpenCV's Darknet reader and of our model, in one form."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import torch

from seyolo.darknet.cfg import Network
from seyolo.darknet.sections import Region
from seyolo.torchnet.build import DarknetModel

TOO_DEEP = "cspx-p7-mish"


def opencv_rows(cfg: Path, weights: Path, images: torch.Tensor) -> np.ndarray:
    """What OpenCV returns with no score zeroed: fractions of the image, class scores times objectness."""
    text = re.sub(r"\[(yolo|region)\]", r"[\1]\nthresh=0", re.sub(r"(?m)^thresh *=.*$", "", cfg.read_text()))
    net = cv2.dnn.readNetFromDarknet(np.frombuffer(text.encode(), np.uint8), np.fromfile(weights, np.uint8))
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    net.setInput(images.numpy())
    outputs = net.forward(net.getUnconnectedOutLayersNames())
    return np.concatenate([output.reshape(-1, output.shape[-1]) for output in outputs])


def as_suppressed(ours: np.ndarray, theirs: np.ndarray, network: Network) -> np.ndarray:
    """Our rows with zeros where OpenCV's suppression left them: in a `[region]` it cannot be switched off."""
    if not any(isinstance(section, Region) for section in network.layers):
        return ours
    kept = theirs[:, 5:] > 0
    assert kept.mean() > 0.05
    result = ours.copy()
    result[:, 5:] *= kept
    return result


def our_rows(model: DarknetModel, images: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        rows: np.ndarray = model(images)[0].numpy().copy()
    height, width = images.shape[2:]
    rows[:, :4] /= np.array([width, height, width, height], np.float32)
    rows[:, 5:] *= rows[:, 4:5]
    return rows
