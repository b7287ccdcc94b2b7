"""What the shipped hand detector was trained on: images, hands, licence and author of every source."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from hand_data import sources_of

from seyolo.data.datasets import load_dataset

HANDS = {
    "webcam": ("SubhiH/HandsDataset", "Apache-2.0", "SubhiH; images resized to 416x312"),
    "phone": (
        "Hand Gesture Recognition v6",
        "CC BY 4.0",
        "Lebanese University, published on Roboflow Universe, 2023-03-18",
    ),
}
WITHOUT_HANDS = {
    "n": ("Shenggan/BCCD_Dataset", "MIT", "Copyright (c) 2017 shenggan; blood smears without hands"),
    "c": ("parts without hands of the images above", "", "as above"),
}
MADE = ("images made of those above", "", "as above")
MIT_HOLDERS = {"FarzadMalik/Real_Time_Sign_Language_Detection": "Copyright (c) 2023 Farzad Malik"}
"""Copyright lines of the LICENSE files that come with training images of hands_more."""


def training_data(data: Path, hands: Path, more: Path) -> list[dict[str, Any]]:
    """Images of train by source: how many there are, how often an epoch shows them, and their hands."""
    origins = sources_of(hands, "source")
    with (more / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    shown: Counter[tuple[str, str, str]] = Counter()
    distinct: dict[tuple[str, str, str], dict[str, int]] = {}
    for sample in load_dataset(data).split("train"):
        prefix, _, name = sample.image.name.partition("_")
        source = WITHOUT_HANDS.get(prefix, MADE)
        if prefix == "h":
            source = HANDS[origins[name]]
        elif prefix.startswith("m"):
            source = author_of(rows[name])
        shown[source] += 1
        distinct.setdefault(source, {})[name] = len(sample.class_ids)
    return [
        {
            **dict(zip(("source", "licence", "author"), source, strict=True)),
            "images": len(distinct[source]),
            "shown": count,
            "hands": sum(distinct[source].values()),
        }
        for source, count in sorted(shown.items(), key=lambda item: (not item[0][1], -item[1]))
    ]


def author_of(row: dict[str, str]) -> tuple[str, str, str]:
    """Source, licence and author of an image of hands_more."""
    author = MIT_HOLDERS.get(row["repository"], row["author"])
    return row["repository"], row["licence"], author
