"""Counts on paths that are worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from seyolo.detections import Detections
from seyolo.errors import UsageError
from seyolo.options.count import parse_area
from seyolo.tracking.count import Counted, VideoCounts

pytest.importorskip("supervision", reason="needs seyolo[track]")

NAMES = ("hand", "face")
Place = tuple[float, float, int, int]
"""Centre, id and class of a box of 10 px."""


def frame_of(places: Sequence[Place]) -> Detections:
    boxes = np.array([[x - 5, y - 5, x + 5, y + 5] for x, y, _, _ in places], np.float32).reshape(-1, 4)
    track_ids, class_ids = (np.array([place[i] for place in places], np.int64) for i in (2, 3))
    return Detections(boxes, np.ones(len(places), np.float32), class_ids, NAMES, track_ids=track_ids)


def count(text: str, frames: Sequence[Sequence[Place]], fps: float = 10) -> Counted:
    counts = VideoCounts([parse_area(text)], "a.mp4", 200, 100)
    for number, places in enumerate(frames):
        (counted,) = counts.update(frame_of(places), number / fps)
    return counted


def test_a_line_counts_in_and_out_by_class() -> None:
    down = [[(50.0, 20.0 + 10 * step, 1, 0)] for step in range(7)]  # across y = 50 at x = 50
    up = [[(90.0, 80.0 - 10 * step, 2, 1)] for step in range(7)]
    both = [a + b for a, b in zip(down, up, strict=True)]
    assert count("line:10,50,190,50", both).counts == {"in": {"face": 1}, "out": {"hand": 1}}
    # The same line from right to left; and in percent of 200 x 100.
    assert count("line:190,50,10,50", both).counts == {"in": {"hand": 1}, "out": {"face": 1}}
    assert count("line:5%,50%,95%,50%", both).counts == count("line:10,50,190,50", both).counts


def test_beside_the_end_of_a_line_nothing_is_crossed() -> None:
    down = [[(50.0, 20.0 + 10 * step, 1, 0)] for step in range(7)]
    assert count("line:60,50,190,50", down).counts == {"in": {}, "out": {}}


def test_an_object_that_is_missing_on_the_line_is_counted() -> None:
    path = [
        [(50.0, 30.0, 1, 0)],
        [(50.0, 40.0, 1, 0)],
        [],
        [],
        [],
        [],
        [(50.0, 60.0, 1, 0)],
        [(50.0, 70.0, 1, 0)],
    ]
    assert count("line:10,50,190,50", path).counts["out"] == {"hand": 1}
    # After more than a second it would have another id; the same one is not remembered.
    late = [*path[:2], *([[]] * 12), *path[-2:]]
    assert count("line:10,50,190,50", late).counts["out"] == {}


def test_an_object_without_an_id_is_not_counted() -> None:
    path = [[(50.0, 20.0 + 10 * step, -1, 0)] for step in range(7)]
    assert count("line:10,50,190,50", path).counts == {"in": {}, "out": {}}
    assert count("zone:0,40,200,40,200,100,0,100", path).counts["seen"] == {}


def test_a_zone_counts_who_enters_leaves_and_is_inside() -> None:
    through = [(x, 50.0, 1, 0) for x in (20.0, 60.0, 100.0, 140.0, 180.0)]
    stays = [(100.0, 50.0, 2, 0)] * 5
    enters = [(x, 50.0, 3, 1) for x in (20.0, 20.0, 60.0, 100.0, 110.0)]
    frames = [list(places) for places in zip(through, stays, enters, strict=True)]
    counted = count("zone:80,20,150,20,150,80,80,80", frames)
    assert counted.counts == {
        "in": {"hand": 1, "face": 1},
        "out": {"hand": 1},
        "inside": {"hand": 1, "face": 1},
        "seen": {"hand": 2, "face": 1},
    }
    assert counted.lines() == [
        "in: 1 hand, 1 face",
        "out: 1 hand",
        "inside: 1 hand, 1 face",
        "seen: 2 hand, 1 face",
    ]
    assert counted.to_json()["area"] == "zone:80,20,150,20,150,80,80,80"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("100,200,300,400", "give a line or a zone, such as line:"),
        ("circle:1,2,3", "give a line or a zone"),
        ("line:1,2,3", "a line has two points"),
        ("line:1,2,3,4,5,6", "a line has two points"),
        ("zone:1,2,3,4", "a zone has at least three points"),
        ("line:1,2,1,2", "two of the points are the same"),
        ("line:1,2,x,4", "'x': coordinates are pixels"),
        ("line:1,2,-3,4", "'-3': coordinates are pixels"),
        ("line:1,2,,4", "'': coordinates are pixels"),
        ("line:1%,2%,101%,4%", "'101%': coordinates are pixels"),
        ("line:0.5,0,0.5,1", "coordinates are pixels; write shares of the frame as line:50%,0%,50%,100%"),
        (
            "zone:0,0,1,0,.25,1",
            "coordinates are pixels; write shares of the frame as zone:0%,0%,100%,0%,25%,100%",
        ),
        ("line:", "'': coordinates are pixels"),
    ],
)
def test_a_text_that_names_no_area_is_refused(text: str, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_area(text)
    assert str(caught.value).startswith(f"--count {text}: {part}")
    assert "\n" not in str(caught.value)


def test_a_point_outside_the_frame_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the point 300,50 is outside a\.mp4, which has 200x100 pixels"):
        VideoCounts([parse_area("line:10,50,300,50")], "a.mp4", 200, 100)
    assert parse_area("line:0,0,100%,100%").on("a.mp4", 200, 100) == [(0, 0), (200, 100)]
