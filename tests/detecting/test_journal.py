"""The journal: rows that stay, and what an interruption leaves is cut off."""

from __future__ import annotations

import errno
from contextlib import closing
from pathlib import Path

import pytest

from seyolo.detecting.journal import Journal, Row, line_of, repair

IMAGES: list[Row] = [{"picture": f"{name}.jpg", "detections": []} for name in "abc"]
CLIP: list[Row] = [{"picture": "clip.mp4", "frame": number, "detections": []} for number in range(3)]
CUT: Row = {"picture": "clip.mp4", "error": "clip.mp4: ends after 3 of 9 frames"}


def rows_after_repair(path: Path, text: str) -> list[Row]:
    path.write_text(text)
    repair(path)
    with closing(Journal(path)) as journal:
        journal.append({"picture": "next"})
        *rows, last = journal.rows()
    assert last == {"picture": "next"}
    return rows


def text_of(rows: list[Row]) -> str:
    return "".join(map(line_of, rows))


def test_rows_come_back(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "new" / "x.jsonl")) as journal:
        for row in IMAGES:
            journal.append(row)
        assert list(journal.rows()) == IMAGES
    with closing(Journal(tmp_path / "new" / "x.jsonl")) as journal:
        journal.append(CUT)
        assert list(journal.rows()) == [*IMAGES, CUT]


def test_wherever_a_line_was_cut_the_whole_ones_stay(tmp_path: Path) -> None:
    whole, last = text_of(IMAGES[:2]), line_of(IMAGES[2])
    for length in range(len(last)):
        assert rows_after_repair(tmp_path / "x.jsonl", whole + last[:length]) == IMAGES[:2]
    assert rows_after_repair(tmp_path / "x.jsonl", whole + last) == IMAGES
    # A machine that lost power may leave zeros.
    assert rows_after_repair(tmp_path / "x.jsonl", whole + "\0" * 50 + "\n") == IMAGES[:2]


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([*IMAGES, *CLIP], 3),  # the clip may not be over
        (CLIP, 0),
        ([*CLIP, CUT], 4),  # it is: nothing more could be read
        ([*CLIP, IMAGES[0]], 4),
        ([*IMAGES, *CLIP, {"picture": "other.mp4", "frame": 0, "detections": []}], 6),
        ([], 0),
    ],
)
def test_a_video_begins_anew(tmp_path: Path, rows: list[Row], kept: int) -> None:
    assert rows_after_repair(tmp_path / "x.jsonl", text_of(rows)) == rows[:kept]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_names_the_journal() -> None:
    with (
        closing(Journal(Path("/dev/full"))) as journal,
        pytest.raises(OSError, match="/dev/full") as caught,
    ):
        journal.append(CUT)
    assert caught.value.errno == errno.ENOSPC
