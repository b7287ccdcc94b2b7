"""Latency budgets held by measurement, on machines whose speed is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.drawn_machine import NETWORK, TABLE, WIDTHS, machine
from helpers.timings import timings
from seyolo.checkpoint import Checkpoint
from seyolo.errors import BudgetError
from seyolo.options.budget import parse_budgets
from seyolo.progress import Silent
from seyolo.pruning.groups.groups import find_groups
from seyolo.pruning.planning import planner
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.planning.planner import Planner
from seyolo.torchnet.build import build

DENSE_MS = machine(WIDTHS)


class Listener(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


Measure = Callable[[Sequence[Checkpoint], str, int], list[SimpleNamespace]]


def clock(slower: Callable[[float], float]) -> Measure:
    """Measures what the machine that the table knows takes, made `slower`."""

    def milliseconds(file: Checkpoint) -> float:
        counts = np.array([group.num_channels for group in find_groups(file.network).groups])
        return slower(machine(counts))

    return lambda files, backend, repeats: timings(*map(milliseconds, files))


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Plan, list[str]]]:
    """Plans on a machine that is `slower` than its table says."""

    def make(budget: str, slower: Callable[[float], float] = float) -> tuple[Plan, list[str]]:
        monkeypatch.setattr(planner, "measure", clock(slower))
        listener = Listener()
        tables = {"onnxruntime": TABLE}
        made = Planner(build(NETWORK), latency=tables, progress=listener).plan(parse_budgets(budget))
        return made, listener.messages

    return make


Make = Callable[..., tuple[Plan, list[str]]]


def test_a_plan_that_is_too_slow_is_tightened_until_it_holds(plan: Make) -> None:
    most = round(0.6 * DENSE_MS, 1)
    made, messages = plan(f"latency={most}ms@onnxruntime", lambda ms: 1.25 * ms)
    assert 0.85 * most < made.measured_ms["onnxruntime"] <= most
    assert made.latency_ms["onnxruntime"] < made.measured_ms["onnxruntime"]
    assert made.dense_ms == {"onnxruntime": pytest.approx(1.25 * DENSE_MS, abs=1e-3)}
    assert made.budget == f"latency={most}ms@onnxruntime"
    assert len(messages) > 1
    assert messages[0].endswith("too slow")
    assert messages[-1].endswith(f"of at most {most} ms (dense {1.25 * DENSE_MS:.3g} ms): met")


def test_a_share_is_one_of_the_dense_network_beside_it(plan: Make) -> None:
    """Twice as slow for both is no reason to cut more."""
    made, messages = plan("latency=60%@onnxruntime", lambda ms: 2 * ms)
    assert made.measured_ms["onnxruntime"] <= 0.6 * made.dense_ms["onnxruntime"]
    assert made.latency_ms["onnxruntime"] > 0.5 * TABLE.predict(WIDTHS)
    assert len(messages) <= 3


def test_a_plan_that_gives_away_too_much_is_loosened_once(plan: Make) -> None:
    most = round(0.5 * DENSE_MS, 1)
    made, messages = plan(f"latency={most}ms@onnxruntime", lambda ms: 0.7 * ms)
    assert "met with room to spare" in messages[0]
    assert 0.85 * most < made.measured_ms["onnxruntime"] <= most
    assert made.latency_ms["onnxruntime"] > most


def test_what_no_cut_makes_faster_names_the_nearest_that_was_measured(plan: Make) -> None:
    with pytest.raises(
        BudgetError, match=r"is not met: of \d planned networks.*the nearest budget is"
    ) as caught:
        plan(f"latency={0.6 * DENSE_MS:.2f}ms@onnxruntime", lambda ms: DENSE_MS + 0.1 * ms)
    nearest = float(str(caught.value).split("--budget latency=")[1].split("ms@")[0])
    assert DENSE_MS < nearest < 1.1 * DENSE_MS


def test_a_latency_that_is_had_already_is_no_cut(plan: Make) -> None:
    with pytest.raises(BudgetError, match=r"met already: .* ms on onnxruntime; there is nothing to cut"):
        plan(f"latency={2 * DENSE_MS:.2f}ms@onnxruntime")


def test_other_budgets_are_predicted_and_measured_where_there_is_a_table(plan: Make) -> None:
    made, messages = plan("macs=50%", lambda ms: ms + 1)
    assert messages == []
    assert set(made.latency_ms) == set(made.measured_ms) == set(made.dense_ms) == {"onnxruntime"}
    assert Plan.from_json(made.to_json()) == made
    old = made.to_json().replace("measured_ms", "unknown").replace("dense_ms", "other")
    assert Plan.from_json(old).measured_ms == {}


def test_a_plan_that_was_made_before_is_timed(plan: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = plan("macs=50%")
    monkeypatch.setattr(planner, "latency_table", lambda *_, **__: TABLE)
    assert Planner(build(NETWORK)).timed(made, ["onnxruntime"]) == made
