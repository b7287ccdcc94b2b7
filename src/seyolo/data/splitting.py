"""Division of images into splits: stratified by class, scenes kept whole, seeded.

The rarest classes are dealt out first, each scene to the split that lacks most of its rarest class (iterative
stratification, Sechidis et al. 2011). A class of two scenes or more reaches val. Scenes of several images are
then moved and swapped to bring the splits nearer to their shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise, product
from pathlib import Path
from typing import Any

import numpy as np

from seyolo.data.contents import Contents, Listing
from seyolo.data.datasets import Dataset
from seyolo.data.labels import ImageSize, Problem, Reading
from seyolo.data.scenes import described, numbers_of
from seyolo.errors import DataError, UsageError

OWN_SHARES = {"train": 0.8, "val": 0.2}
"""Of a data set with a single split that is trained on."""
WORTH_ALL, WORTH_VAL, WORTH = 1e9, 1e7, 1e5
"""Of a split with images, of a class in val and of one elsewhere, against distances from the shares."""
MOST_WAYS, NUM_ROUNDS = 1000, 100  # ways to divide some scenes that are compared at once, and how often


@dataclass(frozen=True)
class Divided:
    """Contents whose images are in other splits than before."""

    inner: Contents
    parts: Mapping[str, list[str]] = field(repr=False)  # images by split
    before: Mapping[str, str] = field(repr=False)  # split by image

    @property
    def layout(self) -> str:
        """Layout of the contents."""
        return self.inner.layout

    @property
    def names(self) -> tuple[str, ...]:
        """Class names."""
        return self.inner.names

    @property
    def splits(self) -> Mapping[str, tuple[Path, ...]]:
        """Folders or files of all images."""
        places = tuple(place for found in self.inner.splits.values() for place in found)
        return dict.fromkeys(self.parts, places)

    def listed(self, split: str) -> Listing:
        """Lists the images of a split."""
        return Listing(self.parts[split], [])

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Reads the labels of an image."""
        return self.inner.read(self.before[str(image)], image, image_size)

    def readings(self, split: str, images: Sequence[str]) -> Iterator[Reading]:
        """Yields the labels of images."""
        for before, own in groupby(images, key=self.before.__getitem__):
            yield from self.inner.readings(before, list(own))

    def unmatched_labels(self, images: Mapping[str, Sequence[str]]) -> list[Problem]:
        """Lists labels without image, and splits without labels."""
        return self.inner.unmatched_labels(images)

    def without_label_file(self, images: Sequence[str]) -> list[str]:
        """Returns the images without label file."""
        return self.inner.without_label_file(images)

    @property
    def lists_by_reading(self) -> bool:
        """True where the images of the contents are listed by reading their labels."""
        return self.inner.lists_by_reading

    def remarks(self) -> list[str]:
        """Returns the remarks of the contents."""
        return self.inner.remarks()

    def sources(self, split: str, folders: Iterable[str]) -> list[str]:
        """Returns the files of all labels."""
        return [path for name in self.inner.splits for path in self.inner.sources(name, folders)]


def shares_of(val: str, test: str) -> dict[str, float]:
    """Returns each split's share from texts such as `20%` or `0.2`; raises UsageError for other texts."""
    shares = {"val": _share("--val", val), "test": _share("--test", test)}
    left = round(1 - sum(shares.values()), 9)
    if left <= 0:
        raise UsageError(
            f"--val {val} --test {test}: nothing is left to train on; give less than 100% together"
        )
    return {"train": left, **{name: share for name, share in shares.items() if share}}


def _share(option: str, text: str) -> float:
    number = text.removesuffix("%").strip()
    try:
        share = float(number) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise UsageError(f"{option} {text}: a share of the images such as 20%, from 0% to below 100%")
    return share


def for_training(dataset: Dataset, seed: int, kept: Mapping[str, Iterable[str]]) -> tuple[Dataset, list[str]]:
    """Returns a data set that has a split to choose checkpoints on, and a line where it was made here.

    Args:
        dataset: one with a single split is divided.
        seed: of the division.
        kept: images of each split of the run so far; images that are new to it are trained on.
    """
    if len(dataset.splits) != 1:
        return dataset, []
    (only,) = dataset.splits
    if kept:
        split_of = {image: split for split, images in kept.items() for image in images}
        images = dataset.listed(only).images
        divided = _with_parts(dataset, images, [split_of.get(image, "train") for image in images])
        return divided, [f"only one split, {only}: divided as the run began"]
    divided = divide(dataset, OWN_SHARES, seed)
    counts = ", ".join(f"{name} {len(divided.listed(name).images):,}" for name in divided.splits)
    advice = "frames of a video are kept together by `seyolo data split --by prefix`"
    return divided, [f"only one split, {only}: divided by class with seed {seed} into {counts}; {advice}"]


def divide(dataset: Dataset, shares: Mapping[str, float], seed: int, by: str | None = None) -> Dataset:
    """Returns the data set with the images of all its splits divided anew.

    Args:
        dataset: of any splits; images that are in several count once.
        shares: of the images, by split; they sum up to 1.
        seed: of the division.
        by: keeps images together: `folder`, `prefix` (the name up to its last number), or a pattern whose
            first group names the scene in a path.

    Raises:
        DataError: there are fewer scenes than splits, or a label is invalid.
        UsageError: `by` is no pattern with a group, or matches no image.
    """
    before: dict[str, str] = {}
    classes: dict[str, np.ndarray] = {}
    for split in dataset.splits:
        for sample in dataset.split(split):
            before[str(sample.image)], classes[str(sample.image)] = split, sample.class_ids
    images = sorted(before)
    numbers = numbers_of(images, by)
    if len(set(numbers)) < len(shares):
        said = f"{described(numbers, by)} cannot be divided into {len(shares)} splits; add images"
        said += "" if by is None else " of other scenes"
        is_enough = "test" in shares and len(set(numbers)) == len(shares) - 1
        raise DataError(f"{dataset.source}: {said}{', or leave out --test' if is_enough else ''}")
    chosen = deal([classes[image] for image in images], numbers, list(shares.values()), seed)
    return _with_parts(dataset, images, [list(shares)[part] for part in chosen], before, shares)


