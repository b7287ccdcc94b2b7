"""The same images give the same samples in every format; what is no data set is called by its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.written_datasets import BOXES, FORMATS, HEIGHT, NAMES, WIDTH, write_image
from seyolo.data.check import check_dataset
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import DataError


@pytest.fixture(params=FORMATS)
def dataset(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """The images of BOXES in one of the formats, given by a relative path."""
    monkeypatch.chdir(tmp_path)
    return load_dataset(FORMATS[request.param](Path("written")))


def test_every_format_gives_the_same_samples(dataset: Dataset) -> None:
    assert dataset.names == NAMES
    assert list(dataset.splits) == list(BOXES)
    for split, images in BOXES.items():
        samples = dataset.split(split)
        assert [sample.image.stem for sample in samples] == list(images)
        for sample, boxes in zip(samples, images.values(), strict=True):
            corners = np.array(boxes, np.float64).reshape(-1, 5)[:, 1:] / ([WIDTH, HEIGHT] * 2)
            cxcywh = np.hstack([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]])
            assert sample.image.is_file()
            assert sample.class_ids.dtype == np.int64
            np.testing.assert_array_equal(sample.class_ids, [box[0] for box in boxes])
            np.testing.assert_array_equal(sample.boxes_cxcywh, cxcywh.astype(np.float32), strict=True)


def test_every_format_is_found_sound(dataset: Dataset) -> None:
    report = check_dataset(dataset)
    assert report.problems == ()
    assert [split.num_pictures for split in report.splits] == [3, 2, 1]
    assert all((s.num_clipped, s.num_duplicates, s.num_skipped) == (0, 0, 0) for s in report.splits)
    assert [split.num_negatives for split in report.splits] == [1, 0, 0]


def test_every_format_names_a_split_that_is_not_there(dataset: Dataset) -> None:
    with pytest.raises(DataError, match=r"no split `tset`; there are train, val, test$"):
        dataset.split("tset")


def test_loading_opens_no_images(dataset: Dataset) -> None:
    for split in BOXES:
        for image in dataset.images(split):
            image.write_bytes(b"")
        assert len(dataset.split(split)) == len(BOXES[split])


@pytest.mark.parametrize("kind", FORMATS)
def test_a_image_that_is_missing_is_named(tmp_path: Path, kind: str) -> None:
    data = FORMATS[kind](tmp_path)
    next(tmp_path.rglob("a2.png")).unlink()
    dataset = load_dataset(data)
    if kind == "data.yaml":
        (problem,) = check_dataset(dataset).problems
        assert "no image of this name" in problem.text
        return
    with pytest.raises(DataError, match=r"a2(\.png)?\b"):
        dataset.split("train")
    assert any("a2" in problem.text for problem in check_dataset(dataset).problems)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "no such file or folder; give a data.yaml, a Darknet .data, a COCO .json or a VOC folder"),
        ("x.png", "not a data set by its name; give a data.yaml"),
        (".", "no known layout of a data set fits; expected are a data.yaml"),
        ("gone.yaml", "no such file"),
        ("gone.yml", "no such file"),
        ("gone.data", "no such file"),
        ("gone.json", "no such file"),
        ("gone.JSON", "no such file"),
    ],
)
def test_what_is_no_data_set(tmp_path: Path, name: str, message: str) -> None:
    write_image(tmp_path / "x.png")
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path / name)
