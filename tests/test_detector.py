"""The façade, over a backend that finds what the image says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.square_finder import bright_box
from seyolo.detector import Detector
from seyolo.errors import BackendError, DataError, UsageError
from seyolo.letterbox import Mode


class BrightSpot:
    """A backend that boxes all pixels brighter than half, so answers can be worked out by hand."""

    name = "bright"
    input_size = (100, 100)
    names = ("spot",)
    letterbox_mode: Mode = "letterbox"

    def infer(self, batch: np.ndarray) -> np.ndarray:
        assert batch.dtype == np.float32
        assert batch.shape[1:] == (3, 100, 100)
        return np.stack([self._find(image) for image in batch])

    @staticmethod
    def _find(image: np.ndarray) -> np.ndarray:
        return np.array([[*bright_box(image), 0.8, 0.5]], np.float32)


def photo() -> np.ndarray:
    """A black photo 200x400 with a white box from (100, 40) to (180, 120)."""
    image = np.zeros((200, 400, 3), np.uint8)
    image[40:120, 100:180] = 255
    return image


def test_a_photo_comes_back_in_its_own_pixels() -> None:
    found = Detector(BrightSpot()).detect(photo())
    # The scale is exactly 1/4 and the box lies on multiples of 4.
    np.testing.assert_allclose(found.boxes, [[100, 40, 180, 120]], atol=1e-3)
    np.testing.assert_allclose(found.scores, [0.4])
    assert [row.name for row in found] == ["spot"]


def test_paths_and_arrays_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), photo())
    detector = Detector(BrightSpot())
    from_array, from_text, from_path = detector.detect_many([photo(), str(path), path])
    np.testing.assert_array_equal(from_array.boxes, from_text.boxes)
    np.testing.assert_array_equal(from_array.boxes, from_path.boxes)


def test_images_reach_the_network_as_rgb() -> None:
    class RedOnly(BrightSpot):
        def infer(self, batch: np.ndarray) -> np.ndarray:
            red, green, blue = batch[0, :, 50, 50]
            assert (red, green, blue) == (1, 0, 0)
            return np.zeros((1, 0, 6), np.float32)

    red_in_bgr = np.zeros((100, 100, 3), np.uint8)
    red_in_bgr[..., 2] = 255
    assert len(Detector(RedOnly()).detect(red_in_bgr)) == 0


def test_detect_many_reads_a_image_when_its_turn_comes(tmp_path: Path) -> None:
    results = Detector(BrightSpot()).detect_many([photo(), tmp_path / "missing.jpg"])
    assert len(next(results)) == 1
    with pytest.raises(DataError, match="no such image"):
        next(results)


def test_batches_go_through_the_network_at_once_and_keep_the_order() -> None:
    class Counting(BrightSpot):
        sizes: list[int] = []  # noqa: RUF012

        def infer(self, batch: np.ndarray) -> np.ndarray:
            self.sizes.append(len(batch))
            return super().infer(batch)

    # Of several sizes, so that each has its own way back.
    photos = [photo(), photo()[:, :200], np.rot90(photo()).copy(), photo()[::-1].copy(), photo()[:160]]
    one_by_one = list(Detector(Counting()).detect_many(photos))
    Counting.sizes.clear()
    found = list(Detector(Counting()).detect_many(iter(photos), batch_size=2))
    assert Counting.sizes == [2, 2, 1]
    for one, other in zip(one_by_one, found, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
    with pytest.raises(UsageError, match="batch_size must be at least 1, got 0"):
        Detector(Counting()).detect_many(photos, batch_size=0)


def test_a_folder_and_a_pattern_stand_for_their_images(tmp_path: Path) -> None:
    for name, shift in (("b.png", 40), ("a.png", 0)):
        cv2.imwrite(str(tmp_path / name), np.roll(photo(), shift, axis=1))
    (tmp_path / "notes.txt").touch()
    detector = Detector(BrightSpot())
    for source in (tmp_path, str(tmp_path / "*.png"), [tmp_path]):
        lefts = [round(float(found.boxes[0, 0])) for found in detector.detect_many(source)]
        assert lefts == [100, 140]
    mixed = detector.detect_many([photo(), tmp_path, str(tmp_path / "b.png")], batch_size=3)
    assert [round(float(found.boxes[0, 0])) for found in mixed] == [100, 100, 140, 140]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images in this folder"):
        list(detector.detect_many(tmp_path / "empty"))


def test_a_name_with_brackets_is_a_image_when_there_is_one(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a[1].png"), photo())
    assert [len(found) for found in Detector(BrightSpot()).detect_many(tmp_path / "a[1].png")] == [1]


def test_repr_says_what_runs_where() -> None:
    assert repr(Detector(BrightSpot())) == "<Detector: this bright model, 100x100 px, finds spot>"


def test_a_runtime_or_precision_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="Detector: 'vino' is none of onnxruntime"):
        Detector(tmp_path / "m.onnx", runtime="vino")  # type: ignore[arg-type]


def test_confidence_is_the_smallest_score() -> None:
    assert len(Detector(BrightSpot(), confidence=0.41).detect(photo())) == 0


def test_names_replace_those_of_the_file() -> None:
    assert Detector(BrightSpot()).names == ("spot",)
    assert Detector(BrightSpot(), names=["lamp"]).names == ("lamp",)
    with pytest.raises(BackendError, match="1 class, but 2 names"):
        Detector(BrightSpot(), names=["a", "b"])


def test_a_list_a_folder_and_a_pattern_give_a_list(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), photo())
    detector = Detector(BrightSpot())
    for source in ([photo()], (photo(),), tmp_path, str(tmp_path), str(tmp_path / "*.png"), [tmp_path]):
        found = detector(source)
        assert isinstance(found, list)
        np.testing.assert_allclose(found[0].boxes, [[100, 40, 180, 120]], atol=1e-3)
    assert detector([]) == []
    with pytest.raises(DataError, match="no image matches this pattern"):
        detector(str(tmp_path / "*.jpg"))


def test_detections_know_their_image(tmp_path: Path) -> None:
    path, image = tmp_path / "a.png", photo()
    cv2.imwrite(str(path), image)
    detector = Detector(BrightSpot())
    assert detector(path).image == path
    assert detector(image).image is image
    assert [found.image for found in detector.detect_many([path, image])] == [path, None]
    np.testing.assert_array_equal(detector(path).draw(), detector(image).draw(image))


@pytest.mark.parametrize("option", ["confidence", "iou_threshold"])
def test_thresholds_lie_between_0_and_1(option: str) -> None:
    with pytest.raises(UsageError, match=f"{option} must be between 0 and 1, got 25"):
        Detector(BrightSpot(), **{option: 25})  # type: ignore[arg-type]


def test_importing_the_detector_imports_no_torch() -> None:
    code = "import sys, seyolo.detector; print([n for n in ('torch', 'onnxruntime') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_and_wrong_keywords_are_refused() -> None:
    with pytest.raises(UsageError, match="Detector: got an unexpected keyword argument 'thread'"):
        Detector("hand", thread=1)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="Detector: threads must be an int or None, got '1' of type str"):
        Detector("hand", threads="1")  # type: ignore[arg-type]
