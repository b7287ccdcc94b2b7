"""Quarter turns and pasted hands of the shipped detector's training folder."""

from __future__ import annotations

import random
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from helpers.script_module import load_script


@pytest.fixture(scope="module")
def pasting() -> ModuleType:
    return load_script(Path(__file__).parents[2] / "benchmarks/hand_pasting.py")


def test_a_turned_box_holds_what_it_held(pasting: ModuleType) -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[4:10, 56:72] = 255
    box = np.array([[56 / 80, 4 / 40, 72 / 80, 10 / 40]])
    for quarters in range(4):
        turned, boxes = pasting.turned(image, box, quarters)
        height, width = turned.shape[:2]
        assert (height, width) == ((40, 80) if quarters % 2 == 0 else (80, 40))
        rows, columns = (np.flatnonzero(turned[..., 0].any(axis=axis)) for axis in (1, 0))
        found = [columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height]
        np.testing.assert_allclose(boxes[0], found)


@pytest.fixture(scope="module")
def disc() -> tuple[np.ndarray, np.ndarray]:
    """A drawn disc on noise, and its box in shares of the sides."""
    image = np.random.default_rng(0).integers(90, 130, (200, 200, 3), dtype=np.uint8)
    cv2.circle(image, (90, 110), 50, (40, 60, 220), -1)
    return image, np.array([40, 60, 141, 161]) / 200


def test_a_hand_is_cut_out_along_its_outline(
    pasting: ModuleType, disc: tuple[np.ndarray, np.ndarray]
) -> None:
    cut = pasting.cut_out(*disc)
    assert cut.mask.shape == (101, 101)
    y, x = np.mgrid[-50:51, -50:51]
    assert (cut.mask == (x**2 + y**2 <= 50**2)).mean() > 0.98
    assert (cut.pixels[50, 50] == (40, 60, 220)).all()


def test_what_does_not_reach_across_its_box_is_not_cut_out(
    pasting: ModuleType, disc: tuple[np.ndarray, np.ndarray]
) -> None:
    image, box = disc
    assert pasting.cut_out(image, box + np.array([0, -0.28, 0, 0.15])) is None  # twice as high as the disc
    assert pasting.cut_out(image, np.array([0.4, 0.5, 0.5, 0.6])) is None  # too small


def test_boxes_of_pasted_hands_are_those_of_their_pixels(
    pasting: ModuleType, disc: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    for share in ("DARK", "BLURRED", "NOISY"):
        monkeypatch.setattr(pasting, share, 0.0)
    monkeypatch.setattr(pasting, "MOST_PASTED", 1)
    hand, black = pasting.cut_out(*disc), np.zeros((300, 416, 3), np.uint8)
    for seed in range(20):
        image, boxes = pasting.with_pasted(black, np.zeros((0, 4)), [hand], random.Random(seed))
        assert image.shape == (300, 416, 3)
        assert not black.any()
        rows, columns = (np.flatnonzero(image.any(axis=(2, axis))) for axis in (1, 0))
        found = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert np.abs(boxes[0] * [416, 300, 416, 300] - found).max() <= 3  # the soft edge


def test_a_pasted_hand_never_covers_a_labelled_one(
    pasting: ModuleType, disc: tuple[np.ndarray, np.ndarray]
) -> None:
    hand, labelled = pasting.cut_out(*disc), np.array([[0.2, 0.2, 0.7, 0.8]])
    image = np.zeros((416, 416, 3), np.uint8)
    for seed in range(20):
        _, boxes = pasting.with_pasted(image, labelled, [hand], random.Random(seed))
        np.testing.assert_allclose(boxes[0], labelled[0])
        assert all(pasting._covered(boxes[:number], boxes[number]) <= 0.1 for number in range(1, len(boxes)))


def test_the_same_seed_pastes_the_same(pasting: ModuleType, disc: tuple[np.ndarray, np.ndarray]) -> None:
    hand, image = pasting.cut_out(*disc), np.full((200, 300, 3), 120, np.uint8)
    first, second = (pasting.with_pasted(image, np.zeros((0, 4)), [hand], random.Random(7)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
