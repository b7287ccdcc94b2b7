"""The five lines that a run tells before it starts, and start.json."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import seyolo
from helpers.stopping import StopIn
from seyolo.data.datasets import load_dataset
from seyolo.options.cut import CutOptions
from seyolo.options.slim import ControlName, SlimOptions
from seyolo.progress import Advance, Silent, read_warnings
from seyolo.results import RunStart, read_start
from seyolo.verbs import slim_results, slim_run, stages
from seyolo.verbs.announce import shortage_lines
from seyolo.verbs.calibration import plan_of

MODEL = "yolov3-tiny@0.125"
SMALL: dict[str, Any] = {"size": 64, "epochs": 1, "batch": 4}
HEADS = ["network", "data", "device", "training", "time"]


class ToldBefore(StopIn):
    """Keeps what it is told, and stops at the second step of training."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)

    def announced(self) -> dict[str, str]:
        """The five lines by their first word."""
        found = [line.partition(": ") for line in self.lines if line.partition(":")[0] in HEADS]
        assert [head for head, _, _ in found] == HEADS
        return {head: text for head, _, text in found}


def told(verb: Any, data: Path, folder: Path, place: str, **options: Any) -> ToldBefore:
    """What a run tells until it is stopped in its training."""
    progress = ToldBefore(place)
    with pytest.raises(KeyboardInterrupt):
        verb(data, MODEL, folder=folder, progress=progress, **SMALL | options)
    return progress


def test_train_tells_what_it_will_do_in_five_lines(tiny_hands: Path, tmp_path: Path) -> None:
    progress = told(seyolo.train, tiny_hands, tmp_path / "run", "train epoch 1/1")
    lines = progress.announced()
    assert re.fullmatch(r"yolov3-tiny@0.125, new weights; 139 k parameters, 2.47 M MACs", lines["network"])
    splits = r"train \d+ images with \d+ boxes, val \d+ images with \d+ boxes"
    assert re.fullmatch(rf"YOLO, data\.yaml; {splits}.*; 1 class", lines["data"])
    assert re.match(r"(cpu, no GPU found; \d+ threads? on \d+ cores?|cpu; \d+ thread|cuda)", lines["device"])
    assert re.fullmatch(r"\d+ steps \(1 epoch\) of 4 images at 64 px", lines["training"])
    where = re.escape(str(tmp_path / "run"))
    assert re.fullmatch(
        rf"about \d+ s, into {where}; stop any time, seyolo train --resume {where} continues", lines["time"]
    )
    start = read_start(tmp_path / "run")
    assert start is not None
    assert (start.network, start.batch, start.input_size, start.epochs) == (MODEL, 4, (64, 64), {"train": 1})
    assert f"warning: {start.steps['train']} steps; a few hundred are needed: --epochs" in str(progress.lines)
    assert not any("0 min" in line for line in progress.lines)
    kept = read_warnings(tmp_path / "run")
    assert kept == [line.removeprefix("warning: ") for line in progress.lines if line.startswith("warning: ")]


@pytest.mark.parametrize("verb", [seyolo.train, partial(seyolo.slim, budget="macs=80%")])
def test_what_is_known_is_told_before_a_step_is_measured(verb: Any, tiny_hands: Path, tmp_path: Path) -> None:
    class Measured(ToldBefore):
        def task(self, title: str, total: int) -> AbstractContextManager[Advance]:
            if title == "measuring training steps":
                raise KeyboardInterrupt
            return super().task(title, total)

    progress = Measured("nothing epoch 1/1")
    with pytest.raises(KeyboardInterrupt):
        verb(tiny_hands, MODEL, folder=tmp_path / "run", progress=progress, **SMALL)
    told_first = [line.partition(": ")[0] for line in progress.lines]
    assert [head for head in told_first if head in HEADS] == HEADS[:-1]


def test_slim_tells_all_of_its_stages(tiny_hands: Path, tmp_path: Path) -> None:
    options = {"budget": "macs=80%", "sparse_epochs": 1, "finetune_epochs": 2}
    progress = told(seyolo.slim, tiny_hands, tmp_path / "run", "dense epoch 1/1", **options)
    training = progress.announced()["training"]
    assert any("few hundred are needed" in line for line in read_warnings(tmp_path / "run"))
    stages = r"\(dense 1 epoch, sparse 1 epoch, finetuned 2 epochs\)"
    assert re.fullmatch(rf"\d+ steps {stages} of 4 images at 64 px, pruned to macs=80%", training)
    assert not any("0 min" in line for line in progress.lines)


