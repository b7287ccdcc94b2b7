"""docs/detect.md cannot promise what is not there: its commands run here, on files of the names it uses."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
from running import Run

from seyolo.cli import make_app
from seyolo.commands.detect_targets import SAVES

PAGE = (Path(__file__).parents[2] / "docs/detect.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
LINES = [line for language, text in FENCED if language == "bash" for line in text.splitlines()]
LIVE = re.compile(r" 0 |://")


@pytest.fixture
def place(run: Run, onnx: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything the page names, and `seyolo` to be called by a shell."""
    shutil.copy(onnx, tmp_path / "hand.onnx")
    for folder in ("photos/deep", "clips", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("photo.jpg", "other.png", "photos/a.jpg", "photos/b.jpg", "photos/deep/c.jpg"):
        cv2.imwrite(str(tmp_path / name), cv2.imread(str(picture)))
    os.utime(tmp_path / "photo.jpg", (0, 0))
    image = cv2.imread(str(picture))
    for name in ("clip.mp4", "clips/one.mp4"):
        path, codec = str(tmp_path / name), cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(path, codec, 20, image.shape[1::-1])
        for _ in range(4):
            writer.write(image)
        writer.release()
    (tmp_path / "bin/seyolo").write_text(f'#!/bin/sh\nexec {sys.executable} -m seyolo "$@"\n')
    (tmp_path / "bin/seyolo").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    return tmp_path


def interrupt(folder: Path) -> None:
    """Leaves a finished run as if it had been stopped before its last picture."""
    lines = (folder / "detections.jsonl").read_text().splitlines(keepends=True)
    (folder / "detections.jsonl").unlink()
    (folder / "detections.json").unlink()
    (folder / "detections.partial.jsonl").write_text("".join(lines[:-1]))


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("seyolo ")])
def test_a_command_parses(line: str) -> None:
    words = shlex.split(line.partition(" | ")[0])
    make_app().parse_args(words[1:], exit_on_error=False, print_error=False)


def test_every_command_that_needs_no_camera_runs(run: Run, place: Path) -> None:
    lines = [line for line in LINES if not LIVE.search(line)]
    assert len(LINES) - len(lines) == 3
    for line in lines:
        if "--resume" in line:
            interrupt(place / line.split()[-1])
        if " | " in line:
            subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=place, check=True, capture_output=True)
        else:
            outcome = run(*shlex.split(line)[1:])
            assert outcome.code == 0, (line, outcome)
    tables = ["detections.coco.json", "detections.csv", "detections.json", "detections.jsonl"]
    assert sorted(path.name for path in (place / "all").glob("detections*")) == tables
    assert (place / "clips_found/clip.mp4").is_file()
    assert (place / "shared/detections.2-of-8.csv").is_file()
    assert len(json.loads((place / "found_in_parts/detections.json").read_text())["pictures"]) == 2


def test_every_output_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE) == list(SAVES)


def test_the_row_on_the_page_is_a_row(run: Run, place: Path) -> None:
    (shown,) = (json.loads(text) for language, text in FENCED if language == "json")
    outcome = run("detect", "hand.onnx", "clip.mp4", "--confidence", 0.001, "--jsonl", "-")
    row: dict[str, Any] = json.loads(outcome.out.splitlines()[0])
    assert list(shown) == list(row)
    assert list(shown["detections"][0]) == list(row["detections"][0])
    assert {type(value) for value in shown.values()} >= {type(value) for value in row.values() if value}
