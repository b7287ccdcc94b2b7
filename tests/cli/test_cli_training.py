"""`train` and `slim` end to end on a few drawn hands: runs, resuming, refusals."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seyolo
from helpers.running import MODEL, SIZE_PX, Run, assert_refused
from seyolo.checkpoint import read_checkpoint
from seyolo.runs import locked
from seyolo.training import loop, run_folder

TINY = ["--model", MODEL, "--size", SIZE_PX, "--batch", 4]


def interrupt_in(monkeypatch: pytest.MonkeyPatch, title: str, epoch: int) -> None:
    """Ctrl-C when the run of that title begins this epoch (from 0)."""
    whole = loop._Run._train_epoch

    def train_epoch(self: Any, number: int) -> None:
        if (self.monitor.title, number) == (title, epoch):
            raise KeyboardInterrupt
        whole(self, number)

    monkeypatch.setattr(loop._Run, "_train_epoch", train_epoch)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_stopped_training_run_resumes_to_the_same_weights(
    run: Run, hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["train", "--data", hands, *TINY, "--epochs", 2, "--attention", "se"]
    with monkeypatch.context() as patch:
        interrupt_in(patch, "train", 1)
        outcome = run(*line, "--name", "stopped")
    assert outcome.code == 130
    assert outcome.err.splitlines()[-1] == (
        "interrupted; resume with: seyolo train --resume runs/train/stopped"
    )
    assert run("train", "--resume", "runs/train/stopped").code == 0
    assert run(*line, "--name", "whole").code == 0
    stopped, whole = (tmp_path / "runs/train" / name for name in ("stopped", "whole"))
    assert len(rows(stopped / "results.csv")) == 2
    left, right = (read_checkpoint(folder / "last.safetensors").state for folder in (stopped, whole))
    for name, values in left.items():
        np.testing.assert_array_equal(values, right[name], err_msg=name)


def test_training_starts_from_a_checkpoint_and_reports_as_json(
    run: Run, hands: Path, checkpoint: Path, tmp_path: Path
) -> None:
    outcome = run(
        "train", "--data", hands, "--weights", checkpoint, "--size", SIZE_PX, "--batch", 4, "--epochs", 1,
        "--sparsity", "l1", "--s", 0.02, "--json", "-",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "0% of the scales nearly zero, as runs/train/train/scales_over_time.png shows" in outcome.err
    assert "warning: importance bn prunes nearly at random" in outcome.err
    value = json.loads(outcome.out)
    assert value["checkpoint"] == "runs/train/train/best.safetensors"
    assert value["best_epoch"] == 1
    settings = json.loads((tmp_path / "runs/train/train/command.json").read_text())
    assert (settings["model"], settings["sparsity"], settings["s"]) == (str(checkpoint), "l1", 0.02)
    trained = read_checkpoint(tmp_path / value["checkpoint"])
    assert trained.names == ("hand",)
    files = """best.safetensors command.json commands.txt confidence.png config.json curves.json
    curves.png data.json environment.json last.safetensors precision_recall.png results.csv scales.csv
    scales_over_time.png start.json state.safetensors train_batch.jpg val_predictions.jpg warnings.txt"""
    assert sorted(path.name for path in (tmp_path / "runs/train/train").iterdir()) == files.split()
    again = " ".join(run("train", "--resume", "runs/train/train").out.split())
    assert "after the last epoch: runs/train/train/best.safetensors" in again


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--s", "0.01"], ["--s", "--sparsity"]),
        (["--sparsity", "l1", "--s", "0"], ["--s 0"]),
        (["--at", "neck"], ["--attention"]),
        (["--distill", "0.5"], ["--distill", "--teacher MODEL"]),
        (["--teacher", "t.onnx"], ["--teacher t.onnx", ".safetensors"]),
        (["--teacher", MODEL], [f"--teacher {MODEL}", "trained"]),
        (["--teacher", "gone.safetensors"], ["gone.safetensors"]),
        (["--num-classes", "7"], ["--num-classes 7", "1 class;"]),
        (["--name", "../up"], ["--name"]),
        (["--size", "65"], ["65"]),
    ],
)
def test_training_refuses_options_that_make_no_sense(
    run: Run, hands: Path, tmp_path: Path, flags: list[str], parts: list[str]
) -> None:
    assert_refused(run("train", "--data", hands, "--model", MODEL, "--epochs", 1, *flags), *parts)
    assert not list(tmp_path.glob("runs/train/*"))


def test_the_page_of_a_run_and_of_two(run: Run, hands: Path, tmp_path: Path) -> None:
    one, two = (f"runs/train/{name}" for name in ("one", "two"))
    outcome = run("train", "--data", hands, *TINY, "--epochs", 1, "--name", "one")
    first, why, *_ = outcome.out.splitlines()
    assert first.startswith("The network has not learned: AP@0.5 on val is 0.")
    assert why == "- 2 steps; a few hundred are needed: --epochs 200"
    shutil.copytree(tmp_path / one, tmp_path / two)
    assert run("report", one).out == f"{one}/report.html\n"
    assert "on val" in (tmp_path / one / "report.html").read_text()
    assert run("report", one, two).out == "comparison.html\n"
    assert "2 runs side by side" in (tmp_path / "comparison.html").read_text()
    assert run("report", one, two, "--out", "pages/both.html").out == "pages/both.html\n"
    assert (tmp_path / "pages" / "both.html").is_file()
    assert_refused(run("report"), "at least one run")
    assert_refused(run("report", hands.parent), "no finished run of slim or train")


def test_a_taken_name_is_refused_and_named(run: Run, hands: Path, tmp_path: Path) -> None:
    (tmp_path / "runs/train/mine").mkdir(parents=True)
    (tmp_path / "runs/train/mine/notes.txt").touch()
    outcome = run("train", "--data", hands, *TINY, "--name", "mine")
    assert_refused(outcome, "runs/train/mine", "--resume runs/train/mine")


def test_there_is_nothing_to_resume(run: Run, tmp_path: Path) -> None:
    assert_refused(run("train", "--resume", "runs/train/none"), "runs/train/none", "no run to resume")
    assert_refused(run("slim", "--resume", tmp_path), "no run to resume")
    (tmp_path / "runs/train/hands").mkdir(parents=True)
    (tmp_path / "runs/train/hands/command.json").touch()
    assert_refused(run("train", "--resume", "hands"), "did you mean --resume runs/train/hands?")
    assert_refused(run("train"), "--data is missing")
    assert_refused(run("slim"), "--data is missing")


@pytest.mark.parametrize(
    ("line", "ignored"),
    [
        (["train", "--epochs", 9, "--no-mosaic"], "--epochs, --no-mosaic are"),
        (["train", "--epochs=9"], "--epochs is"),
        (["slim", "--budget", "macs=9%", "--controls", "random"], "--budget is"),
        (["study", "--seeds", "0,1,2", "--shard", "1/1"], "--seeds is"),
        (["train", "--data-changed", "--tracker", "tensorboard", "--json", "x.json"], None),
        (["slim", "--controls", "random"], None),
    ],
)
def test_options_that_resume_does_not_use_are_named(
    run: Run, line: list[object], ignored: str | None
) -> None:
    verb, *options = line
    outcome = run(verb, "--resume", "none", *options)
    assert_refused(outcome, "no run to resume")
    said = f"warning: --resume keeps the settings of the run; {ignored} not used"
    assert outcome.err.count("warning: ") == (ignored is not None)
    assert ignored is None or said in outcome.err
    assert ("give --name instead of --resume" in outcome.err) == (verb == "study")
    assert "warning: " not in run(verb, "--name", "a/b", *options).err


def test_a_student_of_a_teacher_resumes_to_the_same_weights(
    run: Run, hands: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["train", "--data", hands, *TINY, "--epochs", 2, "--teacher", checkpoint, "--distill", 0.5]
    with monkeypatch.context() as patch:
        interrupt_in(patch, "train", 1)
        assert run(*line, "--name", "stopped").code == 130
    assert run("train", "--resume", "runs/train/stopped").code == 0
    assert run(*line, "--name", "whole").code == 0
    stopped, whole = (tmp_path / "runs/train" / name for name in ("stopped", "whole"))
    settings = json.loads((stopped / "command.json").read_text())
    assert (settings["teacher"], settings["distill"]) == (str(checkpoint), 0.5)
    terms = [[row["distillation"] for row in rows(folder / "results.csv")] for folder in (stopped, whole)]
    assert terms[0] == terms[1]
    left, right = (read_checkpoint(folder / "last.safetensors").state for folder in (stopped, whole))
    for name, values in left.items():
        np.testing.assert_array_equal(values, right[name], err_msg=name)


def stopped_run(run: Run, hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the data set, and a run on it that was stopped after its first epoch."""
    data = shutil.copytree(hands.parent, tmp_path / "data") / hands.name
    with monkeypatch.context() as patch:
        interrupt_in(patch, "train", 1)
        assert run("train", "--data", data, *TINY, "--epochs", 2).code == 130
    return data


