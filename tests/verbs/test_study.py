"""Studies: which networks there are, what is missing, and that finished ones are not trained again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import seyolo.verbs.study as studying
from seyolo.detecting.run_folder import Shard
from seyolo.errors import BudgetError, TrainingError, UsageError
from seyolo.files import write_json
from seyolo.json_files import read_json, to_json
from seyolo.options.cut import CutOptions
from seyolo.options.slim import SlimOptions
from seyolo.options.study import StudyOptions
from seyolo.progress import Lines
from seyolo.report.pages.write import write_report
from seyolo.runs import locked
from seyolo.study_results import Cell, cells_of
from seyolo.torchnet.device import limited_threads
from seyolo.verbs.study import Outcome, resume_command, resume_study, study
from seyolo.verbs.study_settings import Settings, common_options

ONE = StudyOptions(
    gates=("none", "eca"), places=("head",), joins=("scale",), budgets=("macs=70%",), seeds=(0,)
)

TIMING = SimpleNamespace(p50_ms=2.0, noise=0.04)


@pytest.fixture
def settings(tiny_config: SlimOptions, monkeypatch: pytest.MonkeyPatch) -> SlimOptions:
    """Two epochs for every network, and no clock."""
    monkeypatch.setattr(studying, "timings_of", lambda networks: dict.fromkeys(networks, TIMING))
    return replace(tiny_config, sparse_epochs=None, finetune_epochs=None)


def run(settings: SlimOptions, axes: StudyOptions, **others: Any) -> Outcome:
    """Runs a study of these options."""
    return study(
        str(settings.data), settings.model, options=settings, **{**vars(axes), "progress": None, **others}
    )


def test_the_networks_without_gates_stand_once() -> None:
    axes = StudyOptions(gates=("none", "se"), places=("neck", "head"), joins=("scale", "add"), seeds=(3, 5))
    names = [cell.name for cell in cells_of(axes)]
    gated = ["se-neck-scale", "se-neck-add", "se-head-scale", "se-head-add"]
    assert names == [f"{name}-{seed}" for seed in (3, 5) for name in ("none", *gated)]
    shards = [[name for index, name in enumerate(names) if Shard(n, 3).has(index)] for n in (1, 2, 3)]
    assert sorted(name for shard in shards for name in shard) == sorted(names)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize(
    ("model", "places"),
    [("yolov3-tiny@0.125", ("neck", "head")), ("yolov3@0.125", ("residual", "neck", "head"))],
)
def test_gates_go_to_the_places_that_the_network_has(
    settings: SlimOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    places: tuple[str, ...],
) -> None:
    monkeypatch.setattr(studying._Study, "run", lambda *_: None)
    run(replace(settings, model=model), replace(ONE, places=()), folder=tmp_path / "s")
    assert read_json(tmp_path / "s/study.json", Settings).study.places == places


def test_every_network_sees_as_many_images() -> None:
    """Of 100 epochs 6 are dense, 18 sparse, and the rest follow the cut."""
    options = SlimOptions(epochs=100).equal_images()
    assert options.stage_epochs() == {"dense": 100, "sparse": 18, "finetuned": 76}
    assert options.epochs_seen() == {"dense": 100, "sparse": 24, "pruned": 24, "finetuned": 100}
    assert SlimOptions().equal_images().epochs_seen()["finetuned"] == 16
    for epochs in range(1, 40):
        assert SlimOptions(epochs=epochs).equal_images().epochs_seen()["finetuned"] == epochs
    assert SlimOptions(epochs=10, finetune_epochs=3).equal_images().stage_epochs()["finetuned"] == 3


def test_a_network_is_trained_by_one_process(settings: SlimOptions, tmp_path: Path) -> None:
    network = tmp_path / "s/networks/none-0"
    network.mkdir(parents=True)
    with locked(network), pytest.raises(TrainingError, match=r"none-0: .*process"):
        run(settings, ONE, folder=tmp_path / "s")


def test_a_stopped_study_goes_on_where_it_was(settings: SlimOptions, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    half = run(settings, ONE, folder=folder, shard=Shard(1, 2))
    assert half.missing == ("eca-head-scale-0 dense", "eca-head-scale-0 macs=70%")
    assert [row.variant.gates for row in half.rows] == ["none", "none"]
    assert resume_command(folder) == f"seyolo study --resume {folder}"
    page = write_report([folder])
    assert "2 networks missing; go on with" in page.read_text()
    trained = {path: path.stat().st_mtime_ns for path in folder.rglob("best.safetensors")}
    (folder / "results/none-0--macs=70%.json").unlink()

    whole = resume_study(folder)
    assert whole.missing == ()
    assert "go on with" not in page.read_text()
    assert "4 networks: gates none, eca" in page.read_text()
    rows = {(row.variant.gates, row.variant.budget): row for row in whole.rows}
    assert list(rows) == [
        ("none", "dense"), ("eca head scale", "dense"), ("none", "macs=70%"), ("eca head scale", "macs=70%")
    ]  # fmt: skip
    assert {(row.epochs, row.noise) for row in whole.rows} == {(2, 0.04)}
    assert all(path.stat().st_mtime_ns == time for path, time in trained.items())
    dense, slim = rows["eca head scale", "dense"], rows["eca head scale", "macs=70%"]
    assert slim.macs <= 0.7 * dense.macs
    assert dense.params > rows["none", "dense"].params
    assert len((folder / "networks.csv").read_text().splitlines()) == 1 + 4
    assert {path.name for path in folder.glob("study.*")} == {
        "study.json", "study.csv", "study.md", "study.tex", "study.png", "study.pdf"
    }  # fmt: skip

    again = run(settings, ONE, folder=folder)  # the same command goes on, too
    assert again.rows == whole.rows
    with pytest.raises(
        TrainingError, match=r"this study have --epochs 2, and --epochs 3 is asked for; give another --name"
    ):
        run(replace(settings, epochs=3), ONE, folder=folder)
    result = folder / "results/none-0--dense.json"
    result.write_text(json.dumps(json.loads(result.read_text()) | {"macs": -1}))
    with pytest.raises(TrainingError, match=r"none-0--dense\.json: macs: expected"):
        resume_study(folder)


def test_a_study_takes_more_and_fewer_networks(settings: SlimOptions, tmp_path: Path) -> None:
    """What is done is kept; tables and what is missing are of the networks that were asked for last."""
    folder, plain = tmp_path / "s", replace(ONE, gates=("none",))
    small = run(settings, plain, folder=folder)
    trained = {path: path.stat().st_mtime_ns for path in (folder / "networks").rglob("best.safetensors")}
    shard = run(settings, replace(ONE, budgets=("macs=70%", "params=80%")), folder=folder, shard=Shard(1, 2))
    assert [(row.variant.gate, row.variant.budget) for row in shard.rows] == [
        ("none", "dense"), ("none", "macs=70%"), ("none", "params=80%")
    ]  # fmt: skip
    assert [name.rpartition(" ")[0] for name in shard.missing] == ["eca-head-scale-0"] * 3
    assert resume_study(folder, shard=Shard(1, 2)).missing == shard.missing
    assert all(path.stat().st_mtime_ns == time for path, time in trained.items())
    assert shard.rows[:2] == small.rows
    with pytest.raises(BudgetError, match=r"none-0: budget macs=1%"):
        run(settings, replace(ONE, budgets=("macs=1%",)), folder=folder)
    assert resume_study(folder, shard=Shard(1, 2)).missing == shard.missing  # as before what was refused
    fewer = run(settings, plain, folder=folder)
    assert (fewer.rows, fewer.missing) == (small.rows, ())
    assert "params=80%" not in (folder / "study.csv").read_text()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch": "auto", "epochs": 3}, "have --epochs 2, and --epochs 3 is asked for"),
        ({"epochs": None, "size": (64, 96)}, "have --size 64, and --size 96x64 is asked for"),
        (
            {"patience": 3, "mosaic": False},
            "have no --patience, --mosaic, and --patience 3, no --mosaic is asked for",
        ),
        ({"cut": CutOptions(scope="plain", multiple=2)}, "have --scope all, and --scope plain is asked for"),
    ],
)
def test_other_options_are_named_before_the_data_is_read(
    settings: SlimOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, object],
    message: str,
) -> None:
    stored = replace(settings, epochs=2, batch=4, lr=0.001, device="cpu").equal_images()
    write_json(tmp_path / "s" / "study.json", to_json(Settings(ONE, stored)))
    monkeypatch.setattr("seyolo.verbs.effort.load_dataset", lambda *_: pytest.fail("the data is read"))
    asked = replace(settings, **{"epochs": 2, "batch": 4, "lr": 0.001, "device": "cpu"} | values)  # type: ignore[arg-type]
    with pytest.raises(TrainingError) as caught:
        run(asked, replace(ONE, seeds=(0, 1)), folder=tmp_path / "s")
    assert message in str(caught.value)


@pytest.mark.parametrize("given", ["hands", "hands/data.yaml", "./hands/", "{}/hands", "{}/hands/data.yaml"])
@pytest.mark.parametrize("kept", ["hands", "hands/data.yaml", "{}/hands"])
def test_a_study_knows_its_data_by_any_name(
    settings: SlimOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str, given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hands").mkdir()
    stored = replace(
        settings, data=Path(kept.format(tmp_path)), batch=4, lr=0.001, device="cpu"
    ).equal_images()
    write_json(tmp_path / "s" / "study.json", to_json(Settings(ONE, stored)))
    asked = replace(stored, data=Path(given.format(tmp_path)))
    assert common_options(tmp_path / "s", asked, "go on") == stored
    for other in ("hands_more", "hands/images"):
        with pytest.raises(TrainingError, match=f"--data {other} is asked for; give another --name "):
            common_options(tmp_path / "s", replace(stored, data=Path(other)), "go on")


def test_two_descriptions_in_a_folder_are_two_data_sets(settings: SlimOptions, tmp_path: Path) -> None:
    stored = replace(settings, data=tmp_path / "a.yaml", batch=4, lr=0.001, device="cpu").equal_images()
    write_json(tmp_path / "s" / "study.json", to_json(Settings(ONE, stored)))
    with pytest.raises(TrainingError, match=r"b\.yaml is asked for"):
        common_options(tmp_path / "s", replace(stored, data=tmp_path / "b.yaml"), "go on")


def test_the_time_of_what_is_missing_is_told_before(
    settings: SlimOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"dense": 600.0, "sparse": 100.0, "planning": 60.0, "finetuned": 140.0}
    monkeypatch.setattr(studying, "estimate_seconds", lambda *_: parts)
    monkeypatch.setattr(studying._Study, "_train", lambda *_: None)
    run(settings, ONE, folder=tmp_path / "s", shard=Shard(1, 2), progress=Lines())
    told = capsys.readouterr().err
    assert "training: 2 networks, 1 of them dense, 2 epochs each" in told
    assert "steps of dense training; a few hundred are needed: --epochs" in told
    assert "training images; 30 or more are needed: label more" in told
    assert (
        f"time: about 15 min; stop any time, seyolo study --resume {tmp_path / 's'} --shard 1/2 continues"
        in told
    )
    assert "none-0 (1 of 1 in this shard)" in told
    run(settings, ONE, folder=tmp_path / "s", progress=Lines())
    assert "eca-head-scale-0 (2 of 2)\n" in capsys.readouterr().err


def test_a_study_takes_the_threads_that_are_given(
    settings: SlimOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(studying._Study, "_train", lambda *_: seen.append(torch.get_num_threads()))
    with limited_threads(2):
        run(replace(settings, threads=1), ONE, folder=tmp_path / "s")
        assert torch.get_num_threads() == 2
    assert set(seen) == {1}


def test_the_other_study_in_a_folder_is_named_with_the_shard(settings: SlimOptions, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    write_json(folder / "study.json", to_json(Settings(ONE, settings)))
    with pytest.raises(TrainingError, match=r"continue it: seyolo study --resume .*s --shard 2/2"):
        run(replace(settings, epochs=3), ONE, folder=folder, shard=Shard(2, 2))


def test_ctrl_c_says_how_to_go_on(
    settings: SlimOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(studying._Study, "_train", stop)
    with pytest.raises(KeyboardInterrupt, match=r"resume with: seyolo study --resume .* --shard 2/2$"):
        run(settings, ONE, folder=tmp_path / "s", shard=Shard(2, 2))


def test_what_cannot_be_met_is_found_before_training(settings: SlimOptions, tmp_path: Path) -> None:
    axes = replace(ONE, budgets=("macs=70%", "macs=1%"))
    with pytest.raises(BudgetError, match=r"network none-0: budget macs=1% cannot be met.* --budgets macs="):
        run(settings, axes, folder=tmp_path / "s")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gates": ("bam",)}, "--gates bam: there are none, se, cbam, eca, coordatt, simam"),
        ({"gates": ("se", "se")}, "--gates se se: give at least one, and each once"),
        ({"gates": ()}, "--gates : give at least one"),
        ({"places": ("tail",)}, "--places tail: there are residual, stage, neck, head"),
        ({"joins": ("mul",)}, "--joins mul: there are scale, add"),
        ({"budgets": ("macs=200%",)}, "at most 100%"),
        ({"budgets": ("macs=30%+flops=3",)}, "flops"),
        ({"budgets": ()}, "--budgets : give at least one"),
        ({"seeds": (0, 0)}, "--seeds 0 0: give at least one, and each once"),
        ({"seeds": (-1,)}, "--seeds -1: from 0 to"),
        ({"seeds": (1 << 32,)}, "from 0 to 4294967295"),
    ],
)
def test_values_without_sense(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        StudyOptions(**values)  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"attention": "se"}, "--attention: a study varies it; give --gates"),
        ({"attention": "se", "at": ("neck",)}, "--attention: a study varies it"),
        ({"budget": ("macs=20%",)}, "--budget: a study varies it; give --budgets"),
        ({"seed": 1}, "--seed: a study varies it; give --seeds"),
        ({"epochs": 0}, "--epochs 0, --no-finetune and --controls: a study trains every network alike"),
        ({"finetune": False}, "--no-finetune"),
        ({"controls": ("dense",)}, "--controls"),
    ],
)
def test_options_that_a_study_varies(
    settings: SlimOptions, tmp_path: Path, values: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run(replace(settings, **values), ONE, folder=tmp_path / "s")  # type: ignore[arg-type]
    assert not (tmp_path / "s").exists()


def test_a_folder_without_a_study(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no run to resume here \(it has no study\.json\)"):
        resume_study(tmp_path)


def test_names_of_cells() -> None:
    assert Cell("none", "", "", 2).name == "none-2"
    assert Cell("se", "neck", "add", 0).name == "se-neck-add-0"
