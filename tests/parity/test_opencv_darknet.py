"""Our raw output against OpenCV 4's Darknet reader, which shares no code with us."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from helpers.opencv_rows import TOO_DEEP, as_suppressed, opencv_rows, our_rows
from helpers.random_weights import calibrated
from helpers.small_networks import photo, random_images
from seyolo.darknet.cost import cost
from seyolo.darknet.edit import set_size
from seyolo.darknet.zoo import ZOO, network_from_name
from seyolo.detections import Detections
from seyolo.exporting.parity import relative_error
from seyolo.letterbox import letterbox
from seyolo.media.images import read_image
from seyolo.opening.network import load, save
from seyolo.runtime.opencv_backend import OpenCvBackend

pytestmark = pytest.mark.skipif(
    not hasattr(cv2.dnn, "readNetFromDarknet"), reason="this OpenCV no longer reads Darknet files"
)

TOLERANCE = 1e-4
RANDOM_TOLERANCE = 1e-2
"""Random networks magnify rounding; every fault tested below is well beyond."""
LARGE_MACS = 5e9
REAL = ["yolo-fastest-1.1", "yolo-fastest-1.1-xl", "MobileNetV2-YOLOv3-Nano-coco", "yolo-fastest-se-voc"]
REAL += ["yoloface-50k"]
IMAGES = ["dog.jpg", "eagle.jpg", "giraffe.jpg", "horses.jpg", "person.jpg"]
"""At its 1536 px rounding alone makes 1e-2 of random weights (ONNX Runtime: 8e-3); `test_naive_darknet.py`
has a sharper witness."""


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("name", REAL)
def test_real_networks_on_real_images(shared_data: Path, name: str, image: str) -> None:
    cfg, weights = (shared_data / "darknet" / f"{name}{ending}" for ending in (".cfg", ".weights"))
    model = load(cfg, weights)
    size = model.network.net.height, model.network.net.width
    images = photo(str(shared_data / "darknet" / "images" / image), size)
    ours = our_rows(model, images)
    assert relative_error(ours, opencv_rows(cfg, weights, images)) < TOLERANCE
    if name != "yoloface-50k":
        assert ours[:, 5:].max() > 0.3  # something is seen: the comparison is not of noise


@pytest.mark.parametrize("name", REAL)
def test_detections_on_real_images_agree(shared_data: Path, name: str) -> None:
    cfg, weights = (shared_data / "darknet" / f"{name}{ending}" for ending in (".cfg", ".weights"))
    model, witness = load(cfg, weights), OpenCvBackend(cfg, weights)
    for file_name in IMAGES:
        image = read_image(shared_data / "darknet" / "images" / file_name)
        fitted, placement = letterbox(image, witness.input_size, witness.letterbox_mode)
        images = torch.from_numpy(fitted[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255)
        with torch.no_grad():
            raws = model(images)[0].numpy(), witness.infer(images.numpy())[0]
        ours, theirs = (Detections.from_raw(raw, placement, 0.3) for raw in raws)
        assert ours.class_ids.tolist() == theirs.class_ids.tolist()
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-3)
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.1)
        if file_name == "dog.jpg" and name in REAL[:3]:
            names = (shared_data / "darknet" / "coco.names").read_text().split("\n")
            assert {"dog", "bicycle"} <= {names[class_id] for class_id in ours.class_ids}
            assert {"car", "truck"} & {names[class_id] for class_id in ours.class_ids}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ZOO if name != TOO_DEEP])
def test_every_family_at_its_published_size_and_depth(tmp_path: Path, name: str) -> None:
    """Channels of the largest networks are halved; nothing of what is compared depends on their number."""
    network = network_from_name(name)
    if cost(network, network.net.height, network.net.width).macs > LARGE_MACS:
        network = network_from_name(f"{name}@0.5")
    images = random_images(network.net.height, network.net.width, seed=4)
    model = calibrated(network, images)
    save(model, tmp_path / "x.cfg")
    rows = opencv_rows(tmp_path / "x.cfg", tmp_path / "x.weights", images)
    ours = as_suppressed(our_rows(model, images), rows, network)
    assert relative_error(ours, rows) < RANDOM_TOLERANCE
    assert ours[:, :4].std() > 1e-3


@pytest.mark.parametrize(
    "name", ["se-yolov3@0.125", "se-yolov4@0.125", "se-yolov2-tiny@0.25", "se-yolov7-tiny@0.25"]
)
def test_attached_gates(tmp_path: Path, name: str) -> None:
    images = random_images(320, 320, seed=4)
    model = calibrated(set_size(network_from_name(name, num_classes=2), 320, 320), images)
    save(model, tmp_path / "x.cfg")
    rows = opencv_rows(tmp_path / "x.cfg", tmp_path / "x.weights", images)
    ours = as_suppressed(our_rows(model, images), rows, model.network)
    assert relative_error(ours, rows) < RANDOM_TOLERANCE


@pytest.mark.parametrize("fault", ["black image", "slope", "shortcut"])
def test_the_comparison_notices_faults(tmp_path: Path, fault: str) -> None:
    images = random_images(416, 416, seed=4)
    model = calibrated(network_from_name("yolov3@0.125", num_classes=2), images)
    save(model, tmp_path / "x.cfg")
    text = (tmp_path / "x.cfg").read_text()
    other = images
    if fault == "black image":
        other = torch.zeros_like(images)
    elif fault == "slope":
        text = text.replace("activation=leaky", "activation=relu", 1)
    else:
        text = text.replace("[shortcut]\nfrom=-3", "[route]\nlayers=-1", 1)
    (tmp_path / "x.cfg").write_text(text)
    rows = opencv_rows(tmp_path / "x.cfg", tmp_path / "x.weights", other)
    assert relative_error(our_rows(model, images), rows) > 2 * RANDOM_TOLERANCE
