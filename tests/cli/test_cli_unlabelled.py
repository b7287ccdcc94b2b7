"""The line on images without label file in `data check`, `data view` and training."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.running import Run
from helpers.written_datasets import write_yaml

SAID = "1 of 3 images of train has no label file and counts as an image without objects"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = write_yaml(tmp_path)
    (tmp_path / "labels/train/a1.txt").unlink()
    return path


@pytest.mark.parametrize("verb", ["check", "view"])
def test_data_verbs_say_it_and_end_well(run: Run, data: Path, verb: str) -> None:
    outcome = run("data", verb, data)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count(SAID) == 1
    if verb == "view":
        page = Path("data.html").read_text()
        assert (page.count(SAID), "finds none" in page) == (2, False)


def test_training_says_it(run: Run, data: Path) -> None:
    options = ["--model", "yolov3-tiny@0.125", "--size", 64, "--epochs", 1, "--batch", 2]
    outcome = run("train", "--data", data, *options)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count(SAID) == 1
