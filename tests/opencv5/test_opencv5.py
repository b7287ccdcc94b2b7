"""The way to OpenCV 5: its own DNN engine against ONNX Runtime and the model, on files of `write_models.py`.

`make test-newest` runs this in an environment of its own, with OpenCV 5 and the base install, no PyTorch.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

import seyolo
from seyolo.runtime.shipped import model_path

DOCS = Path(__file__).parents[2] / "docs/how-to/opencv5.md"
FOLDER = Path(os.environ.get("SEYOLO_OPENCV5_MODELS", "build/opencv5"))
NAMES = sorted(path.name.removesuffix(".dynamic.onnx") for path in FOLDER.glob("*.dynamic.onnx"))

pytestmark = [
    pytest.mark.skipif(int(cv2.__version__.split(".")[0]) < 5, reason="needs OpenCV 5: make test-newest"),
    pytest.mark.skipif(not NAMES, reason=f"needs the files of write_models.py in {FOLDER}"),
]


def run(path: Path, images: np.ndarray) -> np.ndarray:
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(images)
    result: np.ndarray = net.forward()
    return result


def error(actual: np.ndarray, expected: np.ndarray) -> float:
    assert actual.shape == expected.shape
    parts = (slice(0, 4), slice(4, None))
    return max(
        float(np.abs(actual[..., p] - expected[..., p]).max() / np.abs(expected[..., p]).max()) for p in parts
    )


@pytest.mark.parametrize("name", NAMES)
def test_one_image_and_any_number_of_images(name: str) -> None:
    images, expected = np.load(FOLDER / "pictures.npy"), np.load(FOLDER / f"{name}.npy")
    assert error(run(FOLDER / f"{name}.onnx", images[:1]), expected[:1]) < 1e-3
    assert error(run(FOLDER / f"{name}.dynamic.onnx", images), expected) < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_suppression_inside_of_images_with_other_numbers_of_objects(name: str) -> None:
    images = np.load(FOLDER / "pictures.npy")
    path = FOLDER / f"{name}.nms.onnx"
    session, net = onnxruntime.InferenceSession(str(path)), cv2.dnn.readNetFromONNX(str(path))
    counts = []
    for image in [*images, images[0]]:
        expected = session.run(None, {"images": image[None]})[0]
        net.setInput(image[None])
        found = net.forward()
        rows = np.zeros((0, 7), np.float32) if found is None else found.reshape(-1, 7)
        counts.append(len(rows))
        assert all_have_partners(rows, expected)
        assert all_have_partners(expected, rows)
    assert counts[0] != counts[1]


def all_have_partners(rows: np.ndarray, others: np.ndarray) -> bool:
    """Tells whether every row is like one of the others; a score in a hundredth of the least may lack one."""
    sure = rows[rows[:, 5] > 1.01 * min(rows[:, 5].min(initial=1), others[:, 5].min(initial=1))]
    return all(np.isclose(row, others, rtol=1e-2, atol=0.5).all(axis=1).any() for row in sure)


def test_a_image_without_objects_gives_none_and_no_crash() -> None:
    """OpenCV 5.0 dies of a GatherND without rows; our graph has none."""
    image = np.load(FOLDER / "pictures.npy")[:1]
    path = FOLDER / "nothing.nms.onnx"
    assert onnxruntime.InferenceSession(str(path)).run(None, {"images": image})[0].shape == (0, 7)
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(image)
    assert net.forward() is None


def test_the_detector_that_ships() -> None:
    """OpenCV widens its 16-bit kernels, too."""
    image = np.load(FOLDER / "pictures.npy")[:1]
    path = model_path("hand")
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"images": image})[0]
    assert error(run(path, image), expected) < 1e-3


def test_the_move_in_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[0]
    assert code.count("\n") <= 13
    image = (np.load(FOLDER / "pictures.npy")[0].transpose(1, 2, 0)[..., ::-1] * 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "dog.png"), image)
    shutil.copy(FOLDER / "yolov4-tiny.onnx", tmp_path)
    monkeypatch.chdir(tmp_path)
    values: dict[str, np.ndarray] = {}
    exec(code.replace("416", str(len(image))).replace("dog.jpg", "dog.png"), values)
    found = seyolo.Detector("yolov4-tiny.onnx", iou_threshold=0.45).detect("dog.png")
    corners = np.clip(values["boxes"][:, :2], 0, None)
    assert len(corners) > 0
    for corner in corners:  # the detector may report a box for its second class, too
        assert np.abs(found.boxes[:, :2] - corner).max(axis=1).min() < 0.5