@pytest.mark.filterwarnings("default")
def test_data_that_changed_is_noticed(
    run: Run, hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = stopped_run(run, hands, tmp_path, monkeypatch)
    label = next(path for path in (data.parent / "labels/train").iterdir() if path.read_text())
    label.write_text("0 0.5 0.5 0.25 0.25\n" * 2)
    resume = ("train", "--resume", "runs/train/train")
    assert_refused(run(*resume), "1 of ", f"train have other labels ({data.parent}/images/train/{label.stem}",
                   "--data-changed")  # fmt: skip
    outcome = run(*resume, "--data-changed")
    assert outcome.code == 0
    assert "warning: " in outcome.err
    assert "other labels" in outcome.err
    assert run(*resume).code == 0, "the new data is now the run's"
    data.write_text(data.read_text().replace("hand", "palm"))
    assert_refused(run(*resume, "--data-changed"), "the classes are palm, not hand; start a new run")


@pytest.mark.filterwarnings("default")
def test_slim_notices_data_that_changed(
    run: Run, hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = shutil.copytree(hands.parent, tmp_path / "data") / hands.name
    with monkeypatch.context() as patch:
        interrupt_in(patch, "dense", 0)
        assert run("slim", "--data", data, *TINY, "--epochs", 1, "--budget", "macs=80%").code == 130
    next((data.parent / "images/test").iterdir()).unlink()
    resume = ("slim", "--resume", "runs/slim/slim")
    assert_refused(run(*resume), "1 of ", "images of test are gone", "--data-changed")
    with monkeypatch.context() as patch:
        interrupt_in(patch, "dense", 0)
        outcome = run(*resume, "--data-changed")
    assert outcome.code == 130
    assert "are gone" in outcome.err


@pytest.mark.filterwarnings("default")
def test_another_number_of_threads_is_said(
    run: Run, hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_run(run, hands, tmp_path, monkeypatch)
    path = tmp_path / "runs/train/train/environment.json"
    environment = json.loads(path.read_text())
    threads = environment["torch_threads"]
    path.write_text(json.dumps({**environment, "torch_threads": 64}))
    outcome = run("train", "--resume", "runs/train/train")
    assert outcome.code == 0
    assert (
        f"warning: runs/train/train: this run began with 64 threads and goes on with {threads};"
        in outcome.err
    )


def test_a_run_that_is_running_is_not_resumed(
    run: Run, hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_run(run, hands, tmp_path, monkeypatch)
    with locked(tmp_path / "runs/train/train"):
        outcome = run("train", "--resume", "runs/train/train")
        assert_refused(outcome, f"runs/train/train: process {os.getpid()} on ", "works in this folder")
    assert run("train", "--resume", "runs/train/train").code == 0


def test_a_run_that_stopped_before_its_first_step_begins_anew(
    run: Run, hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_in(patch, "train", 0)
        assert run("train", "--data", hands, *TINY, "--epochs", 1).code == 130
    assert run("train", "--resume", "runs/train/train").code == 0


@pytest.mark.parametrize("minutes", ["-1", "nan", "inf"])
def test_minutes_between_states_are_a_number(run: Run, hands: Path, minutes: str) -> None:
    assert_refused(run("train", "--data", hands, *TINY, f"--save-every={minutes}"), f"--save-every {minutes}")


@pytest.mark.parametrize("memory", ["4", "4TB", "-1GB", "GB", "nan GB", "much"])
def test_memory_that_makes_no_sense(run: Run, hands: Path, memory: str) -> None:
    assert_refused(
        run("train", "--data", hands, *TINY, f"--cache={memory}"), f"--cache {memory}: expected memory"
    )


def test_the_memory_for_images_changes_no_result(run: Run, hands: Path) -> None:
    line = ["train", "--data", hands, *TINY, "--epochs", 1, "--json", "-"]
    rows = [json.loads(run(*line, "--cache", memory).out)["history"][-1] for memory in ("0", "1.5 gb")]
    assert rows[0]["box"] == rows[1]["box"]
    assert rows[0]["val_ap"] == rows[1]["val_ap"]


def test_a_run_of_before_there_were_teachers_resumes(run: Run, hands: Path, tmp_path: Path) -> None:
    assert run("train", "--data", hands, *TINY, "--epochs", 1, "--name", "old").code == 0
    settings = tmp_path / "runs/train/old/command.json"
    values = json.loads(settings.read_text())
    del values["teacher"], values["distill"]
    settings.write_text(json.dumps(values))
    assert run("train", "--resume", "runs/train/old").code == 0


def test_a_teacher_of_other_outputs_starts_no_run(run: Run, hands: Path, tmp_path: Path) -> None:
    seyolo.save(seyolo.load(MODEL, num_classes=2), tmp_path / "two.safetensors")
    seyolo.save(seyolo.load("yolov3@0.125", num_classes=1), tmp_path / "three.safetensors")
    line = ["train", "--data", hands, *TINY, "--epochs", 1, "--teacher"]
    parts = ("number of classes: 2 in the teacher", "1 in the student")
    assert_refused(run(*line, "two.safetensors"), "two.safetensors", *parts)
    assert_refused(run(*line, "three.safetensors"), "three.safetensors", "strides: 32, 16, 8")
    assert not list(tmp_path.glob("runs/train/*"))


def bad_label(folder: Path, row: str) -> Path:
    """A data set of one image whose label is `row`."""
    for split in ("train", "val"):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        (folder / f"labels/{split}/a.txt").write_text(row + "\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [hand]\n")
    return folder / "data.yaml"


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ("1 0.5 0.5 0.2 0.2", "a.txt:1"),
        ("0 nan 0.5 0.2 0.2", "a.txt:1"),
        ("0 0.5 0.5 1.8 0.2", "a.txt:1"),
        ("0 0.5 0.5", "a.txt:1"),
    ],
    ids=["class out of range", "nan", "outside the image", "too few numbers"],
)
def test_a_bad_label_is_named_before_training(
    run: Run, image: Path, tmp_path: Path, row: str, part: str
) -> None:
    data = bad_label(tmp_path / "bad", row)
    for split in ("train", "val"):
        (data.parent / f"images/{split}/a.jpg").write_bytes(image.read_bytes())
    for verb in ("train", "slim"):
        assert_refused(run(verb, "--data", data, *TINY, "--epochs", 1), part)
    assert not list(tmp_path.glob("runs/*/*"))


def test_a_truncated_training_image_is_named(run: Run, image: Path, tmp_path: Path) -> None:
    data = bad_label(tmp_path / "bad", "0 0.5 0.5 0.2 0.2")
    for split in ("train", "val"):
        (data.parent / f"images/{split}/a.jpg").write_bytes(image.read_bytes()[:-300])
    outcome = run("train", "--data", data, *TINY, "--epochs", 1)
    assert_refused(outcome, "a.jpg", "truncated")


def test_an_empty_or_missing_data_set_is_refused(run: Run, tmp_path: Path) -> None:
    data = bad_label(tmp_path / "empty", "")
    assert_refused(run("train", "--data", data, *TINY), "no images")
    assert_refused(run("slim", "--data", "gone/data.yaml", *TINY), "gone/data.yaml")
    (tmp_path / "typo.yaml").write_text("tarin: images\nnames: [hand]\n")
    assert_refused(run("train", "--data", "typo.yaml", *TINY), "tarin", "train")


def test_a_full_disk_stops_training_with_its_last_epoch_intact(
    run: Run, hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = run_folder.write_run_state

    def write_once(path: Path, state: Any, before: Path) -> None:
        if state.record.epoch == 2:
            raise OSError(28, "No space left on device", str(path))
        write(path, state, before)

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "write_run_state", write_once)
        outcome = run("train", "--data", hands, *TINY, "--epochs", 2)
    assert_refused(outcome, "state.safetensors", "No space left")
    assert not list(tmp_path.rglob("*.partial*"))
    assert run("train", "--resume", "runs/train/train").code == 0
    assert len(rows(tmp_path / "runs/train/train/results.csv")) == 2


def test_slim_stops_and_resumes_and_leaves_all_it_promises(
    run: Run, hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_in(patch, "sparse", 0)
        outcome = run(
            "slim", "--data", hands, *TINY, "--epochs", 1, "--attention", "se", "--budget", "macs=80%"
        )
    assert outcome.code == 130
    assert "time: about" in outcome.err
    assert outcome.err.splitlines()[-1].endswith("seyolo slim --resume runs/slim/slim")
    outcome = run("slim", "--resume", "runs/slim/slim", "--json", "-")
    assert outcome.code == 0, outcome.err
    results = json.loads(outcome.out)
    assert [stage["stage"] for stage in results["stages"]] == ["dense", "sparse", "pruned", "finetuned"]
    dense, slim = results["stages"][0], results["stages"][-1]
    assert slim["macs"] == results["plan"]["macs"] <= 0.8 * dense["macs"]
    assert set(slim["metrics"]) == {"val", "test"}
    assert set(slim["latency_ms"]) == {"torch", "onnxruntime"}
    folder = tmp_path / "runs/slim/slim"
    cut = json.loads((folder / "config.json").read_text())["cut"]
    assert (cut["method"], cut["tied"], cut["blocks"]) == (None, None, False)
    for name in (
        "config.json", "environment.json", "results.json", "plan.json", "table.md", "channels.png",
        "curves.png", "samples.jpg", "slim.safetensors", "slim.cfg", "slim.weights", "slim.onnx",
    ):  # fmt: skip
        assert (folder / name).is_file(), name
    assert not list(folder.glob(".*"))


def test_slim_refuses_an_impossible_budget_before_training(run: Run, hands: Path, tmp_path: Path) -> None:
    outcome = run("slim", "--data", hands, *TINY, "--budget", "macs=5%")
    assert_refused(outcome, "nearest budget")
    assert not list(tmp_path.glob("runs/slim/*"))


def test_slim_slims_trained_weights_as_they_are_and_takes_every_choice(
    run: Run, hands: Path, checkpoint: Path, tmp_path: Path
) -> None:
    outcome = run(
        "slim", "--data", hands, "--weights", checkpoint, "--size", SIZE_PX, "--batch", 4,
        "--budget", "macs=80%", "--sparse-epochs", 1, "--finetune-epochs", 1,
        "--sparsity", "group", "--s", 0.1, "--schedule", "decay", "--scales-rate", 10,
        "--importance", "norm", "--least-share", 0.25, "--repair", "reconstruct",
        "--distill", 0.5, "--controls", "scratch", "--json", "-",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    folder = tmp_path / "runs/slim/slim"
    config = json.loads((folder / "config.json").read_text())
    expected = {
        "epochs": 0, "branch_epoch": None, "sparsity": "group", "strength": 0.1, "schedule": "decay",
        "scales_rate": 10.0, "repair": "reconstruct", "distill": 0.5,
    }  # fmt: skip
    assert {key: config[key] for key in expected} == expected
    cut = config["cut"]
    assert (cut["method"], cut["least_share"], cut["tied"]) == ("norm", 0.25, None)
    assert not (folder / "dense" / "results.csv").exists()
    assert "distillation" in rows(folder / "finetuned" / "results.csv")[0]
    assert [row["control"] for row in json.loads(outcome.out)["controls"]] == ["slim", "scratch"]
    before = (folder / "finetuned" / "best.safetensors").stat().st_mtime_ns
    outcome = run("slim", "--resume", "runs/slim/slim", "--controls", "uniform")
    assert outcome.code == 0, outcome.err
    assert "uniform" in outcome.out
    assert "learned: AP@0.5 on val is " in outcome.out.splitlines()[0]
    assert "slim against dense: AP on test" in outcome.out
    assert (folder / "finetuned" / "best.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--rounds", 0], ["--rounds 0"]),
        (["--rounds", 2, "--sparsity", "l1"], ["--rounds", "steered"]),
        (["--s", 0], ["--s 0"]),
        (["--scales-rate", "nan"], ["--scales-rate nan"]),
        (["--distill", -1], ["--distill -1"]),
        (["--least-share", 2], ["--least-share 2"]),
        (["--controls", "int4"], ["int4", "dense, uniform"]),
        (["--sparsity", "l2"], ["l2"]),
    ],
)
def test_slim_refuses_choices_that_make_no_sense(
    run: Run, hands: Path, tmp_path: Path, flags: list[object], parts: list[str]
) -> None:
    assert_refused(run("slim", "--data", hands, *TINY, "--epochs", 1, *flags), *parts)
    assert not list(tmp_path.glob("runs/slim/*"))


IMPOSSIBLE: dict[tuple[object, ...], str] = {
    ("--batch", 0): "--batch 0",
    ("--lr", "nan"): "--lr nan",
    ("--lr", "inf"): "--lr inf",
    ("--seed", -1): "--seed -1",
    ("--epochs", 0): "--epochs 0",
    ("--device", "mps"): "cpu or cuda",
    ("--weights", "x.onnx"): "cannot be trained",
}


@pytest.mark.parametrize("options", IMPOSSIBLE)
@pytest.mark.parametrize("verb", ["train", "slim"])
def test_settings_no_training_can_run_with(
    run: Run, hands: Path, tmp_path: Path, verb: str, options: tuple[object, ...]
) -> None:
    line = [verb, "--data", hands, "--model", MODEL, "--size", SIZE_PX, *options]
    assert_refused(run(*line), IMPOSSIBLE[options])
    assert not list(tmp_path.rglob("*.json"))


def test_a_run_that_lost_its_state_is_not_started_again(run: Run, hands: Path, tmp_path: Path) -> None:
    assert run("train", "--data", hands, *TINY, "--epochs", 1, "--name", "lost").code == 0
    (tmp_path / "runs/train/lost/state.safetensors").unlink()
    before = (tmp_path / "runs/train/lost/best.safetensors").read_bytes()
    assert_refused(run("train", "--resume", "runs/train/lost"), "state.safetensors is gone")
    assert (tmp_path / "runs/train/lost/best.safetensors").read_bytes() == before
