"""`seyolo data`: draw, check, anchors, convert."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.running import MODEL, SIZE_PX, Run, assert_refused
from helpers.written_datasets import FORMATS, write_yaml


def test_synth_draws_what_check_finds_sound(run: Run, tmp_path: Path) -> None:
    outcome = run(
        "data", "synth", "drawn", "--train", 3, "--val", 1, "--test", 2, "--size", 64, "--json", "-"
    )
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["data"] == "drawn/data.yaml"
    report = json.loads(run("data", "check", "drawn/data.yaml", "--json", "-").out)
    assert [split["num_pictures"] for split in report["splits"]] == [3, 1, 2]
    assert report["problems"] == []
    assert_refused(run("data", "synth", "drawn", "--size", 64), "drawn")
    assert not list(tmp_path.glob(".*"))


def test_check_lists_problems_and_exits_with_2(run: Run, tmp_path: Path) -> None:
    assert run("data", "synth", "drawn", "--train", 2, "--val", 1, "--test", 1, "--size", 64).code == 0
    label = tmp_path / "drawn/labels/train/000000.txt"
    right = run("data", "check", "drawn/data.yaml")
    assert right.err.splitlines()[-1] == "drawn/data.yaml: nothing is wrong"
    label.write_text("3 0.5 0.5 0.1 0.1\n")
    outcome = run("data", "check", "drawn/data.yaml")
    assert outcome.code == 2
    assert "nothing is wrong" not in outcome.err
    assert f"{Path('drawn/labels/train/000000.txt')}:1" in outcome.out
    assert "1 problem; mend" in outcome.err


def test_check_prints_the_classes_that_occur(run: Run, tmp_path: Path) -> None:
    data = write_yaml(tmp_path)
    names = ["face", "hand", *(f"other {number}" for number in range(7))]
    data.write_text(f"path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames: {names}\n")
    outcome = run("data", "check", data, "--json", "report.json")
    assert outcome.code == 0, outcome.err
    rows = [line.split() for line in outcome.out.splitlines() if "objects of" in line]
    assert rows == [["objects", "of", "face", "2", "1", "0"], ["objects", "of", "hand", "1", "2", "1"]]
    never = "other 0, other 1, other 2, other 3, other 4, … (7)"
    assert outcome.out.rstrip().endswith(f"2 of 9 classes have objects; none of {never}")
    train = json.loads(Path("report.json").read_text())["splits"][0]
    assert train["objects_per_class"] == dict.fromkeys(names, 0) | {"face": 2, "hand": 1}


def test_check_says_nothing_of_classes_where_all_occur(run: Run, tmp_path: Path) -> None:
    outcome = run("data", "check", write_yaml(tmp_path))
    assert "have objects" not in outcome.out


def test_anchors_cover_the_boxes(run: Run, hands: Path) -> None:
    value = json.loads(run("data", "anchors", hands, "--size", 64, "--num", 3, "--json", "-").out)
    areas = [width * height for width, height in value["anchors"]]
    assert areas == sorted(areas)
    assert 0.4 < value["mean_iou"] <= 1
    assert run("data", "anchors", hands, "--size", 64, "--num", 3).out.startswith("anchors=")
    assert_refused(run("data", "anchors", hands, "--num", 500), "500 anchors")


def test_oxford_refuses_what_is_not_the_archive(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert_refused(run("data", "oxford", "folder", "out"), "Oxford Hand")
    assert_refused(run("data", "oxford", "gone.tar.gz", "out"), "gone.tar.gz")
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("default:.*box(es)? (is|are) under")
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_checked_measured_and_trained_on(run: Run, kind: str) -> None:
    data = FORMATS[kind](Path("written"))
    report = json.loads(run("data", "check", data, "--json", "-").out)
    assert (report["names"], report["problems"]) == (["face", "hand"], [])
    assert [split["num_objects"] for split in report["splits"]] == [3, 3, 1]
    anchors = json.loads(run("data", "anchors", data, "--size", 64, "--num", 2, "--json", "-").out)
    assert anchors["num_boxes"] == 3
    line = ["--data", data, "--model", MODEL, "--size", SIZE_PX, "--batch", 2, "--epochs", 1]
    outcome = run("train", *line, "--json", "-")
    assert outcome.code == 0, outcome.err
    checkpoint = json.loads(outcome.out)["checkpoint"]
    measured = json.loads(run("val", checkpoint, "--data", data, "--json", "-").out)
    objects = {split: metrics["num_objects"] for split, metrics in measured["metrics"].items()}
    assert objects == {"val": 3, "test": 1}


@pytest.mark.parametrize(
    ("kind", "file", "text", "place"),
    [
        ("darknet", "obj.data", "trian = train.txt\n", "obj.data:1: unknown key `trian`"),
        ("coco", "annotations/instances_val2017.json", "{", "instances_val2017.json:1: not valid JSON"),
        ("voc", "Annotations/b1.xml", "<annotation>", "b1.xml:1: not valid XML"),
    ],
)
def test_what_cannot_be_read_is_named(run: Run, kind: str, file: str, text: str, place: str) -> None:
    data = FORMATS[kind](Path("written"))
    (Path("written") / file).write_text(text)
    assert_refused(run("data", "anchors", data, "--num", 1, "--split", "val"), place)


def test_every_verb_says_that_a_split_is_in_another(
    run: Run, tiny_hands: Path, checkpoint: Path, tmp_path: Path
) -> None:
    same = f"path: {tiny_hands.parent}\ntrain: images/train\nval: images/train\nnames: [hand]\n"
    (tmp_path / "same.yaml").write_text(same)
    lines = (
        ("val", checkpoint),
        ("benchmark", checkpoint, "--repeats", 1),
        ("prune", checkpoint, "slim.safetensors", "--budget", "macs=80%"),
        ("export", checkpoint, "x.onnx", "--int8"),  # of a network that finds nothing
    )
    for line in lines:
        outcome = run(*line, "--data", "same.yaml")
        assert outcome.code == (2 if line[0] == "export" else 0), outcome.err
        assert "warning: same.yaml: all 12 images of split `val` are in `train`, too" in outcome.err, line
