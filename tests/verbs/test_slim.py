"""`slim` from images to table on a handful of small images: its files, resuming, and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from helpers.stopping import StopIn
from seyolo.checkpoint import read_checkpoint
from seyolo.darknet.cost import cost
from seyolo.darknet.sections import Convolutional
from seyolo.data.datasets import load_dataset
from seyolo.detector import Detector
from seyolo.errors import BudgetError, TrainingError, UsageError
from seyolo.exporting.formats import export
from seyolo.files import write_json
from seyolo.options.slim import SlimOptions
from seyolo.options.stored import read_slim_options, stored_slim
from seyolo.progress import Silent
from seyolo.runtime.choice import open_backend
from seyolo.torchnet.build import DarknetModel, from_checkpoint
from seyolo.verbs import slim_results
from seyolo.verbs.slim import run_slim as slim
from seyolo.verbs.slim_run import SlimRun

STAGES = ["dense", "sparse", "pruned", "finetuned"]


@pytest.fixture(scope="module")
def whole(tiny_config: SlimOptions, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("slim")
    return folder, slim(tiny_config, folder).to_json()


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the slowest part, exporting every stage to time it."""
    latency = slim_results.Latency(1.0, 0.02)
    timed = {stage: {"torch": latency, "onnxruntime": latency} for stage in STAGES}
    monkeypatch.setattr(slim_results, "measure_latency", lambda models, int8: timed)


def test_the_folder_of_a_run(whole: tuple[Path, dict[str, Any]]) -> None:
    files = """config.json data.json start.json environment.json commands.txt
    dense sparse finetuned plan.json readiness.json pruned.safetensors
    slim.safetensors slim.cfg slim.weights slim.names slim.onnx dense.onnx
    results.json table.md channels.png curves.png scales.png scales_over_time.png samples.jpg
    curves.json pictures report.html"""
    assert {path.name for path in whole[0].iterdir()} == set(files.split())


def test_the_keys_of_the_results(whole: tuple[Path, dict[str, Any]], tiny_config: SlimOptions) -> None:
    folder, results = whole
    assert json.loads((folder / "results.json").read_text()) == results
    assert {"stages", "lead", "plan", "budget", "seed", "data"} <= results.keys()
    assert (results["budget"], results["seed"], results["data"]) == (["macs=30%"], 0, str(tiny_config.data))
    assert [stage["stage"] for stage in results["stages"]] == STAGES
    assert [stage["epochs"] for stage in results["stages"]] == [2, 3, 3, 4]
    keys = {"stage", "epochs", "params", "size_bytes", "macs", "input_size", "metrics", "latency_ms"}
    keys.add("latency_noise")
    for stage in results["stages"]:
        assert stage.keys() == keys
        assert stage["input_size"] == [64, 64]
        assert stage["metrics"].keys() == {"val", "test"}
        assert all(metrics.keys() == {"ap", "ap50"} for metrics in stage["metrics"].values())
        assert stage["latency_ms"].keys() == {"torch", "onnxruntime"}
        assert min(stage["latency_ms"].values()) > 0
        assert stage["latency_noise"].keys() == {"torch", "onnxruntime"}
        assert min(stage["latency_noise"].values()) >= 0
    assert results["plan"] == json.loads((folder / "plan.json").read_text())
    assert {"params", "macs", "groups", "blocks_removed"} <= results["plan"].keys()


def test_the_curves_are_of_the_networks_in_the_table(whole: tuple[Path, dict[str, Any]]) -> None:
    folder, results = whole
    curves = json.loads((folder / "curves.json").read_text())
    assert list(curves) == STAGES
    for stage in results["stages"]:
        for split, metrics in stage["metrics"].items():
            area = np.mean(curves[stage["stage"]][split]["precision50"])
            assert area == pytest.approx(metrics["ap50"], abs=2e-3)
    dense, slim_stage = results["stages"][0]["metrics"], results["stages"][-1]["metrics"]
    for split, lead in results["lead"].items():
        assert lead["difference"] == pytest.approx(slim_stage[split]["ap"] - dense[split]["ap"], abs=2e-3)


