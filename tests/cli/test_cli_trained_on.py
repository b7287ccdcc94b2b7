"""`val` and `benchmark` of the model of a run on the images of the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.running import Run
from helpers.written_exports import labelimg_yolo

MODEL = "runs/train/train/best.safetensors"


@pytest.mark.filterwarnings("default:.*box(es)? (is|are) under")
def test_a_data_set_that_the_run_divided(run: Run, tmp_path: Path) -> None:
    labelimg_yolo(tmp_path / "data")
    options = ["--model", "yolov3-tiny@0.125", "--size", 64, "--epochs", 1, "--batch", 2]
    trained = run("train", "--data", "data", *options)
    assert trained.code == 0, trained.err
    stored = json.loads(Path("runs/train/train/data.json").read_text())["splits"]
    num_val, num_train = len(stored["val"]), len(stored["train"])
    outcome = run("val", MODEL, "--data", "data", "--json", "value.json")
    assert outcome.code == 0, outcome.err
    assert "data: only one split, train, divided by the run runs/train/train: AP is that of" in outcome.err
    metrics = json.loads(Path("value.json").read_text())["metrics"]
    assert {split: found["num_images"] for split, found in metrics.items()} == {"val": num_val}
    whole = run("val", MODEL, "--data", "data", "--split", "train", "--json", "value.json")
    said = f"the run runs/train/train trained on {num_train} of {num_train + num_val} images of split `train`"
    assert said in whole.err
    metrics = json.loads(Path("value.json").read_text())["metrics"]
    assert {split: found["num_images"] for split, found in metrics.items()} == {"train": num_train + num_val}
    timed = run("benchmark", f"{MODEL}@torch", "--data", "data", "--repeats", 1)
    assert timed.code == 0, timed.err
    assert timed.err.count(said) == 1
