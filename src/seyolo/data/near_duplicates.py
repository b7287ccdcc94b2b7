"""Near-duplicates: images that show the same scene, in one split or in two.

The signature of an image is its grey gradient on a grid of 8x8 cells: 128 numbers of mean 0 and length 1. The
similarity of two images is the product of their signatures. Compression, size, brightness and a border of 4 %
change it by less than 0.15; other images are less similar (`benchmarks/near_duplicates.py` measures both).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from seyolo.data.datasets import Dataset
from seyolo.errors import DataError, counted
from seyolo.media.images import decode_small, read_encoded

LEAST_SIMILARITY = 0.85
GRID = 8
LENGTH = 2 * GRID * GRID
MOST_SECONDS = 1.0
"""Time for the images before a training; it looks at a random part of more images."""
_LEAST_GRADIENT = 1.0  # mean of the squares, in grey levels: a flatter image is similar to none
_MOST_PAIRS = 2**24  # that are compared at a time, in 64 MB
_CHUNK = 32  # images that a thread decodes at a time

Signatures = Float32[np.ndarray, "n 128"]
NO_SIGNATURE = np.zeros(LENGTH, np.float32)
"""Signature of an image that is flat or cannot be read; it is similar to none."""


def signature(grey: UInt8[np.ndarray, "h w"]) -> Float32[np.ndarray, "128"]:
    """Returns the signature of a grey image of any size."""
    cells = cv2.resize(grey, (GRID + 2, GRID + 2), interpolation=cv2.INTER_AREA).astype(np.float32)
    gradient = np.stack([cells[1:-1, 2:] - cells[1:-1, :-2], cells[2:, 1:-1] - cells[:-2, 1:-1]]).ravel()
    if float(gradient @ gradient) < _LEAST_GRADIENT * LENGTH:
        return NO_SIGNATURE
    gradient -= gradient.mean()
    return np.asarray(gradient / np.linalg.norm(gradient), np.float32)


def signature_of(path: str, data: bytes | None = None) -> Float32[np.ndarray, "128"]:
    """Returns the signature of an image file, whose bytes may be given."""
    with suppress(DataError):
        return signature(decode_small(read_encoded(path) if data is None else data, path))
    return NO_SIGNATURE


class Nearest(NamedTuple):
    """The most similar other image of each image: its number and the similarity."""

    number: Int64[np.ndarray, " n"]
    similarity: Float32[np.ndarray, " n"]

    def are_near(self) -> Bool[np.ndarray, " n"]:
        """Tells which images are near-duplicates."""
        return self.similarity >= LEAST_SIMILARITY


def nearest(images: Signatures, others: Signatures) -> Nearest:
    """Returns the most similar of the others for each image, of which there is at least one."""
    return _best(images[rows] @ others.T for rows in _blocks(len(images), len(others)))


def nearest_before(images: Signatures) -> Nearest:
    """Returns the most similar of the images in front of each image; none is similar to the first one."""

    def block(rows: slice) -> Float32[np.ndarray, "k n"]:
        found = images[rows] @ images[: rows.stop].T
        is_before = np.arange(found.shape[1]) < np.arange(rows.start, rows.start + len(found))[:, None]
        return np.where(is_before, found, np.float32(-1))

    return _best(map(block, _blocks(len(images), len(images))))


def _blocks(num_images: int, num_others: int) -> Iterator[slice]:
    """Yields the rows of images that are compared with all others at a time."""
    step = max(1, _MOST_PAIRS // max(1, num_others))
    return (slice(start, min(start + step, num_images)) for start in range(0, num_images, step))


def _best(blocks: Iterable[np.ndarray]) -> Nearest:
    rows = [(block.argmax(axis=1), block.max(axis=1)) for block in blocks]
    number = np.concatenate([np.empty(0, np.int64), *(found for found, _ in rows)])
    return Nearest(number, np.concatenate([np.empty(0, np.float32), *(found for _, found in rows)]))


class Pair(NamedTuple):
    """An image, and the image of another split that is similar to it."""

    image: str
    other: str
    similarity: float


class Leak(NamedTuple):
    """Images of a split that are similar to an image of another one, the most similar first."""

    split: str
    other: str
    num_images: int  # of the split that were compared
    pairs: list[Pair]


class Signed(NamedTuple):
    """Images and their signatures."""

    images: Sequence[str]
    signatures: Signatures


def leaks(splits: Mapping[str, Signed]) -> list[Leak]:
    """Returns the near-duplicates of each pair of splits that has any, those of `train` first."""
    names = sorted(splits, key=lambda name: name != "train")
    pairs = [(name, other) for position, other in enumerate(names) for name in names[position + 1 :]]
    return [leak for name, other in pairs if (leak := leak_of(name, other, splits)).pairs]


def leak_of(name: str, other: str, splits: Mapping[str, Signed]) -> Leak:
    """Returns the near-duplicates of one split in another."""
    images, others = splits[name], splits[other]
    if not len(images.images) or not len(others.images):
        return Leak(name, other, len(images.images), [])
    best = nearest(images.signatures, others.signatures)
    near = np.flatnonzero(best.are_near())
    order = near[np.argsort(-best.similarity[near], kind="stable")].tolist()
    rows = [(images.images[i], others.images[int(best.number[i])], float(best.similarity[i])) for i in order]
    return Leak(name, other, len(images.images), [Pair(*row) for row in rows])


def training_lines(dataset: Dataset, clock: Callable[[], float] = time.monotonic) -> list[str]:
    """Returns a line where images of other splits are near-duplicates of training images, else none.

    Of more images than there is time for, a random part is compared; then a line says so.
    """
    images = {name: dataset.split(name).images for name in dataset.splits if len(dataset.split(name))}
    others = {name: paths for name, paths in images.items() if name != "train"}
    if "train" not in images or not others:
        return []
    start = clock()
    signed = _signed(others, lambda: clock() - start < MOST_SECONDS / 2)
    signed |= _signed({"train": images["train"]}, lambda: clock() - start < MOST_SECONDS)
    found = [leak for name in others if (leak := leak_of(name, "train", signed)).pairs]
    looked_at, total = (
        sum(map(len, parts)) for parts in ([s.images for s in signed.values()], images.values())
    )
    part = f" among {looked_at:,} of {counted(total, 'image')} compared" if looked_at < total else ""
    if found:
        return [f"warning: {leak_line(found, part)}; see them: seyolo data view {dataset.source}"]
    if part:
        return [f"near-duplicates across splits: none{part}; seyolo data check {dataset.source} compares all"]
    return []


def with_training(found: Sequence[Leak]) -> list[Leak]:
    """Returns the near-duplicates of training images."""
    return [leak for leak in found if leak.other == "train"]


def leak_line(found: Sequence[Leak], part: str = "") -> str:
    """Says how many images of each split are near-duplicates of `train`, with an example.

    `part` says in words which part of the images was compared.
    """
    counts = [f"{len(leak.pairs):,} of {counted(leak.num_images, 'image')} of {leak.split}" for leak in found]
    verb = "is a near-duplicate" if sum(len(leak.pairs) for leak in found) == 1 else "are near-duplicates"
    first = found[0].pairs[0]
    example = f"{os.path.basename(first.image)} of {os.path.basename(first.other)}"
    return f"{' and '.join(counts)} {verb} of training images{part} ({example}): AP there is too high"


def _signed(images: Mapping[str, Sequence[str]], has_time: Callable[[], bool]) -> dict[str, Signed]:
    """Returns the signatures of images in random order, as many of all splits as there is time for."""
    named = [(name, path) for name, paths in images.items() for path in paths]
    order = np.random.default_rng(0).permutation(len(named)).tolist()
    chunks = [order[start : start + _CHUNK] for start in range(0, len(order), _CHUNK)]

    def sign(chunk: list[int]) -> list[np.ndarray]:
        return [signature_of(named[index][1]) for index in chunk] if has_time() else []

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(sign, chunks))
    found: dict[str, tuple[list[str], list[np.ndarray]]] = {name: ([], []) for name in images}
    for index, values in zip(
        chain.from_iterable(chunk for chunk, own in zip(chunks, done, strict=True) if own),
        chain.from_iterable(done),
        strict=True,
    ):
        name, path = named[index]
        found[name][0].append(path)
        found[name][1].append(values)
    return {name: Signed(paths, stacked(values)) for name, (paths, values) in found.items()}


def stacked(values: Sequence[Float32[np.ndarray, "128"]]) -> Signatures:
    """Returns signatures as one array."""
    return np.concatenate([np.empty((0, LENGTH), np.float32), *(value[None] for value in values)])
