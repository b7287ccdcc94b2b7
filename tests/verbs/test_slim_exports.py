"""The slim network in int8, where it is applicable."""

from __future__ import annotations

from pathlib import Path

from helpers.spot_detector import spot_detector, write_spots
from seyolo.data.datasets import load_dataset
from seyolo.opening.network import load
from seyolo.runtime.choice import open_backend
from seyolo.verbs.slim_results import WRITTEN, write_int8


def test_a_network_that_finds_something_is_written_on_training_images(tmp_path: Path) -> None:
    dataset = load_dataset(write_spots(tmp_path / "spots", train=12))
    assert write_int8(spot_detector(), tmp_path / "x.onnx", dataset) == WRITTEN
    assert open_backend(tmp_path / "x.onnx").input_size == (64, 64)


def test_too_few_images_and_nothing_found_are_told(tmp_path: Path, tiny_hands: Path) -> None:
    few = load_dataset(write_spots(tmp_path / "spots", train=4))
    told = write_int8(spot_detector(), tmp_path / "x.onnx", few)
    assert told.startswith("not applicable: int8 needs images")
    untrained = load("yolov3-tiny@0.125", names=["hand"])
    told = write_int8(untrained, tmp_path / "x.onnx", load_dataset(tiny_hands))
    assert told.startswith("not applicable: ")
    assert not (tmp_path / "x.onnx").exists()
