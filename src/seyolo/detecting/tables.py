"""Tables of a run as JSON, COCO, CSV and JSON lines, generated row by row in constant memory."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from seyolo.detecting.journal import Row, line_of
from seyolo.detections import Detections
from seyolo.files import replacing

Rows = Callable[[], Iterator[Row]]  # returns the rows from the beginning at every call

CSV_COLUMNS = (
    "picture", "frame", "time_s", "name", "class_id", "score", "left", "top", "right", "bottom",
)  # fmt: skip


def json_chunks(head: Mapping[str, object], rows: Rows, has_counts: bool = False) -> Iterator[str]:
    """Yields one JSON object: `head`, `pictures` with the detections, `unreadable` with the errors.

    Where objects were counted, `counts` comes first: those at the end of each video.
    """
    whole = (row for row in rows() if "error" not in row)
    lists = {"pictures": whole, "unreadable": (row for row in rows() if "error" in row)}
    return _object_with_lists(head, {"counts": _last_counts(rows()), **lists} if has_counts else lists)


def coco_chunks(names: Sequence[str], rows: Rows) -> Iterator[str]:
    """Yields a COCO data set whose annotations have a `score`; category ids are class ids, from 0.

    Every frame of a video is an image with the same `file_name` and its own `frame_id`.
    """
    head = {"categories": [{"id": class_id, "name": name} for class_id, name in enumerate(names)]}
    lists = {"images": _coco_images(rows()), "annotations": _coco_annotations(rows())}
    return _object_with_lists(head, lists)


def csv_chunks(rows: Rows, has_ids: bool = False) -> Iterator[str]:
    """Yields a line of column names and a line per detection; boxes in pixels, `track_id` at the end."""
    yield ",".join([*CSV_COLUMNS, "track_id"] if has_ids else CSV_COLUMNS) + "\n"
    for row in rows():
        for item in row.get("detections", ()):
            about = [row["picture"], row.get("frame", ""), row.get("time_s", "")]
            line = io.StringIO()
            values = [*about, item["name"], item["class_id"], item["score"], *item["box"]]
            values += [item.get("track_id")] if has_ids else []
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


def _last_counts(rows: Iterator[Row]) -> Iterator[Row]:
    """Yields the counts of each video after its last frame."""
    last: Row = {}
    for row in chain(rows, [{}]):
        if row.get("picture") != last.get("picture") and "counts" in last:
            yield {"picture": last["picture"], "areas": last["counts"]}
        last = last if "error" in row and row["picture"] == last.get("picture") else row


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
        tracks = None
        if any("track_id" in item for item in items):
            ids = (item.get("track_id") for item in items)
            tracks = np.array([-1 if track is None else track for track in ids], np.int64)
        for item in Detections(boxes, scores, class_ids, track_ids=tracks).to_coco(number):
            annotation_id += 1
            _, _, width, height = item["bbox"]
            yield {"id": annotation_id, **item, "area": width * height, "iscrowd": 0}


def _numbered(rows: Iterator[Row]) -> Iterator[tuple[int, Row]]:
    """Yields the rows without an error, with the numbers of their images."""
    return enumerate((row for row in rows if "error" not in row), 1)
