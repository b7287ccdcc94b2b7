"""Exports of labelling tools are recognised as they are, and give the images and boxes that were labelled."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from helpers.written_datasets import (
    BOXES,
    write_coco,
    write_darknet,
    write_image,
    write_text,
    write_voc,
    write_yaml,
    yolo_rows,
)
from helpers.written_exports import (
    ALL,
    EXPORTS,
    boxes_of,
    cvat_yolo,
    labelimg_voc,
    labelimg_yolo,
    labelme,
    roboflow_yolo,
)
from seyolo.data.check import check_dataset
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import DataError


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_recognised_and_read(tmp_path: Path, name: str) -> None:
    write, layout = EXPORTS[name]
    write(tmp_path / name)
    dataset = load_dataset(tmp_path / name)
    assert dataset.layout == layout
    assert dataset.names == ("face", "hand")
    found = boxes_of(dataset)
    splits = {"train", "val"} if name == "cvat_ultralytics" else set(BOXES)
    expected = (
        ALL if len(dataset.splits) == 1 else {k: v for split in splits for k, v in BOXES[split].items()}
    )
    assert found.keys() == expected.keys()
    for image, boxes in expected.items():
        np.testing.assert_allclose(found[image], np.array(boxes, float).reshape(-1, 5), atol=1e-4)
    assert set(dataset.splits) in ({"train"}, {"val"}, splits)
    assert check_dataset(dataset).problems == ()


@pytest.mark.parametrize("name", EXPORTS)
def test_folders_around_an_export_and_what_lies_beside_it(tmp_path: Path, name: str) -> None:
    write, layout = EXPORTS[name]
    write(tmp_path / "download" / "set" / name)
    write_text(tmp_path / "README.txt", "from somewhere")
    write_text(tmp_path / "download/.DS_Store", "")
    write_text(tmp_path / "__MACOSX/set/._a1.png", "")
    assert load_dataset(tmp_path).layout == layout


def test_the_line_that_names_it(tmp_path: Path) -> None:
    roboflow_yolo(tmp_path)
    dataset = load_dataset(tmp_path)
    line = "data: YOLO as Roboflow exports it, data.yaml; train 3 images, val 2 images, test 1 image"
    assert dataset.described() == [line]
    assert dataset.described(["val"]) == ["data: YOLO as Roboflow exports it, data.yaml; val 2 images"]


class TestTwoReadings:
    def test_of_two_formats(self, tmp_path: Path) -> None:
        write_coco(tmp_path)
        write_yaml(tmp_path)
        with pytest.raises(
            DataError, match=r"fits 2 layouts, YOLO \(.*data\.yaml\) and COCO \(.*\.json\); give"
        ):
            load_dataset(tmp_path)
        assert load_dataset(tmp_path / "data.yaml").layout == "YOLO, data.yaml"

    @pytest.mark.parametrize("other", [labelimg_voc, labelme])
    def test_of_labels_beside_images(self, tmp_path: Path, other: object) -> None:
        labelimg_yolo(tmp_path)
        assert callable(other)
        other(tmp_path)
        with pytest.raises(DataError, match=r"fits 2 layouts, YOLO \(.*classes\.txt\) and .*; give the file"):
            load_dataset(tmp_path)
        assert load_dataset(tmp_path / "classes.txt").names == ("face", "hand")

    def test_of_two_files_of_one_format(self, tmp_path: Path) -> None:
        data = write_yaml(tmp_path)
        (tmp_path / "other.yaml").write_text(data.read_text())
        with pytest.raises(
            DataError, match=r"fits 2 layouts, YOLO \(.*data\.yaml\) and YOLO \(.*other\.yaml\)"
        ):
            load_dataset(tmp_path)

    def test_a_data_set_inside_another_does_not_count(self, tmp_path: Path) -> None:
        write_voc(tmp_path)
        write_coco(tmp_path / "as_coco")
        assert load_dataset(tmp_path).layout.startswith("VOC, ")

    def test_a_yaml_of_something_else_is_none(self, tmp_path: Path) -> None:
        write_yaml(tmp_path)
        write_text(tmp_path / "args.yaml", "epochs: 3\nnames: x\n")
        assert load_dataset(tmp_path).layout == "YOLO, data.yaml"

    def test_class_names_that_differ(self, tmp_path: Path) -> None:
        labelimg_yolo(tmp_path / "train")
        labelimg_yolo(tmp_path / "val")
        assert list(load_dataset(tmp_path).splits) == ["train", "val"]
        write_text(tmp_path / "val/classes.txt", "hand\nface\n")
        with pytest.raises(DataError, match="fits 2 layouts"):
            load_dataset(tmp_path)


class TestNoReading:
    def test_labels_without_class_names(self, tmp_path: Path) -> None:
        labelimg_yolo(tmp_path)
        (tmp_path / "classes.txt").unlink()
        with pytest.raises(
            DataError, match=r"no class names: write classes\.txt beside them, one name per line"
        ):
            load_dataset(tmp_path)

    def test_no_image(self, tmp_path: Path) -> None:
        write_text(tmp_path / "notes.txt", "")
        with pytest.raises(DataError, match="there is no image in it"):
            load_dataset(tmp_path)

    def test_cvats_own_xml(self, tmp_path: Path) -> None:
        write_image(tmp_path / "images/a.png")
        write_text(
            tmp_path / "annotations.xml", '<?xml version="1.0"?>\n<annotations>\n<version>1.1</version>'
        )
        with pytest.raises(
            DataError, match=r"annotations\.xml: CVAT's own xml .* export the task again as YOLO"
        ):
            load_dataset(tmp_path)


class TestStatedPaths:
    """Of CVAT's export, whose list holds a leading folder too many."""

    def listed(self, folder: Path, *lines: str) -> Dataset:
        cvat_yolo(folder)
        write_text(folder / "train.txt", "".join(f"{line}\n" for line in lines))
        return load_dataset(folder)

    @pytest.mark.parametrize(
        "stated",
        [
            "data/obj_train_data/a1.png",
            "/home/u/cvat/data/obj_train_data/a1.png",
            "D:\\cvat\\obj_train_data\\a1.png",
            "..\\obj_train_data\\a1.png",
            "/somewhere/else/a1.png",
            "./a1.png",
            "http://localhost:8080/data/upload/3/0a1b2c3d-a1.png",
            "/data/local-files/?d=obj_train_data%2Fa1.png",
        ],
    )
    def test_a_file_is_found_by_the_end_of_its_path(self, tmp_path: Path, stated: str) -> None:
        dataset = self.listed(tmp_path, stated, stated)
        assert dataset.images("train") == [tmp_path / "obj_train_data/a1.png"]
        assert any("train.txt" in remark and "a1.png" in remark for remark in dataset.remarks)

    def test_they_are_counted_in_one_remark(self, tmp_path: Path) -> None:
        dataset = self.listed(tmp_path, *(f"x/obj_train_data/{name}.png" for name in ALL))
        assert len(dataset.images("train")) == len(ALL)
        (remark,) = (remark for remark in dataset.remarks if "train.txt: " in remark)
        assert (
            "6 paths lead nowhere and were found by their ends; the first, x/obj_train_data/a1.png, is"
            in remark
        )

    def test_an_end_that_fits_two_files(self, tmp_path: Path) -> None:
        write_image(tmp_path / "more/a1.png")
        dataset = self.listed(tmp_path, "/else/a1.png")
        with pytest.raises(
            DataError, match=r"train\.txt:1: there is no image .*; its end fits .*a1\.png and .*a1"
        ):
            dataset.images("train")
        assert len(self.listed(tmp_path, "/else/more/a1.png").images("train")) == 1

    def test_the_file_of_another_folder_is_not_taken(self, tmp_path: Path) -> None:
        roboflow_yolo(tmp_path)
        write_text(tmp_path / "val.txt", "valid/images/a1.png\nelse/valid/images/c1.png\n")
        write_text(tmp_path / "data.yaml", "train: train/images\nval: val.txt\nnames: [face, hand]\n")
        dataset = load_dataset(tmp_path)
        assert len(dataset.listed("val").problems) == 2
        with pytest.raises(
            DataError, match=r"val\.txt:1: .*\(1 more are missing; `seyolo data check` lists all\)"
        ):
            dataset.images("val")

    def test_all_that_are_missing_are_listed(self, tmp_path: Path) -> None:
        dataset = self.listed(tmp_path, "x/1.png", "data/obj_train_data/a1.png", "x/2.png", "x/3.png")
        found = [(problem.line, problem.text) for problem in check_dataset(dataset).problems]
        assert [line for line, _ in found] == [1, 3, 4]
        assert all("there is no image" in text for _, text in found)
        for name in ("a1", "b2"):
            (write_voc(tmp_path / "voc") / f"JPEGImages/{name}.png").unlink()
        (tmp_path / "voc/JPEGImages/a1.png").unlink()
        problems = check_dataset(load_dataset(tmp_path / "voc")).problems
        assert len([problem for problem in problems if "there is no such image" in problem.text]) == 2

    def test_of_a_coco_json(self, tmp_path: Path) -> None:
        data = write_coco(tmp_path)
        for split in BOXES:
            path = data.with_name(f"instances_{split}2017.json")
            path.write_text(path.read_text().replace('"file_name": "', '"file_name": "C:\\\\photos\\\\'))
        dataset = load_dataset(data)
        assert len(dataset.images("train")) == 3
        assert "instances_train2017.json: 3 paths lead nowhere" in " ".join(dataset.remarks)
        for name in ("b1", "b2"):
            (tmp_path / f"val2017/{name}.png").unlink()
        assert (
            len([p for p in check_dataset(load_dataset(data)).problems if "there is no image" in p.text]) == 2
        )


