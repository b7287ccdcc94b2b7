"""OpenCV's Darknet reader against our own network, and its rows worked by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from seyolo.boxes import iou_matrix
from seyolo.detector import Detector
from seyolo.errors import BackendError, CfgError, WeightsError
from seyolo.media.images import read_image
from seyolo.runtime.choice import open_backend
from seyolo.runtime.opencv_backend import OpenCvBackend, to_raw
from seyolo.runtime.protocol import Session
from seyolo.runtime.torch_backend import TorchBackend

TINY = """[net]
width=64
height=32
channels=3
letter_box=1

[convolutional]
filters=14
size=1
stride=16
pad=1
activation=linear

[yolo]
mask=0,1
anchors=10,14, 23,27
classes=2
num=2
thresh=0.9
"""


def write_tiny(folder: Path, cfg_text: str = TINY) -> Path:
    """Darknet files of a 1x1 convolution: 14 biases, then 14 x 3 kernel values, after a 20-byte header."""
    (folder / "tiny.cfg").write_text(cfg_text)
    numbers = np.random.default_rng(0).normal(size=14 + 14 * 3).astype(np.float32)
    header = np.array([0, 2, 0, 0, 0], np.int32).tobytes()
    (folder / "tiny.weights").write_bytes(header + numbers.tobytes())
    return folder / "tiny.cfg"


def test_rows_become_pixels_and_class_probabilities() -> None:
    rows = np.array([[0.5, 0.25, 0.1, 0.2, 0.8, 0.4, 0.2], [0, 0, 0, 0, 0, 0, 0]], np.float32)
    # x and w times 64, y and h times 32; 0.4 / 0.8 and 0.2 / 0.8
    expected = [[32, 8, 6.4, 6.4, 0.8, 0.5, 0.25], [0, 0, 0, 0, 0, 0, 0]]
    np.testing.assert_allclose(to_raw(rows, (32, 64)), expected, rtol=1e-6)
    assert rows[0, 0] == 0.5


def test_a_tiny_network_is_the_same_in_both(tmp_path: Path) -> None:
    """Its cfg sets thresh=0.9, which would zero most of OpenCV's scores."""
    cfg = write_tiny(tmp_path)
    ours = TorchBackend.open(cfg, Session(tmp_path / "tiny.weights"))
    theirs = open_backend(cfg, runtime="opencv")
    assert theirs.name == "opencv"
    assert theirs.input_size == ours.input_size == (32, 64)
    assert theirs.letterbox_mode == ours.letterbox_mode == "letterbox"
    assert theirs.names == ours.names
    batch = np.random.default_rng(1).random((3, 3, 32, 64), dtype=np.float32)
    assert theirs.infer(batch).shape == (3, 2 * 4 * 2, 7)
    np.testing.assert_allclose(theirs.infer(batch), ours.infer(batch), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "network", ["yolo-fastest-1.1", "yolo-fastest-se-voc", "MobileNetV2-YOLOv3-Nano-coco", "yoloface-50k"]
)
def test_real_networks_agree_on_a_real_photo(shared_data: Path, network: str) -> None:
    cfg = shared_data / "darknet" / f"{network}.cfg"
    theirs = OpenCvBackend(cfg, cfg.with_suffix(".weights"))
    ours = TorchBackend.open(cfg, Session(cfg.with_suffix(".weights")))
    height, width = theirs.input_size
    photo = cv2.resize(read_image(shared_data / "darknet" / "images" / "dog.jpg"), (width, height))
    batch = cv2.dnn.blobFromImage(photo, 1 / 255, swapRB=True)
    ours_raw, theirs_raw = ours.infer(batch), theirs.infer(batch)
    assert ours_raw.shape == theirs_raw.shape
    np.testing.assert_allclose(theirs_raw[..., :4], ours_raw[..., :4], rtol=1e-4, atol=1e-2)  # pixels
    np.testing.assert_allclose(theirs_raw[..., 4], ours_raw[..., 4], atol=1e-4)
    scores = ours_raw[..., 5:] * ours_raw[..., 4:5]
    np.testing.assert_allclose(theirs_raw[..., 5:] * theirs_raw[..., 4:5], scores, atol=1e-4)


def test_the_detector_finds_the_dog(shared_data: Path) -> None:
    folder = shared_data / "darknet"
    names = (folder / "coco.names").read_text().split("\n")[:80]
    cfg = folder / "yolo-fastest-1.1-xl.cfg"
    detector = Detector(cfg, names=names, confidence=0.4, runtime="opencv")
    found = detector.detect(folder / "images" / "dog.jpg")
    labels = [row["name"] for row in found.to_dicts(detector.names)]
    assert {"dog", "bicycle"} <= set(labels)
    dog_by_eye = np.array([[132, 220, 310, 540]], np.float32)
    assert iou_matrix(found.boxes[[labels.index("dog")]], dog_by_eye)[0, 0] > 0.5


def test_opencv_5_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = write_tiny(tmp_path)
    monkeypatch.delattr(cv2.dnn, "readNetFromDarknet")
    assert open_backend(cfg).name == "onnxruntime"
    with pytest.raises(
        BackendError, match=r"no longer reads Darknet files.*tiny\.cfg without @opencv, or export it"
    ):
        OpenCvBackend(cfg, tmp_path / "tiny.weights")


@pytest.mark.parametrize("change", [-40, 40])
def test_weights_of_another_length(tmp_path: Path, change: int) -> None:
    """OpenCV itself takes them without a word."""
    cfg = write_tiny(tmp_path)
    weights = tmp_path / "tiny.weights"
    weights.write_bytes(weights.read_bytes()[:change] if change < 0 else weights.read_bytes() + bytes(change))
    with pytest.raises(WeightsError, match=r"tiny\.weights"):
        open_backend(cfg)


def test_a_cfg_that_detects_nothing(tmp_path: Path) -> None:
    cfg = write_tiny(tmp_path, TINY[: TINY.index("[yolo]")])
    with pytest.raises(CfgError, match=r"no \[yolo\]"):
        open_backend(cfg)
