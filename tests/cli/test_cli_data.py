"""`seyolo data`: draw, check, anchors, convert."""

from __future__ import annotations

import json
from pathlib import Path

from running import Run, assert_refused


def test_synth_draws_what_check_finds_sound(run: Run, tmp_path: Path) -> None:
    outcome = run(
        "data", "synth", "drawn", "--train", 3, "--val", 1, "--test", 2, "--size", 64, "--json", "-"
    )
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["data"] == "drawn/data.yaml"
    report = json.loads(run("data", "check", "drawn/data.yaml", "--json", "-").out)
    assert [split["num_pictures"] for split in report["splits"]] == [3, 1, 2]
    assert report["problems"] == []
    assert_refused(run("data", "synth", "drawn", "--size", 64), "drawn")
    assert not list(tmp_path.glob(".*"))


def test_check_lists_problems_and_exits_with_2(run: Run, tmp_path: Path) -> None:
    assert run("data", "synth", "drawn", "--train", 2, "--val", 1, "--test", 1, "--size", 64).code == 0
    label = tmp_path / "drawn/labels/train/000000.txt"
    label.write_text("3 0.5 0.5 0.1 0.1\n")
    outcome = run("data", "check", "drawn/data.yaml")
    assert outcome.code == 2
    assert f"{Path('drawn/labels/train/000000.txt')}:1" in outcome.out
    assert "one problem; mend" in outcome.err


def test_anchors_cover_the_boxes(run: Run, hands: Path) -> None:
    value = json.loads(run("data", "anchors", hands, "--size", 64, "--num", 3, "--json", "-").out)
    areas = [width * height for width, height in value["anchors"]]
    assert areas == sorted(areas)
    assert 0.4 < value["mean_iou"] <= 1
    assert run("data", "anchors", hands, "--size", 64, "--num", 3).out.startswith("anchors=")
    assert_refused(run("data", "anchors", hands, "--num", 500), "500 anchors")


def test_oxford_refuses_what_is_not_the_archive(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert_refused(run("data", "oxford", "folder", "out"), "Oxford Hand")
    assert_refused(run("data", "oxford", "gone.tar.gz", "out"), "gone.tar.gz")
    assert not (tmp_path / "out").exists()