class TestDataYaml:
    def test_roboflows_way_up_is_none(self, tmp_path: Path) -> None:
        roboflow_yolo(tmp_path / "set")
        assert len(load_dataset(tmp_path / "set/data.yaml").images("val")) == 2
        # As another export beside it has it: now the text fits two folders.
        write_image(tmp_path / "valid/images/x.png")
        with pytest.raises(DataError, match=r"\.\./valid/images fits .* \(as written\) and .*`path: \.`"):
            load_dataset(tmp_path / "set/data.yaml")

    def test_roboflow_names_a_split_without_images(self, tmp_path: Path) -> None:
        roboflow_yolo(tmp_path)
        shutil.rmtree(tmp_path / "test")
        dataset = load_dataset(tmp_path)
        assert list(dataset.splits) == ["train", "val"]
        missing = tmp_path / "test/images"
        said = f"{tmp_path / 'data.yaml'}: test: there is no {missing}; this split is left out"
        assert dataset.remarks == (said,)

    @pytest.mark.parametrize("text", ["", "roboflow: {version: 1}\n"])
    @pytest.mark.parametrize("is_outside", [False, True])
    def test_roboflows_yaml_without_its_block(self, tmp_path: Path, text: str, is_outside: bool) -> None:
        """`../train/images` beside the file tells it, too; then no split lies outside."""
        folder = tmp_path / "set"
        roboflow_yolo(folder)
        (folder / "README.roboflow.txt").unlink()
        data = folder / "data.yaml"
        data.write_text(data.read_text().partition("roboflow:")[0] + text)
        for split in ("valid", "test"):
            shutil.rmtree(folder / split)
        if is_outside:
            write_image(tmp_path / "test/images/x.png")
        dataset = load_dataset(folder)
        assert dataset.described() == [
            "data: YOLO as Roboflow exports it, data.yaml; train 3 images",
            f"{data}: val: there is no {folder / 'valid/images'}; this split is left out",
            f"{data}: test: there is no {folder / 'test/images'}; this split is left out",
        ]

    def test_another_yaml_must_have_its_splits(self, tmp_path: Path) -> None:
        write_yaml(tmp_path)
        for folder in ("images", "labels"):
            shutil.rmtree(tmp_path / folder / "test")
        (problem,) = check_dataset(load_dataset(tmp_path)).problems
        assert problem.text.endswith("; put the images there, or remove the split from the file")

    @pytest.mark.parametrize("path", ["/home/me/x", "C:\\Users\\me\\mine"])
    @pytest.mark.parametrize(
        "splits", ["images\\{}", "C:\\Users\\me\\mine\\images\\{}", "/home/me/x/images/{}", "images/{}"]
    )
    def test_path_and_splits_of_another_machine(self, tmp_path: Path, path: str, splits: str) -> None:
        data = write_yaml(tmp_path / "mine")
        lines = [f"path: {path}", *(f"{split}: {splits.format(split)}" for split in BOXES)]
        data.write_text("\r\n".join([*lines, "names: [face, hand]", ""]))
        dataset = load_dataset(tmp_path / "mine")
        assert [len(dataset.split(split)) for split in dataset.splits] == [3, 2, 1]
        assert f"path: there is no folder {path}; its splits lie in {data.parent}" in dataset.remarks[0]

    @pytest.mark.parametrize("path", [".\\", "..\\mine", "..\\..\\sets\\mine\\"])
    def test_a_path_with_backslashes(self, tmp_path: Path, path: str) -> None:
        data = write_yaml(tmp_path / "sets/mine")
        data.write_text(data.read_text().replace("path: .", f"path: {path}"))
        dataset = load_dataset(data)
        assert [len(dataset.split(split)) for split in dataset.splits] == [3, 2, 1]
        assert dataset.remarks == ()

    @pytest.mark.parametrize("place", ["cfg", "data", "sub/set"])
    def test_a_yaml_in_a_folder_below(self, tmp_path: Path, place: str) -> None:
        data = write_yaml(tmp_path)
        (tmp_path / place).mkdir(parents=True)
        data.rename(tmp_path / place / "hands.yaml")
        dataset = load_dataset(tmp_path)
        assert dataset.names == ("face", "hand")
        assert [len(dataset.split(split)) for split in dataset.splits] == [3, 2, 1]

    def test_a_yaml_without_splits_says_so(self, tmp_path: Path) -> None:
        labelimg_yolo(tmp_path)
        write_text(tmp_path / "data.yaml", "nc: 2\nnames: [face, hand]\n")
        assert load_dataset(tmp_path).layout == "YOLO as LabelImg writes it, classes.txt"
        (tmp_path / "classes.txt").unlink()
        with pytest.raises(DataError, match=r"data\.yaml: names no split; add `train: images/train`"):
            load_dataset(tmp_path)

    def test_a_yaml_of_a_data_set_below_does_not_count(self, tmp_path: Path) -> None:
        labelimg_yolo(tmp_path)
        write_yaml(tmp_path / "older/set")
        assert load_dataset(tmp_path).layout == "YOLO as LabelImg writes it, classes.txt"

    def test_a_path_without_splits_says_what_to_do(self, tmp_path: Path) -> None:
        data = write_text(tmp_path / "data.yaml", "path: /home/me/x\ntrain: images/train\nnames: [hand]\n")
        with pytest.raises(DataError, match=r"path: there is no folder /home/me/x; mend it, or remove the"):
            load_dataset(data)

    @pytest.mark.parametrize("path", ["/content/hands-1", "C:\\data\\hands", "../datasets/mine"])
    def test_a_path_of_another_machine(self, tmp_path: Path, path: str) -> None:
        data = write_yaml(tmp_path / "mine")
        data.write_text(data.read_text().replace("path: .", f"path: '{path}'"))
        dataset = load_dataset(data)
        assert len(dataset.images("train")) == 3
        assert "there is no folder" in dataset.remarks[0]

    def test_splits_of_another_machine(self, tmp_path: Path) -> None:
        data = write_yaml(tmp_path)
        data.write_text(
            data.read_text().replace("train: ", "train: /content/hands/").replace("path: .\n", "")
        )
        dataset = load_dataset(data)
        assert len(dataset.images("train")) == 3
        assert "/content/hands/images/train leads nowhere; taken is" in dataset.remarks[0]