def test_the_time_of_slim_counts_every_part(tiny_hands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "measure_step_seconds", lambda *_: 4.0)  # of 4 images
    options = SlimOptions(data=tiny_hands, model=MODEL, size=64, epochs=2, batch=4, sparse_epochs=1)
    dataset, model = load_dataset(tiny_hands), seyolo.load(MODEL, num_classes=1)  # 12, 6 and 4 images
    found = stages.estimate_seconds(
        model, dataset, replace(options, finetune_epochs=1, distill=0.0), 0.25, Silent()
    )
    assert list(found) == ["dense", "sparse", "planning", "finetuned", "results"]
    epoch_s = 3 * 4.0 + 0.6 * 6  # steps, and the evaluation on val
    assert found["dense"] == pytest.approx(2 * epoch_s)
    at_start_s = 0.6 * 6  # fine-tuning also evaluates its start
    assert (found["sparse"], found["finetuned"]) == pytest.approx((epoch_s, (epoch_s + at_start_s) / 2))
    measured, repaired = 12 + 16, 12 + 16  # plain images, and a batch of augmented ones
    assert found["planning"] == pytest.approx(1.8 * measured + 1.3 * repaired + 2 * 0.6 * 6)
    judged, timed = 10 * 0.6, 40
    assert found["results"] == pytest.approx(20 + (2 + 3 / 2) * (judged + timed) + 3.4 * 12 / 2)
    cut = CutOptions(importance="obs")
    bare = replace(options, sparsity="steered", rounds=3, repair="none", cut=cut)
    found = stages.estimate_seconds(model, dataset, bare, 0.25, Silent())
    assert found["planning"] == pytest.approx(3 * 1.8 * measured + 2 * 0.6 * 6)


def test_the_time_of_slim_counts_its_controls_beside_its_own_stages(
    tiny_hands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "measure_step_seconds", lambda *_: 4.0)  # of 4 images
    options = SlimOptions(data=tiny_hands, model=MODEL, size=64, epochs=2, batch=4, sparse_epochs=1)
    options = replace(options, branch_epoch=1, finetune_epochs=3)  # slim sees 5 epochs
    dataset, model = load_dataset(tiny_hands), seyolo.load(MODEL, num_classes=1)

    def added(options: SlimOptions, *names: ControlName) -> dict[str, float]:
        plain = stages.estimate_seconds(model, dataset, options, 0.25, Silent())
        found = stages.estimate_seconds(model, dataset, replace(options, controls=names), 0.25, Silent())
        assert plain.items() <= found.items()
        return {part: seconds for part, seconds in found.items() if part not in plain}

    whole_s = 5 * (3 * 4.0 + 0.6 * 6)
    expected = {"dense control": whole_s, "scratch control": whole_s / 2}
    assert added(options, "dense", "scratch", "int8") == pytest.approx(expected)
    assert added(options, "int8") == pytest.approx({"dense control": whole_s})
    assert list(added(options, "plain")) == ["plain sparse", "plain planning", "plain finetuned"]
    given = replace(options, epochs=0)  # slim sees 4 epochs, and a control is still trained from scratch
    assert added(given, "scratch") == pytest.approx({"scratch control": whole_s * 4 / 5 / 2})
    equal = replace(options, finetune_epochs=0)
    assert added(equal, "dense") == {"dense control": 0.0}  # the dense network saw as many images


def test_a_finished_run_tells_the_time_of_the_controls_that_are_added(
    tiny_hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "measure_step_seconds", lambda *_: 4.0)
    left_s: list[float] = []
    monkeypatch.setattr(slim_run, "announce_time", lambda _, __, place, ___: left_s.append(place.left_s))
    options = SlimOptions(data=tiny_hands, model=MODEL, size=64, epochs=2, batch=4, sparse_epochs=1)
    options = replace(
        options, budget=("macs=80%",), finetune_epochs=1, controls=("dense", "scratch", "random")
    )
    progress = ToldBefore("nothing epoch 1/1")
    run = slim_run.SlimRun(options, tmp_path, progress)
    model, rough = run.starting_model(), plan_of(run.starting_model(), options, None)
    for stage, epochs in options.stage_epochs().items():
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "results.csv").write_text("epoch\n" * (1 + epochs))
    (tmp_path / "controls" / "scratch").mkdir(parents=True)
    (tmp_path / "controls" / "scratch" / "results.csv").write_text("epoch\n1\n")  # 1 of 3 epochs
    (tmp_path / "pruned.safetensors").touch()
    run.announce(model, rough, {"slim", "random"})
    parts = stages.estimate_seconds(model, run.dataset, options, rough.macs / rough.dense_macs, Silent())
    expected = parts["results"] + parts["dense control"] + parts["scratch control"] * 2 / 3
    assert left_s == [pytest.approx(expected)]
    assert "controls: dense, scratch, trained on as many images as slim" in progress.lines


