"""labelme's jsons: shapes and their boxes, classes, and what is said about what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.written_datasets import write_image, write_text
from helpers.written_exports import labelme, labelme_values
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.errors import DataError

RECTANGLE = {"label": "hand", "points": [[8, 4], [24, 20]], "shape_type": "rectangle"}


def written(folder: Path, *shapes: Any, **values: Any) -> Path:
    write_image(folder / "a.png")
    content = {**labelme_values("a", []), "shapes": list(shapes), **values}
    write_text(folder / "a.json", json.dumps(content))
    return folder


def test_boxes_of_shapes(tmp_path: Path) -> None:
    polygon = {"label": "hand", "points": [[1.5, 10], [30, 2], [12, 38]], "shape_type": "polygon"}
    dataset = load_dataset(written(tmp_path, RECTANGLE, polygon))
    (sample,) = dataset.split("train")
    expected = [[16 / 80, 12 / 40, 16 / 80, 16 / 40], [15.75 / 80, 20 / 40, 28.5 / 80, 36 / 40]]
    np.testing.assert_allclose(sample.boxes_cxcywh, expected, rtol=1e-6)
    assert check_dataset(dataset).splits[0].num_outlines == 1


def test_the_image_inside_is_not_needed(tmp_path: Path) -> None:
    dataset = load_dataset(written(tmp_path, RECTANGLE, imageData="AAAA" * 100))
    assert len(dataset.split("train")[0].class_ids) == 1


def test_an_image_without_json_is_a_negative(tmp_path: Path) -> None:
    write_image(written(tmp_path, RECTANGLE) / "b.png", 1)
    assert [len(sample.class_ids) for sample in load_dataset(tmp_path).split("train")] == [1, 0]


def test_a_json_without_image_is_a_problem(tmp_path: Path) -> None:
    labelme(tmp_path)
    (tmp_path / "a3.png").unlink()
    (problem,) = check_dataset(load_dataset(tmp_path)).problems
    assert (Path(problem.file).name, problem.text) == ("a3.json", f"no image of this name in {tmp_path}")


def test_a_file_orders_the_classes(tmp_path: Path) -> None:
    labelme(tmp_path)
    write_text(tmp_path / "labels.txt", "__ignore__\n_background_\nhand\nfoot\nface\n")
    dataset = load_dataset(tmp_path)
    assert dataset.names == ("hand", "foot", "face")
    assert dataset.split("train")[0].class_ids.tolist() == [0, 2]


def test_splits_are_folders(tmp_path: Path) -> None:
    labelme(tmp_path / "train")
    labelme(tmp_path / "valid")
    assert [len(load_dataset(tmp_path).split(split)) for split in ("train", "val")] == [6, 6]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            {**RECTANGLE, "shape_type": "point", "points": [[3, 3]]},
            "a point has no box; .* draw one, or remove",
        ),
        ({**RECTANGLE, "shape_type": "circle"}, "a circle has no box"),
        ({**RECTANGLE, "shape_type": "line"}, "a line has no box"),
        ({**RECTANGLE, "shape_type": ["x"]}, "has no box"),
        ({**RECTANGLE, "points": [[3, 3]]}, "points: a rectangle has at least 2, found 1"),
        ({**RECTANGLE, "points": None}, "points: expected pairs of x and y in pixels"),
        ({**RECTANGLE, "points": [[3, 3, 3], [4, 4, 4]]}, "points: expected pairs"),
        ({**RECTANGLE, "points": [["x", 3], [4, 4]]}, "points: expected pairs"),
        ({**RECTANGLE, "points": [[8, 4], [95, 20]]}, r"the box reaches 15\.0 px out of the 80x40 image"),
        ({**RECTANGLE, "points": [[8, 4], [8, 20]]}, "width 0 and height 16 must be above 0"),
        ({**RECTANGLE, "label": None}, "is none of the classes"),
        (3, "a  has no box"),
    ],
)
def test_a_bad_shape_is_named(tmp_path: Path, shape: Any, message: str) -> None:
    dataset = load_dataset(written(tmp_path, RECTANGLE, shape))
    with pytest.raises(DataError, match=rf"a\.json: shapes\[1\]: .*{message}"):
        dataset.split("train")
    assert len(check_dataset(dataset).problems) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version": "5", ', r"a\.json: not valid JSON"),
        ('{"version": "5", "shapes": 3}', r"a\.json: expected labelme's `shapes`, a list"),
        ('{"version": ' + "[" * 5000, r"a\.json: not valid JSON"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    write_text(written(tmp_path, RECTANGLE) / "a.json", text)
    write_text(tmp_path / "labels.txt", "hand\n")
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path).split("train")
    (tmp_path / "labels.txt").unlink()
    with pytest.raises(DataError, match=r"no shape has a label; name the classes in .*labels\.txt"):
        load_dataset(tmp_path)
