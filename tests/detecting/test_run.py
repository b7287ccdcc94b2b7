"""Whole runs over a detector whose answers are known: order, counting, resuming, sharing, stopping."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.videos import (
    HEIGHT_PX,
    WIDTH_PX,
    BrightSquare,
    frame_image,
    read_video,
    times_by_pyav,
    write_variable,
    write_video,
)
from seyolo.detecting import run as detecting
from seyolo.detecting.journal import Journal, Row
from seyolo.detecting.names import NameSet
from seyolo.detecting.outputs import Outputs
from seyolo.detecting.run import DetectRun, Tally
from seyolo.detecting.run_folder import Shard
from seyolo.detector import Detector
from seyolo.errors import DataError
from seyolo.media.sources import Sources
from seyolo.media.video import VideoFrame
from seyolo.options.detect import DetectOptions
from seyolo.progress import Silent


class Job:
    """A run over sources, and what became of it."""

    def __init__(
        self,
        names: Sequence[str | Path],
        folder: Path | None = None,
        *,
        shard: Shard | None = None,
        done: Sequence[str] = (),
        strict: bool = False,
        max_frames: int | None = None,
        batch: int = 1,
        stdin: bytes = b"",
    ) -> None:
        self.rows: list[Row] = []
        self.lines: list[str] = []
        self.tally = Tally()
        self._run = DetectRun(
            detector=Detector(BrightSquare()),
            outputs=Outputs(BrightSquare.names, folder, ["images", "video"], tell=self.rows.append),
            sources=Sources([str(name) for name in names], stdin),
            options=DetectOptions(strict=strict, max_frames=max_frames, batch=batch),
            progress=Silent(),
            say=self.lines.append,
            shard=shard or Shard(),
            done=NameSet(done),
            tally=self.tally,
        )

    def run(self) -> Job:
        self._run.run()
        return self

    @property
    def names(self) -> list[str]:
        return [Path(row["picture"]).name for row in self.rows]


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Nine images whose square lies at 0, 4, 8 and so on."""
    (tmp_path / "in").mkdir()
    paths = [tmp_path / "in" / f"{number}.png" for number in range(9)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), frame_image(4 * number))
    return paths


def lefts(rows: Sequence[Row]) -> list[float]:
    return [row["detections"][0]["box"][0] for row in rows]


def test_images_in_order_with_what_is_in_each(images: list[Path]) -> None:
    job = Job(images).run()
    assert [row["picture"] for row in job.rows] == [str(path) for path in images]
    np.testing.assert_allclose(lefts(job.rows), np.arange(9) * 4.0, atol=1e-3)
    assert (job.tally.num_sources, job.tally.num_images, job.tally.num_unreadable) == (9, 9, 0)