def test_weights_are_told_with_the_part_that_was_taken(tiny_hands: Path, tmp_path: Path) -> None:
    trained = seyolo.load("yolov3-tiny@0.125", num_classes=1)
    seyolo.save(trained, tmp_path / "a.safetensors")
    weights = {"weights": tmp_path / "a.safetensors"}
    progress = told(seyolo.train, tiny_hands, tmp_path / "run", "train epoch 1/1", **weights)
    assert f"weights from {tmp_path / 'a.safetensors'}" in progress.announced()["network"]
    other = seyolo.load("yolov3-tiny@0.125", num_classes=3)
    seyolo.save(other, tmp_path / "b.safetensors")
    progress = ToldBefore("train epoch 1/1")
    with pytest.raises(KeyboardInterrupt):
        seyolo.train(
            tiny_hands, tmp_path / "b.safetensors", folder=tmp_path / "c", progress=progress, **SMALL
        )
    assert re.search(r"\d+ of \d+ tensors from .*, the others new", progress.announced()["network"])


@pytest.mark.parametrize(
    ("sparse", "is_told"), [({}, True), ({"sparse_epochs": 0}, False), ({"s": 0.1}, False)]
)
def test_sparsity_training_that_few_images_leave_out_is_told(
    tiny_hands: Path, tmp_path: Path, sparse: dict[str, Any], is_told: bool
) -> None:
    seyolo.save(seyolo.load(MODEL, num_classes=1), tmp_path / "a.safetensors")
    progress = ToldBefore(f"{'sparse' if 's' in sparse else 'finetuned'} epoch 1/")
    options = {"weights": tmp_path / "a.safetensors", "size": 64, "budget": "macs=80%", **sparse}
    with pytest.raises(KeyboardInterrupt):
        seyolo.slim(tiny_hands, MODEL, folder=tmp_path / "run", progress=progress, **options)
    said = "sparsity training: left out, as on few images it takes away what given weights know; "
    assert (f"{said}--sparse-epochs N trains it" in progress.lines) is is_told
    assert ("sparse" in progress.announced()["training"]) is ("s" in sparse)


def test_weights_that_are_only_pruned_are_not_said_to_be_trained(
    tiny_hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slim_results, "measure_latency", lambda models, int8: {name: {} for name in models})
    seyolo.save(seyolo.load("yolov3-tiny@0.25", num_classes=1), tmp_path / "a.safetensors")
    options: dict[str, Any] = {"weights": tmp_path / "a.safetensors", "epochs": 0}
    options |= {"sparse_epochs": 0, "finetune": False}
    progress = ToldBefore("nothing epoch 1/1")
    options |= {"folder": tmp_path / "run", "progress": progress, "budget": "macs=80%", "size": 64}
    seyolo.slim(tiny_hands, **options)
    assert progress.announced()["training"] == "none at 64 px, pruned to macs=80%"
    assert any(line.startswith("after pruning, before repair") for line in progress.lines)
    assert not any("after sparsity training" in line for line in progress.lines)


def test_a_resumed_run_tells_what_is_left(
    tiny_hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slim_results, "measure_latency", lambda models, int8: {name: {} for name in models})
    options = {"budget": "macs=80%", "sparse_epochs": 1, "finetune_epochs": 1}
    told(seyolo.slim, tiny_hands, tmp_path / "run", "sparse epoch 1/1", **options)
    progress = ToldBefore("nothing epoch 1/1")
    seyolo.api.resume_slim(tmp_path / "run", progress)
    assert re.match(r"about \d+ (s|min) are left of \d+ (s|min)", progress.announced()["time"])


