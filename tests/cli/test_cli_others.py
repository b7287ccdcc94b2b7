"""Models of other programs beside ours: detected with, evaluated, benchmarked."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.foreign_models import (
    BOXES_XYXY,
    NAMES,
    SIZE_PX,
    columns_output,
    rows_output,
    suppressed_output,
    ultralytics_metadata,
    write_constant,
)
from helpers.running import Run, assert_refused

FILES = {
    "columns.onnx": (columns_output(), ultralytics_metadata()),
    "rows.onnx": (rows_output(), {"stride": "32", "names": str(dict(enumerate(NAMES)))}),
    "inside.onnx": (suppressed_output(), ultralytics_metadata(nms=True)),
    "end2end.onnx": (suppressed_output(), ultralytics_metadata(end2end=True)),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data.yaml with one image, on which every one of these models is right; and the models."""
    for name, (output, metadata) in FILES.items():
        write_constant(tmp_path / name, output, metadata)
    for kind in ("images", "labels"):
        (tmp_path / kind / "test").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "images/test/a.png"), np.full((SIZE_PX, SIZE_PX, 3), 90, np.uint8))
    rows = []
    for class_id, (x0, y0, x1, y1) in zip((0, 2), BOXES_XYXY, strict=False):
        sides = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
        rows.append(" ".join([str(class_id), *(f"{side / SIZE_PX:.6f}" for side in sides)]))
    (tmp_path / "labels/test/a.txt").write_text("\n".join(rows) + "\n")
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(NAMES))
    (tmp_path / "data.yaml").write_text(f"path: .\ntest: images/test\nnames:\n{names}")
    return tmp_path / "data.yaml"


@pytest.mark.parametrize("name", FILES)
def test_val_counts_what_they_find(name: str, run: Run, data: Path) -> None:
    pytest.importorskip("faster_coco_eval")
    outcome = run("val", name, "--data", data, "--split", "test", "--json", "-")
    assert outcome.code == 0, outcome.err
    metrics = json.loads(outcome.out)["metrics"]["test"]
    assert (metrics["ap"], metrics["ap50"]) == (1.0, 1.0)
    assert ("suppression is inside" in outcome.err) == (name in ("inside.onnx", "end2end.onnx"))


@pytest.mark.parametrize("name", FILES)
def test_detect_names_what_they_find(name: str, run: Run, data: Path) -> None:
    outcome = run("detect", name, "images/test", "--json", "-")
    found = json.loads(outcome.out)["pictures"][0]["detections"]
    assert [row["name"] for row in found][:2] == ["hand", "cup"]
    np.testing.assert_allclose([row["box"] for row in found[:2]], BOXES_XYXY[:2], atol=1e-3)


def test_benchmark_puts_them_side_by_side(run: Run, data: Path) -> None:
    pytest.importorskip("faster_coco_eval")
    outcome = run("benchmark", *FILES, "--data", data, "--repeats", 2, "--json", "-")
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)["models"]
    assert [row["name"] for row in rows] == list(FILES)
    assert {row["metrics"]["test"]["ap"] for row in rows} == {1.0}


def test_info_shows_names_and_shapes(run: Run, data: Path) -> None:
    value = json.loads(run("info", "columns.onnx", "--json", "-").out)
    assert (value["names"], value["input_size"]) == (list(NAMES), [SIZE_PX, SIZE_PX])


def test_the_page_in_a_browser_refuses_a_layout_that_it_does_not_read(
    run: Run, data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("starlette", reason="needs seyolo[web]")
    dist = tmp_path / "dist"
    dist.mkdir()
    for name in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
        (dist / name).touch()
    outcome = run("serve", "columns.onnx", "--browser", dist, "--port", 0)
    assert_refused(
        outcome, "--browser: columns.onnx has the output of another program", "leave --browser out"
    )
