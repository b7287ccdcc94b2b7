"""Videos in and out, whole and broken ones."""

from __future__ import annotations

import errno
import shutil
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.videos import HEIGHT_PX, WIDTH_PX, frame_image, read_video, write_video
from seyolo.errors import DataError
from seyolo.media.video import VideoFrame, VideoReader, VideoWriter


def frames_of(path: Path) -> list[VideoFrame]:
    with closing(VideoReader(str(path))) as reader:
        return list(reader.frames())


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.avi", "XVID")])
def test_frames_come_in_order_with_their_times(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, num_frames=8, fps=20, codec=codec)
    with closing(VideoReader(str(path))) as reader:
        assert (reader.fps, reader.num_declared, reader.is_live) == (20, 8, False)
        frames = list(reader.frames())
    assert [frame.number for frame in frames] == list(range(8))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(8) / 20, atol=1e-6)
    for frame in frames:
        assert np.abs(frame.image.astype(int) - frame_image(frame.number)).mean() < 3


def test_a_video_that_ends_early_gives_what_is_there(tmp_path: Path) -> None:
    data = write_video(tmp_path / "whole.avi", num_frames=40).read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    frames: list[VideoFrame] = []
    with (
        closing(VideoReader(str(tmp_path / "cut.avi"))) as reader,
        pytest.raises(DataError, match=r"cut\.avi: ends after (\d+) of 40 frames") as caught,
    ):
        frames.extend(reader.frames())
    assert f"after {len(frames)} of" in str(caught.value)
    assert 10 < len(frames) < 30


def test_an_mp4_without_its_end_cannot_be_opened(tmp_path: Path) -> None:
    data = write_video(tmp_path / "whole.mp4", num_frames=40, codec="mp4v").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.mp4").write_text("<html>404</html>")
    for name in ("cut.mp4", "text.mp4"):
        with pytest.raises(DataError, match=rf"{name}: cannot be opened as a video"):
            VideoReader(str(tmp_path / name))


def test_cameras_and_streams_that_are_not_there() -> None:
    for name, part in (
        ("97", "camera 97: cannot be opened; is it plugged in"),
        ("rtsp://127.0.0.1:9/none", "rtsp://127.0.0.1:9/none: cannot be opened; is the address right"),
        ("http://127.0.0.1:9/none", "http://127.0.0.1:9/none: cannot be opened"),
    ):
        with pytest.raises(DataError, match=part):
            VideoReader(name)


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "new" / "a.mp4", fps=25) as video:
        for number in range(6):
            video.write(number, frame_image(number))
        assert not (tmp_path / "new" / "a.mp4").exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.mp4"]
    with closing(VideoReader(str(tmp_path / "new" / "a.mp4"))) as reader:
        assert (reader.fps, reader.num_declared) == (25, 6)
    for number, image in enumerate(read_video(tmp_path / "new" / "a.mp4")):
        assert np.abs(image.astype(int) - frame_image(number)).mean() < 3


def test_dropped_frames_are_filled_in_and_sizes_kept(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", fps=25) as video:
        video.write(0, frame_image(0))
        video.write(3, cv2.resize(frame_image(30), (WIDTH_PX * 2, HEIGHT_PX * 2)))
    images = read_video(tmp_path / "a.mp4")
    assert [image.shape for image in images] == [(HEIGHT_PX, WIDTH_PX, 3)] * 4
    for image in images[1:]:
        assert np.abs(image.astype(int) - frame_image(30)).mean() < 5


def test_a_video_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def write_and_fail(video: VideoWriter) -> None:
        video.write(0, frame_image(0))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "a.mp4", fps=25) as video:
        write_and_fail(video)
    with VideoWriter(tmp_path / "b.mp4", fps=25):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("free", "number"), [(0, errno.ENOSPC), (1 << 40, errno.EIO)])
def test_a_video_that_was_not_written_whole_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, number: int
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(free, 0, free))

    def write_and_lose(video: VideoWriter) -> None:
        video.write(0, frame_image(0))
        # As a full disk does it: OpenCV goes on, and the file's end is missing.
        (partial,) = tmp_path.iterdir()
        partial.unlink()
        partial.touch()

    with pytest.raises(OSError, match=r"a\.mp4") as caught, VideoWriter(tmp_path / "a.mp4", 25) as video:
        write_and_lose(video)
    assert caught.value.errno == number
    assert not list(tmp_path.iterdir())
