"""What is left of each frame, read back from disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from seyolo.detecting.journal import Journal, Row
from seyolo.detecting.names import Place, Places, check_places
from seyolo.detecting.outputs import Frame, Outputs
from seyolo.detections import Detections
from seyolo.errors import UsageError
from seyolo.media.video import VideoWriter

NAMES = ("hand", "a/b")
PHOTO = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
FOUND = Detections(
    np.array([[10.4, 20, 30, 40.2], [0, 0, 80, 60]], np.float32),
    np.array([0.9, 0.5], np.float32),
    np.array([0, 1], np.int64),
)


def write(folder: Path, frame: Frame, *wanted: str, video: VideoWriter | None = None) -> Row:
    rows: list[Row] = []
    Outputs(NAMES, folder, wanted, tell=rows.append).write(frame, FOUND, video)
    (row,) = rows
    return row


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_image_with_everything(tmp_path: Path) -> None:
    frame = Frame("in/photo.png", Place("photo-2.png", "photo-2"), PHOTO)
    row = write(tmp_path, frame, "images", "video", "yolo", "crops")
    assert files_in(tmp_path) == [
        "crops/a_b/photo-2-2.jpg",
        "crops/hand/photo-2-1.jpg",
        "labels/photo-2.txt",
        "photo-2.png",
    ]
    assert row == {
        "picture": "in/photo.png",
        "width": 80,
        "height": 60,
        "annotated": str(tmp_path / "photo-2.png"),
        "detections": FOUND.to_dicts(NAMES),
    }
    assert np.any(cv2.imread(str(tmp_path / "photo-2.png")) != PHOTO)
    # x 10.4 to 30 touches the pixels 10 to 29, y 20 to 40.2 touches 20 to 40.
    assert cv2.imread(str(tmp_path / "crops/hand/photo-2-1.jpg")).shape == (21, 20, 3)
    assert (tmp_path / "labels/photo-2.txt").read_text().splitlines() == FOUND.to_yolo(60, 80)


def test_a_frame_of_a_video(tmp_path: Path) -> None:
    frame = Frame("clip.avi", Place("clip.mp4", "clip"), PHOTO, number=12, time_s=0.48)
    with VideoWriter(tmp_path / "clip.mp4", 25) as video:
        row = write(tmp_path, frame, "images", "yolo", "crops", video=video)
    assert files_in(tmp_path) == [
        "clip.mp4",
        "crops/a_b/clip/000012-2.jpg",
        "crops/hand/clip/000012-1.jpg",
        "labels/clip/000012.txt",
    ]
    assert (row["frame"], row["time_s"], row["annotated"]) == (12, 0.48, str(tmp_path / "clip.mp4"))


def test_crops_stay_in_their_folder_whatever_a_class_is_called(tmp_path: Path) -> None:
    outputs = Outputs(("..", "../../x"), tmp_path / "out", ["crops"])
    outputs.write(Frame("a.jpg", Place("a.jpg", "a"), PHOTO), FOUND)
    assert files_in(tmp_path) == ["out/crops/0/a-1.jpg", "out/crops/_.._x/a-2.jpg"]


def test_what_could_not_be_read_has_a_row_only(tmp_path: Path) -> None:
    frame = Frame("bad.jpg", Place("bad.jpg", "bad"), error="bad.jpg: truncated")
    row = write(tmp_path, frame, "images", "yolo", "crops")
    assert row == {"picture": "bad.jpg", "error": "bad.jpg: truncated"}
    assert files_in(tmp_path) == []


def test_without_a_folder_nothing_is_written() -> None:
    rows: list[Row] = []
    outputs = Outputs(NAMES, None, ["images", "video"], tell=rows.append)
    outputs.write(Frame("a.jpg", Place("a.jpg", "a"), PHOTO), FOUND)
    assert rows[0]["annotated"] is None
    assert outputs.video_of(Place("a.mp4", "a")) is None


def test_the_row_is_written_after_the_files(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "x.jsonl")
    (tmp_path / "labels").touch()  # no folder can be made here
    outputs = Outputs(NAMES, tmp_path, ["yolo"], journal)
    with pytest.raises(NotADirectoryError):
        outputs.write(Frame("a.jpg", Place("a.jpg", "a"), PHOTO), FOUND)
    assert list(journal.rows()) == []
    journal.close()


def test_every_kind_of_source_has_a_place_of_its_own() -> None:
    names = [
        "a/x.jpg",
        "b/x.jpg",
        "b/x.png",
        "grey.PGM",
        "clip.avi",
        "clip.mov",
        "0",
        "rtsp://host/live",
        "-",
    ]
    places = Places(names)
    taken = [places.take(name) for name in names]
    assert [place.file for place in taken] == [
        "x.jpg", "x-2.jpg", "x.png", "grey.ppm", "clip.mp4", "clip-2.mp4", "camera-0.mp4", "stream.mp4",
        "stdin.jpg",
    ]  # fmt: skip
    assert [place.stem for place in taken] == [
        "x", "x-2", "x-3", "grey", "clip", "clip-2", "camera-0", "stream", "stdin",
    ]  # fmt: skip


@pytest.mark.parametrize("ending", [".pgm", ".pbm", ".tif", ".webp", ".avif", ".bmp"])
def test_any_kind_of_image_can_be_annotated(tmp_path: Path, ending: str) -> None:
    place = Places([f"x{ending}"]).take(f"x{ending}")
    write(tmp_path, Frame(f"x{ending}", place, PHOTO), "images")
    assert cv2.imread(str(tmp_path / place.file)).shape == PHOTO.shape


def test_sources_are_never_written_over(tmp_path: Path) -> None:
    for name in ("in/a.jpg", "out/a.jpg", "out/b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "in/link.jpg").symlink_to(tmp_path / "out/link.jpg")
    (tmp_path / "out/link.jpg").touch()

    def check(*names: str, out: str = "out") -> None:
        check_places([str(tmp_path / name) for name in names], tmp_path / out)

    check("in/a.jpg")
    check("in/a.jpg", "out/a.jpg", out="new")
    for names in (["out/b.jpg"], ["in/a.jpg", "out/a.jpg"], ["in/link.jpg"]):
        with pytest.raises(UsageError, match=r"would overwrite .*out/"):
            check(*names)
