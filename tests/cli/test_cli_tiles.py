"""`--tile` of `detect`, `val`, `train` and `serve` from the shell's point of view."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.running import Run, assert_refused
from seyolo.detecting.run_folder import Shard


@pytest.fixture
def large(tmp_path: Path, image: Path) -> Path:
    """A folder of two images of twelve times the size of a small one, and a small one."""
    pixels = cv2.imread(str(image))
    (tmp_path / "in").mkdir()
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"in/{number}.png"), np.tile(pixels, (3, 4, 1)))
    cv2.imwrite(str(tmp_path / "in/small.png"), pixels[:40, :40])
    return tmp_path / "in"


def rows_in(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_detect_in_tiles(run: Run, onnx: Path, large: Path, tmp_path: Path) -> None:
    line = ["detect", onnx, "in", "--confidence", 0.05, "--save", "json,jsonl,csv,yolo,coco,crops,images"]
    plain = run(*line, "--out", "plain")
    tiled = run(*line, "--out", "tiled", "--tile", "--tile-size", 48, "--batch", 3)
    assert (plain.code, tiled.code) == (0, 0), (plain.err, tiled.err)
    without, within = (rows_in(tmp_path / name / "detections.jsonl") for name in ("plain", "tiled"))
    assert [(row["picture"], row["width"]) for row in without] == [(r["picture"], r["width"]) for r in within]
    assert without[:2] != within[:2]
    assert without[2]["detections"] == within[2]["detections"]  # no larger than a tile
    for row in within:
        for item in row["detections"]:  # type: ignore[attr-defined]
            left, top, right, bottom = item["box"]
            assert 0 <= left < right <= row["width"]
            assert 0 <= top < bottom <= row["height"]
    options = json.loads((tmp_path / "tiled/config.json").read_text())
    assert (options["tile"], options["tile_size"], options["tile_overlap"]) == (True, 48, 0.25)


def test_a_run_goes_on_with_its_tiles(run: Run, onnx: Path, large: Path, tmp_path: Path) -> None:
    line = ["detect", onnx, "in", "--confidence", 0.05, "--tile", "--tile-size", "48x32", "--no-tile-whole"]
    assert run(*line, "--out", "whole", "--save", "json").code == 0
    whole = rows_in(tmp_path / "whole/detections.jsonl")
    assert run(*line, "--out", "cut", "--save", "json").code == 0
    final = tmp_path / "cut/detections.jsonl"
    (tmp_path / "cut/detections.partial.jsonl").write_text(json.dumps(rows_in(final)[0]) + "\n")
    final.unlink()
    assert run("detect", "--resume", "cut").code == 0
    assert rows_in(final) == whole
    for number in (1, 2):
        assert run(*line, "--out", "shared", "--shard", f"{number}/2").code == 0
    shared = [row for n in (1, 2) for row in rows_in(tmp_path / f"shared/detections{Shard(n, 2).tag}.jsonl")]
    by_name = {row["picture"]: row["detections"] for row in shared}
    assert by_name == {row["picture"]: row["detections"] for row in whole}


def test_a_video_in_tiles(run: Run, onnx: Path, large: Path, tmp_path: Path) -> None:
    frame = cv2.imread(str(large / "0.png"))
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20, frame.shape[1::-1])
    for _ in range(3):
        writer.write(frame)
    writer.release()
    outcome = run("detect", onnx, "a.avi", "--tile", "--tile-size", 64, "--jsonl", "-")
    assert (outcome.code, len(outcome.out.splitlines())) == (0, 3), outcome.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tile-size", 64], "--tile-size is for images cut into tiles; add --tile"),
        (["--tile-overlap", 0.5], "--tile-overlap is for images cut into tiles"),
        (["--no-tile-whole"], "--no-tile-whole is for images cut into tiles"),
        (["--tile", "--tile-overlap", 0.9], "--tile-overlap 0.9: a number from 0 to 0.75"),
        (["--tile", "--tile-overlap", -1], "--tile-overlap -1: a number from 0 to 0.75"),
        (["--tile", "--tile-overlap", "nan"], "--tile-overlap nan: a number from 0 to 0.75"),
        (["--tile", "--tile-size", 16], "--tile-size 16: a tile has at least 32 pixels a side"),
        (["--tile", "--tile-size", "64x16"], "--tile-size 64x16: a tile has at least 32 pixels a side"),
        (
            ["--tile", "--tile-size", "big"],
            "--tile-size big: expected pixels, 416 for a square, or WIDTHxHEIGHT",
        ),
        (
            ["--tile", "--tile-size", 99999],
            "--tile-size 99999: sides are at least 1 and at most 65,536 pixels",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["detect", "val", "train", "slim", "prune", "export"])
def test_options_that_make_no_sense(run: Run, verb: str, arguments: list[object], says: str) -> None:
    lines = {
        "detect": ["detect", "hand", "in"],
        "val": ["val", "hand", "--data", "x"],
        "prune": ["prune", "x.safetensors", "y.safetensors"],
        "export": ["export", "x.safetensors", "y.onnx"],
    }
    assert_refused(run(*lines.get(verb, [verb, "--data", "x"]), *arguments), says)


def test_train_and_val_in_tiles(run: Run, tiny_hands: Path, tmp_path: Path) -> None:
    # The images are 96x64 px: tiles of 64 px.
    line = [
        "train",
        "--data",
        tiny_hands,
        "--model",
        "yolov3-tiny@0.125",
        "--epochs",
        1,
        "--batch",
        4,
        "--size",
        64,
    ]
    outcome = run(*line, "--tile", "--name", "cut")
    assert outcome.code == 0, outcome.err
    folder = tmp_path / "runs/train/cut"
    config = json.loads((folder / "config.json").read_text())
    assert (config["tile"], config["tile_overlap"], config["tile_whole"]) == (True, 0.25, True)
    assert run("report", folder).code == 0
    assert "tile_overlap" in (folder / "report.html").read_text()
    best = folder / "best.safetensors"
    for arguments in ([], ["--tile"], ["--tile", "--tile-size", 48]):
        outcome = run("val", best, "--data", tiny_hands, "--json", "-", *arguments)
        assert outcome.code == 0, outcome.err
        assert 0 <= json.loads(outcome.out)["metrics"]["val"]["ap"] <= 1


def test_prune_measures_on_tiles(run: Run, checkpoint: Path, tiny_hands: Path, tmp_path: Path) -> None:
    line = ["prune", checkpoint, "--budget", "macs=80%", "--data", tiny_hands]
    assert run(*line, "--out", "whole.safetensors").code == 0
    assert run(*line, "--out", "cut.safetensors", "--tile", "--tile-size", 48).code == 0
    whole, cut = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole != cut


def test_tiles_need_a_data_set(run: Run, checkpoint: Path) -> None:
    says = "--tile cuts the images of a data set; give it with --data"
    assert_refused(run("prune", checkpoint, "y.safetensors", "--budget", "macs=80%", "--tile"), says)
    assert_refused(run("export", checkpoint, "y.onnx", "--tile"), says)


def test_small_objects_are_said_before_training(run: Run, tmp_path: Path) -> None:
    assert run("data", "synth", "drawn", "--train", 4, "--val", 2, "--test", 2, "--size", 640).code == 0
    line = ["train", "--data", "drawn/data.yaml", "--model", "yolov3-tiny@0.125", "--epochs", 1, "--batch", 2]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        outcome = run(*line, "--size", 32)
    says = "1 of 6 boxes is under 3 px at --size 32; the least that keeps them is 64, or use --tile"
    assert (outcome.code, says in outcome.err) == (0, True), outcome.err


def test_every_kind_of_image_in_a_folder(run: Run, onnx: Path, image: Path, tmp_path: Path) -> None:
    pixels = cv2.imread(str(image))
    (tmp_path / "in").mkdir()
    for ending in (".jfif", ".jpe", ".jp2", ".avif", ".gif", ".webp"):
        _, data = cv2.imencode(".jpg" if ending == ".jfif" else ending, pixels)
        (tmp_path / f"in/a{ending}").write_bytes(data.tobytes())
    outcome = run("detect", onnx, "in", "--out", "found", "--confidence", 0.05)
    assert outcome.code == 0, outcome.err
    written = {path.name for path in (tmp_path / "found").iterdir()}
    assert {"a.jpg", "a.jpe", "a.png", "a.avif", "a.mp4", "a.webp"} <= written
    assert len(rows_in(tmp_path / "found/detections.jsonl")) == 6
