"""Our raw output against OpenCV 4's Darknet reader, which shares no code with us."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from seyolo.darknet.zoo import network_from_name
from seyolo.exporting.parity import relative_error
from seyolo.models import load, save
from seyolo.network.build import DarknetModel
from seyolo.network.random_weights import calibrated
from small_networks import photo, pictures

pytestmark = pytest.mark.skipif(
    not hasattr(cv2.dnn, "readNetFromDarknet"), reason="this OpenCV no longer reads Darknet files"
)

TOLERANCE = 1e-4
RANDOM_TOLERANCE = 1e-3
"""Random networks magnify rounding; every fault tested below is ten times beyond."""
REAL = ["yolo-fastest-1.1", "yolo-fastest-1.1-xl", "MobileNetV2-YOLOv3-Nano-coco", "yolo-fastest-se-voc"]
REAL += ["yoloface-50k"]


def opencv_rows(cfg: Path, weights: Path, images: torch.Tensor) -> np.ndarray:
    """What OpenCV returns with no score zeroed: fractions of the picture, class scores times objectness."""
    text = re.sub(r"\[yolo\]", "[yolo]\nthresh=0", cfg.read_text())
    net = cv2.dnn.readNetFromDarknet(np.frombuffer(text.encode(), np.uint8), np.fromfile(weights, np.uint8))
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    net.setInput(images.numpy())
    return np.concatenate(net.forward(net.getUnconnectedOutLayersNames()))


def our_rows(model: DarknetModel, images: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        rows: np.ndarray = model(images)[0].numpy().copy()
    height, width = images.shape[2:]
    rows[:, :4] /= np.array([width, height, width, height], np.float32)
    rows[:, 5:] *= rows[:, 4:5]
    return rows


@pytest.mark.parametrize("name", REAL)
def test_real_networks_on_a_real_picture(shared_data: Path, name: str) -> None:
    cfg, weights = (shared_data / "darknet" / f"{name}{ending}" for ending in (".cfg", ".weights"))
    model = load(cfg, weights)
    size = model.network.net.height, model.network.net.width
    images = photo(str(shared_data / "darknet" / "images" / "dog.jpg"), size)
    ours = our_rows(model, images)
    assert relative_error(ours, opencv_rows(cfg, weights, images)) < TOLERANCE
    if name != "yoloface-50k":
        assert (
            ours[:, 5:].max() > 0.5
        )  # the dog, the bicycle or the car is seen: the comparison is not of noise


ZOO = ["yolov3@0.125", "yolov3-tiny", "yolov3-spp@0.125", "se-yolov3@0.125"]


@pytest.mark.parametrize("name", ZOO)
def test_zoo_networks_with_calibrated_random_weights(tmp_path: Path, name: str) -> None:
    images = pictures(416, 416, seed=4)
    model = calibrated(network_from_name(name, num_classes=2), images)
    save(model, tmp_path / "x.cfg")
    rows = opencv_rows(tmp_path / "x.cfg", tmp_path / "x.weights", images)
    assert relative_error(our_rows(model, images), rows) < RANDOM_TOLERANCE


@pytest.mark.parametrize("fault", ["black picture", "slope", "shortcut"])
def test_the_comparison_notices_faults(tmp_path: Path, fault: str) -> None:
    images = pictures(416, 416, seed=4)
    model = calibrated(network_from_name("yolov3@0.125", num_classes=2), images)
    save(model, tmp_path / "x.cfg")
    text = (tmp_path / "x.cfg").read_text()
    other = images
    if fault == "black picture":
        other = torch.zeros_like(images)
    elif fault == "slope":
        text = text.replace("activation=leaky", "activation=relu", 1)
    else:
        text = text.replace("[shortcut]\nfrom=-3", "[route]\nlayers=-1", 1)
    (tmp_path / "x.cfg").write_text(text)
    rows = opencv_rows(tmp_path / "x.cfg", tmp_path / "x.weights", other)
    assert relative_error(our_rows(model, images), rows) > 10 * RANDOM_TOLERANCE