def test_images_outside_the_splits_are_counted(tmp_path: Path) -> None:
    labelimg_yolo(tmp_path / "train")
    write_image(tmp_path / "rest/x.png")
    dataset = load_dataset(tmp_path)
    assert dataset.remarks[0].endswith("1 image outside train left out")


class TestLinks:
    def linked(self, folder: Path) -> Path:
        for split in ("train", "val"):
            for place, ending in (("images", "png"), ("labels", "txt")):
                (folder / place / split).mkdir(parents=True)
                pool = folder / "pool" / f"{place}_{split}"
                for name in ("x", "y"):
                    if ending == "png":
                        write_image(pool / f"{name}.png", seed=len(split) + ord(name))
                    else:
                        write_text(pool / f"{name}.txt", yolo_rows([(0, 8, 4, 24, 20)]))
                (folder / place / split / "part").symlink_to(pool, target_is_directory=True)
            write_image(folder / f"images/{split}/own.png", seed=len(split))
            write_text(folder / f"labels/{split}/own.txt", yolo_rows([(0, 8, 4, 24, 20)]))
        return write_text(folder / "data.yaml", "train: images/train\nval: images/val\nnames: [hand]\n")

    def test_linked_folders_are_followed(self, tmp_path: Path) -> None:
        dataset = load_dataset(self.linked(tmp_path))
        assert [len(dataset.split(split)) for split in dataset.splits] == [3, 3]
        assert all(len(sample.class_ids) == 1 for sample in dataset.split("train"))

    def test_loops_end(self, tmp_path: Path) -> None:
        data = self.linked(tmp_path)
        for name in ("up", "again"):
            (tmp_path / f"images/train/{name}").symlink_to(tmp_path / "images", target_is_directory=True)
            (tmp_path / f"pool/images_train/{name}").symlink_to(
                tmp_path / "images/train", target_is_directory=True
            )
        assert [path.parent.name for path in load_dataset(data).images("val")] == ["val", "part", "part"]
        assert load_dataset(tmp_path).layout == "YOLO, data.yaml"

    def test_a_link_to_a_folder_beside_adds_nothing(self, tmp_path: Path) -> None:
        data = self.linked(tmp_path)
        (tmp_path / "images/train/a").symlink_to(tmp_path / "images/train/part", target_is_directory=True)
        assert len(load_dataset(data).images("train")) == 3


