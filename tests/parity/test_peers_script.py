"""`benchmarks/peers.py`: cuts by Torch-Pruning and by seyolo, its table, stops and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import seyolo
from helpers.random_weights import calibrated
from helpers.script_module import load_script
from helpers.spot_detector import write_spots
from seyolo.darknet.cost import cost
from seyolo.torchnet.build import DarknetModel

ROOT = Path(__file__).parents[2]
METHODS = ("seyolo", "magnitude", "bn", "taylor")
pytestmark = pytest.mark.filterwarnings("ignore")  # raised inside Torch-Pruning


@pytest.fixture(scope="module")
def peers() -> ModuleType:
    return load_script(ROOT / "benchmarks/peers.py")


def gated() -> DarknetModel:
    """A small network with SE gates whose scales differ."""
    network = seyolo.attach(seyolo.load("yolov3-tiny@0.25", num_classes=1, names=("spot",)), "se").network
    model = calibrated(network, torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(0)))
    model.names = ("spot",)
    return model


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of a training, and a data set."""
    folder = tmp_path_factory.mktemp("given")
    seyolo.save(gated(), folder / "best.safetensors")
    return folder, write_spots(folder / "data", train=10, val=2)


def line(given: tuple[Path, Path], results: Path) -> list[str]:
    return [*map(str, given), str(results), "--size", "64", "--shares", "80", "50"]


def kept(results: Path) -> dict[str, dict[str, Any]]:
    paths = [path for path in results.glob("*.json") if path.name != "setting.json"]
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


@pytest.mark.parametrize("name", ["yolov3@0.125", "se-yolov3@0.125", "yolov4-tiny@0.25"])
def test_the_module_counts_as_many_macs_as_the_description(peers: ModuleType, name: str) -> None:
    model = seyolo.load(name, num_classes=1)
    assert peers.macs_of(model, (64, 96)) == cost(model.network, 64, 96).macs


@pytest.mark.slow
def test_every_method_reaches_its_share_over_a_stop(
    peers: ModuleType,
    given: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    judge, count = peers.judge_splits, []

    def stopping(*arguments: object, **keywords: object) -> object:
        count.append(0)
        if len(count) == 3:
            raise KeyboardInterrupt
        return judge(*arguments, **keywords)

    monkeypatch.setattr(peers, "judge_splits", stopping)
    words = line(given, tmp_path)
    assert peers.main(words) == 130
    assert set(kept(tmp_path)) == {"dense", "seyolo-80"}
    told = capsys.readouterr()
    assert "| 80 % | seyolo | " in told.out
    lacking = "magnitude-80, bn-80, taylor-80, seyolo-50, magnitude-50, bn-50, taylor-50"
    assert f"missing: {lacking}; go on with: python benchmarks/peers.py {' '.join(words)}\n" in told.err

    assert peers.main(words) == 0
    assert "missing" not in capsys.readouterr().err
    rows = kept(tmp_path)
    dense = rows.pop("dense")
    assert set(rows) == {f"{method}-{share}" for method in METHODS for share in (80, 50)}
    assert dense["macs"] == cost(gated().network, 64, 64).macs
    for row in rows.values():
        assert 0.85 * row["share"] / 100 < row["macs"] / dense["macs"] <= row["share"] / 100
        assert row["params"] < dense["params"]
        assert set(row["metrics"]) == {"val"}
    assert len({rows[f"{method}-50"]["params"] for method in METHODS}) == len(METHODS)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert table.count("\n") == 2 + 1 + len(rows)

    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*-*.json")}
    assert peers.main(words) == 0
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*-*.json")}


def test_a_cut_of_torch_pruning_leaves_detections_whole_and_only_statistics_are_measured(
    peers: ModuleType, given: tuple[Path, Path], tmp_path: Path
) -> None:
    one = peers.Peers(peers.parsed(line(given, tmp_path)), peers.console_progress())
    ((_, slim),) = one.by_torch_pruning("magnitude", [60])
    assert slim(torch.rand(1, 3, 64, 64)).shape == one.dense(torch.rand(1, 3, 64, 64)).shape
    heads = zip(slim.head_convolutions(), one.dense.head_convolutions(), strict=True)
    assert all(ours.out_channels == dense.out_channels for (ours, _), (dense, _) in heads)
    narrower = [
        len(ours.weight) < len(dense.weight)
        for ours, dense in zip(slim.modules(), one.dense.modules(), strict=True)
        if isinstance(dense, torch.nn.BatchNorm2d)
    ]
    assert any(narrower)
    state = one.dense.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in gated().state_dict().items())


def test_a_method_that_does_not_reach_its_share_leaves_its_row_out_and_the_others_go_on(
    peers: ModuleType, given: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(peers, "NUM_STEPS", 1)
    words = [*line(given, tmp_path)[:-3], "--shares", "1", "--methods", "magnitude"]
    assert peers.main(words) == 0
    told = capsys.readouterr().err
    assert "warning: magnitude: Torch-Pruning does not reach 1 % of the MACs" in told
    assert "missing: magnitude-1; go on with" in told


def test_results_of_another_network_are_not_mixed(
    peers: ModuleType, given: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*line(given, tmp_path / "results"), "--methods", "seyolo"]
    peers.Peers(peers.parsed(words), peers.console_progress()).check()
    other = tmp_path / "other.safetensors"
    seyolo.save(seyolo.load("yolov3-tiny@0.25", num_classes=1, names=("spot",)), other)
    problem = f"error: {tmp_path / 'results'}: holds results of another network, size, data set or seed"
    for changed in ([str(other), *words[1:]], [*words[:4], "96", *words[5:]], [*words, "--seed", "1"]):
        assert peers.main(changed) == 2
        assert capsys.readouterr().err.splitlines()[-1] == f"{problem}; give another folder"


def test_another_version_of_the_peer_is_refused(
    peers: ModuleType,
    given: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for found, there in (("1.5.0", "1.5.0 is installed"), (None, "it is not installed")):
        monkeypatch.setattr(peers, "installed_version", lambda package, found=found: found)
        assert peers.main(line(given, tmp_path / "results")) == 2
        assert capsys.readouterr().err == (
            f"error: needs Torch-Pruning 1.6.1, {there}: pip install torch-pruning==1.6.1\n"
        )
        assert not (tmp_path / "results").exists()
