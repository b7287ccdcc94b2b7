"""The tables of `seyolo benchmark`: numbers, names and width."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from seyolo.report.tables.benchmark import benchmark_tables, model_names, noise_lines
from seyolo.results import SplitMetrics

RAM = "; RAM: MB of the whole process, not of the file"


def row(name: str, runtime: str = "onnxruntime", **values: Any) -> Any:
    """A model of `seyolo benchmark`, without what the tables do not print."""
    printed = {
        "name": name,
        "runtime": runtime,
        "precision": "f32",
        "total_p50_ms": 1234.5,
        "total_p95_ms": 9.876,
        "total_noise": 0.034,
        "preprocess_p50_ms": 0.256,
        "p50_ms": 1233.0,
        "postprocess_p50_ms": 0.04,
        "pictures_per_s": 0.81,
        "batch": 1,
        "batch_pictures_per_s": None,
        "peak_memory_mb": 1203.4,
        "metrics": {},
    }
    return SimpleNamespace(**{**printed, **values})


def printed(rows: list[Any]) -> list[str]:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(*benchmark_tables(rows))
    return capture.get().splitlines()


def test_a_row_has_three_digits_and_whole_megabytes() -> None:
    header = next(line for line in printed([row("a.onnx")]) if "p50" in line)
    assert header.split()[-1] == "RAM"
    (line,) = [line for line in printed([row("a.onnx")]) if "a.onnx" in line]
    assert line.split() == "a.onnx onnxruntime 1234 9.88 0.26 1233 0.04 0.81 1203".split()


@pytest.mark.parametrize(("slower", "is_equal"), [(1.03, True), (1.05, False)])
def test_models_within_the_noise_are_said_to_be_about_as_fast(slower: float, is_equal: bool) -> None:
    rows = [row("b.onnx", total_p50_ms=10 * slower, total_noise=0.04), row("a.onnx", total_p50_ms=10.0)]
    said = (
        ["b.onnx onnxruntime is about as fast as a.onnx onnxruntime (within the noise)"] if is_equal else []
    )
    assert noise_lines(rows) == [f"noise of p50: ±4 %{RAM}", *said]
    assert noise_lines(rows[1:]) == [f"noise of p50: ±3 %{RAM}"]


def test_models_are_about_as_fast_up_to_the_slowest_within_the_noise() -> None:
    """The noise of c reaches down to a, so b, which is faster than c, is not passed over."""
    measured = [("c", 10.8, 0.2), ("d", 14.0, 0.01), ("b", 10.5, 0.01), ("a", 10.0, 0.01)]
    rows = [row(f"{name}.onnx", total_p50_ms=ms, total_noise=noise) for name, ms, noise in measured]
    assert noise_lines(rows) == [
        f"noise of p50: ±20 %{RAM}",
        "b.onnx onnxruntime is about as fast as a.onnx onnxruntime (within the noise)",
        "c.onnx onnxruntime is about as fast as a.onnx onnxruntime (within the noise)",
    ]
    assert noise_lines([rows[1], *rows[2:]]) == [f"noise of p50: ±1 %{RAM}"]


def test_it_fits_into_80_columns_with_everything_in_it() -> None:
    splits = {split: SplitMetrics(0.5, 0.9) for split in ("val", "val_small", "test", "test_small")}
    name = "a_name_of_a_file_that_is_longer_than_any_column.onnx"
    rows = [
        row(f"runs/{name}@openvino:bf16", "openvino", precision="bf16", metrics=splits, **batch)
        for batch in [{"batch": 16, "batch_pictures_per_s": 99.94}] * 2
    ]
    lines = printed(rows)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for part in ("by 16", "99.9", "1234", "1203", "val_small", "0.500", "openvino bf16", ".onnx"):
        assert part in text
    single = printed([row(f"runs/{name}@openvino:bf16", "openvino", precision="bf16", metrics=splits)])
    assert max(map(len, single)) <= 80
    assert sum("…" in line for line in single) == 2  # in the name of the file, and nowhere else


def test_what_is_not_known_is_a_dash() -> None:
    (line,) = [line for line in printed([row("a.onnx", peak_memory_mb=None)]) if "a.onnx" in line]
    assert line.split()[-1] == "–"


def test_names_leave_out_the_folders_that_all_have_in_common() -> None:
    rows = [
        row("runs/a/slim.onnx@openvino:bf16", "openvino", precision="bf16"),
        row("runs/b/slim.cfg", "opencv"),
        row("runs/b/slim.cfg #2", "opencv"),
    ]
    assert model_names(rows) == ["a/slim.onnx openvino bf16", "b/slim.cfg opencv", "b/slim.cfg #2 opencv"]
    assert model_names(rows[:1]) == ["slim.onnx openvino bf16"]
    assert model_names([*rows[:1], row("yolov3@0.25", "torch")]) == [
        "runs/a/slim.onnx openvino bf16",
        "yolov3@0.25 torch",
    ]
    assert model_names([row("/x/a.onnx"), row("b.onnx")]) == ["/x/a.onnx onnxruntime", "b.onnx onnxruntime"]