def test_darknet_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_darknet(tmp_path / "darknet/data")
    text = data.read_text()
    for name in ("train.txt", "val.txt", "test.txt", "obj.names"):
        text = text.replace(name, f"data/{name}")
        if name != "obj.names":
            path = data.with_name(name)
            path.write_text(path.read_text().replace("JPEGImages", "data/JPEGImages"))
    cfg = write_text(tmp_path / "darknet/cfg/obj.data", text)
    for folder in (tmp_path, tmp_path / "darknet", tmp_path / "darknet/cfg"):
        monkeypatch.chdir(folder)
        dataset = load_dataset(cfg.relative_to(folder) if folder != tmp_path else cfg)
        assert [len(dataset.split(split)) for split in ("train", "val", "test")] == [3, 2, 1]
        assert dataset.remarks == ()


@pytest.mark.parametrize(
    "stated",
    [
        "/home/alexey/darknet/data/obj/{}.png",
        "C:\\darknet\\data\\obj\\{}.png",
        "build/x64/data/obj/{}.png",
        "data\\obj\\{}.png",
        "data/obj/{}.png",
    ],
)
@pytest.mark.parametrize("names", ["data/x.names", "data\\x.names", "/home/alexey/darknet/data/x.names"])
@pytest.mark.parametrize("place", ["cfg", "data", "", "build/darknet/x64/data"])
def test_darknet_with_paths_of_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: str, names: str, place: str
) -> None:
    """Wherever the .data lies: paths are found by their ends in the folder of the data set."""
    for number, (name, boxes) in enumerate(ALL.items()):
        write_image(tmp_path / f"data/obj/{name}.png", number)
        write_text(tmp_path / f"data/obj/{name}.txt", yolo_rows(boxes))
    write_text(tmp_path / "data/train.txt", "".join(f"{stated.format(name)}\n" for name in ALL))
    write_text(tmp_path / "data/x.names", "face\nhand\n")
    data = tmp_path / place / "x.data"
    write_text(data, f"classes=2\ntrain=data/train.txt\nnames={names}\n")
    for given in (tmp_path, data) if place == "cfg" else (tmp_path,):
        dataset = load_dataset(given)
        assert dataset.names == ("face", "hand")
        assert {s.image.stem: len(s.class_ids) for s in dataset.split("train")} == {
            name: len(boxes) for name, boxes in ALL.items()
        }
    if place == "cfg":
        monkeypatch.chdir(data.parent)
        assert len(load_dataset("x.data").split("train")) == len(ALL)


