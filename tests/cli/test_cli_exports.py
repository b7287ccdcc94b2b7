"""Exports of labelling tools go through the verbs as they are: no file of them is changed or added."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from helpers.running import MODEL, SIZE_PX, Run, assert_refused
from helpers.written_exports import ALL, EXPORTS
from helpers.written_oxford import add
from seyolo.darknet.zoo import network_from_name
from seyolo.data.datasets import load_dataset
from seyolo.data.splitting import for_training
from seyolo.torchnet.build import build
from seyolo.training.config import TrainConfig
from seyolo.training.distributed import current_team
from seyolo.training.prepare import fit_to_data
from seyolo.training.step import TrainingStep

pytestmark = pytest.mark.filterwarnings("ignore:.*box(es)? (is|are) under")
TINY = ["--model", MODEL, "--size", SIZE_PX, "--batch", 2]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", EXPORTS)
def test_a_step_of_training_on_every_export(tmp_path: Path, name: str) -> None:
    write, _ = EXPORTS[name]
    write(tmp_path / name)
    before = digests(tmp_path)
    dataset, _ = for_training(load_dataset(tmp_path / name), 0, {})
    config = TrainConfig(epochs=1, size=SIZE_PX, batch=2)
    network = fit_to_data(network_from_name(MODEL), len(dataset.names), config.size_hw)
    model = build(network, dataset.names, torch.Generator().manual_seed(0))
    step = TrainingStep(model, config, 1, current_team())
    loader = config.make_loader(dataset.split("train"))
    images, targets = next(loader.epoch(0))
    assert len(targets)
    assert torch.isfinite(step.take(0, images, targets)).all()
    assert dataset.split("val")
    assert digests(tmp_path) == before


@pytest.mark.parametrize("name", ["roboflow_yolo", "labelimg_voc"])
def test_slim_on_an_export(run: Run, tmp_path: Path, name: str) -> None:
    write, layout = EXPORTS[name]
    write(tmp_path / "in" / name)
    before = digests(tmp_path / "in")
    line = ["slim", "--data", f"in/{name}", "--model", MODEL, "--size", SIZE_PX, "--batch", 2, "--epochs", 2]
    outcome = run(*line, "--name", "run", "--budget", "macs=80%", "--json", "-")
    assert outcome.code == 0, outcome.err
    assert f"data: {layout}; train" in outcome.err
    assert ("only one split, train: divided by class with seed 0 into" in outcome.err) == (
        name == "labelimg_voc"
    )
    assert json.loads(outcome.out)["stages"][-1]["stage"] == "finetuned"
    assert digests(tmp_path / "in") == before


def test_train_on_an_archive(run: Run, tmp_path: Path) -> None:
    EXPORTS["cvat_coco"][0](tmp_path / "in")
    shutil.make_archive("task 7", "zip", tmp_path / "in")
    outcome = run("train", "--data", "task 7.zip", *TINY, "--epochs", 1)
    assert outcome.code == 0, outcome.err
    assert "read from its unpacked copy in" in outcome.err
    assert "data: COCO as CVAT exports it, instances_default.json; train" in outcome.err


@pytest.mark.filterwarnings("default:.*changed since the run")
def test_a_resumed_run_keeps_its_own_split(run: Run, tmp_path: Path) -> None:
    EXPORTS["labelimg_yolo"][0](tmp_path / "in")
    assert run("train", "--data", "in", *TINY, "--epochs", 1, "--name", "r").code == 0
    stored = json.loads((tmp_path / "runs/train/r/data.json").read_text())["splits"]
    assert sorted(map(len, stored.values())) == [1, 5]
    outcome = run("train", "--resume", "runs/train/r")
    assert outcome.code == 0, outcome.err
    assert "only one split, train: divided as the run began" in outcome.err
    # A new image is trained on, whatever the seed would say; the run asks first.
    shutil.copy(tmp_path / "in/a1.png", tmp_path / "in/zz.png")
    assert_refused(run("train", "--resume", "runs/train/r"), "1 of 5 images of train are new")
    outcome = run("train", "--resume", "runs/train/r", "--data-changed")
    assert outcome.code == 0
    assert "1 of 5 images of train are new" in outcome.err
    after = json.loads((tmp_path / "runs/train/r/data.json").read_text())["splits"]
    assert after["val"] == stored["val"]
    assert len(after["train"]) == 6


def test_oxford_hand_as_it_is(run: Run, tmp_path: Path) -> None:
    hands = [[(10.0, 10.0), (40.0, 12.0), (38.0, 40.0), (9.0, 38.0)]]
    for number, source in enumerate(("training", "validation", "test")):
        for image in range(3):
            add(tmp_path / "hand_dataset", source, f"{source}{image}", 10 * number + image, hands)
    before = digests(tmp_path / "hand_dataset")
    outcome = run("data", "check", "hand_dataset", "--json", "-")
    assert outcome.code == 0, outcome.err
    assert "data: Oxford Hand, hand_dataset; train 3 images, val 3 images, test 3 images" in outcome.err
    assert "hand_dataset: converted to YOLO labels in" in outcome.err
    assert digests(tmp_path / "hand_dataset") == before
    (tmp_path / "hand_dataset/test_dataset/test_data/annotations/test0.mat").unlink()
    assert_refused(run("data", "check", "hand_dataset"), "its annotation is missing")


class TestConvertAndSplit:
    def test_convert(self, run: Run, tmp_path: Path) -> None:
        EXPORTS["roboflow_coco"][0](tmp_path / "in")
        outcome = run("data", "convert", "in", "out", "--to", "voc", "--json", "-")
        assert outcome.code == 0, outcome.err
        assert [row["num_images"] for row in json.loads(outcome.out)["splits"]] == [3, 2, 1]
        assert run("data", "check", "out").code == 0
        assert_refused(run("data", "convert", "in", "out"), "not an empty folder; name another folder\n")
        assert_refused(run("data", "convert", "in", "other", "--to", "xml"), "--to")
        assert not (tmp_path / "other").exists()

    def test_split_of_yolo_labels_lists_images(self, run: Run, tmp_path: Path) -> None:
        EXPORTS["labelimg_yolo"][0](tmp_path / "in")
        outcome = run(
            "data", "split", "in", "out", "--val", "34%", "--test", "17%", "--seed", 3, "--json", "-"
        )
        assert outcome.code == 0, outcome.err
        assert [row["num_images"] for row in json.loads(outcome.out)["splits"]] == [3, 2, 1]
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "data.yaml", "test.txt", "train.txt", "val.txt",
        ]  # fmt: skip
        dataset = load_dataset(tmp_path / "out")
        objects = sum(len(sample.class_ids) for split in dataset.splits for sample in dataset.split(split))
        assert objects == sum(map(len, ALL.values()))
        assert dataset.remarks == ()

    def test_split_of_others_is_written_as_yolo(self, run: Run, tmp_path: Path) -> None:
        EXPORTS["cvat_voc"][0](tmp_path / "in")
        assert run("data", "split", "in", "out", "--val", "0.5").code == 0
        dataset = load_dataset(tmp_path / "out")
        assert {split: len(dataset.images(split)) for split in dataset.splits} == {"train": 3, "val": 3}

    def test_what_cannot_be(self, run: Run, tmp_path: Path) -> None:
        EXPORTS["labelimg_yolo"][0](tmp_path / "in")
        assert_refused(
            run("data", "split", "in", "out", "--val", "120%"), "--val 120%: a share of the images"
        )
        said = "1 scene (6 images) cannot be divided into 2 splits; add images of other scenes"
        assert_refused(run("data", "split", "in", "out", "--by", "folder"), said)
        assert_refused(run("data", "split", "in", "out", "--by", "x(y)z"), "--by x(y)z: matches none of 6")
        assert not (tmp_path / "out").exists()


def test_two_layouts_are_refused_with_both(run: Run, tmp_path: Path) -> None:
    EXPORTS["labelimg_yolo"][0](tmp_path / "in")
    EXPORTS["labelme"][0](tmp_path / "in")
    for line in (["data", "check", "in"], ["train", "--data", "in", *TINY]):
        assert_refused(run(*line), "fits 2 layouts, YOLO (")
