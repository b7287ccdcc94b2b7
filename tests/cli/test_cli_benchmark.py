"""`seyolo benchmark`: runtimes by choice, memory, batches, the chart."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import cv2
import pytest

import seyolo
from helpers.running import Run, assert_refused
from seyolo.cli import make_app
from seyolo.processor import has_bf16


def test_runtimes_of_one_file_side_by_side(run: Run, onnx: Path, hands: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="needs seyolo[openvino]")
    precisions = ["f32", "bf16"] if has_bf16() else ["f32"]
    models = [onnx, *(f"{onnx}@openvino:{precision}" for precision in precisions)]
    outcome = run(
        "benchmark",
        *models,
        "--repeats",
        2,
        "--batch",
        2,
        "--data",
        hands,
        "--chart",
        "a.png",
        "--json",
        "a.json",
    )
    assert outcome.code == 0, outcome.err
    rows = json.loads((tmp_path / "a.json").read_text())["models"]
    assert [(row["runtime"], row["precision"]) for row in rows] == [
        ("onnxruntime", "f32"), *(("openvino", precision) for precision in precisions)
    ]  # fmt: skip
    for row in rows:
        assert row["batch"] == 2
        assert row["pictures_per_s"] > 0
        assert row["batch_pictures_per_s"] > 0
        assert set(row["metrics"]) == {"val", "test"}
        if row["peak_memory_mb"] is not None:
            assert 30 < row["peak_memory_mb"] < 2000
    # OpenVINO maps far more than ONNX Runtime does: the numbers are of processes of their own.
    assert rows[0]["peak_memory_mb"] != rows[1]["peak_memory_mb"]
    assert "tiny.onnx" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert cv2.imread(str(tmp_path / "a.png")) is not None


def test_a_chart_that_cannot_be_drawn_is_refused_at_once(run: Run, onnx: Path, hands: Path) -> None:
    assert_refused(run("benchmark", onnx, "--chart", "a.png"), "--data")
    assert_refused(run("benchmark", onnx, "--chart", "a.txt", "--data", hands), "a.txt", ".png, .svg, .pdf")


def test_choices_that_do_not_exist(run: Run, onnx: Path) -> None:
    assert_refused(run("benchmark", f"{onnx}@vino"), "'vino' is none of onnxruntime")
    assert_refused(run("benchmark", f"{onnx}@onnxruntime:bf16"), "computes in float32")
    assert_refused(run("benchmark", onnx, "--batch", 0), "a batch of 0")


def test_python_gives_what_the_verb_gives(onnx: Path) -> None:
    one, again = seyolo.benchmark([onnx, onnx], repeats=2)
    assert (one.name, again.name) == (str(onnx), f"{onnx} #2")
    assert one.runtime == "onnxruntime"
    assert one.input_size == (64, 64)
    assert one.metrics == {}
    (open_already,) = seyolo.benchmark({"mine": seyolo.Detector(onnx).backend}, repeats=1)
    assert (open_already.name, open_already.peak_memory_mb) == ("mine", None)


def test_val_on_a_runtime_of_choice(run: Run, checkpoint: Path, hands: Path) -> None:
    outcome = run("val", f"{checkpoint}@torch", "--data", hands, "--split", "test", "--json", "-")
    assert outcome.code == 0, outcome.err
    plain = run("val", checkpoint, "--data", hands, "--split", "test", "--json", "-")
    metrics = [json.loads(each.out)["metrics"]["test"] for each in (outcome, plain)]
    assert metrics[0]["ap"] == pytest.approx(metrics[1]["ap"], abs=1e-3)


def test_the_commands_of_the_page_parse() -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/inference.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("seyolo ")]
    assert len(lines) == 3
    for line in lines:
        make_app().parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)
