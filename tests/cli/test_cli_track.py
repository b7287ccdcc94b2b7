"""`seyolo detect --track` and `--count`: every output, a run that goes on, and bad input."""

from __future__ import annotations

import csv
import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import seyolo
from helpers.running import Run, assert_refused
from helpers.spot_detector import spot_detector, spot_image

pytest.importorskip("trackers", reason="needs trackers and seyolo[track]")

LINE = "line:32,0,32,64"


@pytest.fixture(scope="module")
def spots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that finds bright spots."""
    path = tmp_path_factory.mktemp("spots") / "spots.onnx"
    seyolo.export(spot_detector(), path)
    return path


def write_clip(path: Path, num_frames: int = 6) -> Path:
    """A spot that moves by 4 px per frame, from x = 20 on."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
    for number in range(num_frames):
        writer.write(spot_image([(5 + number, 8)]))
    writer.release()
    return path


@pytest.fixture
def clips(tmp_path: Path) -> list[str]:
    return [write_clip(tmp_path / name).name for name in ("a.avi", "b.avi")]


def test_ids_and_counts_in_every_output(run: Run, spots: Path, clips: list[str], tmp_path: Path) -> None:
    everything = "video,json,jsonl,csv,yolo,coco,crops"
    outcome = run("detect", spots, *clips, "--count", LINE, "--out", "found", "--save", everything)
    assert outcome.code == 0, outcome.err
    for clip in clips:
        assert f"{clip}: {LINE}: in: 1 class 0; out: 0" in outcome.out
    found = json.loads((tmp_path / "found/detections.json").read_text())
    areas = [{"area": LINE, "in": {"class 0": 1}, "out": {}}]
    assert found["counts"] == [{"picture": clip, "areas": areas} for clip in clips]
    ids: list[Any] = [[one["track_id"] for one in row["detections"]] for row in found["pictures"]]
    assert ids == [[None], [1], [1], [1], [1], [1]] * 2
    with (tmp_path / "found/detections.csv").open() as file:
        assert [row["track_id"] for row in csv.DictReader(file)] == ["", *"11111"] * 2
    coco = json.loads((tmp_path / "found/detections.coco.json").read_text())
    assert [one["track_id"] for one in coco["annotations"]] == [None, 1, 1, 1, 1, 1] * 2
    assert (tmp_path / "found/crops/class 0/a/id-0001/000005.jpg").is_file()


def test_without_tracking_no_output_has_ids(run: Run, spots: Path, clips: list[str], tmp_path: Path) -> None:
    assert run("detect", spots, clips[0], "--out", "found", "--save", "json,csv,coco").code == 0
    texts = [
        path.read_text() for path in (tmp_path / "found").iterdir() if path.name.startswith("detections")
    ]
    assert len(texts) == 4
    assert not any("track_id" in text or "counts" in text for text in texts)


def test_a_resumed_run_ends_with_the_rows_of_a_whole_one(
    run: Run, spots: Path, clips: list[str], tmp_path: Path
) -> None:
    assert run("detect", spots, *clips, "--count", LINE, "--out", "found").code == 0
    whole = json.loads((tmp_path / "found/detections.json").read_text())
    lines = (tmp_path / "found/detections.jsonl").read_text().splitlines(keepends=True)
    # Stopped in the middle of the second video.
    os.remove(tmp_path / "found/detections.jsonl")
    (tmp_path / "found/detections.partial.jsonl").write_text("".join(lines[:9]) + lines[9][:20])
    outcome = run("detect", "--resume", "found")
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "found/detections.json").read_text()) == whole
    assert (tmp_path / "found/detections.jsonl").read_text() == "".join(lines)


def test_images_have_no_ids(run: Run, spots: Path, clips: list[str], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "c.png"), spot_image([(5, 8)]))
    assert_refused(
        run("detect", spots, "c.png", "--track"), "--track: images have no track ids; give a video"
    )
    assert_refused(run("detect", spots, "c.png", "--count", LINE), "--count: images have no track ids")
    outcome = run("detect", spots, "c.png", clips[0], "--track", "--json", "-")
    assert "--track: 1 image without track ids; only videos have them" in outcome.err
    rows = json.loads(outcome.out)["pictures"]
    assert [len(row["detections"]) for row in rows] == [1] * 7
    assert ["track_id" in row["detections"][0] for row in rows] == [False] + [True] * 6


def test_bad_input_is_refused_before_any_work(
    run: Run, spots: Path, clips: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, part in (
        ("line:1,2", "a line has two points"),
        ("line:1,2,300,4", "the point 300,4 is outside a.avi, which has 64x64 pixels"),
        ("zone:1,1,9,1,1,90", "the point 1,90 is outside a.avi"),
    ):
        assert_refused(run("detect", spots, *clips, "--count", text), f"--count {text}: ", part)

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    told = "--track needs trackers, which is not installed; get it with: pip install "
    command = '&& pip install --no-deps "trackers>=2.6"'
    assert_refused(run("detect", spots, *clips, "--track"), told, command)
    assert not (tmp_path / "runs").exists()


def test_several_counts_and_sources_behind_an_option(run: Run, spots: Path, clips: list[str]) -> None:
    zone = "zone:0,0,50%,0,50%,100%,0,100%"
    outcome = run("detect", spots, "--count", LINE, "--count", zone, *clips, "--json", "-")
    assert outcome.code == 0, outcome.err
    counted = json.loads(outcome.out)["counts"]
    assert [one["picture"] for one in counted] == clips
    assert [area["area"] for area in counted[0]["areas"]] == [LINE, zone]
    assert counted[0]["areas"][1] == {
        "area": zone, "in": {}, "out": {"class 0": 1}, "inside": {}, "seen": {"class 0": 1},
    }  # fmt: skip


def test_labels_show_the_id() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    column = [[40, 60, 200, 160]], [0.9], [0], ["hand"]
    plain, tracked = (
        seyolo.Detections(*column, track_ids=track_ids).draw(image) for track_ids in (None, [7])
    )
    unknown = seyolo.Detections(*column, track_ids=[-1]).draw(image)
    assert np.array_equal(plain, unknown)
    # The label is longer, the box the same.
    assert (tracked != plain).any()
    assert np.array_equal(tracked[70:], plain[70:])
