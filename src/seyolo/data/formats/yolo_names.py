"""YOLO labels with a file of class names: LabelImg's and Label Studio's `classes.txt`, makesense's
`labels.txt`, Roboflow's `_darknet.labels`, FiftyOne's `obj.names`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from seyolo.data.formats.yolo import YoloFiles
from seyolo.data.text import read_class_names
from seyolo.data.tree import Finder


def read_yolo_names(
    source: Path, root: Path, splits: Mapping[str, tuple[Path, ...]], notes: Iterable[str] = ()
) -> YoloFiles:
    """Reads the class names, one per line; raises DataError for none or a repeated one."""
    if (source.parent / "notes.json").is_file():
        layout = "YOLO as Label Studio exports it"
    elif source.name == "_darknet.labels":
        layout = "YOLO as Roboflow exports it for Darknet"
    elif source.name == "obj.names" and (source.parent / "images.txt").is_file():
        layout = "YOLO as FiftyOne exports it for YOLOv4"
    else:
        layout = "YOLO as LabelImg writes it" if source.name == "classes.txt" else "YOLO"
    return YoloFiles(
        source, read_class_names(source), splits, (root,), layout, Finder(root, notes=list(notes))
    )
