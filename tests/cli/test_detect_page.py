"""docs/how-to/detect.md explains every output and shows a row as it is; tests/docs runs its commands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2

from helpers.running import Run
from seyolo.commands.detect_targets import SAVES

PAGE = (Path(__file__).parents[2] / "docs/how-to/detect.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_every_output_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE) == list(SAVES)


def test_the_row_on_the_page_is_a_row(run: Run, onnx: Path, image: Path, tmp_path: Path) -> None:
    (shown,) = (json.loads(text) for language, text in FENCED if language == "json")
    pixels = cv2.imread(str(image))
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 20, pixels.shape[1::-1]
    )
    writer.write(pixels)
    writer.release()
    outcome = run("detect", onnx, "clip.mp4", "--confidence", 0.001, "--jsonl", "-")
    row: dict[str, Any] = json.loads(outcome.out.splitlines()[0])
    assert list(shown) == list(row)
    assert list(shown["detections"][0]) == list(row["detections"][0])
    assert {type(value) for value in shown.values()} >= {type(value) for value in row.values() if value}
