"""Labelled images: single ones, and all of a split in a few arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import overload

import numpy as np
from jaxtyping import UInt8

from seyolo.data.labels import NOTHING_IGNORED, Ignored, Reading
from seyolo.errors import DataError, counted
from seyolo.media.images import image_size, is_turned, read_encoded, read_image
from seyolo.tiling.grid import Tile, Tiling


@dataclass(frozen=True, eq=False)
class Sample:
    """A labelled image."""

    image: Path
    boxes_cxcywh: np.ndarray  # (n, 4) float32 as fractions of the image
    class_ids: np.ndarray  # (n,) int64
    ignored: Ignored = NOTHING_IGNORED
    areas_px2: np.ndarray | None = None  # as in `Labels`
    stated_size: tuple[int, int] | None = None  # (height, width) in its labels
    tiling: Tiling | None = None  # the way in which evaluation cuts it
    tile: Tile | None = None  # the part of the image that this sample is, and its labels are of

    def read(self) -> UInt8[np.ndarray, "h w 3"]:
        """Reads the image, or its tile; raises DataError as `read_whole`."""
        return self.part_of(self.read_whole())

    def part_of(self, whole: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """Returns the part of the image that this sample is; a tile as a copy, which frees the rest."""
        return whole if self.tile is None else self.tile.of(whole).copy()

    def read_whole(self) -> UInt8[np.ndarray, "H W 3"]:
        """Reads the image; raises DataError as `read_image`, and where its labels state another size."""
        pixels = read_image(self.image)
        if problem := size_problem(self.image, (pixels.shape[0], pixels.shape[1]), self.stated_size):
            raise DataError(f"{self.image}: {problem}")
        return pixels

    def size(self) -> tuple[int, int]:
        """Returns (height, width) of the image, or its tile, from its header; raises DataError as `read`."""
        if self.tile is not None:
            return self.tile.height, self.tile.width
        size = image_size(self.image)
        if problem := size_problem(self.image, size, self.stated_size):
            raise DataError(f"{self.image}: {problem}")
        return size


def size_problem(image: Path, size: tuple[int, int], stated_size: tuple[int, int] | None) -> str | None:
    """Returns what is wrong where labels state another size than that of the image as it is shown."""
    if stated_size is None or stated_size == size:
        return None
    text = f"has {size[1]}x{size[0]} pixels, but its labels state {stated_size[1]}x{stated_size[0]}"
    if stated_size == size[::-1] and is_turned(read_encoded(image)):
        advice = "label it as it is shown, or remove its orientation"
        return f"{text}, which is the size before its orientation turns it; {advice}"
    return f"{text}; label this image, or put back the image that was labelled"


_CHUNK = 4096
_OF_IMAGES = ("counts", "ignored_counts", "outlines", "has_areas", "stated_sizes")
_OF_OBJECTS = ("boxes_cxcywh", "class_ids")
_OF_IGNORED = ("ignored_boxes_cxcywh", "ignored_class_ids", "is_crowd")


class Samples(Sequence[Sample]):
    """Samples of a split, made when they are asked for: a hundred thousand objects would take 100 MB.

    `arrays` holds the boxes and classes of all images one after the other, and how many each image has.
    """

    def __init__(
        self, images: Sequence[str], arrays: Mapping[str, np.ndarray], tiling: Tiling | None = None
    ) -> None:
        self.images, self.arrays, self._tiling = images, arrays, tiling
        self._starts = np.concatenate([[0], np.cumsum(arrays["counts"])])
        self._ignored_starts = np.concatenate([[0], np.cumsum(arrays["ignored_counts"])])

    def __repr__(self) -> str:
        return f"<Samples: {counted(len(self), 'image')}>"

    @classmethod
    def of(cls, images: Sequence[str], readings: Iterable[Reading]) -> Samples:
        """Returns the samples of images and what was read of their labels."""
        waiting = iter(readings)
        parts = []
        while chunk := list(islice(waiting, _CHUNK)):
            parts.append(_columns(chunk))
        parts = parts or [_columns([])]
        return cls(images, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    @staticmethod
    def fits(images: Sequence[str], arrays: Mapping[str, np.ndarray]) -> bool:
        """Tells whether arrays are of the kinds and lengths of samples of these images."""
        expected = _columns([])
        if arrays.keys() != expected.keys():
            return False
        own, ignored = int(arrays["counts"].sum()), int(arrays["ignored_counts"].sum())
        lengths = {name: ignored if name in _OF_IGNORED else own for name in expected}
        lengths |= dict.fromkeys(_OF_IMAGES, len(images))
        return all(
            arrays[name].dtype == empty.dtype and arrays[name].shape == (lengths[name], *empty.shape[1:])
            for name, empty in expected.items()
        )

    def tiled(self, tiling: Tiling | None) -> Samples:
        """Returns the samples cut in this way by evaluation."""
        return self if tiling is None else Samples(self.images, self.arrays, tiling)

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self._sample(number) for number in range(*index.indices(len(self)))]
        number = int(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"none of {counted(len(self), 'sample')} has the number {number}")
        return self._sample(number % len(self))

    def _sample(self, number: int) -> Sample:
        arrays = self.arrays
        own = slice(self._starts[number], self._starts[number + 1])
        areas = arrays["areas_px2"][own] if arrays["has_areas"][number] else None
        height, width = arrays["stated_sizes"][number].tolist()
        stated = (height, width) if height else None
        boxes, class_ids = arrays["boxes_cxcywh"][own], arrays["class_ids"][own]
        return Sample(
            Path(self.images[number]), boxes, class_ids, self._ignored(number), areas, stated, self._tiling
        )

    def label_bytes(self) -> Iterator[bytes]:
        """Yields the bytes of boxes, classes and ignored regions of each image."""
        own = [(self.arrays[name].tobytes(), self.arrays[name][:1].nbytes) for name in _OF_OBJECTS]
        ignored = [(self.arrays[name].tobytes(), self.arrays[name][:1].nbytes) for name in _OF_IGNORED]
        starts = zip(pairwise(self._starts.tolist()), pairwise(self._ignored_starts.tolist()), strict=True)
        for (start, end), (first, last) in starts:
            labels = b"".join([data[start * size : end * size] for data, size in own])
            if first < last:
                labels += b"".join([data[first * size : last * size] for data, size in ignored])
            yield labels

    def _ignored(self, number: int) -> Ignored:
        own = slice(self._ignored_starts[number], self._ignored_starts[number + 1])
        if own.start == own.stop:
            return NOTHING_IGNORED
        return Ignored(*(self.arrays[name][own] for name in _OF_IGNORED))


def _columns(readings: Sequence[Reading]) -> dict[str, np.ndarray]:
    found = [reading.labels for reading in readings]
    regions = [labels.ignored for labels in found]
    nothing = NOTHING_IGNORED
    sizes = [reading.stated_size or (0, 0) for reading in readings]
    has_areas = np.array([labels.areas_px2 is not None for labels in found], bool)
    areas = (_nan(labels.class_ids) if labels.areas_px2 is None else labels.areas_px2 for labels in found)
    return {
        "counts": np.array([len(labels.class_ids) for labels in found], np.int64),
        "boxes_cxcywh": _joined((labels.boxes_cxcywh for labels in found), np.empty((0, 4), np.float32)),
        "class_ids": _joined((labels.class_ids for labels in found), np.empty(0, np.int64)),
        "ignored_counts": np.array(list(map(len, regions)), np.int64),
        "outlines": np.array([labels.num_outlines for labels in found], np.int64),
        "ignored_boxes_cxcywh": _joined((own.boxes_cxcywh for own in regions), nothing.boxes_cxcywh),
        "ignored_class_ids": _joined((own.class_ids for own in regions), nothing.class_ids),
        "is_crowd": _joined((own.is_crowd for own in regions), nothing.is_crowd),
        "has_areas": has_areas,
        "areas_px2": _joined(areas, np.empty(0)),
        "stated_sizes": np.array(sizes, np.int64).reshape(-1, 2),
    }


def _nan(class_ids: np.ndarray) -> np.ndarray:
    return np.full(len(class_ids), np.nan)


def _joined(parts: Iterable[np.ndarray], empty: np.ndarray) -> np.ndarray:
    return np.concatenate(list(chain([empty], (part for part in parts if len(part)))))
