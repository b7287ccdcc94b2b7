"""The published Oxford Hand data set as DATA: converted once, into the cache folder."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from seyolo.data.cache import kept_folder, stamp_of_folder
from seyolo.data.formats.data_yaml import read_data_yaml
from seyolo.data.formats.yolo import YoloFiles


def has_oxford(folders: Collection[str]) -> bool:
    """Tells whether these are folders of the published data set."""
    ends = ("training_dataset/training_data/annotations", "test_dataset/test_data/annotations")
    return any(folder.endswith(ends) for folder in folders)


def read_oxford(root: Path) -> YoloFiles:
    """Converts the folder, unless the cache has it converted already, and reads the result."""

    def fill(folder: Path) -> None:
        from seyolo.data.oxford.convert import convert  # noqa: PLC0415 (needs SciPy, no part of the base install)

        convert(root, folder / "data")

    data = kept_folder("converted", root.name, stamp_of_folder(root), fill) / "data" / "data.yaml"
    contents = replace(read_data_yaml(data), layout="Oxford Hand")
    contents.finder.notes.append(f"{root}: converted to YOLO labels in {data.parent}")
    return contents
