"""The index of a large split: used while nothing changed, and made again when anything did."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.written_datasets import FORMATS, write_image, write_text, write_yaml
from seyolo.data import datasets
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.data.formats.yolo import YoloFiles
from seyolo.data.samples import Samples


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "LEAST_IMAGES", 1)
    return tmp_path / "cache/index"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = write_yaml(tmp_path / "set")
    age(data.parent)
    return data


def age(folder: Path) -> None:
    """Makes all files a minute older: an index trusts no file that has just changed."""
    for path in folder.rglob("*"):
        then = path.stat().st_mtime_ns - 60_000_000_000
        os.utime(path, ns=(then, then))


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Splits whose labels were read, in order."""
    read: list[str] = []
    original = YoloFiles.readings

    def counted(self: YoloFiles, split: str, images: list[str]) -> object:
        read.append(split)
        return original(self, split, images)

    monkeypatch.setattr(YoloFiles, "readings", counted)
    return read


def rows(dataset: Dataset, split: str = "train") -> list[tuple[str, list[int], list[list[float]]]]:
    return [(s.image.name, s.class_ids.tolist(), s.boxes_cxcywh.tolist()) for s in dataset.split(split)]


def test_the_second_start_reads_no_labels(data: Path, readings: list[str], cache: Path) -> None:
    first = rows(load_dataset(data))
    assert readings == ["train"]
    assert [path.name.rsplit("-", 1)[0] for path in cache.iterdir()] == ["data-train"]
    assert rows(load_dataset(data)) == first
    assert readings == ["train"]


@pytest.mark.parametrize("kind", FORMATS)
def test_it_gives_the_same_samples_in_every_format(tmp_path: Path, kind: str, cache: Path) -> None:
    data = FORMATS[kind](tmp_path / "set")
    age(tmp_path / "set")
    before = load_dataset(data)
    for split in before.splits:
        first = before.split(split)
        again = load_dataset(data).split(split)
        assert again.images == first.images
        for name, array in first.arrays.items():
            np.testing.assert_array_equal(again.arrays[name], array, strict=True)
    assert len(list(cache.iterdir())) == 3


Change = Callable[[Path], object]
CHANGES: dict[str, Change] = {
    "an edited label": lambda root: (root / "labels/train/a1.txt").write_text("0 0.5 0.5 0.125 0.125\n"),
    "an edited label of the same size": lambda root: (root / "labels/train/a3.txt").write_text(
        (root / "labels/train/a3.txt").read_text().replace("0 ", "1 ", 1)
    ),
    "a removed label": lambda root: (root / "labels/train/a1.txt").unlink(),
    "an added label": lambda root: (root / "labels/train/a2b.txt").write_text("0 0.5 0.5 0.125 0.125\n"),
    "an added image": lambda root: write_image(root / "images/train/new.png", 77),
    "a removed image": lambda root: (root / "images/train/a3.png").unlink(),
    "a replaced image": lambda root: write_image(root / "images/train/a3.png", 99),
    "a renamed image": lambda root: (root / "images/train/a3.png").rename(root / "images/train/a4.png"),
    "other classes": lambda root: (root / "data.yaml").write_text(
        (root / "data.yaml").read_text() + "# another comment\n"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed(data: Path, readings: list[str], change: str) -> None:
    load_dataset(data).split("train")
    CHANGES[change](data.parent)
    found = rows(load_dataset(data))
    assert readings == ["train", "train"]
    shutil.rmtree(os.environ["SEYOLO_CACHE"])
    assert rows(load_dataset(data)) == found


def test_a_change_in_another_split_is_none(data: Path, readings: list[str]) -> None:
    load_dataset(data).split("train")
    write_image(data.parent / "images/val/new.png", 5)
    load_dataset(data).split("train")
    assert readings == ["train"]


def test_a_class_that_another_split_brings_is_noticed(tmp_path: Path) -> None:
    """The classes are those of all annotations, sorted: a new one moves the numbers of the others."""
    for split, name in (("train", "cat"), ("val", "cat")):
        write_image(tmp_path / split / "a.png", len(split))
        box = "<bndbox><xmin>9</xmin><ymin>5</ymin><xmax>24</xmax><ymax>20</ymax></bndbox>"
        text = f"<annotation><object><name>{name}</name>{box}</object></annotation>"
        write_text(tmp_path / split / "a.xml", text)
    age(tmp_path)
    assert rows(load_dataset(tmp_path))[0][1] == [0]
    (tmp_path / "val/a.xml").write_text((tmp_path / "val/a.xml").read_text().replace("cat", "ant"))
    again = load_dataset(tmp_path)
    assert (again.names, rows(again)[0][1]) == (("ant", "cat"), [1])


@pytest.mark.parametrize("damage", [b"", b"no archive", b"PK\x03\x04", None])
def test_a_damaged_index_is_made_again(
    data: Path, readings: list[str], cache: Path, damage: bytes | None
) -> None:
    first = rows(load_dataset(data))
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert rows(load_dataset(data)) == first
    assert rows(load_dataset(data)) == first
    assert readings == ["train", "train"]


def test_arrays_that_do_not_fit_are_no_index(data: Path, readings: list[str], cache: Path) -> None:
    first = rows(load_dataset(data))
    (path,) = cache.iterdir()
    with np.load(path) as stored:
        arrays = dict(stored)
    for name, wrong in (("counts", [9, 9, 9]), ("class_ids", []), ("boxes_cxcywh", [[1.0]]), ("more", [1])):
        with path.open("wb") as file:
            np.savez(file, **{**arrays, name: np.array(wrong)})
        assert rows(load_dataset(data)) == first
    assert readings == ["train"] * 5


def test_none_is_kept_of_files_that_have_just_changed(data: Path, readings: list[str], cache: Path) -> None:
    now = time.time_ns()
    os.utime(data.parent / "labels/train/a1.txt", ns=(now, now))
    load_dataset(data).split("train")
    assert not cache.exists()


def test_small_splits_have_none(data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "LEAST_IMAGES", 100)
    load_dataset(data).split("train")
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_no_error(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEYOLO_CACHE", str(data))
    assert len(load_dataset(data).split("train")) == 3


class TestSamples:
    def test_they_are_a_sequence(self, data: Path) -> None:
        samples = load_dataset(data).split("train")
        assert isinstance(samples, Samples)
        assert [sample.image.stem for sample in samples] == ["a1", "a2", "a3"]
        assert samples[-1].image == samples[2].image
        assert [sample.image.stem for sample in samples[::2]] == ["a1", "a3"]
        assert samples[np.int64(1)].image.stem == "a2"
        for number in (3, -4):
            with pytest.raises(IndexError):
                samples[number]

    def test_they_are_read_once(self, data: Path, readings: list[str]) -> None:
        dataset = load_dataset(data)
        assert dataset.split("val") is dataset.split("val")
        assert readings == ["val"]
