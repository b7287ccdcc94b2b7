"""Tables of a run as JSON, COCO, CSV and JSON lines, generated row by row in constant memory."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from seyolo.detecting.journal import Row, line_of
from seyolo.detections import Detections
from seyolo.files import replacing

Rows = Callable[[], Iterator[Row]]  # returns the rows from the beginning at every call

CSV_COLUMNS = (
    "picture", "frame", "time_s", "name", "class_id", "score", "left", "top", "right", "bottom",
)  # fmt: skip


def json_chunks(head: Mapping[str, object], rows: Rows) -> Iterator[str]:
    """Yields one JSON object: `head`, `pictures` with the detections, `unreadable` with the errors."""
    whole = (row for row in rows() if "error" not in row)
    return _object_with_lists(head, {"pictures": whole, "unreadable": (r for r in rows() if "error" in r)})


def coco_chunks(names: Sequence[str], rows: Rows) -> Iterator[str]:
    """Yields a COCO data set whose annotations have a `score`; category ids are class ids, from 0.

    Every frame of a video is an image with the same `file_name` and its own `frame_id`.
    """
    head = {"categories": [{"id": class_id, "name": name} for class_id, name in enumerate(names)]}
    lists = {"images": _coco_images(rows()), "annotations": _coco_annotations(rows())}
    return _object_with_lists(head, lists)


def csv_chunks(rows: Rows) -> Iterator[str]:
    """Yields a line of column names and a line per detection; boxes in pixels."""
    yield ",".join(CSV_COLUMNS) + "\n"
    for row in rows():
        for item in row.get("detections", ()):
            about = [row["picture"], row.get("frame", ""), row.get("time_s", "")]
            line = io.StringIO()
            values = [*about, item["name"], item["class_id"], item["score"], *item["box"]]
            csv.writer(line, lineterminator="\n").writerow(values)
            yield line.getvalue()


def jsonl_chunks(rows: Rows) -> Iterator[str]:
    """Yields a line of JSON per image or frame."""
    return map(line_of, rows())


def write_chunks(path: Path, chunks: Iterable[str]) -> None:
    """Writes a text file, which gets its name when it is complete."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.writelines(chunks)


def _object_with_lists(head: Mapping[str, object], lists: Mapping[str, Iterator[Row]]) -> Iterator[str]:
    yield json.dumps(head, indent=2).removesuffix("\n}")
    for key, items in lists.items():
        yield f',\n  "{key}": ['
        between = "\n"
        for item in items:
            yield between + textwrap.indent(json.dumps(item, indent=2), "    ")
            between = ",\n"
        yield "]" if between == "\n" else "\n  ]"
    yield "\n}\n"


def _coco_images(rows: Iterator[Row]) -> Iterator[Row]:
    for number, row in _numbered(rows):
        image = {
            "id": number,
            "file_name": row["picture"],
            "width": row.get("width"),
            "height": row.get("height"),
        }
        yield image | ({"frame_id": row["frame"]} if "frame" in row else {})


def _coco_annotations(rows: Iterator[Row]) -> Iterator[Row]:
    annotation_id = 0
    for number, row in _numbered(rows):
        items = row.get("detections", ())
        boxes = np.array([item["box"] for item in items], np.float32).reshape(-1, 4)
        scores = np.array([item["score"] for item in items], np.float32)
        class_ids = np.array([item["class_id"] for item in items], np.int64)
        for item in Detections(boxes, scores, class_ids).to_coco(number):
            annotation_id += 1
            _, _, width, height = item["bbox"]
            yield {"id": annotation_id, **item, "area": width * height, "iscrowd": 0}


def _numbered(rows: Iterator[Row]) -> Iterator[tuple[int, Row]]:
    """Yields the rows without an error, with the numbers of their images."""
    return enumerate((row for row in rows if "error" not in row), 1)
