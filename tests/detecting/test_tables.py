"""Tables from rows, read back by other readers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seyolo.detecting.journal import Row
from seyolo.detecting.tables import coco_chunks, csv_chunks, json_chunks, jsonl_chunks, write_chunks

HAND = {"name": "hand", "class_id": 0, "score": 0.5, "box": [10.0, 20.0, 50.0, 40.0]}
FACE = {"name": "a, face", "class_id": 1, "score": 0.25, "box": [0.0, 0.0, 8.0, 4.0]}
ROWS: list[Row] = [
    {"picture": "a.jpg", "width": 64, "height": 48, "annotated": None, "detections": [HAND, FACE]},
    {"picture": "bad.jpg", "error": "bad.jpg: truncated"},
    {"picture": "b.jpg", "width": 64, "height": 48, "annotated": None, "detections": []},
    {
        "picture": "c.mp4", "frame": 7, "time_s": 0.28,
        "width": 96, "height": 64, "annotated": "out/c.mp4", "detections": [HAND],
    },
]  # fmt: skip


def rows() -> Iterator[Row]:
    return iter(ROWS)


def test_json_has_what_could_and_what_could_not_be_read() -> None:
    text = "".join(json_chunks({"model": "x.onnx"}, rows))
    assert json.loads(text) == {
        "model": "x.onnx",
        "pictures": [ROWS[0], ROWS[2], ROWS[3]],
        "unreadable": [ROWS[1]],
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


heads = st.dictionaries(st.sampled_from(["model", "confidence", "é"]), json_values, min_size=1)


@given(heads, st.lists(json_values))
def test_json_in_pieces_is_the_json_of_the_whole(head: dict[str, object], values: list[object]) -> None:
    rows: list[Row] = [{"picture": value} for value in values]
    text = "".join(json_chunks(head, lambda: iter(rows)))
    expected = {**head, "pictures": rows, "unreadable": []}
    assert text == json.dumps(expected, indent=2) + "\n"


def test_csv_has_a_line_per_detection() -> None:
    table = list(csv.DictReader(io.StringIO("".join(csv_chunks(rows)))))
    assert [row["picture"] for row in table] == ["a.jpg", "a.jpg", "c.mp4"]
    assert table[1] == {
        "picture": "a.jpg", "frame": "", "time_s": "", "name": "a, face", "class_id": "1", "score": "0.25",
        "left": "0.0", "top": "0.0", "right": "8.0", "bottom": "4.0",
    }  # fmt: skip
    assert (table[2]["frame"], table[2]["time_s"]) == ("7", "0.28")


def test_coco_is_read_by_its_own_tools(tmp_path: Path) -> None:
    faster_coco_eval = pytest.importorskip("faster_coco_eval")
    write_chunks(tmp_path / "coco.json", coco_chunks(["hand", "a, face"], rows))
    coco = faster_coco_eval.COCO(str(tmp_path / "coco.json"))
    assert [image["file_name"] for image in coco.dataset["images"]] == ["a.jpg", "b.jpg", "c.mp4"]
    assert coco.dataset["images"][2]["frame_id"] == 7
    assert coco.dataset["categories"] == [{"id": 0, "name": "hand"}, {"id": 1, "name": "a, face"}]
    first, second = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert (first["bbox"], first["area"], first["score"]) == ([10, 20, 40, 20], 800, 0.5)
    assert (second["bbox"], second["category_id"], second["iscrowd"]) == ([0, 0, 8, 4], 1, 0)
    assert coco.getAnnIds(imgIds=[2]) == []


def test_jsonl_has_a_line_per_row() -> None:
    text = "".join(jsonl_chunks(rows))
    assert [json.loads(line) for line in text.splitlines()] == ROWS


def test_a_table_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        yield "half"
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        write_chunks(tmp_path / "x.csv", broken())
    assert not list(tmp_path.iterdir())
