"""The images that a cut is repaired on."""

from __future__ import annotations

from pathlib import Path

from seyolo.data.datasets import load_dataset
from seyolo.letterbox import Fit
from seyolo.verbs.calibration import CalibrationSet


def test_calibration_images_are_drawn_by_seed(tiny_hands: Path) -> None:
    dataset = load_dataset(tiny_hands)
    drawn = [
        [sample.image for sample in CalibrationSet(dataset, Fit((64, 64)), seed).samples(5)]
        for seed in (0, 0, 1)
    ]
    assert len(set(drawn[0])) == 5
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(CalibrationSet(dataset, Fit((64, 64))).samples(1000)) == len(dataset.split("train"))