@pytest.mark.parametrize(
    ("case", "given", "splits", "layout"),
    [
        ("roboflow_yaml", "", {"train": 1, "val": 1, "test": 1}, "YOLO as Roboflow exports it, data.yaml"),
        (
            "roboflow_yaml",
            "data.yaml",
            {"train": 1, "val": 1, "test": 1},
            "YOLO as Roboflow exports it, data.yaml",
        ),
        ("cvat_coco_default", "", {"train": 1}, "COCO as CVAT exports it, instances_default.json"),
        ("voc_beside", "", {"train": 1, "val": 1}, "VOC, an xml for each image, voc_beside"),
        (
            "roboflow_coco_group",
            "",
            {"train": 1, "val": 1},
            "COCO as Roboflow exports it, _annotations.coco.json",
        ),
        ("polygon_labels", "", {"train": 2, "val": 2}, "YOLO, data.yaml"),
    ],
)
def test_the_shared_cases(
    shared_cases: Path, case: str, given: str, splits: dict[str, int], layout: str
) -> None:
    dataset = load_dataset(shared_cases / "data" / case / given)
    assert (dataset.layout, dataset.names) == (layout, ("hand",))
    assert {split: len(dataset.split(split)) for split in dataset.splits} == splits
    for split in dataset.splits:
        for sample in dataset.split(split):
            # From 20 to 60 of 160 pixels, and from 30 to 80 of 120.
            np.testing.assert_allclose(sample.boxes_cxcywh, [[0.25, 55 / 120, 0.25, 50 / 120]], atol=1e-6)


