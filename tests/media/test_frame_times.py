"""Times of the frames of a written video, by PyAV and OpenCV."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.videos import frame_image, read_video, times_by_pyav, write_variable
from seyolo.errors import DataError
from seyolo.media.frame_times import is_variable
from seyolo.media.video import VideoReader, VideoWriter

av: Any = pytest.importorskip("av", reason="needs PyAV, which supervision brings")

VARIABLE = (0.0, 0.04, 0.08, 0.2, 0.21, 0.5, 0.9, 0.93)


def copy(source: Path, path: Path) -> list[float]:
    """Reads a video and writes its frames; returns the times that were read."""
    with closing(VideoReader(str(source))) as reader, VideoWriter(path, reader.fps) as video:
        times_s = []
        for frame in reader.frames():
            video.write(frame.number, frame.image, frame.time_s)
            times_s.append(frame.time_s)
    return times_s


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx")]
)
def test_a_copy_has_the_times_of_a_variable_rate(tmp_path: Path, name: str, codec: str) -> None:
    source = write_variable(tmp_path / name, VARIABLE, codec)
    assert times_by_pyav(source) == pytest.approx(VARIABLE, abs=1e-3)
    read_s = copy(source, tmp_path / "copy/b.mp4")
    assert times_by_pyav(tmp_path / "copy/b.mp4") == pytest.approx(times_by_pyav(source), abs=1e-4)
    with closing(VideoReader(str(tmp_path / "copy/b.mp4"))) as reader:
        assert [frame.time_s for frame in reader.frames()] == pytest.approx(read_s, abs=1e-4)
    for number, image in enumerate(read_video(tmp_path / "copy/b.mp4")):
        assert np.abs(image.astype(int) - frame_image(number)).mean() < 4


def test_a_constant_rate_stays_constant(tmp_path: Path) -> None:
    source = write_variable(tmp_path / "a.mp4", [number / 25 for number in range(8)])
    copy(source, tmp_path / "b.mp4")
    assert times_by_pyav(tmp_path / "b.mp4") == pytest.approx([number / 25 for number in range(8)], abs=1e-6)
    with closing(VideoReader(str(tmp_path / "b.mp4"))) as reader:
        assert reader.fps == 25


def test_the_duration_is_that_of_the_source_too(tmp_path: Path) -> None:
    copy(write_variable(tmp_path / "a.mp4", VARIABLE), tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        stream = container.streams.video[0]
        # The last frame is shown for one of the mean rate, which OpenCV makes 400 in 31 s.
        assert float(stream.duration * stream.time_base) == pytest.approx(0.93 + 31 / 400, abs=1e-3)
        assert container.duration / 1e6 == pytest.approx(0.93 + 31 / 400, abs=2e-3)


def test_what_counts_as_variable() -> None:
    assert not is_variable([], 25)
    assert not is_variable([0.033, 0.067, 0.1], 30)  # milliseconds of a container
    assert is_variable([0.0, 0.04, 0.09], 25)
    assert not is_variable([0.0, 0.0, 0.0], 25)  # no times at all


def test_a_variable_rate_without_a_number_of_frames_is_no_early_end(tmp_path: Path) -> None:
    source = write_variable(tmp_path / "a.webm", [*VARIABLE, 4.0], "libvpx")
    with closing(VideoReader(str(source))) as reader:
        assert reader.num_declared > 50  # 4 s at 25 frames per second
        assert len(list(reader.frames())) == 9
    whole = write_variable(tmp_path / "b.webm", [number / 25 for number in range(200)], "libvpx").read_bytes()
    (tmp_path / "cut.webm").write_bytes(whole[: len(whole) // 2])
    with (
        closing(VideoReader(str(tmp_path / "cut.webm"))) as reader,
        pytest.raises(DataError, match="ends after"),
    ):
        list(reader.frames())
