"""COCO jsons: categories, splits by name, where images lie, and what is said about what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.written_datasets import BOXES, coco_values, write_coco, write_image, write_text
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.data.formats.coco import read_coco
from seyolo.data.formats.coco_layout import find_splits, image_folders
from seyolo.data.formats.coco_outline import outline_box
from seyolo.errors import DataError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_coco(tmp_path)


def changed(data: Path, key: str, **values: Any) -> Path:
    """Changes the first entry of a list in the json; None takes the value away."""
    content = json.loads(data.read_text())
    content[key][0] = {k: v for k, v in {**content[key][0], **values}.items() if v is not None}
    data.write_text(json.dumps(content))
    return data


class TestLabels:
    def test_crowds_are_ignored_regions_and_boxes_without_area_are_left_out(self, data: Path) -> None:
        content = json.loads(data.read_text())
        first = content["annotations"][0]
        content["annotations"] += [
            {**first, "id": 50, "iscrowd": 1},
            {**first, "id": 51, "bbox": [10, 10, 5, 0]},
            {**first, "id": 52, "bbox": [10, 10, 0.0, 5]},
            {**first, "id": 53},
        ]
        data.write_text(json.dumps(content))
        dataset = load_dataset(data)
        reports = check_dataset(dataset).splits
        assert [split.num_skipped for split in reports] == [0, 2, 0]
        assert [split.num_ignored for split in reports] == [0, 1, 0]
        assert (reports[1].num_duplicates, reports[1].num_clipped) == (1, 0)
        assert [len(sample.class_ids) for sample in dataset.split("val")] == [1, 2]
        ignored = dataset.split("val")[0].ignored
        np.testing.assert_allclose(ignored.boxes_cxcywh, [[75 / 80, 35 / 40, 10 / 80, 10 / 40]])
        assert (ignored.class_ids.tolist(), ignored.is_crowd.tolist()) == ([1], [True])

    def test_areas_are_those_of_the_annotations(self, data: Path) -> None:
        changed(data, "annotations", area=37.5)
        content = json.loads(data.read_text())
        del content["annotations"][1]["area"]
        data.write_text(json.dumps(content))
        first, second = load_dataset(data).split("val")
        np.testing.assert_array_equal(first.areas_px2, [37.5])
        np.testing.assert_array_equal(second.areas_px2, [np.nan, 1])

    def test_less_than_a_pixel_outside_is_clipped_and_counted(self, data: Path) -> None:
        # 80 px wide: from 70.5 to 80.75 becomes 70.5 to 80, centre 75.25, width 9.5.
        changed(data, "annotations", bbox=[70.5, 30, 10.25, 10])
        dataset = load_dataset(data)
        assert check_dataset(dataset).splits[1].num_clipped == 1
        np.testing.assert_allclose(
            dataset.split("val")[0].boxes_cxcywh, [[75.25 / 80, 35 / 40, 9.5 / 80, 0.25]]
        )

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"iscrowd": "0"}, "iscrowd: expected 0 or 1, found '0'"),
            ({"iscrowd": 2}, "iscrowd: expected 0 or 1, found 2"),
            ({"iscrowd": []}, r"iscrowd: expected 0 or 1, found \[\]"),
            ({"area": "12"}, "area: expected a number of square pixels, found '12'"),
            ({"area": -1}, "area: expected a number of square pixels, found -1"),
            ({"area": float("nan")}, "area: expected a number of square pixels, found nan"),
            ({"bbox": [70, 30, 12, 5]}, r"the box reaches 2\.0 px out of the 80x40 image"),
            ({"bbox": [70, 30, -1, 5]}, r"width -1 and height 5 must be above 0"),
            ({"bbox": [70, 30, 0, -5]}, r"width 0 and height -5 must be above 0"),
            ({"bbox": [70, 30, float("nan"), 5]}, "is not finite"),
            ({"bbox": [float("-inf"), 30, 3, 5]}, "is not finite"),
            ({"bbox": [70, 30, 10**400, 5]}, "a number that is too large"),
            ({"bbox": [70, 30, 5]}, r"bbox: expected \[x, y, width, height\] in pixels, found \[70, 30, 5\]"),
            ({"bbox": [70, 30, "5", 5]}, "bbox: expected"),
            ({"bbox": [70, 30, True, 5]}, "bbox: expected"),
            ({"bbox": "text"}, "bbox: expected"),
            ({"category_id": 8}, "category_id 8 is none of the categories"),
            ({"category_id": "7"}, "category_id '7' is none of the categories"),
            ({"category_id": [7]}, "is none of the categories"),
        ],
    )
    def test_a_bad_annotation_is_named(self, data: Path, values: dict[str, Any], message: str) -> None:
        dataset = load_dataset(changed(data, "annotations", **values))
        where = r"instances_val2017\.json: annotations\[0\] \(id 0, b1\.png\): .*"
        with pytest.raises(DataError, match=where + message + r".*; `seyolo data check` lists all problems"):
            dataset.split("val")
        (problem,) = check_dataset(dataset).problems
        assert problem.file == str(data)

    def test_the_image_gives_a_size_that_is_not_stated(self, data: Path) -> None:
        expected = load_dataset(data).split("val")[0]
        for values in ({"width": None, "height": None}, {"width": 0, "height": 0}):
            found = load_dataset(changed(data, "images", **values)).split("val")[0]
            np.testing.assert_array_equal(found.boxes_cxcywh, expected.boxes_cxcywh)
        expected.image.write_bytes(b"")
        with pytest.raises(DataError, match=r"annotations\[0\] .*b1\.png: .*not an image"):
            load_dataset(data).split("val")
        assert len(check_dataset(load_dataset(data)).problems) == 2

    def test_a_image_of_another_size_than_stated_is_a_problem(self, data: Path) -> None:
        dataset = load_dataset(changed(data, "images", width=160))
        (problem,) = check_dataset(dataset).problems
        assert Path(problem.file).name == "b1.png"
        assert problem.text.startswith("has 80x40 pixels, but its labels state 160x40; ")


TRIANGLE = [[10, 4, 30, 4, 30, 20]]
# A 3x2 image (height 3), column by column: one pixel outside, three inside, two outside.
RUNS = {"size": [3, 2], "counts": [1, 3, 2]}


class TestOutlines:
    @pytest.mark.parametrize(
        ("outline", "box"),
        [
            (TRIANGLE, [10, 4, 20, 16]),
            ([[10, 4, 30, 4, 30, 20], [40.5, 1, 50, 1, 50, 2, 40, 2]], [10, 1, 40, 19]),
            (RUNS, [0, 0, 2, 3]),
            ({"size": [3, 2], "counts": [1, 1, 4]}, [0, 1, 1, 1]),
            ({"size": [3, 2], "counts": [0, 2, 2, 1, 1]}, [0, 0, 2, 2]),
            ({"size": [3, 2], "counts": [6]}, [0, 0, 0, 0]),
            ({"size": [3, 2], "counts": [1, 0, 5]}, [0, 0, 0, 0]),
            # Packed: one character per number below 16.
            ({"size": [3, 2], "counts": "132"}, [0, 0, 2, 3]),
        ],
    )
    def test_boxes_by_hand(self, outline: object, box: list[float]) -> None:
        assert outline_box(outline, lambda: (3, 2)) == box

    @pytest.mark.parametrize(
        ("size", "counts", "packed", "box"),
        [
            ([240, 320], [50417, 40, 200, 40, 26103], "aWa1X1X60_Yi0", [210, 17, 2, 40]),
            ([3, 2], [0, 2, 2, 1, 1], "022OO", [0, 0, 2, 2]),
            ([240, 320], [5, 70000, 1, 1, 6793], "5`[T21adkMXd6", [0, 0, 292, 240]),
        ],
    )
    def test_packed_runs_and_boxes_of_pycocotools(
        self, size: list[int], counts: list[int], packed: str, box: list[float]
    ) -> None:
        # frPyObjects and toBbox of pycocotools 2.0.11
        assert outline_box({"size": size, "counts": counts}, lambda: (size[0], size[1])) == box
        assert outline_box({"size": size, "counts": packed}, lambda: (size[0], size[1])) == box

    def test_an_annotation_without_box_gets_that_of_its_outline(self, data: Path) -> None:
        changed(data, "annotations", bbox=None, segmentation=TRIANGLE, area=160)
        dataset = load_dataset(data)
        np.testing.assert_allclose(
            dataset.split("val")[0].boxes_cxcywh, [[20 / 80, 12 / 40, 20 / 80, 16 / 40]], rtol=1e-6
        )
        assert [split.num_outlines for split in check_dataset(dataset).splits] == [0, 1, 0]

    @pytest.mark.parametrize(
        ("outline", "message"),
        [
            ([[10, 4, 30, 4]], "expected polygons of 3 points or more, .* found "),
            ([[10, 4, 30, 4, 30, "20"]], "expected polygons of 3 points or more"),
            ([[10, 4, 30, 4, 30, 20, 7]], "expected polygons of 3 points or more"),
            ([10, 4, 30, 4, 30, 20], "expected polygons of 3 points or more"),
            ("132", "expected polygons of 3 points or more"),
            ({"counts": [1, 3, 2]}, r"size: expected \[height, width\] in pixels, found None"),
            ({"size": [3, 2], "counts": [6]}, "size: the runs are of 2x3 pixels, the image has 80x40"),
            ({"size": [40, 80]}, "counts: expected lengths of runs of pixels, found None"),
            ({"size": [40, 80], "counts": [1, 3, 3197]}, "counts: the runs do not fill 80x40 pixels"),
            ({"size": [40, 80], "counts": [1, -3, 3202]}, "counts: the runs do not fill 80x40 pixels"),
            ({"size": [40, 80], "counts": "1 3"}, "counts: '1 3' is no packed text of run lengths"),
            ({"size": [40, 80], "counts": "o" * 12}, "counts: 'o*' is no packed text of run lengths"),
            ({"size": [40, 80], "counts": "o"}, "counts: 'o' is no packed text of run lengths"),
        ],
    )
    def test_a_bad_outline_is_named(self, data: Path, outline: object, message: str) -> None:
        changed(data, "annotations", bbox=None, segmentation=outline)
        with pytest.raises(DataError, match=r"annotations\[0\] \(id 0, b1.png\): segmentation: " + message):
            load_dataset(data).split("val")


def roboflow(folder: Path, categories: list[tuple[int, str, str]], used: dict[str, list[int]]) -> Path:
    """Writes one json and one image per split; `used` are category ids of objects."""
    for split, ids in used.items():
        write_image(folder / split / "a.png")
        boxes = [
            {"id": i, "image_id": 0, "category_id": number, "bbox": [10 * i, 4, 8, 8]}
            for i, number in enumerate(ids)
        ]
        listed = [dict(zip(("id", "name", "supercategory"), row, strict=True)) for row in categories]
        content = {"images": [{"id": 0, "file_name": "a.png"}], "annotations": boxes, "categories": listed}
        write_text(folder / split / "_annotations.coco.json", json.dumps(content))
    return folder / "train/_annotations.coco.json"


class TestGroupingCategories:
    @pytest.mark.parametrize(
        ("categories", "used", "names"),
        [
            # The name of the project groups its classes.
            ([(0, "hands", "none"), (1, "hand", "hands")], {"train": [1], "valid": [1]}, ("hand",)),
            # The project has the name of its only class.
            ([(0, "hand", "none"), (1, "hand", "hand")], {"train": [1], "valid": [1]}, ("hand",)),
            # A word of its own.
            ([(0, "x-1", "none"), (1, "a", "y"), (2, "b", "y")], {"train": [1], "valid": [2]}, ("a", "b")),
            # A class without objects stays, and so does one whose objects are all in another split.
            ([(0, "p", "none"), (1, "a", "p"), (2, "b", "p")], {"train": [1], "valid": [1]}, ("a", "b")),
            ([(0, "p", "none"), (1, "a", "p")], {"train": [1], "valid": [0]}, ("p", "a")),
            ([(0, "p", "none"), (1, "a", "p")], {"train": [0], "valid": [1]}, ("p", "a")),
            # No grouping: nobody's supercategory, or only its own.
            ([(0, "a", "none"), (1, "b", "none")], {"train": [1], "valid": [1]}, ("a", "b")),
            (
                [(1, "person", "person"), (2, "car", "vehicle")],
                {"train": [2], "valid": [2]},
                ("person", "car"),
            ),
        ],
    )
    def test_they_are_no_classes(
        self, tmp_path: Path, categories: list[tuple[int, str, str]], used: dict[str, list[int]], names: Any
    ) -> None:
        path = roboflow(tmp_path, categories, used)
        for split in used:
            dataset = load_dataset(path.parent.parent / split / path.name)
            assert dataset.names == names
            assert [len(each.class_ids) for each in dataset.split("train")] == [1]
            (sample,) = dataset.split("val" if "val" in dataset.splits else "valid")
            number = used["valid"][0]
            assert names[int(sample.class_ids[0])] == {row[0]: row[1] for row in categories}[number]

    def test_they_are_said(self, tmp_path: Path) -> None:
        one = roboflow(tmp_path / "a", [(0, "hands", "none"), (1, "hand", "hands")], {"train": [1]})
        said = "left out the category hands, which groups others and has no object"
        assert read_coco(one).remarks() == [said]
        rows = [(0, "p", "none"), (1, "q", "p"), (2, "hand", "q")]
        two = roboflow(tmp_path / "b", rows, {"train": [2]})
        said = "left out the categories p, q, which group others and have no object"
        assert read_coco(two).remarks() == [said]
        assert read_coco(roboflow(tmp_path / "c", [(1, "hand", "hands")], {"train": [1]})).remarks() == []

    def test_two_classes_of_a_name_are_refused(self, tmp_path: Path) -> None:
        rows = [(0, "hand", "none"), (1, "hand", "hand")]
        with pytest.raises(DataError, match="the name hand is repeated"):
            load_dataset(roboflow(tmp_path, rows, {"train": [1, 0]}))


class TestFile:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", r"x\.json:1: not valid JSON"),
            ('{"images": [],\n "annotations": [', r"x\.json:2: not valid JSON"),
            ("[" * 100_000, "not valid JSON"),
            ("[]", "no key `images`; a COCO json of boxes has images, annotations, categories"),
            ("3", "no key `images`"),
            ('{"images": [], "categories": []}', "no key `annotations`"),
            ('{"images": [], "annotations": {}, "categories": []}', "annotations: expected a list"),
            ('{"images": [3], "annotations": [], "categories": []}', "images: expected a list of objects"),
            ('{"images": [], "annotations": [], "categories": []}', "categories: names no class"),
        ],
    )  # fmt: skip
    def test_what_is_no_coco_json(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            load_dataset(write_text(tmp_path / "x.json", text))

    @pytest.mark.parametrize(
        ("key", "values", "message"),
        [
            ("images", {"id": None}, r"images\[0\]: no `id`"),
            ("images", {"id": 101}, r"images\[1\]: the id 101 is repeated"),
            ("images", {"id": [1]}, r"images\[0\]: id: expected a number"),
            ("images", {"file_name": None}, r"images\[0\]: no `file_name`"),
            ("images", {"file_name": 3}, r"images\[0\]: file_name: expected the name of an image, found 3"),
            ("images", {"width": -3}, r"images\[0\]: expected width and height in pixels, found -3 and 40"),
            ("images", {"width": "80"}, r"images\[0\]: expected width and height in pixels"),
            ("annotations", {"image_id": 7}, r"annotations\[0\] \(id 0\): there is no image with the id 7"),
            ("annotations", {"image_id": "image_id"}, ".*there is no image with the id 'image_id'"),
            ("annotations", {"image_id": [7]}, r".*\(id 0\): there is no image with the id \[7\]"),
            ("annotations", {"image_id": None}, r"annotations\[0\] \(id 0\): no `image_id`"),
            ("annotations", {"bbox": None, "segmentation": None}, r"annotations\[0\] \(id 0\): no `bbox`"),
            ("annotations", {"category_id": None}, r"annotations\[0\] \(id 0\): no `category_id`"),
            ("categories", {"id": 7}, r"categories\[1\]: the id 7 is repeated"),
            ("categories", {"name": "face"}, "categories: the name face is repeated"),
            ("categories", {"name": 3}, r"categories\[0\]: expected a number as id and text as name"),
            ("categories", {"id": "90"}, r"categories\[0\]: expected a number as id"),
        ],
    )  # fmt: skip
    def test_what_makes_no_sense_is_named(
        self, data: Path, key: str, values: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(DataError, match=r"instances_val2017\.json: " + message):
            load_dataset(changed(data, key, **values))

    def test_missing_images_are_counted(self, data: Path) -> None:
        (data.parent.parent / "val2017/b2.png").unlink()
        with pytest.raises(DataError, match=r"1 of 2 images is missing, the first is b2\.png; looked in "):
            load_dataset(data).split("val")

    def test_a_image_listed_twice(self, data: Path) -> None:
        changed(data, "images", file_name="./b2.png")
        with pytest.raises(DataError, match=r"images: b2\.png is repeated"):
            load_dataset(data).split("val")


class TestSplits:
    def test_the_others_are_read_when_they_are_asked_for(self, data: Path) -> None:
        (data.parent / "instances_train2017.json").write_text("no json")
        dataset = load_dataset(data)
        assert len(dataset.split("val")) == 2
        with pytest.raises(DataError, match=r"instances_train2017\.json:1: not valid JSON"):
            dataset.split("train")
        assert len(check_dataset(dataset).problems) == 1

    def test_their_classes_must_be_the_same(self, data: Path) -> None:
        changed(data, "categories", name="foot")
        dataset = load_dataset(data)
        with pytest.raises(
            DataError, match=r"train2017\.json: its classes are face, hand, but those of .* are face, foot;"
        ):
            dataset.split("train")  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "split"),
        [
            ("instances_val2017.json", "val"),
            ("Train.json", "train"),
            ("validation.json", "val"),
            ("hands-valid_2.json", "val"),
            ("handsTest.json", "test"),
            ("latest_val.json", "val"),
            ("mytrain.json", "train"),
            ("annotations.json", "train"),
        ],
    )
    def test_the_name_says_which(self, tmp_path: Path, name: str, split: str) -> None:
        assert find_splits(write_text(tmp_path / name, "")) == (split, {split: tmp_path / name})

    def test_siblings_differ_in_the_split_only(self, tmp_path: Path) -> None:
        names = (
            "hands_train_2.json",
            "Hands_Valid_2.json",
            "hands_test_1.json",
            "hands_2.json",
            "train.json",
        )
        paths = {name: write_text(tmp_path / name, "") for name in names}
        split, files = find_splits(paths["Hands_Valid_2.json"])
        assert (split, list(files)) == ("val", ["train", "val"])
        assert files["train"] == paths["hands_train_2.json"]
        write_text(tmp_path / "hands_val_2.json", "")
        with pytest.raises(DataError, match="holds the split `val`, as does"):
            find_splits(paths["hands_train_2.json"])

    def test_one_folder_per_split(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for folder, split in (("train", "train"), ("valid", "val")):
            write_text(tmp_path / folder / "_annotations.coco.json", json.dumps(coco_values(split)))
            for seed, name in enumerate(BOXES[split]):
                write_image(tmp_path / folder / f"{name}.png", seed)
        (tmp_path / "test").mkdir()
        for folder, name in (("valid", "_annotations.coco.json"), (".", "train/_annotations.coco.json")):
            monkeypatch.chdir(tmp_path / folder)
            dataset = load_dataset(name)
            assert list(dataset.splits) == ["train", "val"]
            assert [len(dataset.split(split)) for split in dataset.splits] == [3, 2]

    @pytest.mark.parametrize(
        ("json_place", "image_place"),
        [
            ("x/y/annotations.json", "x/y"),
            ("x/y/annotations.json", "x/y/images"),
            ("x/y/annotations.json", "x/y/val"),
            ("x/y/annotations.json", "x/val"),
            ("x/y/annotations.json", "x/images"),
            ("x/y/annotations.json", "x"),
            ("x/y/instances_val2014.json", "x/val2014"),
            ("x/y/instances_val2014.json", "x/y/val2014"),
            ("x/y/instances_val2014.json", "x/images/val2014"),
            ("x/y/valid.json", "x/y/valid"),
            ("x/y/valid.json", "x/val"),
        ],
    )
    def test_where_images_lie(self, tmp_path: Path, json_place: str, image_place: str) -> None:
        data = write_text(tmp_path / json_place, json.dumps(coco_values("val")))
        for name in BOXES["val"]:
            write_image(tmp_path / image_place / f"{name}.png")
        dataset = load_dataset(data)
        split = "val" if "val" in dataset.splits else "train"
        assert {image.parent for image in dataset.images(split)} == {tmp_path / image_place}

    def test_the_folder_of_the_split_comes_first(self, tmp_path: Path) -> None:
        data = write_text(tmp_path / "annotations/instances_val2017.json", "")
        for folder in ("val2017", "images", "images/val2017", "annotations/val"):
            (tmp_path / folder).mkdir(parents=True)
        expected = ("annotations/val", "val2017", "images/val2017", "annotations", "images", ".")
        assert image_folders(data, "val") == [str(tmp_path / folder) for folder in expected]

    def test_folders_in_file_names(self, tmp_path: Path) -> None:
        content = coco_values("test")
        content["images"][0]["file_name"] = "some/c1.png"
        write_image(tmp_path / "images/some/c1.png")
        data = write_text(tmp_path / "annotations/test.json", json.dumps(content))
        assert load_dataset(data).images("test") == [tmp_path / "images/some/c1.png"]
