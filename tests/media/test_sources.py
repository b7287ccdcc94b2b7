"""What arguments name, and what comes on stdin."""

from __future__ import annotations

import io
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from seyolo.errors import DataError
from seyolo.media.sources import find_sources, is_live, kind_of

EMPTY = io.BytesIO()


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "clip.mp4", "deep/c.jpeg", "deep-1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(album: Path, *arguments: str | Path, stdin: bytes = b"") -> list[str]:
    names = find_sources(arguments, io.BytesIO(stdin)).names
    return [Path(name).relative_to(album).as_posix() for name in names]


def test_a_folder_gives_the_images_in_it(album: Path) -> None:
    assert found(album, album) == ["a.PNG", "b.jpg", "deep-1.jpg"]


def test_a_pattern_gives_videos_too_and_keeps_folders_together(album: Path) -> None:
    everything = ["a.PNG", "b.jpg", "clip.mp4", "deep/c.jpeg", "deep-1.jpg"]
    assert found(album, str(album / "**" / "*")) == everything


def test_each_source_comes_once_in_the_order_of_the_arguments(album: Path) -> None:
    assert found(album, album / "deep", album / "b.jpg", album) == [
        "deep/c.jpeg",
        "b.jpg",
        "a.PNG",
        "deep-1.jpg",
    ]


def test_names_are_relative_as_they_were_given(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(album)
    assert find_sources(["."], EMPTY).names == ["a.PNG", "b.jpg", "deep-1.jpg"]
    assert find_sources(["./deep"], EMPTY).names == ["deep/c.jpeg"]
    assert find_sources(["./*.mp4"], EMPTY).names == ["clip.mp4"]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "hand[1].jpg").touch()
    assert found(tmp_path, tmp_path / "hand[1].jpg") == ["hand[1].jpg"]


def test_cameras_and_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["0", "rtsp://host/stream", "http://host/clip.mp4"]
    assert find_sources(names, EMPTY).names == names
    assert [kind_of(name) for name in names] == ["camera", "stream", "stream"]
    assert all(map(is_live, names))
    Path("7").touch()
    with pytest.raises(DataError, match="7: neither an image nor a video by its name"):
        find_sources(["7"], EMPTY)


def test_a_list_of_files_on_stdin(album: Path) -> None:
    lines = f"{album}/b.jpg\r\n\n{album}/deep/c.jpeg\n{album}/clip.mp4\n{album}/gone.jpg"
    # What is missing is found out when its turn comes: one of a million must not stop the others.
    assert found(album, "-", stdin=lines.encode()) == ["b.jpg", "deep/c.jpeg", "clip.mp4", "gone.jpg"]


def test_a_image_on_stdin() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    for ending in (".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm"):
        data = cv2.imencode(ending, noise)[1].tobytes()
        sources = find_sources(["-"], io.BytesIO(data))
        assert (sources.names, sources.stdin) == (["-"], data)


def test_what_names_nothing_is_an_error(album: Path) -> None:
    (album / "bare").mkdir()
    for argument, part in (
        (album / "gone", r"gone: there is no such image, video or folder"),
        (album / "notes.txt", r"notes\.txt: neither an image nor a video by its name"),
        (str(album / "*.doc"), r"\*\.doc: no image or video matches this pattern"),
        (album / "bare", r"bare: no images in this folder.*bare/\*\*/\*"),
        ("-", "nothing came on stdin"),
    ):
        with pytest.raises(DataError, match=part):
            find_sources([argument], EMPTY)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("htp://host/clip.mp4", "did you mean http://host/clip.mp4?"),
        ("rstp://camera/1", "did you mean rtsp://camera/1?"),
        ("gopher://host/x", "no address begins with gopher://; there are rtsp, "),
        ("://host/x", "no address begins with ://"),
        ("http:/host/x.jpg", "did you mean http://host/x.jpg?"),
        ("https:host/x.jpg", "did you mean https://host/x.jpg?"),
        ("https//host/x.jpg", "did you mean https://host/x.jpg?"),
        ("www.example.org/x.jpg", "did you mean https://www.example.org/x.jpg?"),
        ("file:///photos/x.jpg", "give the path alone: /photos/x.jpg"),
        ("http://", "names no machine behind http://"),
        ("http:///x.jpg", "names no machine behind http://"),
        ("rtsp://:554/live", "names no machine behind rtsp://"),
        ("rtsp://user:word@/live", "names no machine behind rtsp://"),
        ("http://a host/x.jpg", "names no machine behind http://"),
        ("http://host:port/x.jpg", "names no machine behind http://"),
        ("http://host:123456/x", "names no machine behind http://"),
        ("http://[::1/x", "names no machine behind http://"),
    ],
)
def test_an_address_that_is_none_says_why(text: str, part: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}: .*{re.escape(part)}"):
        find_sources([text], None)


@pytest.mark.parametrize(
    "text",
    [
        "http://host/x", "HTTPS://host:8080/x?y=z#w", "rtsp://user:p%40ss@10.0.0.1:554/live", "http://[::1]:80/x",
        "udp://@:5000", "udp://:5000", "srt://host:1?mode=caller", "rtsp://höst/1",
    ],
)  # fmt: skip
def test_addresses_are_taken_as_they_are(text: str) -> None:
    assert list(find_sources([text], None).names) == [text]


def test_files_that_look_like_addresses_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "www.hands.jpg").touch()
    assert list(find_sources(["www.hands.jpg"], None).names) == ["www.hands.jpg"]
