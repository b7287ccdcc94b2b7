"""Images that a model in the folder of its run was trained on, so that AP on them is not taken for more.

`data.json` of the run names the images. They are known again by file name and size, wherever they are now.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from seyolo.data.datasets import Dataset, evaluated_splits
from seyolo.data.fingerprint import Fingerprint, read_fingerprint
from seyolo.data.splitting import for_training
from seyolo.errors import SeyoloError, counted, shortened
from seyolo.options.stored import SLIM_FILE, TRAIN_FILE

_Key = tuple[str, int]  # name and bytes of an image file


@dataclass(frozen=True)
class RunData:
    """The folder of a run, and the images of each of its splits."""

    folder: Path
    splits: Mapping[str, frozenset[_Key]]

    def among(self, split: str, images: Iterable[str]) -> list[str]:
        """Returns those of these images that a split of the run has."""
        own = self.splits.get(split, frozenset())
        return [image for image in images if _key(image) in own]


def run_data(model: str | Path) -> RunData | None:
    """Returns the data of the run in whose folder a model file lies, or in a folder of it; None without."""
    path = Path(model)
    for folder in path.parents[:2] if path.is_file() else ():
        if any((folder / name).is_file() for name in (TRAIN_FILE, SLIM_FILE)):
            try:
                return RunData(folder, _keys(read_fingerprint(folder)))
            except SeyoloError:  # a run of an earlier version, or one without data
                return None
    return None


def _keys(data: Fingerprint) -> dict[str, frozenset[_Key]]:
    return {
        split: frozenset((_name(image), size) for image, (size, _) in images.items())
        for split, images in data.splits.items()
    }


def _key(image: str) -> _Key:
    return _name(image), os.stat(image).st_size


def _name(image: str) -> str:
    return image.replace("\\", "/").rpartition("/")[2]


def as_judged(dataset: Dataset, model: str | Path, split: str | None) -> tuple[Dataset, list[str]]:
    """Returns the data set on which AP of a model is measured, and lines on images it was trained on.

    A data set with a single split that the run of the model divided by itself is divided as there, unless
    that split is asked for.
    """
    run = run_data(model)
    if run is None:
        return dataset, []
    (first, *others) = dataset.splits
    if not others and split in (None, "val") and first != "val":
        images = dataset.listed(first).images
        kept = {name: run.among(name, images) for name in run.splits}
        if kept.get("val") and kept.get("train"):
            divided, _ = for_training(dataset, 0, kept)
            count = counted(len(kept["val"]), "image")
            said = f"only one split, {first}, divided by the run {run.folder}"
            return divided, [f"{dataset.source}: {said}: AP is that of its {count} of val"]
    return dataset, trained_lines(dataset, run, split)


def trained_lines(dataset: Dataset, run: RunData, split: str | None) -> list[str]:
    """Returns a line for each evaluated split with images that the run trained on."""
    lines = []
    for name in evaluated_splits(dataset, split):
        images = dataset.listed(name).images
        if found := run.among("train", images):
            count = f"{len(found):,} of {counted(len(images), 'image')} of split `{name}`"
            said = f"the run {run.folder} trained on {count}, so AP tells little about others"
            lines.append(f"warning: {dataset.source}: {said}; the first is {shortened(found[0])}")
    return lines