def test_a_folder_of_several_yamls_is_refused(shared_cases: Path) -> None:
    with pytest.raises(DataError, match=r"fits 3 layouts, YOLO \(.*ab\.yaml\) and YOLO \(.*abc\.yaml\) and"):
        load_dataset(shared_cases / "data/class_order")


@pytest.mark.parametrize("file", ["x.data", "data.yaml"])
def test_a_list_of_another_folder_is_none_of_the_data_set(tmp_path: Path, file: str) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / f"images/{name}.png")
    write_text(tmp_path / "train.txt", "images/a.png\n")
    write_text(tmp_path / "obj.names", "hand\n")
    write_text(tmp_path / "clone/tests/help/val.txt", "images/b.png\n")

    def load(val: str) -> Dataset:
        is_yaml = file.endswith(".yaml")
        text = f"train: train.txt\nval: {val}\nnames: [hand]\n"
        other = f"train=train.txt\nvalid={val}\nnames=obj.names\n"
        write_text(tmp_path / file, text if is_yaml else other)
        return load_dataset(tmp_path / file)

    with pytest.raises(DataError, match=r"val\.txt"):
        load("val.txt").split("val")
    for val in ("tests/help/val.txt", "/content/help/val.txt"):
        assert [path.name for path in load(val).images("val")] == ["b.png"]
    write_text(tmp_path / "val.txt", "images/a.png\n")
    assert [path.name for path in load("/content/darknet/val.txt").images("val")] == ["a.png"]
