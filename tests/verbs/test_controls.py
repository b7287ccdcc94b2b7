"""Controls: they cost what the slim network costs, see as many images, and the lead is against them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from helpers.spot_detector import SIZE_PX, spot_detector, write_spots
from seyolo.checkpoint import read_checkpoint
from seyolo.errors import BudgetError, UsageError
from seyolo.options.slim import SlimOptions
from seyolo.progress import Silent
from seyolo.report.tables.slim import controls_markdown
from seyolo.results import ControlRow, read_results
from seyolo.torchnet.build import from_checkpoint
from seyolo.verbs import controls
from seyolo.verbs.controls import (
    CONTROL_NAMES,
    TRAINED_BY,
    Contender,
    Finished,
    control_results,
    joined_rows,
)
from seyolo.verbs.slim import run_slim as slim
from seyolo.verbs.slim_run import SlimRun

FLOAT_NAMES = tuple(name for name in CONTROL_NAMES if name != "int8")
EPOCHS = {"branch": 1, "sparse": 1, "finetuned": 2}


@pytest.fixture(scope="module")
def config(tiny_config: SlimOptions) -> SlimOptions:
    return replace(tiny_config, sparse_epochs=EPOCHS["sparse"], finetune_epochs=EPOCHS["finetuned"])


@pytest.fixture(scope="module")
def run(config: SlimOptions, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[ControlRow, ...]]:
    folder = tmp_path_factory.mktemp("controls")
    return folder, slim(replace(config, controls=FLOAT_NAMES), folder).controls


def epochs_of(folder: Path) -> int:
    """How many epochs all training runs below a folder took."""
    return sum(
        len(list(csv.DictReader(path.read_text().splitlines()))) for path in folder.rglob("results.csv")
    )


def test_every_control_has_a_row_and_the_slim_network_comes_first(
    run: tuple[Path, tuple[ControlRow, ...]],
) -> None:
    folder, rows = run
    assert [row.control for row in rows] == ["slim", *FLOAT_NAMES]
    assert read_results(folder / "results.json").controls == rows
    for row in rows:
        assert row.metrics.keys() == {"val", "test"}
        assert row.latency_ms > 0
        for split, lead in row.lead.items():
            difference = rows[0].metrics[split].ap - row.metrics[split].ap
            assert lead.difference == pytest.approx(difference, abs=0.01)
            assert lead.low <= lead.high


@pytest.mark.parametrize("name", ["dense", "uniform", "scratch", "lowres"])
def test_a_control_from_scratch_sees_as_many_images_as_the_whole_run(
    run: tuple[Path, tuple[ControlRow, ...]], name: str
) -> None:
    assert epochs_of(run[0] / "controls" / name) == sum(EPOCHS.values())


@pytest.mark.parametrize("name", ["random", "plain"])
def test_a_control_that_is_a_run_takes_over_the_dense_network(
    run: tuple[Path, tuple[ControlRow, ...]], name: str
) -> None:
    assert epochs_of(run[0] / "controls" / name) == EPOCHS["sparse"] + EPOCHS["finetuned"]


def test_dense_training_that_saw_as_many_images_is_the_control(
    run: tuple[Path, tuple[ControlRow, ...]], config: SlimOptions
) -> None:
    equal = replace(config, epochs=sum(EPOCHS.values()))
    dense = from_checkpoint(read_checkpoint(run[0] / "dense" / "best.safetensors"))
    finished = Finished(SlimRun(equal, run[0], Silent()), dense, dense)
    assert TRAINED_BY["dense"](finished).model is dense


def test_the_float_controls_cost_no_more_than_the_budget(run: tuple[Path, tuple[ControlRow, ...]]) -> None:
    folder, rows = run
    by_name = {row.control: row for row in rows}
    dense = read_results(folder / "results.json").dense.macs
    for name in ("slim", "uniform", "random"):
        assert 0.2 * dense < by_name[name].macs <= 0.3 * dense
    assert by_name["scratch"].macs == by_name["slim"].macs
    assert by_name["scratch"].params == by_name["slim"].params
    assert by_name["lowres"].input_size == (32, 32)


def test_uniform_is_narrower_everywhere_alike(run: tuple[Path, tuple[ControlRow, ...]]) -> None:
    dense, uniform = (
        read_checkpoint(run[0] / name / "best.safetensors").network for name in ("dense", "controls/uniform")
    )
    shares = {
        round(narrow.filters / wide.filters, 1)
        for wide, narrow in zip(dense.layers, uniform.layers, strict=True)
        if hasattr(wide, "filters") and wide.batch_normalize and wide.filters >= 16
    }
    assert max(shares) - min(shares) < 0.2


def test_a_control_is_added_to_a_finished_run_without_training_anything_twice(
    run: tuple[Path, tuple[ControlRow, ...]], config: SlimOptions
) -> None:
    folder, rows = run
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("best.safetensors")}
    again = slim(replace(config, controls=("scratch",)), folder, resume=True).controls
    old, new = ({row.control: row for row in rows} for rows in (rows, again))
    assert new["scratch"].metrics == old["scratch"].metrics
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("best.safetensors")}


def test_rows_of_other_controls_stay_in_the_order_of_the_table(
    run: tuple[Path, tuple[ControlRow, ...]], config: SlimOptions
) -> None:
    folder = run[0]
    path = folder / "results.json"
    results = json.loads(path.read_text())
    by_name = {row.control: row for row in run[1]}
    kept = [row for row in results["controls"] if row["control"] in ("slim", "uniform", "lowres")]
    path.write_text(json.dumps({**results, "controls": kept}))
    rows = slim(replace(config, controls=("scratch",)), folder, resume=True).controls
    assert [row.control for row in rows] == ["slim", "uniform", "scratch", "lowres"]
    assert (rows[1], rows[3]) == (by_name["uniform"], by_name["lowres"])
    assert read_results(path).controls == rows
    assert (folder / "controls.md").read_text() == controls_markdown(rows)
    assert slim(config, folder, resume=True).controls == rows


def test_a_new_row_stands_for_the_one_of_before() -> None:
    def row(name: str, macs: int) -> ControlRow:
        return ControlRow(control=name, macs=macs)

    before = [row("slim", 1), row("dense", 1), row("plain", 1)]
    new = [row("slim", 2), row("plain", 2), row("scratch", 2)]
    expected = (row("slim", 2), row("dense", 1), row("scratch", 2), row("plain", 2))
    assert joined_rows(before, new) == expected


def test_int8_is_the_dense_network_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_spots(tmp_path / "data", train=16, val=6)
    finding = spot_detector(more_layers=2)
    run = SlimRun(SlimOptions(data=data, size=SIZE_PX), tmp_path / "run", Silent())
    monkeypatch.setattr(controls, "_dense", lambda finished: Contender(finished.dense, (SIZE_PX, SIZE_PX)))
    slim_row, int8 = control_results(Finished(run, finding, finding), ["int8"])
    assert (int8.macs, int8.params) == (slim_row.macs, slim_row.params)
    assert int8.metrics["val"].ap == pytest.approx(slim_row.metrics["val"].ap, abs=0.1)
    assert int8.metrics["val"].ap > 0.3
    graph = onnx.load(tmp_path / "run" / "controls" / "int8" / "int8.onnx").graph
    assert "QuantizeLinear" in {node.op_type for node in graph.node}


def test_a_control_that_cannot_be_says_why(
    run: tuple[Path, tuple[ControlRow, ...]], config: SlimOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_to_cut(_: Finished) -> Contender:
        raise BudgetError("nothing can be cut in scope plain")

    monkeypatch.setitem(TRAINED_BY, "plain", nothing_to_cut)
    slim_row, *_, plain = slim(replace(config, controls=("plain",)), run[0], resume=True).controls
    assert plain == ControlRow(control="plain", not_possible="nothing can be cut in scope plain")
    written = json.loads((run[0] / "results.json").read_text())["controls"][-1]
    assert written == {"control": "plain", "not_possible": "nothing can be cut in scope plain"}
    *table, explanation = controls_markdown([slim_row, plain]).splitlines()
    assert table[3].split(" | ")[:3] == ["| plain", "–", "–"]
    assert explanation == "plain: nothing can be cut in scope plain"


def test_controls_by_name() -> None:
    assert SlimOptions(controls=("all",)).chosen_controls() == CONTROL_NAMES
    assert SlimOptions(controls=("scratch", "uniform")).chosen_controls() == ("uniform", "scratch")
    with pytest.raises(UsageError, match="--controls int4: there are dense, uniform, scratch"):
        SlimOptions(controls=("int4",))