def test_the_budget_is_kept_and_the_numbers_are_those_of_the_files(
    whole: tuple[Path, dict[str, Any]],
) -> None:
    folder, results = whole
    dense, sparse, pruned, finetuned = results["stages"]
    assert sparse["macs"] == dense["macs"]
    assert finetuned["macs"] == pruned["macs"] == results["plan"]["macs"] <= 0.3 * dense["macs"]
    assert finetuned["params"] == pruned["params"] == results["plan"]["params"] < dense["params"]
    assert finetuned["size_bytes"] == (folder / "slim.safetensors").stat().st_size < dense["size_bytes"]
    network = read_checkpoint(folder / "slim.safetensors").network
    assert cost(network, 64, 64).macs == finetuned["macs"]


def test_the_activation_changes_where_fine_tuning_begins(
    whole: tuple[Path, dict[str, Any]], tiny_config: SlimOptions, tmp_path: Path
) -> None:
    folder, _ = whole
    config = replace(tiny_config, activation="relu")
    run = SlimRun(config, tmp_path, Silent())
    dense, pruned = (
        from_checkpoint(read_checkpoint(folder / name))
        for name in ("dense/best.safetensors", "pruned.safetensors")
    )
    tuned = run.finetune(pruned, dense)
    assert {
        section.activation for section in pruned.network.layers if isinstance(section, Convolutional)
    } == {
        "leaky",
        "linear",
    }
    assert {section.activation for section in tuned.network.layers if isinstance(section, Convolutional)} == {
        "relu",
        "linear",
    }
    written = read_checkpoint(tmp_path / "finetuned" / "best.safetensors").network
    assert written.to_cfg() == tuned.network.to_cfg()
    write_json(tmp_path / "config.json", stored_slim(config))
    assert read_slim_options(tmp_path) == config


def test_an_activation_that_cannot_be_learned_is_refused(tiny_config: SlimOptions) -> None:
    with pytest.raises(UsageError, match="--activation gelu: there are relu, relu6, leaky"):
        replace(tiny_config, activation="gelu")  # type: ignore[arg-type]
    for settings in ({"finetune": False}, {"finetune_epochs": 0}):
        with pytest.raises(UsageError, match="--activation needs fine-tuning"):
            replace(tiny_config, activation="relu", **settings)


def test_the_slim_network_starts_from_the_young_dense_one(
    whole: tuple[Path, dict[str, Any]], tiny_config: SlimOptions
) -> None:
    folder, _ = whole
    young = read_checkpoint(folder / "dense" / "epoch-1.safetensors")
    old = read_checkpoint(folder / "dense" / "last.safetensors")
    name = "layers.0.conv.weight"
    assert not np.array_equal(young.state[name], old.state[name])
    assert not (folder / "dense" / "epoch-2.safetensors").exists()
    run = SlimRun(tiny_config, folder, Silent())
    branch = run.branch(from_checkpoint(old))
    np.testing.assert_array_equal(branch.state_dict()[name], young.state[name])


def test_the_cut_changes_nothing_where_what_goes_was_faded(
    tiny_config: SlimOptions, tmp_path: Path, untimed: None
) -> None:
    """The channels that go have scale and shift 0, and every activation here is leaky: f(0) = 0."""
    steered = replace(tiny_config, sparsity="steered", repair="recalibrate", finetune_epochs=0)
    slim(steered, tmp_path)
    sparse = read_checkpoint(tmp_path / "sparse" / "best.safetensors")
    pruned = read_checkpoint(tmp_path / "pruned.safetensors")
    for index in range(len(sparse.network.layers)):
        name = f"layers.{index}.bn.weight"
        if name in sparse.state:
            kept = sparse.state[name][sparse.state[name] != 0]
            np.testing.assert_array_equal(kept, pruned.state[name])


def test_the_slim_files_agree(whole: tuple[Path, dict[str, Any]], tiny_hands: Path) -> None:
    folder, _ = whole
    names = ("slim.safetensors", "slim.onnx", "slim.cfg")
    batch = np.random.default_rng(0).random((1, 3, 64, 64), dtype=np.float32)
    expected, *others = (open_backend(folder / name).infer(batch) for name in names)
    for raw in others:
        np.testing.assert_allclose(raw, expected, rtol=1e-3, atol=1e-3)
    network = cv2.dnn.readNetFromDarknet(str(folder / "slim.cfg"), str(folder / "slim.weights"))
    assert len(network.getUnconnectedOutLayersNames()) == 2
    detector = Detector(folder / "slim.onnx", confidence=0.0)
    assert detector.names == ("hand",)
    photo = load_dataset(tiny_hands).split("test")[0].image
    assert len(detector.detect(photo)) > 0


