"""`seyolo detect` from the shell's point of view: sources, outputs, bad input, and runs that go on."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from helpers.running import Run, assert_refused
from seyolo.runtime.onnxruntime_backend import OnnxRuntimeBackend

WHILE_RUNNING = """
import resource, sys
limit = int(sys.argv.pop(1))
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from seyolo.cli import command
command()
"""


def seyolo(folder: Path, *arguments: object, stdin: bytes = b"", limit: int = 0) -> Any:
    """The command as a process; no file of it may grow beyond `limit` bytes, if given."""
    line = [sys.executable, "-c", WHILE_RUNNING, str(limit), *map(str, arguments)]
    return subprocess.run(line, input=stdin, capture_output=True, cwd=folder, timeout=120, check=False)


@pytest.fixture
def album(tmp_path: Path, image: Path) -> Path:
    """A folder `in` of five images."""
    (tmp_path / "in").mkdir()
    for number in range(5):
        shutil.copy(image, tmp_path / f"in/{number}.jpg")
    return tmp_path / "in"


@pytest.fixture
def clip(tmp_path: Path, image: Path) -> Path:
    """A video of eight times the image."""
    return write_clip(tmp_path / "clip.avi", [cv2.imread(str(image))] * 8)


def write_clip(path: Path, frames: Sequence[np.ndarray]) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def rows_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_everything_that_can_be_saved(run: Run, onnx: Path, album: Path, clip: Path, tmp_path: Path) -> None:
    line = ["detect", onnx, "in", "clip.avi", "--confidence", 0.001, "--out", "found"]
    outcome = run(*line, "--save", "images,video,json,jsonl,csv,yolo,coco,crops")
    assert outcome.code == 0, outcome.err
    assert "in/0.jpg: class 0 0." in outcome.out
    assert "clip.avi: objects in 8 of 8 frames" in outcome.out
    found = tmp_path / "found"
    rows = rows_of((found / "detections.jsonl").read_text())
    assert [row["picture"] for row in rows] == [f"in/{number}.jpg" for number in range(5)] + ["clip.avi"] * 8
    assert [row["frame"] for row in rows[5:]] == list(range(8))
    assert json.loads((found / "detections.json").read_text())["pictures"] == rows
    total = sum(len(row["detections"]) for row in rows)
    assert total > 13
    assert len(list(csv.reader(io.StringIO((found / "detections.csv").read_text())))) == 1 + total
    coco = json.loads((found / "detections.coco.json").read_text())
    assert (len(coco["images"]), len(coco["annotations"])) == (13, total)
    labels = [f"{number}.txt" for number in range(5)] + [f"clip/{number:06d}.txt" for number in range(8)]
    assert names_in(found / "labels") == sorted(labels)
    assert sum(len((found / "labels" / name).read_text().splitlines()) for name in labels) == total
    assert len(names_in(found / "crops" / "class 0")) == total
    assert {f"{number}.jpg" for number in range(5)} | {"clip.mp4"} <= set(names_in(found))


def test_only_what_is_asked_for_is_saved(run: Run, onnx: Path, album: Path, tmp_path: Path) -> None:
    assert run("detect", onnx, "in", "--out", "found", "--save", "csv").code == 0
    assert names_in(tmp_path / "found") == ["config.json", "detections.csv", "detections.jsonl"]
    assert run("detect", onnx, "in", "--save", "yolo", "--json", "x.json").code == 0
    assert len(names_in(tmp_path / "runs/detect/detect/labels")) == 5
    assert len(json.loads((tmp_path / "x.json").read_text())["pictures"]) == 5
    assert_refused(run("detect", onnx, "in", "--save", "csv,xml"), "--save xml", "images,video,json")


def test_lines_of_json(run: Run, onnx: Path, album: Path, clip: Path, tmp_path: Path) -> None:
    outcome = run("detect", onnx, "in", "clip.avi", "--jsonl", "-")
    assert (outcome.code, len(rows_of(outcome.out)), outcome.err) == (0, 13, "")
    assert run("detect", onnx, "in", "clip.avi", "--jsonl", "x.jsonl").code == 0
    assert (tmp_path / "x.jsonl").read_text() == outcome.out
    assert not (tmp_path / "runs").exists()
    assert_refused(run("detect", onnx, "in", "--json", "-", "--jsonl", "-"), "cannot share stdout")
    assert_refused(run("detect", onnx, "in", "--jsonl", "in"), "--jsonl in: ", "is a folder")


def test_stdin_is_a_image_or_a_list_of_files(onnx: Path, album: Path, tmp_path: Path) -> None:
    data = (album / "0.jpg").read_bytes()
    done = seyolo(tmp_path, "detect", onnx, "-", "--json", "-", stdin=data)
    (from_bytes,) = json.loads(done.stdout)["pictures"]
    listed = seyolo(tmp_path, "detect", onnx, "-", "--jsonl", "-", stdin=b"in/3.jpg\nin/1.jpg\n")
    from_list = rows_of(listed.stdout.decode())
    assert from_bytes["picture"] == "-"
    assert [row["picture"] for row in from_list] == ["in/3.jpg", "in/1.jpg"]
    assert from_bytes["detections"] == from_list[0]["detections"]


def test_max_frames(run: Run, onnx: Path, clip: Path) -> None:
    outcome = run("detect", onnx, clip, "--max-frames", 3, "--jsonl", "-")
    assert [row["frame"] for row in rows_of(outcome.out)] == [0, 1, 2]
    assert_refused(run("detect", onnx, clip, "--max-frames", 0), "--max-frames 0: at least 1")


def test_a_mistyped_option_is_no_source(run: Run, onnx: Path, album: Path) -> None:
    assert_refused(
        run("detect", onnx, "in", "--confidenc", 0.5), "--confidenc: no such option", "--confidence?"
    )
    assert_refused(run("detect", onnx, "in", "-x"), "-x: no such option", "--help")


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("97", "camera 97: cannot be opened; is it plugged in"),
        ("rtsp://127.0.0.1:9/live", "rtsp://127.0.0.1:9/live: cannot be opened; is the address right"),
        ("http://127.0.0.1:9/live", "http://127.0.0.1:9/live: cannot be opened; is the address right"),
        ("none.mp4", "none.mp4: there is no such image, video or folder"),
        ("text.mp4", "text.mp4: cannot be opened as a video"),
        ("half.mp4", "half.mp4: cannot be opened as a video"),
        ("bomb.png", "bomb.png: the image has 3,600 million pixels"),
    ],
)
def test_what_cannot_be_opened_is_one_line_and_leaves_nothing(
    onnx: Path, clip: Path, tmp_path: Path, source: str, part: str
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    writer = cv2.VideoWriter(str(tmp_path / "half.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 20, (64, 64))
    for _ in range(20):
        writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()
    (tmp_path / "half.mp4").write_bytes((tmp_path / "half.mp4").read_bytes()[:-300])
    header = b"\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0" + b"\0" * 4
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + b"\0\0\0\0IEND\xae\x42\x60\x82")
    done = seyolo(tmp_path, "detect", onnx, source)
    # The runtime of an endless source is chosen first.
    (line,) = (line for line in done.stderr.decode().splitlines() if " ms an image " not in line)
    assert line.startswith(f"error: {part}")
    assert (done.returncode, done.stdout) == (2, b"")
    assert not list((tmp_path / "runs").rglob("*.json*"))


def test_unreadable_images_are_listed_and_counted(run: Run, onnx: Path, album: Path, tmp_path: Path) -> None:
    for number in range(1, 5):
        (album / f"{number}.jpg").write_bytes(b"broken")
    for number in range(5, 9):
        (album / f"{number}.jpg").touch()
    outcome = run("detect", onnx, "in", "--out", "found")
    assert outcome.code == 2
    assert "8 of 9 images could not be read, the others are done" in outcome.err
    assert outcome.err.count("in/") == 5
    assert "and 3 more" in outcome.err
    value = json.loads((tmp_path / "found/detections.json").read_text())
    assert [row["picture"] for row in value["pictures"]] == ["in/0.jpg"]
    assert [row["picture"] for row in value["unreadable"]] == [f"in/{number}.jpg" for number in range(1, 9)]


def test_strict_stops_and_goes_on_when_it_is_mended(
    run: Run, onnx: Path, album: Path, tmp_path: Path
) -> None:
    whole = (album / "2.jpg").read_bytes()
    (album / "2.jpg").write_bytes(whole[:-100])
    outcome = run("detect", onnx, "in", "--out", "found", "--strict")
    assert outcome.code == 2
    assert "resume with: seyolo detect --resume found" in outcome.err
    assert "error: in/2.jpg: the image is truncated" in outcome.err
    assert not (tmp_path / "found/detections.json").exists()
    assert_refused(run("detect", onnx, "in", "--out", "found"), "holds an interrupted run")
    (album / "2.jpg").write_bytes(whole)
    again = run("detect", "--resume", "found")
    assert again.code == 0, again.err
    value = json.loads((tmp_path / "found/detections.json").read_text())
    assert [row["picture"] for row in value["pictures"]] == [f"in/{number}.jpg" for number in range(5)]


def test_the_images_of_a_finished_run_make_way(run: Run, onnx: Path, album: Path, tmp_path: Path) -> None:
    assert run("detect", onnx, "in/0.jpg", "in/1.jpg", "--out", "found").code == 0
    shutil.copy(album / "0.jpg", tmp_path / "found/mine.jpg")
    assert run("detect", onnx, "in/1.jpg", "in/2.jpg", "--out", "found").code == 0
    assert sorted(path.name for path in (tmp_path / "found").glob("*.jpg")) == ["1.jpg", "2.jpg", "mine.jpg"]


def test_resume_takes_everything_from_its_run(run: Run, onnx: Path, album: Path, tmp_path: Path) -> None:
    assert_refused(run("detect", "--resume", "found"), "no run to resume here")
    assert run("detect", onnx, "in", "--out", "found").code == 0
    assert_refused(run("detect", "--resume", "found"), "this run is finished")
    for extra in (["in"], ["--confidence", 0.5], ["--out", "other"], ["--attention", "se"]):
        assert_refused(run("detect", *extra, "--resume", "found"), "--resume takes all options from its run")
    config = json.loads((tmp_path / "found/config.json").read_text())
    (tmp_path / "camera").mkdir()
    (tmp_path / "camera/config.json").write_text(json.dumps(config | {"sources": ["0"]}))
    assert_refused(run("detect", "--resume", "camera"), "a camera or stream cannot be resumed")


def test_a_run_of_version_0_1_0_is_resumed(run: Run, onnx: Path, album: Path, tmp_path: Path) -> None:
    assert run("detect", onnx, "in", "--out", "found", "--confidence", 0.5).code == 0
    whole = (tmp_path / "found/detections.jsonl").read_text()
    path = tmp_path / "found/config.json"
    config = json.loads(path.read_text())
    start = {
        "weights": None,
        "num_classes": None,
        "attention": None,
        "at": [],
        "reduction": 16,
        "join": "scale",
    }
    old = {name: value for name, value in config.items() if name not in start} | {"start": start}
    path.write_text(json.dumps(old))
    (tmp_path / "found/detections.jsonl").rename(tmp_path / "found/detections.partial.jsonl")
    (tmp_path / "found/detections.partial.jsonl").write_text("".join(whole.splitlines(True)[:2]))
    resumed = run("detect", "--resume", "found")
    assert resumed.code == 0, resumed.err
    assert (tmp_path / "found/detections.jsonl").read_text() == whole
    assert json.loads((tmp_path / "found/detections.json").read_text())["confidence"] == 0.5
    path.write_text(json.dumps(old | {"batch": "many"}))
    (tmp_path / "found/detections.jsonl").unlink()
    assert_refused(run("detect", "--resume", "found"), "batch: expected int, got str")


def test_workers_share_a_folder(run: Run, onnx: Path, album: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(album / "0.jpg", tmp_path / "other")
    for part in ("1/2", "2/2"):
        assert run("detect", onnx, "in", "other", "--out", "found", "--shard", part).code == 0
    assert run("detect", onnx, "in", "other", "--out", "whole").code == 0
    tables = sorted((tmp_path / "found").glob("detections.*.jsonl"))
    assert [table.name for table in tables] == ["detections.1-of-2.jsonl", "detections.2-of-2.jsonl"]
    rows = [row for table in tables for row in rows_of(table.read_text().replace("found/", "whole/"))]
    whole = rows_of((tmp_path / "whole/detections.jsonl").read_text())
    assert sorted(map(str, rows)) == sorted(map(str, whole))
    images = [f"{number}.jpg" for number in range(5)]
    assert [name for name in names_in(tmp_path / "found") if name.endswith("jpg")] == ["0-2.jpg", *images]
    assert_refused(run("detect", onnx, "in", "--shard", "3/2"), "--shard 3/2")


def wait_for_rows(journal: Path, number: int) -> None:
    deadline = time.monotonic() + 60
    while not journal.is_file() or journal.read_bytes().count(b"\n") < number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("album", "clip")
def test_a_killed_run_goes_on_with_each_image_once(
    run: Run, onnx: Path, tmp_path: Path, number: signal.Signals
) -> None:
    album = tmp_path / "in"
    for copy in range(250):
        os.link(album / "0.jpg", album / f"more-{copy}.jpg")
    (album / "1.jpg").write_bytes(b"broken")
    line = ["detect", onnx, "in", "clip.avi", "--out", "found", "--save", "images,video,csv,yolo"]
    command = [sys.executable, "-m", "seyolo", *map(str, line)]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as process:
        wait_for_rows(tmp_path / "found/detections.partial.jsonl", 20)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert err.decode().splitlines()[-1] == "interrupted; resume with: seyolo detect --resume found"
    with (tmp_path / "found/detections.partial.jsonl").open("rb+") as journal:
        kept = journal.read().count(b"\n")
        journal.write(b'{"image": "in/half a li')
    assert 20 <= kept < 255
    assert not (tmp_path / "found/detections.csv").exists()
    done = run("detect", "--resume", "found")
    assert done.code == 2
    assert "1 of 256 sources could not be read" in done.err
    rows = rows_of((tmp_path / "found/detections.jsonl").read_text())
    counted = Counter(row["picture"] for row in rows)
    assert counted.pop("clip.avi") == 8
    assert counted == Counter(f"in/{path.name}" for path in album.iterdir())
    assert len(names_in(tmp_path / "found/labels")) == 254 + 8
    assert not [name for name in names_in(tmp_path / "found") if "partial" in name]
    assert run(*line[:-3], "whole", *line[-2:]).code == 2
    assert (tmp_path / "whole/detections.csv").read_bytes() == (
        tmp_path / "found/detections.csv"
    ).read_bytes()
    for name in names_in(tmp_path / "whole/labels"):
        assert (tmp_path / "whole/labels" / name).read_text() == (
            tmp_path / "found/labels" / name
        ).read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("clip")
def test_a_run_stopped_in_a_video_keeps_the_whole_ones_and_goes_on(
    run: Run, onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    shutil.copy(tmp_path / "clip.avi", tmp_path / "other.avi")
    infer, calls = OnnxRuntimeBackend.infer, []

    def stopped(backend: OnnxRuntimeBackend, batch: np.ndarray) -> np.ndarray:
        calls.append(len(batch))
        if len(calls) == 12:
            signal.raise_signal(number)
        return infer(backend, batch)

    monkeypatch.setattr(OnnxRuntimeBackend, "infer", stopped)
    outcome = run("detect", onnx, "clip.avi", "other.avi", "--out", "found", "--save", "video,json")
    assert outcome.code == 128 + number
    assert outcome.err.splitlines()[-1] == "interrupted; resume with: seyolo detect --resume found"
    assert num_frames(tmp_path / "found/clip.mp4") == 8
    # Nothing of the video it was in has its name or lies about, and every row is whole.
    assert names_in(tmp_path / "found") == ["clip.mp4", "config.json", "detections.partial.jsonl"]
    rows = rows_of((tmp_path / "found/detections.partial.jsonl").read_text())
    assert [row["picture"] for row in rows] == ["clip.avi"] * 8 + ["other.avi"] * 3
    assert run("detect", "--resume", "found").code == 0
    assert [num_frames(tmp_path / f"found/{name}.mp4") for name in ("clip", "other")] == [8, 8]
    images = json.loads((tmp_path / "found/detections.json").read_text())["pictures"]
    assert Counter(row["picture"] for row in images) == {"clip.avi": 8, "other.avi": 8}


def num_frames(path: Path) -> int:
    """Frames that can be read, one after the other."""
    capture, number = cv2.VideoCapture(str(path)), 0
    while capture.grab():
        number += 1
    capture.release()
    return number


@pytest.mark.parametrize(
    ("options", "fits_and_not"),
    [
        ("--save images --confidence 0", ("config.json", "0.jpg")),
        ("--save jsonl --confidence 0", ("config.json", "detections.jsonl")),
        ("--save csv,json --confidence 0", ("detections.jsonl", "detections.json")),
        ("--save video --confidence 1", ("detections.jsonl", "clip.mp4")),
    ],
)
def test_a_full_disk_is_one_line_and_the_run_goes_on(
    run: Run, onnx: Path, album: Path, options: str, fits_and_not: tuple[str, str]
) -> None:
    """The limit lies between two sizes of a whole run, so it does not depend on how much is found."""
    folder, too_large = album.parent, fits_and_not[1]
    # Noise is hard to compress: the annotated video is larger than the journal.
    write_clip(folder / "clip.avi", np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8))
    line = ["detect", onnx, "in", "clip.avi", "--out", "found", *options.split()]
    assert run(*line).code == 0
    whole = (folder / "found").rename(folder / "whole")
    smaller, larger = ((whole / name).stat().st_size for name in fits_and_not)
    assert smaller < 0.9 * larger

    done = seyolo(folder, *line, limit=(smaller + larger) // 2)
    last = done.stderr.decode().splitlines()[-1]
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr.decode()
    assert last.startswith(f"error: found/{too_large.replace('s.jsonl', 's.partial.jsonl')}: "), last
    assert not {too_large, "detections.jsonl"} & set(names_in(folder / "found"))
    again = run("detect", "--resume", "found")
    assert again.code == 0, again.err
    rows = [(run_folder / "detections.jsonl").read_text() for run_folder in (folder / "found", whole)]
    assert len(rows_of(rows[0])) == 13
    assert rows[0] == rows[1]


class Stream(BaseHTTPRequestHandler):
    """A network camera: JPEG images, one after the other, without end."""

    image = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(self.image)
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(head + self.image + b"\r\n")
                time.sleep(0.02)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_recording_of_a_stream(
    onnx: Path, image: Path, tmp_path: Path, number: signal.Signals
) -> None:
    Stream.image = image.read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stream)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    line = ["detect", onnx, f"http://127.0.0.1:{server.server_port}/video", "--out", "found"]
    command = [sys.executable, "-m", "seyolo", *map(str, line)]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        wait_for_rows(tmp_path / "found/detections.partial.jsonl", 5)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    server.shutdown()
    server.server_close()
    assert process.returncode == 128 + number
    assert err.decode().endswith("results are in found\ninterrupted; results are whole up to here\n")
    frames = [
        row["frame"] for row in json.loads((tmp_path / "found/detections.json").read_text())["pictures"]
    ]
    assert len(frames) >= 5
    assert frames == sorted(set(frames))
    assert num_frames(tmp_path / "found/stream.mp4") == frames[-1] + 1