def _with_parts(
    dataset: Dataset,
    images: Sequence[str],
    split_of: Sequence[str],
    before: Mapping[str, str] | None = None,
    names: Iterable[str] = ("train", "val"),
) -> Dataset:
    parts: dict[str, list[str]] = {name: [] for name in names}
    for image, split in zip(images, split_of, strict=True):
        parts.setdefault(split, []).append(image)
    origin = before if before is not None else dict.fromkeys(images, next(iter(dataset.splits)))
    contents = Divided(dataset.contents, parts, origin)
    said = frozenset(parts if before is not None else ())  # as all images were read to divide them
    anew: dict[str, Any] = {"_listings": {}, "_samples": {}, "training_tiles": [], "outlines_said": said}
    return replace(dataset, splits=contents.splits, contents=contents, **anew)


def deal(
    classes: Sequence[np.ndarray], scenes: Sequence[int], shares: Sequence[float], seed: int
) -> list[int]:
    """Returns the number of the split of each image.

    Args:
        classes: class ids of the objects of each image.
        scenes: number of the scene of each image, from 0 without gaps.
        shares: of the images, by split.
        seed: of the choice among equals.
    """
    num_classes = 1 + max((int(ids.max()) for ids in classes if len(ids)), default=0)
    rows = np.concatenate([np.unique(ids) for ids in classes] or [np.empty(0, np.int64)]).astype(np.int64)
    owners = np.repeat(np.asarray(scenes), [len(np.unique(ids)) for ids in classes])
    # Numbers of images by scene and class; the last class stands for every image.
    width = num_classes + 1
    keys = np.concatenate([owners * width + rows, np.asarray(scenes) * width + num_classes])
    pairs, counts = np.unique(keys, return_counts=True)
    of_scene, of_class = np.divmod(pairs, width)
    totals = np.bincount(of_class, counts, width)
    num_scenes = np.bincount(of_class, minlength=width)
    wanted = _wanted(totals, num_scenes, np.asarray(shares))
    starts = np.searchsorted(of_scene, np.arange(of_scene[-1] + 2))
    rarest = [of_class[a:b][np.argmin(totals[of_class[a:b]])] for a, b in pairwise(starts)]
    shuffled = np.random.default_rng(seed).permutation(len(rarest))
    split_of = np.zeros(len(rarest), np.int64)
    for scene in shuffled[np.argsort(totals[rarest][shuffled], kind="stable")]:
        own = slice(starts[scene], starts[scene + 1])
        lacking = wanted[:, [rarest[scene], num_classes]]
        split_of[scene] = max(range(len(shares)), key=lambda part: tuple(lacking[part]))
        wanted[split_of[scene], of_class[own]] -= counts[own]
    if len(scenes) > len(rarest) or len(set(split_of.tolist())) < len(shares):
        held = np.zeros((len(rarest), width))
        held[of_scene, of_class] = counts
        _rearrange(split_of, held, np.asarray(shares), seed)
    found: list[int] = split_of[np.asarray(scenes)].tolist()
    return found


def _rearrange(split_of: np.ndarray, held: np.ndarray, shares: np.ndarray, seed: int) -> None:
    """Divides some scenes anew, a few times, in the way that brings the splits nearest to their shares.

    Args:
        split_of: split of each scene; changed in place.
        held: images by scene and class; the last class stands for every image.
        shares: of the images, by split.
        seed: of the choice of scenes, and among equal ways.
    """
    generator = np.random.default_rng(seed)
    parts = np.arange(len(shares))
    wanted = shares[:, None] * np.maximum(held.sum(axis=0), 1)
    worth = np.where(parts == 1, WORTH_VAL, WORTH)[:, None] * ((held > 0).sum(axis=0) > parts[:, None])
    worth[:, -1] = WORTH_ALL
    num_divided = min(len(held), int(np.log(MOST_WAYS) / np.log(max(len(shares), 2))))
    ways = np.array([*product(parts, repeat=num_divided)])
    sums = (split_of == parts[:, None]) @ held
    for _ in range(NUM_ROUNDS):
        some = generator.permutation(len(held))[:num_divided]
        sums -= (split_of[some] == parts[:, None]) @ held[some]
        counts = sums[:, None] + (ways == parts[:, None, None]) @ held[some]
        apart = (counts - wanted[:, None]) ** 2 / wanted[:, None]
        far = (apart[..., -1] + apart[..., :-1].mean(axis=-1)).sum(axis=0)
        far += ((counts < 0.5) * worth[:, None]).sum(axis=(0, 2))
        split_of[some] = ways[generator.choice(np.flatnonzero(far <= far.min() + 1e-6))]
        sums += (split_of[some] == parts[:, None]) @ held[some]


def _wanted(totals: np.ndarray, num_scenes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Returns how many images with each class each split should have: but for the first, a scene at least."""
    wanted: np.ndarray = shares[:, None] * totals
    worth = totals / np.maximum(num_scenes, 1)
    for part in range(1, len(shares)):
        is_enough = num_scenes > part
        wanted[part] = np.where(is_enough, np.maximum(wanted[part], worth), 0.0)
    wanted[0] = totals - wanted[1:].sum(axis=0)
    return wanted
