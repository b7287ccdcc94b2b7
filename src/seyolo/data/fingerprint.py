"""Fingerprint of a data set: image files with their sizes and labels, to notice a change between two runs."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from seyolo.data.datasets import Dataset
from seyolo.data.samples import Samples
from seyolo.errors import DataError, counted
from seyolo.json_files import read_json

DATA_FILE = "data.json"  # in the folder of a run
MOST_MB = 1024  # 100 bytes per image
MOST_NAMED = 3


@dataclass(frozen=True)
class Fingerprint:
    """Class names, and by split and image the bytes of the file and the CRC-32 of its boxes and classes."""

    names: tuple[str, ...]
    splits: Mapping[str, Mapping[str, tuple[int, str]]]


def read_fingerprint(folder: Path) -> Fingerprint:
    """Reads the fingerprint of a run's data; raises TrainingError for a file that is missing or damaged."""
    return read_json(folder / DATA_FILE, Fingerprint, most_mb=MOST_MB)


def fingerprint(dataset: Dataset, splits: Iterable[str]) -> Fingerprint:
    """Returns the fingerprint of these splits; raises DataError for an invalid label or a missing image."""
    return Fingerprint(tuple(dataset.names), {split: _entries(dataset.split(split)) for split in splits})


def _entries(samples: Samples) -> dict[str, tuple[int, str]]:
    found = {}
    for image, labels in zip(samples.images, samples.label_bytes(), strict=True):
        try:
            found[image] = os.stat(image).st_size, f"{zlib.crc32(labels):08x}"
        except FileNotFoundError:
            raise DataError(f"{image}: there is no such image") from None
    return found


def differences(before: Fingerprint, now: Fingerprint) -> list[str]:
    """Returns in words how a data set differs from what it was; nothing where it is the same."""
    found = []
    if before.names != now.names:
        found.append(f"the classes are {', '.join(now.names)}, not {', '.join(before.names)}")
    for split in dict.fromkeys([*before.splits, *now.splits]):
        old, new = before.splits.get(split, {}), now.splits.get(split, {})
        common = [name for name in old if name in new]
        kinds = {
            "are gone": [name for name in old if name not in new],
            "are new": [name for name in new if name not in old],
            "have another file": [name for name in common if old[name][0] != new[name][0]],
            "have other labels": [name for name in common if old[name][1] != new[name][1]],
        }
        found += [
            f"{len(names)} of {counted(len(old), 'image')} of {split} {kind} ({_some(names)})"
            for kind, names in kinds.items()
            if names
        ]
    return found


def _some(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
