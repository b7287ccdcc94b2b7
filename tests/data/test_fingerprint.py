"""Fingerprints of data sets: equal for the same files, and in words what changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from helpers.written_datasets import write_coco
from seyolo.data.datasets import load_dataset
from seyolo.data.fingerprint import Fingerprint, differences, fingerprint
from seyolo.json_files import from_json, to_json


@pytest.fixture
def hands(tiny_hands: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_hands.parent, tmp_path / "hands")
    return tmp_path / "hands" / tiny_hands.name


def of(path: Path) -> Fingerprint:
    return fingerprint(load_dataset(path), ["train", "val"])


def test_the_same_data_has_the_same_fingerprint(hands: Path) -> None:
    before = of(hands)
    assert from_json(to_json(before), Fingerprint) == before
    assert differences(from_json(to_json(before), Fingerprint), of(hands)) == []
    assert before.names == ("hand",)
    name, (size, labels) = next(iter(before.splits["train"].items()))
    assert size == Path(name).stat().st_size
    assert len(labels) == 8


def test_what_changed_is_named(hands: Path) -> None:
    before = of(hands)
    images = sorted((hands.parent / "images/train").iterdir())
    labels = hands.parent / "labels/train" / f"{images[0].stem}.txt"
    labels.write_text("0 0.5 0.5 0.25 0.25\n")
    images[1].write_bytes(images[2].read_bytes() + b"more")
    images[3].unlink()
    shutil.copy(images[2], images[2].with_name("new.jpg"))
    count = len(images)
    assert differences(before, of(hands)) == [
        f"1 of {count} images of train are gone ({images[3]})",
        f"1 of {count} images of train are new ({images[2].with_name('new.jpg')})",
        f"1 of {count} images of train have another file ({images[1]})",
        f"1 of {count} images of train have other labels ({images[0]})",
    ]


def test_many_changes_are_counted(hands: Path) -> None:
    before = of(hands)
    for path in (hands.parent / "labels/val").iterdir():
        path.write_text("0 0.5 0.5 0.25 0.25\n")
    (found,) = differences(before, of(hands))
    assert found.endswith(", …)")
    assert found.count(", ") == 3


def test_other_classes_are_named(hands: Path) -> None:
    before = of(hands)
    hands.write_text(hands.read_text().replace("0: hand", "0: palm"))
    assert differences(before, of(hands)) == ["the classes are palm, not hand"]


def test_an_ignored_region_changes_the_fingerprint(tmp_path: Path) -> None:
    data = write_coco(tmp_path)
    before = of(data)
    content = json.loads(data.read_text())
    content["annotations"].append({**content["annotations"][0], "id": 99, "iscrowd": 1})
    data.write_text(json.dumps(content))
    (found,) = differences(before, of(data))
    assert found.startswith("1 of 2 images of val have other labels (")