def test_a_video_frame_by_frame(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", num_frames=12, fps=20)
    job = Job([clip], tmp_path / "out").run()
    assert [row["frame"] for row in job.rows] == list(range(12))
    np.testing.assert_allclose(lefts(job.rows), np.arange(12.0), atol=1.5)
    assert {row["annotated"] for row in job.rows} == {str(tmp_path / "out/clip.mp4")}
    images = read_video(tmp_path / "out/clip.mp4")
    assert len(images) == 12
    # The box is drawn in colour on an image that had none.
    assert all(np.ptp(image.astype(int), axis=2).max() > 100 for image in images)
    (line,) = job.lines
    assert line.startswith(f"{clip}: objects in 12 of 12 frames, ")
    assert line.endswith(" frames/s")


def test_the_annotated_copy_keeps_the_times_of_a_variable_rate(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs PyAV, which supervision brings")
    clip = write_variable(tmp_path / "clip.mp4", [0, 0.04, 0.3, 0.31, 0.5])
    Job([clip], tmp_path / "out").run()
    assert times_by_pyav(tmp_path / "out/clip.mp4") == pytest.approx(times_by_pyav(clip), abs=1e-4)


def test_images_come_before_videos(tmp_path: Path, images: list[Path]) -> None:
    clip = write_video(tmp_path / "clip.avi", num_frames=2)
    job = Job([clip, images[1], images[0]]).run()
    assert job.names == ["1.png", "0.png", "clip.avi", "clip.avi"]


@pytest.mark.parametrize("batch", [2, 4, 100])
def test_batches_change_nothing(tmp_path: Path, images: list[Path], batch: int) -> None:
    images[3].write_bytes(b"no image")
    names = [*images, write_video(tmp_path / "clip.avi", num_frames=7)]
    assert Job(names, batch=batch).run().rows == Job(names).run().rows
    with pytest.raises(DataError, match=r"3\.png"):
        (strict := Job(names, strict=True, batch=batch)).run()
    assert strict.names == ["0.png", "1.png", "2.png"]


def test_max_frames(tmp_path: Path) -> None:
    clips = [write_video(tmp_path / name, num_frames=9) for name in ("a.avi", "b.avi")]
    job = Job(clips, max_frames=4).run()
    assert Counter(job.names) == {"a.avi": 4, "b.avi": 4}
    assert job.tally.num_unreadable == 0


def test_what_cannot_be_read_has_its_row_in_its_place(tmp_path: Path, images: list[Path]) -> None:
    images[0].write_bytes(b"no image")
    images[4].write_bytes(images[4].read_bytes()[:-20])
    images[8].unlink()
    (tmp_path / "none.mp4").write_text("no video")
    job = Job([*images, tmp_path / "none.mp4"]).run()
    assert [("error" in row) for row in job.rows] == [number in (0, 4, 8, 9) for number in range(10)]
    assert (job.tally.num_sources, job.tally.num_images, job.tally.num_unreadable) == (10, 6, 4)
    assert "none.mp4: cannot be opened as a video" in job.tally.errors[3]


def test_only_some_errors_are_kept(tmp_path: Path) -> None:
    job = Job([tmp_path / f"{number}.jpg" for number in range(50)]).run()
    assert (job.tally.num_unreadable, len(job.tally.errors)) == (50, detecting.MOST_LISTED)


def test_a_video_that_ends_early_is_kept_as_far_as_it_goes(tmp_path: Path) -> None:
    data = write_video(tmp_path / "whole.avi", num_frames=40).read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    job = Job([tmp_path / "cut.avi"], tmp_path / "out").run()
    *frames, last = job.rows
    assert "ends after" in last["error"]
    assert len(read_video(tmp_path / "out/cut.mp4")) == len(frames) > 10
    with pytest.raises(DataError, match="ends after"):
        Job([tmp_path / "cut.avi"], tmp_path / "strict", strict=True).run()
    assert not list((tmp_path / "strict").glob("*"))


def test_strict_stops_at_the_first_and_keeps_what_came_before(images: list[Path]) -> None:
    images[2].write_bytes(b"no image")
    job = Job(images, strict=True)
    with pytest.raises(DataError, match=r"2\.png: not an image"):
        job.run()
    assert job.names == ["0.png", "1.png"]


def test_shards_and_what_is_done_leave_each_image_to_one(tmp_path: Path, images: list[Path]) -> None:
    (tmp_path / "again").mkdir()
    names = [*images, shutil.copy(images[0], tmp_path / "again"), write_video(tmp_path / "c.avi", 2)]
    rows = [
        row for part in (1, 2, 3) for row in Job(names, tmp_path / "out", shard=Shard(part, 3)).run().rows
    ]
    whole = Job(names, tmp_path / "out").run().rows
    assert sorted(map(str, rows)) == sorted(map(str, whole))
    assert whole[9]["annotated"] == str(tmp_path / "out/0-2.png")
    rest = Job(names, tmp_path / "out", done=[str(path) for path in images]).run().rows
    assert rest == whole[9:]


def test_a_image_on_stdin(images: list[Path]) -> None:
    (row,) = Job(["-"], stdin=images[3].read_bytes()).run().rows
    assert row["picture"] == "-"
    np.testing.assert_allclose(row["detections"][0]["box"], [12, 24, 28, 40], atol=1e-3)


def test_the_past_of_a_run(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"picture": "a.jpg", "detections": []},
        {"picture": "bad.jpg", "error": "bad.jpg: truncated"},
        {"picture": "cut.avi", "frame": 0, "detections": []},
        {"picture": "cut.avi", "frame": 1, "detections": []},
        {"picture": "cut.avi", "error": "cut.avi: ends after 2 of 9 frames"},
    ]
    tally = Tally()
    with closing(Journal(tmp_path / "x.jsonl")) as journal:
        for row in rows:
            journal.append(row)
        done = tally.add_past(journal.rows)
    assert [name in done for name in ("a.jpg", "bad.jpg", "cut.avi", "b.jpg")] == [True, True, True, False]
    errors = ["bad.jpg: truncated", "cut.avi: ends after 2 of 9 frames"]
    assert tally == Tally(num_sources=3, num_videos=1, num_images=3, num_unreadable=2, errors=errors)


class Camera:
    """A camera that never ends; Ctrl-C is pressed when its sixth frame is looked at."""

    fps, num_declared, is_live = 20.0, 0, True

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_closed = False

    def frames(self) -> Iterator[VideoFrame]:
        for number in count():
            yield VideoFrame(number, number / 20, frame_image(number))
            time.sleep(0.002)

    def close(self) -> None:
        self.is_closed = True


def test_ctrl_c_ends_a_recording_and_keeps_it_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detecting, "VideoReader", Camera)
    infer, seen = BrightSquare.infer, []

    def interrupted(self: BrightSquare, batch: np.ndarray) -> np.ndarray:
        seen.append(batch)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return infer(self, batch)

    monkeypatch.setattr(BrightSquare, "infer", interrupted)
    job = Job(["0", "rtsp://host/other"], tmp_path).run()
    assert job.tally.is_interrupted
    assert len(job.rows) == 5
    # Time runs as it did: what was dropped between two frames is filled in.
    images = read_video(tmp_path / "camera-0.mp4")
    assert len(images) == job.rows[-1]["frame"] + 1
    assert images[0].shape == (HEIGHT_PX, WIDTH_PX, 3)


def test_ctrl_c_in_a_video_leaves_no_half_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(BrightSquare, "infer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Job([write_video(tmp_path / "clip.avi")], tmp_path / "out").run()
    assert not list((tmp_path / "out").glob("*"))
