"""Folders of runs that version 0.1.0 wrote: every value is read as it was given."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import seyolo
from seyolo.darknet.cfg import parse_cfg
from seyolo.errors import TrainingError
from seyolo.json_files import to_json
from seyolo.options.cut import CutOptions
from seyolo.options.slim import SlimOptions
from seyolo.options.stored import read_slim_options, read_train_options, stored_slim
from seyolo.options.train import TrainOptions
from seyolo.options.training import Augmentation, LossWeights, OptimizerName

STORED = Path(__file__).parents[1] / "stored"

ANCHORS = "6.1,6.4,8.1,6.9,9.6,10.5,15.9,15.8,23.2,27.5,39.5,35.6"
GIVEN_TO_SLIM = SlimOptions(
    optimizer="adamw",
    data=Path("hands/data.yaml"),
    model="yolov3-tiny@0.125",
    weights=Path("teacher/best.safetensors"),
    attention="se",
    at=("head",),
    reduction=8,
    join="add",
    budget=("macs=50%", "params=60%"),
    size=64,
    epochs=2,
    branch_epoch=1,
    sparse_epochs=1,
    finetune_epochs=1,
    batch=4,
    lr=2e-3,
    seed=7,
    sparsity="steered",
    s=0.3,
    schedule="decay",
    scales_rate=2.0,
    rounds=2,
    cut=CutOptions(
        multiple=2,
        least_share=0.1,
        evenness=0.5,
        keep=(0,),
        blocks=False,
        importance="bn",
        tied="max",
        size_hw=(64, 64),
    ),
    repair="recalibrate",
    distill=0.5,
    loss=LossWeights(box=5.0),
    augmentation=Augmentation(mosaic=0.5),
    weight_decay=0.01,
    plain_share=0.5,
    evaluations=4,
    loader_workers=1,
    multi_scale=True,
    device="cpu",
)
GIVEN_TO_TRAIN = TrainOptions(
    optimizer="adamw",
    data=Path("hands/data.yaml"),
    model="yolov3-tiny@0.125",
    weights=Path("teacher/best.safetensors"),
    attention="se",
    at=("head",),
    reduction=8,
    join="add",
    sparsity="l1",
    s=0.02,
    schedule="decay",
    size=64,
    epochs=1,
    batch=4,
    lr=2e-3,
    seed=7,
    multi_scale=True,
    teacher=Path("teacher/best.safetensors"),
    distill=0.5,
    device="cpu",
)
GIVEN_TO_USUAL_TRAIN = TrainOptions(
    data=Path("hands/data.yaml"),
    model="yolov3-tiny@0.125",
    size=64,
    epochs=1,
    batch=4,
    lr=1.5e-3,
    optimizer="adamw",
    device="cpu",
)


def test_the_options_of_slim() -> None:
    options = read_slim_options(STORED / "slim-0.1.0")
    assert options == GIVEN_TO_SLIM
    values = json.loads((STORED / "slim-0.1.0/config.json").read_text())
    values["train"]["optimizer"] = "adamw"
    assert stored_slim(options) == values


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_runs_name_their_optimizer(tmp_path: Path, optimizer: OptimizerName) -> None:
    options = replace(GIVEN_TO_SLIM, optimizer=optimizer)
    (tmp_path / "config.json").write_text(json.dumps(stored_slim(options)))
    assert read_slim_options(tmp_path) == options
    given = TrainOptions(data=Path("d"), model="yolov3-tiny", optimizer=optimizer)
    (tmp_path / "command.json").write_text(json.dumps(to_json(given)))
    assert read_train_options(tmp_path) == given


@pytest.mark.parametrize(
    ("given", "stages"),
    [
        ({"epochs": None}, {"dense": 30, "sparse": 11, "finetuned": 45}),
        ({"epochs": 0}, {"dense": 0, "sparse": 11, "finetuned": 49}),
        ({"epochs": 0, "sparse_epochs": 8}, {"dense": 0, "sparse": 8, "finetuned": 52}),
        ({"epochs": 0, "sparse_epochs": 0}, {"dense": 0, "sparse": 0, "finetuned": 60}),
        ({"epochs": 10}, {"dense": 10, "sparse": 4, "finetuned": 15}),
    ],
)
def test_runs_without_an_optimizer_keep_adamw_and_their_epochs(
    tmp_path: Path, given: dict[str, int | None], stages: dict[str, int]
) -> None:
    values = stored_slim(SlimOptions(data=Path("d"), model="yolov3-tiny"))
    del values["train"]["optimizer"]  # as before there was a choice
    (tmp_path / "config.json").write_text(json.dumps(values | given))
    options = read_slim_options(tmp_path)
    assert (options.optimizer, options.stage_epochs()) == ("adamw", stages)
    train = to_json(TrainOptions(data=Path("d"), model="yolov3-tiny"))
    del train["optimizer"]
    (tmp_path / "command.json").write_text(json.dumps(train))
    assert read_train_options(tmp_path).optimizer == "adamw"


def test_blocks_that_may_be_removed(tmp_path: Path) -> None:
    """Version 0.1.0 keeps `blocks` inside `cut` alone."""
    values = json.loads((STORED / "slim-0.1.0/config.json").read_text())
    values["cut"]["blocks"] = True
    (tmp_path / "config.json").write_text(json.dumps(values))
    options = read_slim_options(tmp_path)
    assert (options.blocks, options.cut.blocks) == (True, True)
    values["train"]["optimizer"] = "adamw"
    assert stored_slim(options) == values


@pytest.mark.parametrize(
    ("folder", "given"),
    [("train-0.1.0", GIVEN_TO_TRAIN), ("train-usual-0.1.0", GIVEN_TO_USUAL_TRAIN)],
)
def test_the_options_of_train(folder: str, given: TrainOptions) -> None:
    """Version 0.1.0 writes a strength and a teacher's weight also where neither was given."""
    assert read_train_options(STORED / folder) == given


