"""Runs with track ids and counts, over a detector whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.videos import BrightSquare, frame_image, read_video, write_video
from seyolo.detecting.journal import Row
from seyolo.detecting.names import NameSet
from seyolo.detecting.outputs import Outputs
from seyolo.detecting.run import DetectRun, Tally
from seyolo.detecting.run_folder import Shard
from seyolo.detector import Detector
from seyolo.errors import UsageError
from seyolo.media.sources import Sources
from seyolo.options.detect import DetectOptions
from seyolo.progress import Silent

pytest.importorskip("trackers", reason="needs trackers and seyolo[track]")


class Fading(BrightSquare):
    """Scores of 0.8, and of 0.15 in frames whose square lies between 20 and 30 px."""

    @staticmethod
    def _box(image: np.ndarray) -> list[float]:
        box = BrightSquare._box(image)
        return [*box[:4], 0.15 if 28 < box[0] < 38 and box[4] else box[4], box[5]]


def run(
    names: Sequence[Path],
    options: DetectOptions,
    folder: Path | None = None,
    backend: BrightSquare | None = None,
) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    lines: list[str] = []
    DetectRun(
        detector=Detector(backend or BrightSquare()),
        outputs=Outputs(BrightSquare.names, folder, ["video", "crops", "yolo"], tell=rows.append),
        sources=Sources([str(name) for name in names]),
        options=options,
        progress=Silent(),
        say=lines.append,
        shard=Shard(),
        done=NameSet(()),
        tally=Tally(),
    ).run()
    return rows, lines


def ids_of(rows: Sequence[Row], name: Path) -> list[list[int | None]]:
    return [[one["track_id"] for one in row["detections"]] for row in rows if row["picture"] == str(name)]


def test_every_video_has_ids_of_its_own_and_images_have_none(tmp_path: Path) -> None:
    clips = [write_video(tmp_path / name, num_frames=6) for name in ("a.avi", "b.avi")]
    cv2.imwrite(str(tmp_path / "c.png"), frame_image(0))
    rows, _ = run([*clips, tmp_path / "c.png"], DetectOptions(track=True))
    for clip in clips:
        assert ids_of(rows, clip) == [[None], [1], [1], [1], [1], [1]]
    assert "track_id" not in rows[0]["detections"][0]


def test_weak_boxes_keep_the_id_and_stay_out_of_the_result(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.avi", num_frames=60)
    rows, _ = run([clip], DetectOptions(track=True), backend=Fading())
    ids = ids_of(rows, clip)
    assert all(one == [] for one in ids[22:28])
    assert all(one == [1] for one in ids[1:20] + ids[31:])
    scores = [one["score"] for row in rows for one in row["detections"]]
    assert min(scores) >= 0.25


def test_a_name_by_id_for_each_crop_and_five_numbers_in_each_label(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.avi", num_frames=3)
    run([clip], DetectOptions(track=True), tmp_path / "out")
    crops = sorted(
        path.relative_to(tmp_path / "out/crops").as_posix() for path in tmp_path.rglob("crops/**/*.jpg")
    )
    assert crops == ["square/a/000000-1.jpg", "square/a/id-0001/000001.jpg", "square/a/id-0001/000002.jpg"]
    for label in (tmp_path / "out/labels/a").iterdir():
        assert len(label.read_text().split()) == 5


def test_counts_in_rows_terminal_and_video(tmp_path: Path) -> None:
    # The square's centre moves from x = 8 to x = 37: rightwards over a line that is drawn from top to bottom.
    clip = write_video(tmp_path / "a.avi", num_frames=30)
    texts = ("line:20,0,20,64", "zone:0%,0%,10%,0%,10%,100%,0%,100%")
    rows, lines = run([clip], DetectOptions(count=texts), tmp_path / "out")
    assert [row["counts"][0]["in"] for row in rows] == [{}] * 13 + [{"square": 1}] * 17
    assert rows[-1]["counts"] == [
        {"area": texts[0], "in": {"square": 1}, "out": {}},
        {"area": texts[1], "in": {}, "out": {"square": 1}, "inside": {}, "seen": {"square": 1}},
    ]
    assert lines[1:] == [
        f"{clip}: {texts[0]}: in: 1 square; out: 0",
        f"{clip}: {texts[1]}: in: 0; out: 1 square; inside: 0; seen: 1 square",
    ]
    plain, _ = run([clip], DetectOptions(track=True), tmp_path / "plain")
    assert "counts" not in plain[0]
    drawn, bare = (read_video(tmp_path / folder / "a.mp4")[0].astype(int) for folder in ("out", "plain"))
    assert drawn[60, 20].mean() > bare[60, 20].mean() + 100  # the white line


def test_a_line_outside_a_video_is_refused(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.avi", num_frames=3)
    with pytest.raises(UsageError, match=r"the point 97,20 is outside .*a\.avi, which has 96x64 pixels"):
        run([clip], DetectOptions(count=("line:97,20,2,20",)))
