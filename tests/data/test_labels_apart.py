"""Labels that lie apart from their images: found, or named; never lost without a word."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.written_datasets import BOXES, voc_xml, write_image, write_text, write_yaml, yolo_rows
from helpers.written_exports import (
    ALL,
    boxes_of,
    labelimg_yolo,
    labelme,
    labelme_values,
    put_image,
    roboflow_yolo,
)
from seyolo.data.check import check_dataset
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.data.formats.pairs import pair
from seyolo.data.splitting import for_training
from seyolo.data.tree import Tree
from seyolo.errors import DataError
from seyolo.options.train import TrainOptions
from seyolo.progress import Silent
from seyolo.verbs.start import open_data


def assert_all_there(dataset: Dataset) -> None:
    found = boxes_of(dataset)
    assert found.keys() == ALL.keys()
    for image, boxes in ALL.items():
        np.testing.assert_allclose(found[image], np.array(boxes, float).reshape(-1, 5), atol=1e-4)
    assert check_dataset(dataset).problems == ()
    assert dataset.cautions() == []


def texts(path: Path) -> list[str]:
    return [str(problem) for problem in check_dataset(load_dataset(path)).problems]


class TestLabelme:
    def written(self, folder: Path, place: str, image_path: Callable[[str], str]) -> None:
        for name, boxes in ALL.items():
            put_image(folder, name, "images")
            values = {**labelme_values(name, boxes), "imagePath": image_path(name)}
            write_text(folder / place.format(name), json.dumps(values))

    @pytest.mark.parametrize(
        ("place", "stated", "is_said"),
        [
            ("jsons/{}.json", "../images/{}.png", False),
            ("labels/{}.json", "..\\images\\{}.png", False),
            ("images/json/{}.json", "../{}.png", False),
            ("images/renamed_{}.json", "{}.png", False),
            ("jsons/{}.json", "{}.png", True),
            ("jsons/{}.json", "/home/me/set/images/{}.png", True),
            ("jsons/{}.json", "C:\\set\\{}.jpg", True),
            ("jsons/{}.json", "photo of {}.png", True),
        ],
    )
    def test_jsons_in_another_folder(self, tmp_path: Path, place: str, stated: str, is_said: bool) -> None:
        self.written(tmp_path, place, stated.format)
        dataset = load_dataset(tmp_path)
        assert_all_there(dataset)
        said = [remark for remark in dataset.remarks if "6 .json files in other folders" in remark]
        assert len(said) == is_said

    def test_half_of_them(self, tmp_path: Path) -> None:
        self.written(tmp_path, "images/{}.json", "{}.png".format)
        for name in ("a1", "b2", "c1"):
            (tmp_path / "jsons").mkdir(exist_ok=True)
            (tmp_path / f"images/{name}.json").rename(tmp_path / f"jsons/{name}.json")
        assert_all_there(load_dataset(tmp_path))

    def test_jsons_without_image(self, tmp_path: Path) -> None:
        self.written(tmp_path, "jsons/{}.json", "../images/{}.png".format)
        (tmp_path / "images/a1.png").unlink()
        (tmp_path / "images/b1.png").rename(tmp_path / "images/other.png")
        found = texts(tmp_path)
        assert found == [
            f"{tmp_path}/jsons/{name}.json: no image of this name in {tmp_path}" for name in ("a1", "b1")
        ]
        caution, bare = load_dataset(tmp_path).cautions()
        more = "(1 more problem; `seyolo data check` lists all)"
        assert caution == f"warning: {found[0]} {more}"
        assert "1 of 5 images of train has no label file" in bare

    def test_two_jsons_of_an_image(self, tmp_path: Path) -> None:
        self.written(tmp_path, "images/{}.json", "{}.png".format)
        again = {**labelme_values("a1", ALL["a1"]), "imagePath": "../images/a1.png"}
        write_text(tmp_path / "jsons/second.json", json.dumps(again))
        (text,) = texts(tmp_path)
        assert text.startswith(
            f"{tmp_path}/jsons/second.json: its image {tmp_path}/images/a1.png has labels in"
        )

    def test_an_image_of_another_split_is_not_taken(self, tmp_path: Path) -> None:
        for split in ("train", "val"):
            write_image(tmp_path / split / "pictures/x.png", len(split))
            write_text(tmp_path / split / "jsons/x.json", json.dumps(labelme_values("x", ALL["a1"])))
        (tmp_path / "train/pictures/x.png").rename(tmp_path / "train/pictures/y.png")
        assert [len(sample.class_ids) for sample in load_dataset(tmp_path).split("val")] == [2]
        assert any("train/jsons/x.json: no image of this name" in text for text in texts(tmp_path))

    def test_no_json_of_a_split(self, tmp_path: Path) -> None:
        write_image(tmp_path / "train/x.png", 1)
        write_image(tmp_path / "val/y.png", 2)
        write_text(tmp_path / "train/x.json", json.dumps(labelme_values("x", ALL["a1"])))
        (text,) = texts(tmp_path)
        assert "split `val`: no label file for any of its 1 image, looked for in" in text


class TestVoc:
    @pytest.mark.parametrize(
        ("images", "xmls"),
        [
            ("data", "labels"),
            ("data", "annotations"),
            ("images", "xml"),
            ("", "xml"),
            ("pictures", ""),
            ("set/JPEG", "set/voc annotations"),
        ],
    )
    def test_xmls_in_another_folder(self, tmp_path: Path, images: str, xmls: str) -> None:
        is_fiftyone = (images, xmls) == ("data", "labels")  # which counts from 0
        for name, boxes in ALL.items():
            put_image(tmp_path, name, images)
            text = voc_xml(boxes, first=0 if is_fiftyone else 1)
            write_text(tmp_path / xmls / f"{name}.xml", text.replace("<annotation>", "<annotation a='1'>"))
        dataset = load_dataset(tmp_path)
        assert_all_there(dataset)
        assert ("VOC as FiftyOne exports it" in dataset.layout) == is_fiftyone
        assert "6 .xml files in other folders than the images are paired by name" in dataset.remarks[0]

    def test_of_splits_with_equal_names(self, tmp_path: Path) -> None:
        for split, left in (("train", 8), ("val", 16)):
            write_image(tmp_path / split / "data/x.png", left)
            write_text(tmp_path / split / "boxes/x.xml", voc_xml([(1, left, 4, 24, 20)]))
        dataset = load_dataset(tmp_path)
        widths = [dataset.split(split)[0].boxes_cxcywh[0, 2] for split in ("train", "val")]
        np.testing.assert_allclose(widths, [16 / 80, 8 / 80], rtol=1e-6)
        assert check_dataset(dataset).problems == ()

    def test_a_name_that_fits_two_images(self, tmp_path: Path) -> None:
        for folder in ("one", "two"):
            write_image(tmp_path / folder / "x.png", len(folder))
        write_image(tmp_path / "one/y.png", 9)
        for name in ("x", "y"):
            write_text(tmp_path / f"xml/{name}.xml", voc_xml(ALL["a1"]))
        (text,) = texts(tmp_path)
        assert text.startswith(
            f"{tmp_path}/xml/x.xml: its image may be {tmp_path}/one/x.png or {tmp_path}/two/x"
        )

    def test_none_has_an_image(self, tmp_path: Path) -> None:
        write_image(tmp_path / "x.png")
        for name in ("a", "b"):
            write_text(tmp_path / f"{name}.xml", voc_xml(ALL["a1"]))
        found = texts(tmp_path)
        assert [text for text in found if "no image of this name" in text] == [
            f"{tmp_path}/{name}.xml: no image of this name in {tmp_path}" for name in ("a", "b")
        ]


def classes(path: Path) -> dict[str, list[str]]:
    dataset = load_dataset(path)
    return {
        Path(sample.image).relative_to(path).as_posix(): [dataset.names[i] for i in sample.class_ids]
        for split in dataset.splits
        for sample in dataset.split(split)
    }


class TestPairing:
    def test_the_best_fitting_label_takes_an_image(self, tmp_path: Path) -> None:
        write_image(tmp_path / "pics/videoB/0001.png")
        for folder, class_id in (("videoA", 0), ("videoB", 1)):
            write_text(tmp_path / f"xml/{folder}/0001.xml", voc_xml([(class_id, 8, 4, 24, 20)]))
        assert classes(tmp_path) == {"pics/videoB/0001.png": ["hand"]}
        (text,) = texts(tmp_path)
        assert text.startswith(f"{tmp_path}/xml/videoA/0001.xml: no image of its own")

    def test_a_stated_path_comes_before_a_name(self, tmp_path: Path) -> None:
        write_image(tmp_path / "pics/0001.png")
        for folder, image, class_id in (("A", "../gone/0001.png", 0), ("B", "../pics/0001.png", 1)):
            values = {**labelme_values("0001", [(class_id, 8, 4, 24, 20)]), "imagePath": image}
            write_text(tmp_path / folder / "0001.json", json.dumps(values))
        assert classes(tmp_path) == {"pics/0001.png": ["hand"]}
        (text,) = texts(tmp_path)
        assert text.startswith(f"{tmp_path}/A/0001.json: no image of its own")

    @pytest.mark.parametrize("ending", ["xml", "json"])
    def test_a_path_with_dots(self, tmp_path: Path, ending: str) -> None:
        (tmp_path / "other").mkdir()
        write_image(tmp_path / "set/pics/a.png")
        box = [(1, 8, 4, 24, 20)]
        values = {**labelme_values("a", box), "imagePath": "../pics/a.png"}
        text = voc_xml(box) if ending == "xml" else json.dumps(values)
        write_text(tmp_path / f"set/boxes/a.{ending}", text)
        assert list(classes(tmp_path / "other/../set").values()) == [["hand"]]

    def test_a_json_of_another_kind_among_many(self, tmp_path: Path) -> None:
        for number in range(30):
            write_image(tmp_path / f"pics/{number:02}.png", number)
            values = {**labelme_values("", ALL["a1"]), "imagePath": f"../pics/{number:02}.png"}
            write_text(tmp_path / f"jsons/{number:02}.json", json.dumps(values))
        for name in ("00_info", "0"):
            write_text(tmp_path / f"jsons/{name}.json", '{"hello": 1}')
            assert [len(found) for found in classes(tmp_path).values()] == [len(ALL["a1"])] * 30

    @pytest.mark.parametrize("ending", ["xml", "json"])
    def test_folders_above_the_data_set_tell_nothing(self, tmp_path: Path, ending: str) -> None:
        root = tmp_path / "test/set"
        for seed, image in enumerate(("train/a", "val/b")):
            write_image(root / f"{image}.png", seed)
            values = {**labelme_values("", ALL["a1"]), "imagePath": f"/home/test/set/{image[-1]}.png"}
            text = voc_xml(ALL["a1"]) if ending == "xml" else json.dumps(values)
            write_text(root / f"boxes/{image[-1]}.{ending}", text)
        assert [len(found) for found in classes(root).values()] == [len(ALL["a1"])] * 2

    @pytest.mark.parametrize("names", [("train2017", "val2017"), ("images_train", "images_val")])
    def test_splits_within_names_of_folders(self, tmp_path: Path, names: tuple[str, str]) -> None:
        train, val = names
        for folder, stem, class_id in ((train, "1", 0), (val, "2", 1)):
            write_image(tmp_path / folder / f"{stem}.png", class_id)
            write_text(tmp_path / f"ann/{val}/{stem}.xml", voc_xml([(class_id, 8, 4, 24, 20)]))
        assert classes(tmp_path) == {f"{train}/1.png": [], f"{val}/2.png": ["hand"]}
        assert any(text.startswith(f"{tmp_path}/ann/{val}/1.xml: no image") for text in texts(tmp_path))

    def test_a_json_beside_an_image_that_states_another(self, tmp_path: Path) -> None:
        for seed, name in enumerate("ab"):
            write_image(tmp_path / f"{name}.png", seed)
        values = {**labelme_values("a", [(1, 8, 4, 24, 20)]), "imagePath": "b.png"}
        write_text(tmp_path / "a.json", json.dumps(values))
        assert classes(tmp_path) == {"a.png": ["hand"], "b.png": []}
        (said,) = load_dataset(tmp_path).remarks
        assert said.startswith(f"{tmp_path}: 1 label file with an image of the same name")
        assert said.endswith(f"the first, {tmp_path}/a.json, names {tmp_path}/b.png")

    @pytest.mark.parametrize(("videos", "frames"), [(20_000, 1), (200, 100)])
    def test_many_equal_names(self, tmp_path: Path, videos: int, frames: int) -> None:
        tree = Tree(tmp_path)
        for video in range(videos):
            split = "train" if video % 2 else "val"
            tree.folders[f"pics/{split}/{video}"] = [f"{frame}.png" for frame in range(frames)]
        folders = [name.replace("pics", "xml") for name in tree.folders if name]
        labels = [f"{tmp_path}/{name}/{frame}.xml" for name in folders for frame in range(frames)]
        start = time.process_time()
        pairs = pair(tree, labels, lambda image: (), lambda label: "")
        assert time.process_time() - start < 20  # took minutes
        assert len(pairs.label_of) == len(labels) == 20_000
        for image, label in pairs.label_of.items():
            assert image.replace("/pics/", "/xml/")[:-4] == label[:-4]

    @pytest.mark.parametrize("xmls", ["", "pics", "xml"])
    def test_files_of_macos_and_capitals(self, tmp_path: Path, xmls: str) -> None:
        for seed, name in enumerate("ab"):
            write_image(tmp_path / f"pics/{name}.png", seed)
            write_text(tmp_path / xmls / f"{name}.{'xml' if seed else 'XML'}", voc_xml(ALL["a1"]))
        write_text(tmp_path / "pics/._b.xml", "\0")
        assert [len(found) for found in classes(tmp_path).values()] == [len(ALL["a1"])] * 2
        assert texts(tmp_path) == []

    def test_files_of_macos_and_capitals_in_a_voc_folder(self, tmp_path: Path) -> None:
        for seed, name in enumerate("ab"):
            write_image(tmp_path / f"JPEGImages/{name}.png", seed)
            ending = "xml" if seed else "XML"
            write_text(tmp_path / f"Annotations/{name}.{ending}", voc_xml(ALL["a1"]))
        write_text(tmp_path / "Annotations/._b.xml", "\0")
        assert [len(found) for found in classes(tmp_path).values()] == [len(ALL["a1"])] * 2
        assert texts(tmp_path) == []

    def test_jsons_in_capitals(self, tmp_path: Path) -> None:
        write_image(tmp_path / "a.png")
        write_text(tmp_path / "a.JSON", json.dumps(labelme_values("a", ALL["a1"])))
        write_text(tmp_path / "._a.json", "\0")
        assert [len(found) for found in classes(tmp_path).values()] == [len(ALL["a1"])]
        assert texts(tmp_path) == []

    def test_an_xml_goes_by_its_own_name(self, tmp_path: Path) -> None:
        for seed, name in enumerate("ab"):
            write_image(tmp_path / f"pics/{name}.png", seed)
        text = voc_xml([(1, 8, 4, 24, 20)]).replace(
            "<annotation>", "<annotation><filename>b.png</filename>", 1
        )
        write_text(tmp_path / "xml/a.xml", text)
        assert classes(tmp_path) == {"pics/a.png": ["hand"], "pics/b.png": []}


class TestYolo:
    @pytest.mark.parametrize("place", ["annots/{}.xml", "voc/train/{}.xml"])
    def test_xmls_kept_from_other_work_are_no_second_layout(self, tmp_path: Path, place: str) -> None:
        data = write_yaml(tmp_path)
        for name, boxes in ALL.items():
            write_text(tmp_path / place.format(name), voc_xml(boxes))
        write_text(tmp_path / "labels.txt", "foot\n")
        assert load_dataset(tmp_path).layout == "YOLO, data.yaml"
        assert texts(data) == []

    def test_classes_beside_a_stray_labels_txt(self, tmp_path: Path) -> None:
        labelimg_yolo(tmp_path)
        write_text(tmp_path / "labels.txt", "foot\n")
        assert load_dataset(tmp_path).names == ("face", "hand")
        assert texts(tmp_path) == []

    def test_labels_beside_images_without_image(self, tmp_path: Path) -> None:
        labelimg_yolo(tmp_path)
        for name in ("a1", "a2", "b1"):
            (tmp_path / f"{name}.png").unlink()
        write_text(tmp_path / "train.txt", "a3.png\n")
        write_text(tmp_path / "notes.txt", "3 of 5 are done\n")
        # a2 has no object: nothing is lost.
        assert texts(tmp_path) == [
            f"{tmp_path}/{name}.txt: no image of this name in {tmp_path}" for name in ("a1", "b1")
        ]

    def test_a_folder_of_labels_without_images(self, tmp_path: Path) -> None:
        data = write_yaml(tmp_path)
        write_text(tmp_path / "labels/train/part2/x.txt", yolo_rows(ALL["a1"]))
        shutil.rmtree(tmp_path / "images/test")
        write_text(data, "train: images/train\nval: images/val\nnames: [face, hand]\n")
        assert texts(data) == [
            f"{tmp_path}/labels/test/c1.txt: no image of this name in {tmp_path}/images/test",
            f"{tmp_path}/labels/train/part2/x.txt: no image of this name in {tmp_path}/images/train/part2",
        ]

    def test_other_labels_in_both_places(self, tmp_path: Path) -> None:
        data = write_yaml(tmp_path)
        for name in ("a1", "a3"):
            write_text(tmp_path / f"images/train/{name}.txt", yolo_rows(ALL["a1"]))
        beside, read = tmp_path / "images/train/a3.txt", tmp_path / "labels/train/a3.txt"
        assert texts(data) == [
            f"{beside}: is not read, since {read} holds other labels of this name; remove one of them"
        ]

    def test_half_of_the_labels_elsewhere(self, tmp_path: Path) -> None:
        data = write_yaml(tmp_path)
        (tmp_path / "labels2/train").mkdir(parents=True)
        (tmp_path / "labels/train/a1.txt").rename(tmp_path / "labels2/train/a1.txt")
        (text,) = texts(data)
        assert text.startswith(
            f"{tmp_path}/labels2/train: holds labels of 1 image in {tmp_path}/images/train, where"
        )
        assert text.endswith(f"mv {tmp_path}/labels2/train/*.txt {tmp_path}/images/train/")
        caution, bare = load_dataset(data).cautions()
        assert caution == f"warning: {text}"
        assert "1 of 3 images of train has no label file" in bare

    def test_copies_and_detections_are_none(self, tmp_path: Path) -> None:
        data = write_yaml(tmp_path)
        shutil.copytree(tmp_path / "labels", tmp_path / "labels_old")
        for name in ("a1", "a2", "a3"):
            write_text(tmp_path / f"runs/predict/labels/{name}.txt", yolo_rows(ALL["a1"]))
        (tmp_path / "labels/train/a2.txt").unlink()
        assert texts(data) == []

    def test_no_labels_at_all(self, tmp_path: Path) -> None:
        roboflow_yolo(tmp_path)
        for split in ("train", "valid", "test"):
            for path in (tmp_path / split / "labels").iterdir():
                path.unlink()
        found = texts(tmp_path)
        assert [text.split(": ")[1].split(", looked")[0] for text in found] == [
            "split `train`",
            "split `val`",
            "split `test`",
        ]
        assert f"looked for in {tmp_path}/train/images and {tmp_path}/train/labels; export again" in found[0]
        for split in BOXES:
            assert load_dataset(tmp_path).split(split)[0].class_ids.tolist() == []

    def test_a_folder_of_another_spelling(self, tmp_path: Path) -> None:
        data = write_yaml(tmp_path)
        (tmp_path / "labels").rename(tmp_path / "Labels")
        found = texts(data)
        assert len([text for text in found if "no label file for any of its" in text]) == 3
        for split, count in (("train", "3 images"), ("val", "2 images"), ("test", "1 image")):
            assert any(
                text.startswith(f"{tmp_path}/Labels/{split}: holds labels of {count}") for text in found
            )


def test_outlines_are_counted_once_for_a_divided_data_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labelme(tmp_path / "set")
    told: list[str] = []

    class Told(Silent):
        def message(self, text: str) -> None:
            told.append(f"{text}; {len(caplog.records)}")

    with caplog.at_level("INFO", "seyolo"):
        dataset = open_data(TrainOptions(data=tmp_path / "set"), tmp_path, Told())
        for split in ("train", "val"):
            dataset.split(split)
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["2"]
    assert told[0].endswith("; 1")  # said while the images were divided


class TestTheSameImagesInTwoSplits:
    def coco128(self, folder: Path) -> Path:
        data = write_yaml(folder)
        write_text(data, "train: images/train\nval: images/train\nnames: [face, hand]\n")
        return data

    def test_one_line(self, tmp_path: Path) -> None:
        data = self.coco128(tmp_path)
        line = "all 3 images of split `val` are in `train`, too: AP on it is AP on training images; "
        (text,) = texts(data)
        assert text.startswith(f"{data}: {line}")
        assert load_dataset(data).cautions() == [f"warning: {text}"]

    def test_training_says_it(self, tmp_path: Path) -> None:
        said: list[str] = []

        class Told(Silent):
            def message(self, text: str) -> None:
                said.append(text)

        open_data(TrainOptions(data=self.coco128(tmp_path)), tmp_path, Told())
        assert [line.split(":")[0] for line in said] == ["warning"]
        assert "AP on it is AP on training images" in said[0]

    def test_part_of_another_split_under_other_names(self, tmp_path: Path) -> None:
        data = write_yaml(tmp_path)
        shutil.rmtree(tmp_path / "images/val")
        for name, seed in (("x", 0), ("y", 2)):
            write_image(tmp_path / f"images/val/{name}.png", seed)
        shutil.rmtree(tmp_path / "labels/val")
        write_text(tmp_path / "labels/val/x.txt", "")
        (text,) = texts(data)
        assert text.startswith(f"{tmp_path}/data.yaml: all 2 images of split `val` are in `train`, too")
        write_image(tmp_path / "images/val/z.png", 77)
        assert len([text for text in texts(data) if "the same image is in train" in text]) == 2

    def test_of_splits_without_training(self, tmp_path: Path) -> None:
        data = write_yaml(tmp_path)
        write_text(data, "train: images/train\nval: images/val\ntest: images/val\nnames: [face, hand]\n")
        (text,) = texts(data)
        assert "all 2 images of split `test` are in `val`, too: its figures tell nothing more" in text


def test_a_split_that_is_missing_is_said_where_it_is_used(tmp_path: Path) -> None:
    data = write_yaml(tmp_path)
    shutil.rmtree(tmp_path / "images/test")
    shutil.rmtree(tmp_path / "labels/test")
    assert load_dataset(data).cautions() == []
    with pytest.raises(DataError, match="split `test` is missing"):
        load_dataset(data).split("test")


class TestPaths:
    """Paths as people give them."""

    def test_a_list_of_names_in_the_current_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_image(tmp_path / "a.jpg")
        write_text(tmp_path / "a.txt", "0 0.5 0.5 0.4 0.4\n")
        write_text(tmp_path / "train.txt", "a.jpg\n")
        write_text(tmp_path / "data.yaml", "train: train.txt\nval: train.txt\nnames: [hand]\n")
        write_text(tmp_path / "obj.names", "hand\n")
        write_text(tmp_path / "obj.data", "train = train.txt\nnames = obj.names\n")
        monkeypatch.chdir(tmp_path)
        for file in ("data.yaml", "obj.data"):
            dataset = load_dataset(file)
            assert dataset.introduction(["train"])[0].endswith("train 1 image")
            assert len(dataset.split("train")[0].class_ids) == 1

    def test_a_broken_link_among_the_labels(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write_image(tmp_path / f"images/{name}.jpg", len(name))
            write_text(tmp_path / f"images/{name}.txt", "0 0.5 0.5 0.4 0.4\n")
        write_text(tmp_path / "labels/b.txt", "0 0.5 0.5 0.4 0.4\n")
        (tmp_path / "labels/a.txt").symlink_to("gone.txt")
        write_text(tmp_path / "data.yaml", "train: images\nnames: [hand]\n")
        dataset = load_dataset(tmp_path / "data.yaml")
        assert dataset.cautions() == []
        assert [len(sample.class_ids) for sample in dataset.split("train")] == [1, 1]

    def test_another_yaml_with_words_of_splits(self, tmp_path: Path) -> None:
        write_image(tmp_path / "images/a.jpg")
        write_text(tmp_path / "images/a.txt", "0 0.5 0.5 0.4 0.4\n")
        write_text(tmp_path / "data.yaml", "train: images\ntrain: images\nnames: [hand]\n")
        assert load_dataset(tmp_path).names == ("hand",)

    def test_a_divided_split_without_labels(self, tmp_path: Path) -> None:
        for number in range(6):
            write_image(tmp_path / f"{number}.jpg", number)
        write_text(tmp_path / "0.txt", "0 0.5 0.5 0.4 0.4\n")
        write_text(tmp_path / "data.yaml", "train: .\nnames: [hand]\n")
        whole = load_dataset(tmp_path / "data.yaml")
        parts = {"train": [tmp_path / "0.jpg"], "val": [tmp_path / f"{number}.jpg" for number in range(1, 6)]}
        kept = {name: list(map(str, paths)) for name, paths in parts.items()}
        divided, _ = for_training(whole, 0, kept)
        assert "split `val`: no label file" in divided.introduction()[-1]
        assert check_dataset(divided).problems != ()


def test_detections_of_a_model_are_no_labels(tmp_path: Path) -> None:
    for number in range(6):
        write_image(tmp_path / f"images/{number}.jpg", number)
        write_text(tmp_path / f"pred/{number}.txt", "0 0.5 0.5 0.4 0.4\n")
    for number in range(2):
        write_text(tmp_path / f"images/{number}.txt", "0 0.5 0.5 0.4 0.4\n")
    write_text(tmp_path / "data.yaml", "train: images\nnames: [hand]\n")
    (bare,) = load_dataset(tmp_path / "data.yaml").cautions()
    assert "4 of 6 images of train have no label file" in bare
