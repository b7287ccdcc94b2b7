"""Darknet's .data: keys, where paths start, where labels lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.written_datasets import NAMES, write_darknet, write_image, write_text
from seyolo.data.datasets import load_dataset
from seyolo.errors import DataError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_darknet(tmp_path / "set")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# it\ntrain = train.txt\nnmaes = obj.names\n", r"obj\.data:3: unknown key `nmaes`; .* `names`\?"),
        ("vallid = val.txt\n", r"obj\.data:1: unknown key `vallid`; did you mean `valid`\?"),
        ("names = obj.names\nVal = val.txt\nvalid = val.txt\n", r"obj\.data: Val and valid both name"),
        ("speed = 3\n", r"obj\.data:1: unknown key `speed`; known are train, valid, test, names, classes"),
        ("train = train.txt\n", r"obj\.data: no key `names`; add `names = obj\.names`"),
        ("names = obj.names\n", r"obj\.data: names no split"),
        ("names = obj.names\ntrain\n", r"obj\.data:2: expected `key = value`, found `train`"),
        ("names =\n", r"obj\.data:1: expected `key = value`"),
        ("names = obj.names\nnames = obj.names\n", r"obj\.data:2: names is repeated"),
        ("names = obj.names\ntrain = train.txt\nclasses = 3\n", r"obj\.data:3: classes is 3, but .* lists 2"),
        ("names = obj.names\ntrain = train.txt\nclasses = two\n", r"obj\.data:3: classes is two, but"),
        ("", r"no key `names`"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named(data: Path, text: str, message: str) -> None:
    data.write_text(text)
    with pytest.raises(DataError, match=message):
        load_dataset(data)


def test_spaces_comments_and_darknets_own_keys(data: Path) -> None:
    lines = (
        "\ufeff; theirs",
        "",
        "  train=train.txt  ",
        "names\t=\tobj.names",
        "eval=coco",
        "top = 5",
        "results=r",
    )
    data.write_text("\r\n".join(lines), encoding="utf-8")
    dataset = load_dataset(data)
    assert (dataset.names, list(dataset.splits)) == (NAMES, ["train"])


def test_a_file_that_is_not_there_says_what_was_tried(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data.parent.parent)
    data.write_text("train = lists/t.txt\nnames = obj.names\n")
    with pytest.raises(DataError) as caught:
        load_dataset("set/obj.data")
    places = f"{Path('set/lists/t.txt')} or {Path('lists/t.txt')}"
    advice = "put it there, or mend the line"
    assert str(caught.value) == f"{Path('set/obj.data')}:1: train: there is no file {places}; {advice}"


def test_paths_start_at_the_files_folder_or_else_where_one_works(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As Darknet has it: everything from the working directory, lists and names in a folder of their own.
    working = data.parent
    for file in ("obj.data", "train.txt", "val.txt", "test.txt", "obj.names"):
        (working / "cfg").mkdir(exist_ok=True)
        (working / file).rename(working / "cfg" / file)
    text = "classes=2\ntrain = cfg/train.txt\nvalid = val.txt\nnames = cfg/obj.names\n"
    (working / "cfg/obj.data").write_text(text)
    monkeypatch.chdir(working)
    dataset = load_dataset("cfg/obj.data")
    assert [sample.image.stem for sample in dataset.split("train")] == ["a1", "a2", "a3"]
    assert [len(sample.class_ids) for sample in dataset.split("val")] == [1, 2]
    monkeypatch.chdir(working.parent)
    assert [sample.image.stem for sample in load_dataset("set/cfg/obj.data").split("train")] == [
        "a1",
        "a2",
        "a3",
    ]
    (working / "cfg/obj.names").unlink()
    with pytest.raises(DataError, match=r"obj\.data:4: names: there is no file .* or cfg/obj\.names"):
        load_dataset("set/cfg/obj.data")


def test_a_image_that_is_not_there_says_what_was_tried(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data.parent.parent)
    write_text(data.parent / "lists/train.txt", "JPEGImages/a1.png\nJPEGImages/gone.png\n")
    data.write_text("train = lists/train.txt\nnames = obj.names\n")
    with pytest.raises(DataError) as caught:
        load_dataset("set/obj.data").split("train")
    for place in ("set/lists/JPEGImages", "set/JPEGImages", "JPEGImages"):
        assert str(Path(place) / "gone.png") in str(caught.value)
    assert f"{Path('set/lists/train.txt')}:2: there is no image" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("face\n\nhand\n", r"obj\.names:2: empty line"),
        ("face\nhand\nface\n", r"obj\.names:3: the class face is repeated"),
        ("\n", r"obj\.names: names no class"),
    ],
)
def test_names(data: Path, text: str, message: str) -> None:
    (data.parent / "obj.names").write_text(text)
    with pytest.raises(DataError, match=message):
        load_dataset(data)


@pytest.mark.parametrize("place", ["labels/a1.txt", "JPEGImages/a1.txt"])
def test_labels_lie_where_darknet_looks(data: Path, place: str) -> None:
    (data.parent / "labels/a1.txt").unlink()
    write_text(data.parent / place, "1 0.5 0.5 0.25 0.25\n")
    sample = load_dataset(data).split("train")[0]
    assert (sample.image.name, sample.class_ids.tolist()) == ("a1.png", [1])


def test_a_bad_row_names_file_and_line(data: Path) -> None:
    write_text(data.parent / "labels/a1.txt", "0 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError, match=r"a1\.txt:2: class 2 is out of range.*; `seyolo data check` lists"):
        load_dataset(data).split("train")


def test_a_hash_in_a_path_is_part_of_it(tmp_path: Path) -> None:
    data = write_darknet(tmp_path / "set #2")
    write_image(tmp_path / "set #2/more/x #1.png")
    write_text(tmp_path / "set #2/list #1.txt", "more/x #1.png\n")
    data.write_text("train = list #1.txt\nnames = obj.names\n")
    assert [sample.image.name for sample in load_dataset(data).split("train")] == ["x #1.png"]


def test_a_list_alone_is_its_own_images_with_the_names_beside_it(data: Path) -> None:
    path = data.with_name("val.txt")
    dataset = load_dataset(path)
    assert (dataset.names, list(dataset.splits)) == (NAMES, ["train"])
    listed = [path.parent / line for line in path.read_text().split()]
    assert dataset.images("train") == sorted(listed)
    assert [list(sample.class_ids) for sample in dataset.split("train")] == [
        list(sample.class_ids) for sample in load_dataset(data).split("val")
    ]
    assert dataset.described()[0] == f"data: YOLO of Darknet, val.txt; train {len(listed)} images"
    assert dataset.remarks == (f"{path}: the class names are those of {path.with_name('obj.names')}",)


def test_a_list_without_class_names_or_with_two_kinds_asks_for_the_data_file(data: Path) -> None:
    path, names = data.with_name("val.txt"), data.with_name("obj.names")
    write_text(data.with_name("same.names"), names.read_text())
    assert load_dataset(path).names == NAMES
    other = write_text(data.with_name("other.names"), "foot\n")
    with pytest.raises(DataError, match=r"other\.names differ; give the \.data file that names the list"):
        load_dataset(path)
    for file in (names, other, data.with_name("same.names")):
        file.unlink()
    with pytest.raises(DataError, match=r"val\.txt: a list of images, and no \.names file is in"):
        load_dataset(path)
