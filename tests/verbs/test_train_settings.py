"""`seyolo.slim` with options of training that only Python has, stopped and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seyolo
from helpers.stopping import StopIn
from seyolo.checkpoint import read_checkpoint
from seyolo.options.training import LossWeights
from seyolo.verbs import slim_results

STAGES = ("dense", "sparse", "finetuned")
OPTIONS: dict[str, Any] = {
    "budget": "macs=80%",
    "size": 64,
    "epochs": 1,
    "sparse_epochs": 1,
    "finetune_epochs": 1,
    "batch": 4,
    "train_settings": {"loss": LossWeights(box=5)},
}


def test_a_resumed_run_continues_with_its_loss(
    tiny_hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slim_results, "measure_latency", lambda models, int8: {name: {} for name in models})
    model, stopped, whole = "yolov3-tiny@0.125", tmp_path / "stopped", tmp_path / "whole"
    with pytest.raises(KeyboardInterrupt):
        seyolo.slim(tiny_hands, model, folder=stopped, progress=StopIn("sparse epoch 1/1"), **OPTIONS)
    assert not (stopped / "sparse" / "last.safetensors").exists()
    stored = json.loads((stopped / "config.json").read_text())["train"]
    assert stored == {"loss": {"box": 5, "objectness": 0.5, "classes": 0.5}, "optimizer": "muon"}
    resumed = seyolo.api.resume_slim(stopped)
    assert resumed == seyolo.slim(tiny_hands, model, folder=whole, **OPTIONS)
    for stage in STAGES:
        assert json.loads((stopped / stage / "config.json").read_text())["loss"] == stored["loss"]
    ours, theirs = (read_checkpoint(folder / "slim.safetensors").state for folder in (stopped, whole))
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values, err_msg=name)
