"""Training samples cut into tiles: boxes, ignored regions, background, pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.square_finder import SquareFinder, squares_image
from seyolo.data.batches.training import ImageCache, TrainingLoader
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.data.samples import Sample
from seyolo.data.tiles import training_samples
from seyolo.detector import Detector
from seyolo.evaluation.evaluate import evaluate, judge_splits, judged
from seyolo.letterbox import Fit
from seyolo.media import images as media
from seyolo.options.training import Augmentation
from seyolo.tiling.grid import Tile, Tiling

SIZE = HEIGHT, WIDTH = 200, 300
BOXES = [[5, 5, 25, 20], [80, 40, 130, 60], [200, 60, 290, 190]]
TILING = Tiling((100, 100), 0.25)


def write(folder: Path, boxes_by_image: list[list[list[int]]], size: tuple[int, int] = SIZE) -> Dataset:
    """A data set whose train and val are these images of white rectangles."""
    for split in ("train", "val"):
        for number, boxes in enumerate(boxes_by_image):
            path = folder / f"images/{split}/{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), squares_image(size, boxes))
            rows = [
                f"0 {(x + r) / 2 / size[1]} {(y + b) / 2 / size[0]} {(r - x) / size[1]} {(b - y) / size[0]}"
                for x, y, r, b in boxes
            ]
            label = folder / f"labels/{split}/{number}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("\n".join(rows))
    (folder / "data.yaml").write_text("path: .\ntrain: images/train\nval: images/val\nnames: [square]\n")
    return load_dataset(folder / "data.yaml")


def pixels_of(sample: Sample) -> list[list[int]]:
    """The boxes in pixels of the sample's image."""
    height, width = sample.read().shape[:2]
    centres = sample.boxes_cxcywh * np.array([width, height] * 2)
    corners = np.concatenate(
        [centres[:, :2] - centres[:, 2:] / 2, centres[:, :2] + centres[:, 2:] / 2], axis=1
    )
    return np.rint(corners).astype(int).tolist()  # type: ignore[no-any-return]


def test_the_parts_of_an_image(tmp_path: Path) -> None:
    dataset = write(tmp_path, [BOXES]).tiled(TILING)
    parts = training_samples(dataset)
    by_tile = {part.tile: part for part in parts}
    whole = squares_image(SIZE, BOXES)
    assert None in by_tile
    assert pixels_of(by_tile[None]) == BOXES
    for tile, part in by_tile.items():
        if tile is not None:
            np.testing.assert_array_equal(part.read(), tile.of(whole))
            assert not np.shares_memory(part.read(), whole)
    # Columns start at 0, 67, 133, 200 and rows at 0, 50, 100.
    assert pixels_of(by_tile[Tile(0, 0, 100, 100)]) == [
        [5, 5, 25, 20],
        [80, 40, 100, 60],
    ]  # 40 % of the second
    assert pixels_of(by_tile[Tile(67, 0, 167, 100)]) == [[13, 40, 63, 60]]
    assert pixels_of(by_tile[Tile(200, 0, 300, 100)]) == [[0, 60, 90, 100]]  # 31 % of the third


def test_what_shows_too_little_is_ignored(tmp_path: Path) -> None:
    dataset = write(tmp_path, [[[90, 40, 140, 60], [10, 10, 30, 30]]]).tiled(TILING)
    (part,) = (part for part in training_samples(dataset) if part.tile == Tile(0, 0, 100, 100))
    # 10 of 50 px show: less than 30 %.
    assert pixels_of(part) == [[10, 10, 30, 30]]
    np.testing.assert_allclose(part.ignored.boxes_cxcywh, [[0.95, 0.5, 0.1, 0.2]], atol=1e-6)
    assert part.ignored.is_crowd.tolist() == [False]


def test_background_tiles_are_at_most_as_many_as_the_others(tmp_path: Path) -> None:
    dataset = write(tmp_path, [[[5, 5, 25, 20]], [], [[120, 20, 140, 40]]]).tiled(TILING)
    parts = training_samples(dataset)
    is_empty = [part.tile is not None and not len(part.class_ids) for part in parts]
    assert sum(is_empty) == len(parts) - sum(is_empty)
    anew = training_samples(dataset.tiled(TILING))
    assert anew is not parts
    assert [(p.image, p.tile) for p in parts] == [(p.image, p.tile) for p in anew]
    assert training_samples(dataset) is parts
    images = [part.image.name for part in parts]
    assert images == sorted(images)  # the tiles of an image follow each other


