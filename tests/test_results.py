"""`results.json` as typed values and back, also that of earlier versions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from seyolo.errors import TrainingError
from seyolo.results import SlimResults, best_by, read_results

STORED = Path(__file__).parent / "stored" / "results-0.1.0.json"


@pytest.fixture
def value() -> dict[str, Any]:
    """What version 0.1.0 wrote, with two controls and one that is impossible."""
    stored: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return stored


def test_the_file_of_version_0_1_0_is_read_and_written_alike(value: dict[str, Any]) -> None:
    results = read_results(STORED)
    assert json.dumps(results.to_json()) == json.dumps(value)
    assert [stage.stage for stage in results.stages] == ["dense", "sparse", "pruned", "finetuned"]
    assert (results.dense.input_size, results.slim.epochs) == ((64, 64), 4)
    assert [row.control for row in results.controls] == ["slim", "dense", "uniform", "plain"]
    assert results.controls[-1].not_possible == "nothing can be cut in scope plain"
    assert results.readiness is not None


def test_the_best_epoch_is_that_of_the_mean_over_all_validation_splits() -> None:
    assert best_by({"epoch": 1, "val_ap": 0.3, "val_ap50": 0.5, "ap": 0.3}) == "AP on val"
    both = {"val_ap": 0.263, "val_ap50": 0.5, "val_small_ap": 0.013, "val_small_ap50": 0.1, "ap": 0.138}
    assert best_by(both) == "mean AP over val and val_small"


def test_keys_that_early_runs_lack_have_defaults(value: dict[str, Any]) -> None:
    for stage in value["stages"]:
        del stage["epochs"]
    early = SlimResults.from_json({key: value[key] for key in ("stages", "plan", "budget", "seed", "data")})
    assert early.dense.epochs is None
    assert (early.lead, early.readiness, early.artefacts, early.controls) == ({}, None, {}, ())


def test_a_readiness_of_nothing_and_an_ap_of_nothing_come_back(value: dict[str, Any]) -> None:
    value["readiness"] = {}
    value["stages"][0]["metrics"]["test"]["ap"] = math.nan
    results = SlimResults.from_json(value)
    assert math.isnan(results.dense.metrics["test"].ap)
    assert results.to_json()["readiness"] == {}


def test_a_damaged_file_is_refused_with_its_key(value: dict[str, Any], tmp_path: Path) -> None:
    value["stages"][1]["macs"] = "many"
    path = tmp_path / "results.json"
    path.write_text(json.dumps(value))
    with pytest.raises(TrainingError, match=r"results\.json: stages\[1\]\.macs: expected int, got str"):
        read_results(path)
    path.write_text("{")
    with pytest.raises(TrainingError, match=r"results\.json: cannot be read as JSON"):
        read_results(path)
