"""A folder of images without labels: what int8 and pruning are measured on, and no data set elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.written_datasets import HEIGHT, WIDTH, write_image, write_yaml
from seyolo.data.datasets import load_dataset, load_images
from seyolo.data.tiles import training_samples
from seyolo.errors import DataError
from seyolo.tiling.grid import Tiling


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two images, one of them in a folder below, and a file that is none."""
    (tmp_path / "photos/more").mkdir(parents=True)
    for name in ("photos/b.png", "photos/more/a.png"):
        write_image(tmp_path / name)
    (tmp_path / "photos/README.md").write_text("# Photos\n")
    return tmp_path / "photos"


def test_all_images_are_the_split_train(photos: Path) -> None:
    dataset = load_images(photos)
    assert dataset.introduction() == ["data: images without labels, photos; train 2 images"]
    assert [sample.image.name for sample in dataset.split("train")] == ["b.png", "a.png"]
    assert all(len(sample.class_ids) == 0 for sample in dataset.split("train"))
    assert (dataset.names, list(dataset.splits)) == ((), ["train"])


def test_verbs_that_need_labels_refuse_the_folder(photos: Path) -> None:
    with pytest.raises(DataError, match="no known layout of a data set fits"):
        load_dataset(photos)


def test_a_data_set_keeps_its_splits_and_labels(tmp_path: Path) -> None:
    data = write_yaml(tmp_path)
    for path in (data, tmp_path):
        read, expected = load_images(path), load_dataset(path)
        assert (read.layout, read.splits) == (expected.layout, expected.splits)
        assert (
            read.split("train")[0].boxes_cxcywh.tolist() == expected.split("train")[0].boxes_cxcywh.tolist()
        )


def test_labels_that_are_not_read_are_no_folder_of_images(photos: Path) -> None:
    empty = photos.parent / "empty"
    empty.mkdir()
    (photos / "b.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(DataError, match="there are YOLO labels but no class names"):
        load_images(photos)
    with pytest.raises(DataError, match="there is no image in it"):
        load_images(empty)


def test_all_tiles_of_images_without_labels_are_used(photos: Path) -> None:
    tiled = load_images(photos).tiled(Tiling((HEIGHT // 2, WIDTH // 4), 0.0, whole=False))
    assert len(training_samples(tiled)) == 2 * 2 * 4