def test_a_run_stopped_on_the_way_gives_the_same_result(
    whole: tuple[Path, dict[str, Any]], tiny_config: SlimOptions, tmp_path: Path, untimed: None
) -> None:
    with pytest.raises(KeyboardInterrupt):
        slim(tiny_config, tmp_path, progress=StopIn("sparse epoch 2/2"))
    resumed = slim(tiny_config, tmp_path, resume=True).to_json()
    assert len((tmp_path / "commands.txt").read_text().splitlines()) == 2
    folder, results = whole
    ours, theirs = (read_checkpoint(path / "slim.safetensors") for path in (tmp_path, folder))
    assert ours.network == theirs.network
    assert [name for name in theirs.state if not np.array_equal(ours.state[name], theirs.state[name])] == []
    for stage in (*resumed["stages"], *results["stages"]):
        stage["latency_ms"] = stage["latency_noise"] = {}
    assert resumed == results


def test_the_slim_network_in_int8_is_judged_and_timed_where_it_can_be(
    whole: tuple[Path, dict[str, Any]],
    tiny_config: SlimOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, results = whole
    assert "int8" not in results
    assert results["artefacts"]["slim_int8.onnx"].startswith("not applicable: ")

    def as_it_is(model: DarknetModel, path: Path, *_: object) -> str:
        export(model, path)
        return "written"

    monkeypatch.setattr(slim_results, "write_int8", as_it_is)
    again = slim(tiny_config, shutil.copytree(folder, tmp_path / "again"), resume=True).to_json()
    row, last = again["int8"], again["stages"][-1]
    assert again["artefacts"]["slim_int8.onnx"] == "written"
    assert row["size_bytes"] == (tmp_path / "again" / "slim_int8.onnx").stat().st_size
    assert row["latency_ms"].keys() == {"onnxruntime"}
    for split, metrics in last["metrics"].items():
        assert row["metrics"][split] == pytest.approx(metrics, abs=2e-3)
    assert (tmp_path / "again" / "table.md").read_text().splitlines()[0].endswith("| change | slim int8 |")


def test_what_is_refused_at_once(
    whole: tuple[Path, dict[str, Any]], tiny_config: SlimOptions, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="holds a run already; resume it or choose another"):
        slim(tiny_config, whole[0])
    with pytest.raises(TrainingError, match="started with other settings"):
        slim(replace(tiny_config, seed=1), whole[0], resume=True)
    with pytest.raises(TrainingError, match="there is no run to resume here"):
        slim(tiny_config, tmp_path, resume=True)


def test_an_infeasible_budget_is_refused_before_anything_is_trained(
    tiny_config: SlimOptions, tmp_path: Path
) -> None:
    with pytest.raises(BudgetError, match="macs"):
        slim(replace(tiny_config, budget=("macs=0.001%",)), tmp_path)
    assert list(tmp_path.iterdir()) == []  # so that the same name may be used with another budget


def test_cbam_has_no_darknet_form(tiny_config: SlimOptions, tmp_path: Path, untimed: None) -> None:
    cbam = replace(
        tiny_config,
        attention="cbam",
        at=("head",),
        budget=("macs=60%",),
        epochs=0,
        sparse_epochs=0,
        finetune=False,
    )
    results = slim(cbam, tmp_path).to_json()
    assert [stage["stage"] for stage in results["stages"]] == STAGES[:3]
    assert results["artefacts"]["slim.cfg + slim.weights"].startswith("not applicable")
    assert not (tmp_path / "slim.cfg").exists()
    raw = open_backend(tmp_path / "slim.onnx").infer(np.zeros((1, 3, 64, 64), np.float32))
    assert raw.shape == (1, 3 * (2 * 2 + 4 * 4), 6)


def test_a_stage_of_no_epochs_is_the_one_before_it(
    tiny_config: SlimOptions, tmp_path: Path, untimed: None
) -> None:
    results = slim(replace(tiny_config, epochs=0, sparse_epochs=0, finetune_epochs=0), tmp_path).to_json()
    sizes = {stage["stage"]: stage["size_bytes"] for stage in results["stages"]}
    assert sizes["sparse"] == sizes["dense"] > sizes["finetuned"] == sizes["pruned"]
