"""Training on tiles of images, and boxes that are too small at an input size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from seyolo.boxes import area_xyxy, cxcywh_to_xyxy, xyxy_to_cxcywh
from seyolo.data.datasets import Dataset
from seyolo.data.labels import Ignored
from seyolo.data.samples import Sample
from seyolo.options.training import Augmentation
from seyolo.tiling.grid import Tile, Tiling

BACKGROUND_SEED = 0


def training_samples(dataset: Dataset) -> Sequence[Sample]:
    """Returns the samples of `train`, cut into tiles where the data set is.

    All tiles with objects are taken, and at most as many without (all if none has any), drawn at random but
    always the same. The tiles of an image follow each other, cut once: it takes the size of every image.
    """
    if dataset.tiling is None:
        return dataset.split("train")
    if not dataset.training_tiles:
        dataset.training_tiles[:] = _cut(dataset.split("train"), dataset.tiling)
    return dataset.training_tiles


def _cut(samples: Sequence[Sample], tiling: Tiling) -> list[Sample]:
    parts = [part for sample in samples for part in _parts(sample, tiling)]
    is_empty = np.array([part.tile is not None and not len(part.class_ids) for part in parts])
    empty = np.flatnonzero(is_empty)
    most = len(parts) - len(empty)
    if len(empty) > most > 0:
        dropped = np.random.default_rng(BACKGROUND_SEED).permutation(empty)[most:]
        parts = [parts[index] for index in np.setdiff1d(np.arange(len(parts)), dropped)]
    return parts


def _parts(sample: Sample, tiling: Tiling) -> Iterator[Sample]:
    """Yields the views of an image as samples."""
    height, width = sample.stated_size or sample.size()
    for view in tiling.views(height, width):
        yield sample if view.size == (height, width) else _part(sample, view, (height, width))


def _part(sample: Sample, tile: Tile, size: tuple[int, int]) -> Sample:
    """Returns a tile with the boxes that show enough of their object; the others are ignored regions."""
    recipe = Augmentation()
    whole, ignored = (_pixels(labels.boxes_cxcywh, size) for labels in (sample, sample.ignored))
    visible, still_ignored = (np.clip(boxes, tile[:2] * 2, tile[2:] * 2) for boxes in (whole, ignored))
    area = area_xyxy(visible)
    is_kept = (area > 0) & (area >= recipe.min_visible * area_xyxy(whole))
    is_rest = (area > 0) & ~is_kept
    is_seen = area_xyxy(still_ignored) > 0
    regions = Ignored(
        _fractions(np.concatenate([still_ignored[is_seen], visible[is_rest]]), tile),
        np.concatenate([sample.ignored.class_ids[is_seen], sample.class_ids[is_rest]]),
        np.concatenate([sample.ignored.is_crowd[is_seen], np.zeros(int(is_rest.sum()), bool)]),
    )
    boxes = _fractions(visible[is_kept], tile)
    return replace(
        sample,
        boxes_cxcywh=boxes,
        class_ids=sample.class_ids[is_kept],
        ignored=regions,
        areas_px2=None,
        tile=tile,
    )


def _pixels(boxes_cxcywh: Float[np.ndarray, "n 4"], size: tuple[int, int]) -> Float[np.ndarray, "n 4"]:
    return cxcywh_to_xyxy(boxes_cxcywh * np.array([size[1], size[0]] * 2, np.float64))


def _fractions(boxes_xyxy: Float[np.ndarray, "n 4"], tile: Tile) -> Float[np.ndarray, "n 4"]:
    """Returns boxes in pixels of the image as fractions of the tile."""
    height, width = tile.size
    boxes = xyxy_to_cxcywh(boxes_xyxy - np.array(tile[:2] * 2)) / np.array([width, height] * 2)
    return np.asarray(boxes, np.float32)
