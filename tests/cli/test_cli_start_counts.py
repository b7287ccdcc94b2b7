"""`train --weights` and `slim` on the command line, where training harms what was given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.html_page import Page
from helpers.running import MODEL, Run
from helpers.spot_detector import spot_detector, write_spots
from seyolo.checkpoint import read_checkpoint
from seyolo.opening.network import save

HARMFUL = ("--lr", 10, "--optimizer", "adamw", "--batch", 4, "--no-mosaic", "--size", 64)


@pytest.fixture
def spots(tmp_path: Path) -> Path:
    """A data set, beside the checkpoint `spot.safetensors` of a detector that finds all of its objects."""
    model = spot_detector()
    model.names = ("spot",)
    save(model, tmp_path / "spot.safetensors")
    return write_spots(tmp_path / "spots", train=8, val=6, test=6)


def test_training_that_harms_keeps_the_weights_it_was_given(run: Run, spots: Path, tmp_path: Path) -> None:
    line = ["train", "--data", spots, "--weights", "spot.safetensors", "--epochs", 2, *HARMFUL]
    outcome = run(*line, "--json", "value.json")
    assert outcome.code == 0, outcome.err
    assert "train start: AP val 1.000, AP@0.5 val 1.000\n" in outcome.err
    said = " ".join(outcome.out.split())
    assert said.startswith("best AP on val 1.000 ")
    assert said.endswith("at the start, no epoch was better: runs/train/train/best.safetensors")
    value = json.loads((tmp_path / "value.json").read_text())
    assert (value["best_epoch"], value["best_ap"], len(value["history"])) == (0, 1.0, 2)
    assert value["start"] == {"epoch": 0, "val_ap": 1.0, "val_ap50": 1.0, "ap": 1.0}
    given, best = (
        read_checkpoint(tmp_path / name).state for name in ("spot.safetensors", value["checkpoint"])
    )
    assert all(np.array_equal(best[name], given[name]) for name in given)
    again = " ".join(run("train", "--resume", "runs/train/train").out.split())
    assert again == said
    assert run("report", "runs/train/train").code == 0


@pytest.mark.parametrize("case", ["new weights", "other classes", "sparsity"])
def test_a_start_that_means_nothing_is_not_evaluated(
    run: Run, spots: Path, tmp_path: Path, case: str
) -> None:
    start = ["--model", MODEL] if case == "new weights" else ["--weights", "spot.safetensors"]
    if case == "other classes":
        spots.write_text(f"{spots.read_text().partition('names')[0]}names: [spot, blot]\n")
    sparsity = ["--sparsity", "l1"] if case == "sparsity" else []
    outcome = run("train", "--data", spots, *start, "--epochs", 1, *HARMFUL, *sparsity, "--json", "v.json")
    assert outcome.code == 0, outcome.err
    assert "train start" not in outcome.err
    assert "start" not in json.loads((tmp_path / "v.json").read_text())


def test_fine_tuning_that_harms_keeps_the_pruned_network(run: Run, spots: Path, tmp_path: Path) -> None:
    cut = ["--budget", "macs=80%", "--multiple", 1, "--sparse-epochs", 0, "--finetune-epochs", 2]
    outcome = run("slim", "--data", spots, "--weights", "spot.safetensors", *cut, *HARMFUL)
    assert outcome.code == 0, outcome.err
    assert "finetuned start: AP val 1.000" in outcome.err
    folder = tmp_path / "runs/slim/slim"
    said = (
        "No epoch of fine-tuning was better than its start: the pruned network, AP on val 1.000, is kept as"
    )
    assert " ".join(outcome.out.split()).startswith(said)
    assert said in Page(folder / "report.html").text
    assert json.loads((folder / "results.json").read_text())["start_kept"] is True
    pruned, slim = (read_checkpoint(folder / f"{name}.safetensors") for name in ("pruned", "slim"))
    assert pruned.state.keys() == slim.state.keys()
    assert all(np.array_equal(slim.state[name], pruned.state[name]) for name in slim.state)
