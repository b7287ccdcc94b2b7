"""JSON files as typed values: what comes back, and what a damaged file's message names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seyolo.errors import PlanError, TrainingError, UsageError
from seyolo.json_files import from_json, parse_json, read_json, to_json


@dataclass(frozen=True)
class Weights:
    box: float = 7.5


@dataclass(frozen=True)
class Run:
    """Stands for the options of a run."""

    epochs: int = 3
    weights: Weights = field(default_factory=Weights)
    file: Path | None = None
    splits: tuple[str, ...] = ()
    times: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise UsageError(f"--epochs {self.epochs}: at least 0")


def test_a_value_comes_back_as_it_was(tmp_path: Path) -> None:
    run = Run(4, Weights(5.0), Path("x/y"), ("val", "test"), {"torch": 1.5})
    path = tmp_path / "config.json"
    path.write_text(json.dumps(to_json(run)), encoding="utf-8")
    assert read_json(path, Run) == run
    assert from_json({"weights": Weights(1.0)}, Run) == Run(weights=Weights(1.0))


def test_keys_of_a_newer_version_are_ignored_and_missing_ones_take_their_default() -> None:
    assert from_json({"epochs": 5, "gpus": 8}, Run) == Run(epochs=5)


def test_arrays_and_numbers_of_numpy_become_json() -> None:
    value = to_json({"a": np.float32(0.5), "b": np.arange(3), "c": {1: Path("x")}})
    assert value == {"a": 0.5, "b": [0, 1, 2], "c": {"1": "x"}}
    with pytest.raises(TypeError, match="object has no form in JSON"):
        to_json(object())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "expected object, got array"),
        ('{"epochs": "3"}', "epochs: expected int, got str"),
        ('{"weights": {"box": null}}', "weights.box: expected float, got null"),
        ('{"splits": ["val", 3]}', r"splits\[1\]: expected str, got int"),
        ('{"file": 3}', "file: expected Path, got int"),
        ('{"epochs": -1}', "--epochs -1: at least 0"),
    ],
)
def test_a_damaged_file_is_named_with_the_key(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=message) as error:
        read_json(path, Run, PlanError)
    assert str(error.value).startswith(f"{path}: ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.json: cannot be read as JSON"):
        read_json(tmp_path / "none.json", Run)


def test_values_without_a_file_are_checked_too() -> None:
    with pytest.raises(TrainingError, match="epochs: expected int, got float"):
        from_json({"epochs": 1.5}, Run)
    kind: Any = tuple[int, int]
    with pytest.raises(TrainingError, match="expected array of length 2, got 1"):
        from_json([1], kind)


def test_a_file_that_is_larger_than_any_of_ours_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    path.write_bytes(b"[" + b" " * 2_000_000 + b"]")
    assert read_json(path, list) == []
    with pytest.raises(TrainingError, match=r"curves\.json: 2 MB of JSON; files of a run have at most 1 MB"):
        read_json(path, list, most_mb=1)


def test_nesting_counts_lists_and_objects() -> None:
    assert parse_json("[" * 100 + "1" + "]" * 100)
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        parse_json('{"a":' * 101 + "1" + "}" * 101)
