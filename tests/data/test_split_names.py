"""Splits under other names mean the same in every format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.written_datasets import BOXES, coco_values, voc_xml, write_image, write_text, yolo_rows
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.data.split_names import by_part, by_split
from seyolo.errors import DataError

Words = dict[str, str]
"""What each split is called."""
SPELLINGS: list[Words] = [
    dict(zip(BOXES, words.split(), strict=True))
    for words in ("train val test", "Train Validation Test", "TRAIN VAL TEST", "training valid testing",
                  "Training Valid Testing", "train validation Test", "default Val test")
]  # fmt: skip
SEEDS = {name: seed for seed, name in enumerate(name for images in BOXES.values() for name in images)}


def put(folder: Path, words: Words, images: str, labels: str, ending: str = "txt") -> None:
    rows = voc_xml if ending == "xml" else yolo_rows
    for split, word in words.items():
        for name, boxes in BOXES[split].items():
            write_image(folder / images.format(word) / f"{name}.png", SEEDS[name])
            write_text(folder / labels.format(word) / f"{name}.{ending}", rows(boxes))


def lists(folder: Path, words: Words, line: str, place: str = "") -> None:
    for split, word in words.items():
        text = "".join(line.format(word, name) + "\n" for name in BOXES[split])
        write_text(folder / place / f"{word}.txt", text)


def cvat_ultralytics(folder: Path, words: Words) -> None:
    put(folder, words, "images/{}", "labels/{}")
    lists(folder, words, "data/images/{}/{}.png")
    keys = "".join(f"{word}: {word}.txt\n" for word in words.values())
    write_text(folder / "data.yaml", f"{keys}names:\n  0: face\n  1: hand\npath: .\n")


def folders_in_a_yaml(folder: Path, words: Words) -> None:
    put(folder, words, "{}/images", "{}/labels")
    keys = "".join(f'"{word}": {word}/images\n' for word in words.values())
    write_text(folder / "data.yaml", f"{keys}names: [face, hand]\n")


def cvat_yolo(folder: Path, words: Words) -> None:
    put(folder, words, "obj_{}_data", "obj_{}_data")
    lists(folder, words, "data/obj_{}_data/{}.png")
    keys = "".join(f"{word} = data/{word}.txt\n" for word in words.values())
    write_text(folder / "obj.data", f"classes = 2\n{keys}names = data/obj.names\nbackup = backup/\n")
    write_text(folder / "obj.names", "face\nhand\n")


def cvat_voc(folder: Path, words: Words) -> None:
    put(folder, words, "JPEGImages", "Annotations", "xml")
    lists(folder, words, "{1}", "ImageSets/Main")
    for word in words.values():
        write_text(folder / f"ImageSets/Main/hand_{word}.txt", "a1 1\n")


def cvat_coco(folder: Path, words: Words) -> None:
    put(folder, words, "images/{}", "unused")
    for split, word in words.items():
        write_text(folder / f"annotations/instances_{word}.json", json.dumps(coco_values(split)))


def labels_beside(folder: Path, words: Words) -> None:
    put(folder, words, "{}", "{}")
    write_text(folder / "classes.txt", "face\nhand\n")


def labels_apart(folder: Path, words: Words) -> None:
    put(folder, words, "images/{}", "labels/{}")
    write_text(folder / "classes.txt", "face\nhand\n")


def xml_beside(folder: Path, words: Words) -> None:
    put(folder, words, "{}", "{}", "xml")


WRITERS = (
    cvat_ultralytics, folders_in_a_yaml, cvat_yolo, cvat_voc, cvat_coco,
    labels_beside, labels_apart, xml_beside,
)  # fmt: skip


def objects_of(dataset: Dataset) -> dict[str, dict[str, list[int]]]:
    """Classes of the objects by split and image."""
    return {
        split: {sample.image.stem: sorted(sample.class_ids.tolist()) for sample in dataset.split(split)}
        for split in dataset.splits
    }


def expected(*splits: str) -> dict[str, dict[str, list[int]]]:
    return {
        split: {name: sorted(class_id for class_id, *_ in boxes) for name, boxes in BOXES[split].items()}
        for split in splits
    }


@pytest.mark.parametrize("words", SPELLINGS, ids=lambda words: "-".join(words.values()))
@pytest.mark.parametrize("write", WRITERS)
def test_splits_in_any_spelling(tmp_path: Path, write: Callable[[Path, Words], None], words: Words) -> None:
    write(tmp_path, words)
    dataset = load_dataset(tmp_path)
    assert dataset.names == ("face", "hand")
    assert objects_of(dataset) == expected("train", "val", "test")


@pytest.mark.parametrize("word", ["train", "Train", "training", "default"])
@pytest.mark.parametrize("write", WRITERS)
def test_one_split(tmp_path: Path, write: Callable[[Path, Words], None], word: str) -> None:
    write(tmp_path, {"train": word})
    assert objects_of(load_dataset(tmp_path)) == expected("train")


@pytest.mark.parametrize("write", WRITERS)
def test_two_names_of_a_split_are_refused(tmp_path: Path, write: Callable[[Path, Words], None]) -> None:
    write(tmp_path, {"train": "Train", "val": "training"})
    with pytest.raises(DataError, match=r"Train and training both name the split `train`; rename or|as does"):
        load_dataset(tmp_path)


def test_the_rest_beside_train_is_left_out(tmp_path: Path) -> None:
    words = {"train": "Train", "val": "Val", "test": "default"}  # CVAT's `default`: images of no subset
    said = "default is left out, since the split `train` is Train"
    cvat_voc(tmp_path / "voc", words)
    dataset = load_dataset(tmp_path / "voc")
    assert objects_of(dataset) == expected("train", "val")
    assert dataset.remarks == (f"{tmp_path / 'voc/ImageSets/Main'}: {said}",)
    labels_apart(tmp_path / "yolo", words)
    dataset = load_dataset(tmp_path / "yolo")
    assert objects_of(dataset) == expected("train", "val")
    assert dataset.remarks[0].endswith("1 image outside images/Train, images/Val left out")
    cvat_coco(tmp_path / "coco", words)
    assert objects_of(load_dataset(tmp_path / "coco/annotations/instances_Val.json")) == expected(
        "train", "val"
    )
    with pytest.raises(
        DataError, match=r"instances_Train\.json: holds the split `train`, as .* give this file"
    ):
        load_dataset(tmp_path / "coco")
    cvat_ultralytics(tmp_path / "yaml", words)
    cvat_yolo(tmp_path / "yolo11", words)
    for file in ("yaml/data.yaml", "yolo11/obj.data"):
        dataset = load_dataset((tmp_path / file).parent)
        assert objects_of(dataset) == expected("train", "val")
        assert dataset.remarks[0] == f"{tmp_path / file}: {said}"


def test_trainval_in_any_spelling(tmp_path: Path) -> None:
    cvat_voc(tmp_path, {"train": "default", "val": "Val"})
    names = "".join(f"{name}\n" for split in ("train", "val") for name in BOXES[split])
    write_text(tmp_path / "ImageSets/Main/TrainVal.txt", names)
    assert objects_of(load_dataset(tmp_path)) == expected("train", "val")


def test_a_yaml_of_other_splits_is_read(tmp_path: Path) -> None:
    cvat_ultralytics(tmp_path, {"train": "batch1"})
    assert list(load_dataset(tmp_path).splits) == ["batch1"]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["images", "Val", "latest", "TRAIN"], {"train": "TRAIN", "val": "Val"}),
        (["default", "Default2"], {"train": "default"}),
        (["default", "train"], {"train": "train"}),
        (["trainval", "retest", "validate", "hand_train"], {}),
        ([], {}),
    ],
)
def test_names_that_stand_for_splits(names: list[str], found: dict[str, str]) -> None:
    assert by_split(names, "here") == found


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["train2017", "val2017", "docs"], {"train": "train2017", "val": "val2017"}),
        (["images_Test", "images_train"], {"train": "images_train", "test": "images_Test"}),
        (["train2017", "val2018"], {}),
        (["train2017"], {}),
        (["a_train", "a_val", "b_train", "b_val"], {}),
    ],
)
def test_names_that_differ_in_the_word_of_a_split(names: list[str], found: dict[str, str]) -> None:
    assert by_part(names) == found


@pytest.mark.parametrize("form", ["{}2017", "images_{}", "my {}"])
@pytest.mark.parametrize("write", [labels_beside, labels_apart, xml_beside])
def test_folders_with_more_in_their_names(
    tmp_path: Path, write: Callable[[Path, Words], None], form: str
) -> None:
    write(tmp_path, {split: form.format(split) for split in BOXES})
    assert objects_of(load_dataset(tmp_path)) == expected("train", "val", "test")