def test_images_no_larger_than_a_tile_are_whole(tmp_path: Path) -> None:
    dataset = write(tmp_path, [[[5, 5, 25, 20]]], (80, 100))
    (part,) = training_samples(dataset.tiled(TILING))
    assert part.tile is None
    assert [s.tile for s in training_samples(dataset)] == [None]


def test_an_image_is_decoded_once_for_its_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = training_samples(write(tmp_path, [BOXES, BOXES]).tiled(TILING))
    reads: list[str] = []
    real = media.read_encoded
    monkeypatch.setattr(media, "read_encoded", lambda path: (reads.append(str(path)), real(path))[1])
    cache = ImageCache(parts, 150, 1 << 30)
    for index in np.random.default_rng(0).permutation(len(parts)).tolist():
        tile = parts[index].tile
        expected = HEIGHT, WIDTH
        image = cache.fetch(index)
        if tile is not None:
            np.testing.assert_array_equal(image.levels[0], tile.of(squares_image(SIZE, BOXES)))
        else:
            assert image.levels[0].shape[1] == 150 < expected[1]
    assert 2 <= len(reads) <= 4  # the whole images are decoded by themselves
    no_memory = ImageCache(parts, 150, 0)
    np.testing.assert_array_equal(no_memory.fetch(0).levels[0], cache.fetch(0).levels[0])


def test_batches_of_tiles(tmp_path: Path) -> None:
    parts = training_samples(write(tmp_path, [BOXES]).tiled(TILING))
    plain = Augmentation(
        mosaic=0.0, scale_min=1.0, scale_max=1.0, aspect=0.0, translate=0.0, flip=0.0, keep_object=0.0
    )
    loader = TrainingLoader(parts, Fit((100, 100)), len(parts), plain, seed=0)
    images, targets = next(loader.epoch(0))
    assert images.shape == (len(parts), 3, 100, 100)
    assert len(targets) >= 6


def test_evaluation_in_tiles(tmp_path: Path) -> None:
    small = [[20, 30, 29, 38], [140, 90, 149, 99], [280, 180, 290, 189], [95, 95, 104, 104]]
    dataset = write(tmp_path, [small, [*small, [10, 60, 250, 80]]])
    backend = SquareFinder(least_px=5)
    whole = evaluate(backend, dataset.split("val"), (100, 100))
    tiles = evaluate(backend, dataset.tiled(TILING).split("val"), (100, 100))
    assert whole.ap50 < 0.3
    assert tiles.ap == pytest.approx(1.0)
    truths = judge_splits(backend, dataset.tiled(TILING), "val", (100, 100))["val"].truths
    assert [len(truth.class_ids) for truth in truths] == [4, 5]


def test_what_detect_finds_in_tiles(tmp_path: Path) -> None:
    class ChainFinder(SquareFinder):
        """Finds each square three times, each box farther right."""

        def infer(self, batch: np.ndarray) -> np.ndarray:
            chain = np.repeat(super().infer(batch), 3, axis=1)
            chain[..., 0] += np.tile(np.float32([0, 0.225, 0.425]), 50) * chain[..., 2]
            chain[..., 4] *= np.tile(np.float32([1, 0.9, 0.8]), 50)
            return chain

    dataset = write(tmp_path, [[[20, 30, 29, 38], [140, 90, 149, 99]], [[280, 180, 290, 189]]])
    backend = ChainFinder(least_px=5)
    samples = dataset.tiled(TILING).split("val")
    judged_in_tiles = judged(backend, samples, (100, 100))
    detector = Detector(backend, tiling=TILING)
    for sample, found in zip(samples, judged_in_tiles.detected, strict=True):
        expected = detector.detect(sample.image)
        assert len(expected) > 0
        np.testing.assert_array_equal(found.boxes, expected.boxes)
        np.testing.assert_array_equal(found.scores, expected.scores)
    for_ap = [found.scores.tolist() for found in judged_in_tiles.found]
    assert for_ap != [found.scores.tolist() for found in judged_in_tiles.detected]