def test_a_plan_is_kept_and_fits_its_network_today() -> None:
    text = (STORED / "slim-0.1.0/plan.json").read_text()
    plan = seyolo.Plan.from_json(text)
    assert json.loads(plan.to_json()) == json.loads(text)
    assert (plan.macs, plan.dense_macs, plan.budget) == (1233296, 2466816, "macs=50%,params=60%")
    assert (plan.input_size, plan.multiple, plan.evenness, plan.importance) == ((64, 64), 2, 0.5, "bn")
    dense = seyolo.attach(
        seyolo.load("yolov3-tiny@0.125", num_classes=1), "se", "head", reduction=8, join="add"
    )
    # Training fitted the anchors to the data, and the fingerprint covers them.
    cfg = re.sub("anchors=.*", f"anchors={ANCHORS}\nscale_x_y=2", dense.network.to_cfg())
    masks = plan.masks(parse_cfg(cfg))
    assert all(masks[layer].sum() == after for layer, _, after in plan.table())


@pytest.mark.parametrize(
    ("run", "file", "where"),
    [("train-0.1.0", "command.json", ()), ("slim-0.1.0", "config.json", ("cut",))],
)
def test_an_unknown_option_is_refused(tmp_path: Path, run: str, file: str, where: tuple[str, ...]) -> None:
    """Left out in silence, it would make a resumed run another one."""
    values = json.loads((STORED / run / file).read_text())
    inner = values
    for key in where:
        inner = inner[key]
    inner["epoch"] = 5
    (tmp_path / file).write_text(json.dumps(values))
    read = read_train_options if file == "command.json" else read_slim_options
    name = ".".join((*where, "epoch"))
    with pytest.raises(
        TrainingError, match=rf"{file}: there is no option '{name}'; it may be of a newer seyolo"
    ):
        read(tmp_path)
