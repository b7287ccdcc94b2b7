"""Latency tables: what is learned from timings, monotone, cached, and used by budgets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.drawn_machine import FREE, NETWORK, TABLE, WIDTHS, machine, random_counts
from helpers.timings import timings
from seyolo.darknet.edit import set_size
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import BudgetError, SeyoloError
from seyolo.options.budget import parse_budgets
from seyolo.pruning.planning import latency
from seyolo.pruning.planning.latency import latency_table
from seyolo.pruning.planning.planner import Planner
from seyolo.torchnet.build import DarknetModel, build, to_checkpoint


def test_it_learns_a_machine_that_computes_in_vectors() -> None:
    rng = np.random.default_rng(1)
    errors = [TABLE.predict(c) / machine(c) - 1 for c in (random_counts(rng) for _ in range(50))]
    assert np.quantile(np.abs(errors), 0.9) < 0.15


@settings(max_examples=50)
@given(seed=st.integers(0, 2**16))
def test_more_channels_never_cost_less(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = random_counts(rng)
    more = np.minimum(counts + rng.integers(0, 9, len(counts)) * FREE, WIDTHS)
    assert TABLE.predict(counts) <= TABLE.predict(more) + 1e-9


def test_a_budget_holds_for_the_prediction() -> None:
    planner = Planner(build(NETWORK), latency={"onnxruntime": TABLE})
    plan = planner.predicted(parse_budgets("latency=50%@onnxruntime"))
    assert 0 < plan.latency_ms["onnxruntime"] <= 0.5 * TABLE.predict(WIDTHS)
    assert plan.macs < plan.dense_macs
    with pytest.raises(
        BudgetError, match=r"of .* ms on onnxruntime; the nearest budget is --budget latency=.*ms@onnxruntime"
    ):
        planner.predicted(parse_budgets("latency=0.1ms@onnxruntime"))


@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])
def test_measured_once_and_read_from_the_cache(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "NOISY", 100.0)  # the machine of a test may be busy
    monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path))
    monkeypatch.setattr(latency, "NUM_CUTS", 7)
    model: DarknetModel = build(set_size(network_from_name("yolov3@0.125", num_classes=1), 64, 64))
    table = latency_table(to_checkpoint(model), backend)
    assert len(table.cuts) == 7
    assert all(cut.ms > 0 for cut in table.cuts)
    monkeypatch.setattr(latency, "measure", lambda *_: pytest.fail("measured again"))
    assert latency_table(to_checkpoint(model), backend).cuts == table.cuts


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[[[8, 8], 1.0",
        b"[]",
        b"{}",
        b"7",
        b"[[3, 4]]",
        b"[[[8, 8], 1.0]]",
        b"\xff\xfe",
        "no milliseconds",
    ],
)
def test_a_damaged_cache_counts_as_none(
    content: bytes | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path))
    monkeypatch.setattr(latency, "NUM_CUTS", 5)
    monkeypatch.setattr(latency, "measure", lambda files, *_: timings(*[2.0] * len(files)))
    model = build(NETWORK)
    sound = latency_table(to_checkpoint(model), "onnxruntime").cuts
    (path,) = tmp_path.rglob("*.json")
    if isinstance(content, str):
        content = path.read_bytes().replace(b"2.0", b"NaN")
    path.write_bytes(content)
    assert latency_table(to_checkpoint(model), "onnxruntime").cuts == sound
    assert json.loads(path.read_bytes())[0] == [WIDTHS.tolist(), 2.0]


def test_a_noisy_table_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path))
    for noise, kept in ((0.3, 0), (0.1, 1)):
        monkeypatch.setattr(
            latency, "measure", lambda files, *_, noise=noise: timings(*[2.0] * len(files), noise=noise)
        )
        latency_table(to_checkpoint(build(NETWORK)), "onnxruntime")
        assert len(list(tmp_path.rglob("*.json"))) == kept


def test_cuts_in_other_multiples_are_measured_for_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path))
    monkeypatch.setattr(latency, "NUM_CUTS", 5)
    monkeypatch.setattr(latency, "measure", lambda files, *_: timings(*[2.0] * len(files)))
    counts = [
        latency_table(to_checkpoint(build(NETWORK)), "torch", multiple=n).cuts[-1].counts for n in (None, 3)
    ]
    assert all(count % 8 == 0 for count, free in zip(counts[0], FREE, strict=True) if free)
    assert any(count % 8 for count, free in zip(counts[1], FREE, strict=True) if free)


def test_a_backend_that_cannot_run_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path))
    model = build(set_size(network_from_name("cbam-yolov3-tiny@0.25", num_classes=1), 64, 64))
    with pytest.raises(SeyoloError, match="ONNX"):
        latency_table(to_checkpoint(model), "opencv")
    assert not list(tmp_path.rglob("*.json"))
