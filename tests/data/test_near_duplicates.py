"""Near-duplicates: changed copies are found, other scenes are not, and a training is told of both in time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.pictured import scene, write_scenes
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.data.near_duplicates import (
    LEAST_SIMILARITY,
    nearest,
    nearest_before,
    signature,
    signature_of,
    stacked,
    training_lines,
)
from seyolo.media.images import decode_small


def grey(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "smaller": lambda image: np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5)),
    "stretched": lambda image: np.asarray(cv2.resize(image, (320, 200))),
    "brighter": lambda image: np.clip(image * 1.2 + 10, 0, 255).astype(np.uint8),
    "cut": lambda image: image[3:, 3:],
    "recompressed": lambda image: np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)
    ),
}


def test_a_signature_is_the_gradient_on_eight_by_eight_cells() -> None:
    """10x10 pixels are the cells themselves: a step of 100 between columns 4 and 5 reaches two columns."""
    step = np.zeros((10, 10), np.uint8)
    step[:, 5:] = 100
    values = signature(step)
    across = values[:64].reshape(8, 8)
    # 16 of 128 gradients are 100, so the mean is 12.5: 87.5 and -12.5, over sqrt(16 * 87.5² + 112 * 12.5²).
    length = np.sqrt(16 * 87.5**2 + 112 * 12.5**2)
    np.testing.assert_allclose(across[:, 3:5], 87.5 / length, rtol=1e-6)
    np.testing.assert_allclose(np.delete(across, (3, 4), axis=1), -12.5 / length, rtol=1e-6)
    np.testing.assert_allclose(values[64:], -12.5 / length, rtol=1e-6)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_near_and_another_scene_is_not(change: str) -> None:
    for seed in range(20):
        own = signature(grey(scene(seed)))
        assert own @ signature(grey(CHANGES[change](scene(seed)))) >= LEAST_SIMILARITY
        assert own @ signature(grey(scene(seed + 1))) < LEAST_SIMILARITY


def test_flat_and_unreadable_images_are_near_to_none(tmp_path: Path) -> None:
    flat = signature(np.full((50, 50), 7, np.uint8))
    assert flat @ flat == 0
    (tmp_path / "text.jpg").write_text("no image")
    assert not signature_of(str(tmp_path / "text.jpg")).any()


def test_the_nearest_of_others_and_of_those_before() -> None:
    """As every pair one after the other, over block borders."""
    values = stacked([signature(grey(scene(seed))) for seed in (1, 2, 1, 3, 2)])
    assert nearest(values[2:], values[:2]).number.tolist()[:1] == [0]
    before = nearest_before(values)
    assert before.are_near().tolist() == [False, False, True, False, True]
    assert (before.number[2], before.number[4]) == (0, 1)
    assert before.similarity[0] == -1
    assert len(nearest(values[:0], values).number) == 0


def test_blocks_give_what_one_block_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    values = stacked([signature(grey(scene(seed % 7))) for seed in range(12)])
    whole, before = nearest(values, values[:5]), nearest_before(values)
    monkeypatch.setattr("seyolo.data.near_duplicates._MOST_PAIRS", 24)
    np.testing.assert_allclose(nearest(values, values[:5]).similarity, whole.similarity, atol=1e-6)
    np.testing.assert_allclose(nearest_before(values).similarity, before.similarity, atol=1e-6)
    assert (nearest_before(values).are_near() == before.are_near()).all()


@pytest.mark.parametrize(("ending", "side_px"), [(".jpg", 400), (".jpg", 100), (".jpg", 30), (".png", 400)])
def test_a_small_image_is_grey_and_as_the_whole_one(tmp_path: Path, ending: str, side_px: int) -> None:
    image = scene(5, side_px)
    data = cv2.imencode(ending, image)[1].tobytes()
    small = decode_small(data, "x")
    assert small.ndim == 2
    assert min(small.shape) >= min(40, side_px)
    assert signature(small) @ signature(grey(image)) > 0.99


def test_training_is_told_of_images_that_are_in_two_splits(tmp_path: Path) -> None:
    data = write_scenes(tmp_path, {"train": [1, 2, 3, 4], "val": [3, 9], "val_small": [9], "test": [2, 4, 8]})
    (line,) = training_lines(load_dataset(data))
    assert line.startswith(
        "warning: 1 of 2 images of val and 2 of 3 images of test are near-duplicates of training images "
        "(val3.jpg of train3.jpg): AP there is too high; see them: "
    )
    assert f"seyolo data view {data}" in line


def test_sound_data_and_data_without_training_images_are_not_mentioned(tmp_path: Path) -> None:
    assert training_lines(load_dataset(write_scenes(tmp_path / "a", {"train": [1, 2], "val": [3, 4]}))) == []
    assert training_lines(load_dataset(write_scenes(tmp_path / "b", {"val": [1], "test": [1]}))) == []
    assert training_lines(load_dataset(write_scenes(tmp_path / "c", {"train": [1, 1 + 1]}))) == []


def test_without_time_for_all_images_a_part_is_compared_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seyolo.data.near_duplicates._CHUNK", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    data = write_scenes(tmp_path, {"train": list(range(10, 20)), "val": [1, 2]})
    ticks = count(0, 0.09)
    (line,) = training_lines(load_dataset(data), lambda: next(ticks))
    # The clock reads 0.09 and 0.18 before the images of val, then 0.27 to 0.99 before 9 of train.
    assert "none among 11 of 12 images compared" in line
    assert f"seyolo data check {data} compares all" in line


def test_check_counts_near_duplicates_apart_from_equal_files(tmp_path: Path) -> None:
    data = write_scenes(tmp_path, {"train": [1, 2, 3], "val": [4, 5], "test": [4, 6]})
    near = cv2.resize(scene(1), None, fx=0.6, fy=0.6)
    assert cv2.imwrite(str(tmp_path / "images/val/val4.jpg"), near)
    (tmp_path / "images/val/val5.jpg").write_bytes((tmp_path / "images/train/train2.jpg").read_bytes())
    report = check_dataset(load_dataset(data))
    assert [(leak.split, leak.other, len(leak.pairs)) for leak in report.leaks] == [("val", "train", 1)]
    (pair,) = report.leaks[0].pairs
    assert (Path(pair.image).name, Path(pair.other).name) == ("val4.jpg", "train1.jpg")
    assert report.num_shared_pictures == 1
    (line,) = report.warnings()
    assert line.startswith(
        "1 of 2 images of val is a near-duplicate of training images (val4.jpg of train1.jpg)"
    )
    assert "near_duplicates" in report.to_dict()