def test_frozen_layers_must_be_trained_and_lie_in_front(tiny_hands: Path, tmp_path: Path) -> None:
    with pytest.raises(seyolo.SeyoloError, match="--freeze 3: these layers are random; give trained ones"):
        seyolo.train(tiny_hands, MODEL, folder=tmp_path / "a", freeze=3, **SMALL)
    trained = seyolo.load(MODEL, num_classes=1)
    seyolo.save(trained, tmp_path / "a.safetensors")
    with pytest.raises(seyolo.SeyoloError, match="--freeze 99: layer 15 is the last in front of a detection"):
        seyolo.train(tiny_hands, tmp_path / "a.safetensors", folder=tmp_path / "a", freeze=99, **SMALL)
    told(
        seyolo.train,
        tiny_hands,
        tmp_path / "b",
        "train epoch 1/1",
        weights=tmp_path / "a.safetensors",
        freeze=3,
    )
    with pytest.raises(seyolo.SeyoloError, match="--freeze is of dense training"):
        seyolo.slim(tiny_hands, MODEL, weights=tmp_path / "a.safetensors", epochs=0, freeze=3, size=64)


def test_the_time_left_of_all_stages_is_in_the_note_of_every_step(tiny_hands: Path, tmp_path: Path) -> None:
    notes: list[str] = []

    class Noted(ToldBefore):
        def task(self, title: str, total: int) -> Any:
            context = super().task(title, total)

            class Both:
                def __enter__(self) -> Advance:
                    advance = context.__enter__()

                    def noting(count: int, note: str) -> None:
                        if title == "train":
                            notes.append(note)
                        advance(count, note)

                    return noting

                def __exit__(self, *error: Any) -> Any:
                    return context.__exit__(*error)

            return Both()

    with pytest.raises(KeyboardInterrupt):
        seyolo.train(tiny_hands, MODEL, folder=tmp_path / "run", progress=Noted("train epoch 1/1"), **SMALL)
    assert all(re.fullmatch(r"epoch 1/1, \d+ (s|min) left", note) for note in notes)


FEW = RunStart(
    network=MODEL,
    origin="weights from x.weights",
    images={"train": 48, "val": 60, "test": 12},
    boxes={"train": 90, "val": 120, "test": 23},
    num_classes=1,
    device="cpu",
    threads=1,
    batch=8,
    input_size=(64, 64),
    epochs={"dense": 0, "sparse": 10, "finetuned": 60},
    steps={"dense": 0, "sparse": 60, "finetuned": 360},
    seconds=9.0,
)
SPARSE = "warning: sparsity training on 48 images destroys what given weights know: --sparse-epochs 0"
TEST = "warning: 12 images of test with 23 objects are too few to tell a difference in AP: label more"
FEW_VAL = "warning: 5 images of val with 10 objects are too few to tell a difference in AP: label more"
BOXES = "warning: 9 boxes in val; AP on so few says little: move more labelled images to val"


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({}, [SPARSE, TEST]),
        ({"steps": {"dense": 0, "sparse": 380, "finetuned": 360}}, [TEST]),  # 38 steps an epoch are enough
        ({"steps": {"dense": 0, "sparse": 370, "finetuned": 360}}, [SPARSE, TEST]),
        ({"steps": {"dense": 0, "sparse": 0, "finetuned": 360}, "epochs": {"dense": 0, "sparse": 0}}, [TEST]),
        ({"epochs": {"dense": 70, "sparse": 10}, "steps": {"dense": 360, "sparse": 300}}, [TEST]),
        ({"epochs": {"train": 70}, "steps": {"train": 360}}, []),  # judged by val alone
        ({"epochs": {"train": 70}, "steps": {"train": 360}, "boxes": {"test": 500}}, []),
        ({"images": {"train": 48, "val": 50, "test": 50}, "boxes": {"val": 99, "test": 100}}, [SPARSE]),
        ({"images": {"train": 48, "val": 5}, "boxes": {"val": 9}}, [BOXES, SPARSE]),  # one line about val
        ({"images": {"train": 48, "val": 5}, "boxes": {"val": 10}}, [SPARSE, FEW_VAL]),
        ({"boxes": {"val": 9, "test": 23}}, [BOXES, SPARSE, TEST]),  # two lines about two splits
        ({"epochs": {"train": 70}, "steps": {"train": 360}, "boxes": {"val": 9}}, [BOXES]),
        ({"images": {"train": 48, "val": 50, "test": 50}, "boxes": {"val": 99, "test": 0}}, [SPARSE, "val"]),
    ],
)
def test_what_a_run_has_too_little_of(changed: dict[str, Any], lines: list[str]) -> None:
    found = shortage_lines(replace(FEW, **changed))
    told = "warning: 50 images of val with 99 objects are too few to tell a difference in AP: label more"
    assert found == [told if line == "val" else line for line in lines]
