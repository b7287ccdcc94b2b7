"""The before/after table: how numbers read, and what stands in it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from rich.console import Console

from seyolo.report.tables.slim import files_text, int8_lines, markdown_table, rows, stage_table
from seyolo.report.text import count_text, latency_text, share_text, size_text
from seyolo.results import SlimResults, SplitMetrics, StageResult


def stage(name: str, params: int, macs: int, ap: float, latency_ms: float) -> StageResult:
    return StageResult(
        stage=name,
        params=params,
        size_bytes=4 * params,
        macs=macs,
        input_size=(320, 320),
        metrics={"val": SplitMetrics(ap, 0.9), "test_small": SplitMetrics(ap / 2, ap)},
        latency_ms={"torch": 2 * latency_ms, "onnxruntime": latency_ms},
    )


@pytest.fixture
def results() -> SlimResults:
    pruned = stage("pruned", 1_000_000, 300_000_000, 0.7, 6.0)
    return SlimResults(
        stages=(
            stage("dense", 4_000_000, 1_000_000_000, 0.802, 15.0),
            stage("sparse", 4_000_000, 1_000_000_000, 0.79, 15.0),
            replace(pruned, metrics={"val": SplitMetrics(0.7, 0.88)}),
            stage("finetuned", 1_000_000, 300_000_000, 0.798, 6.0),
        )
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (10_850_000, "10.8 M"),
        (61_523_734, "61.5 M"),
        (9_600_000_000, "9.60 G"),
        (123_456_000_000, "123 G"),
    ],
)
def test_counts_have_three_digits(value: int, text: str) -> None:
    assert count_text(value) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(512, "512 B"), (3600, "3.60 KB"), (43_600_000, "43.6 MB"), (246_400_000, "246 MB")],
)
def test_file_sizes_are_decimal(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.50 ms"), (7.7, "7.70 ms"), (9.996, "10.0 ms"), (31.21, "31.2 ms"), (99.96, "100 ms")],
)
def test_latencies_have_three_digits(value: float, text: str) -> None:
    assert latency_text(value) == text


def test_an_ap_that_cannot_be_measured_is_a_dash() -> None:
    assert (share_text(0.7716), share_text(math.nan)) == ("0.772", "–")


def test_rows_by_hand(results: SlimResults) -> None:
    table = {row.name: (*row.cells, row.change) for row in rows(results)}
    assert list(table) == [
        "Epochs",
        "Parameters",
        "File",
        "MACs @320",
        "AP val",
        "AP test_small",
        "AP@0.5 val",
        "AP@0.5 test_small",
        "p50 torch",
        "p50 onnxruntime",
    ]
    assert table["Parameters"] == ("4.00 M", "4.00 M", "1.00 M", "1.00 M", "−75.0 %")
    assert table["MACs @320"][-1] == "−70.0 %"
    assert table["AP val"] == ("0.802", "0.790", "0.700", "0.798", "−0.004")
    assert table["AP test_small"] == ("0.401", "0.395", "–", "0.399", "−0.002")
    assert table["AP@0.5 val"][-1] == "0.000"
    # 15 ms / 6 ms = 2.5
    assert table["p50 onnxruntime"] == ("15.0 ms", "15.0 ms", "6.00 ms", "6.00 ms", "2.50x faster")


def test_int8_stands_beside_the_stages_and_changes_nothing_of_the_comparison(
    results: SlimResults,
) -> None:
    plain = {row.name: row for row in rows(results)}
    int8 = replace(stage("int8", 1_000_000, 300_000_000, 0.79, 4.0), latency_ms={"onnxruntime": 4.0})
    results = replace(results, int8=int8)
    beside = {row.name: row for row in rows(results)}
    assert [row.change for row in beside.values()] == [row.change for row in plain.values()]
    assert beside["AP val"].beside == ("0.790",)
    assert beside["p50 torch"].beside == ("–",)
    assert beside["p50 onnxruntime"].texts()[-2:] == ["2.50x faster", "4.00 ms"]
    header = markdown_table(results).splitlines()[0]
    assert header == "|  | dense | sparse | pruned | slim | change | slim int8 |"


@pytest.mark.parametrize(
    ("size_bytes", "ap", "latency_ms", "said"),
    [
        (2_000_000, 0.791, 1.9, []),
        (500_000, 0.791, 3.0, []),
        (500_000, 0.785, 3.0, ["slim int8 is 1.5 points of AP on val worse than slim"]),
        (1_000_000, 0.795, 1.95, ["slim int8 is neither smaller nor faster than slim"]),
        (
            1_000_000,
            0.7,
            2.0,
            ["slim int8 is neither smaller nor faster and 10.0 points of AP on val worse than slim"],
        ),
    ],
)
def test_int8_that_is_no_better_says_so(
    size_bytes: int, ap: float, latency_ms: float, said: list[str]
) -> None:
    """slim: 1 MB, AP 0.8, 2 ms; the noise is 4 %, and 2 / 1.95 is 1.026."""
    slim = StageResult(
        stage="finetuned",
        params=1,
        size_bytes=1_000_000,
        macs=1,
        input_size=(32, 32),
        metrics={"val": SplitMetrics(0.8, 0.9)},
        latency_ms={"torch": 9.0, "onnxruntime": 2.0},
        latency_noise={"onnxruntime": 0.04},
    )
    found = {"val": SplitMetrics(ap, 0.9)}
    int8 = replace(
        slim, stage="int8", size_bytes=size_bytes, metrics=found, latency_ms={"onnxruntime": latency_ms}
    )
    assert int8_lines(SlimResults(stages=(slim,), int8=int8)) == said
    assert int8_lines(SlimResults(stages=(slim,))) == []


def test_a_file_that_is_missing_is_named_with_the_reason(results: SlimResults) -> None:
    reason = "not applicable: nothing was found on 28 images; train it first; nothing was written"
    artefacts = {"slim.onnx": "written", "slim_int8.onnx": reason}
    assert int8_lines(replace(results, artefacts=artefacts)) == [
        "slim_int8.onnx was not written: nothing was found on 28 images; train it first"
    ]


def test_slower_and_better_say_so() -> None:
    results = SlimResults(stages=(stage("dense", 4, 4, 0.7, 4.0), stage("slim", 4, 4, 0.71, 5.0)))
    table = {row.name: row.change for row in rows(results)}
    assert table["p50 torch"] == "1.25x slower"
    assert table["AP val"] == "+0.010"


def test_the_noise_of_timing_stands_below_and_decides_what_is_a_difference(results: SlimResults) -> None:
    def timed(ms: float, noise: float) -> StageResult:
        network = stage("dense", 4, 4, 0.7, ms)
        return replace(network, latency_noise={"torch": noise, "onnxruntime": noise / 2})

    close = SlimResults(stages=(timed(10.0, 0.04), timed(9.7, 0.03)))  # 3.1 % apart
    table = {row.name: (*row.cells, row.change) for row in rows(close)}
    assert table["noise torch"] == ("±4 %", "±3 %", "")
    assert table["noise onnxruntime"] == ("±2 %", "±2 %", "")
    assert table["p50 torch"] == ("20.0 ms", "19.4 ms", "about as fast")
    assert table["p50 onnxruntime"] == ("10.0 ms", "9.70 ms", "1.03x faster")


def test_a_change_needs_both_ends(results: SlimResults) -> None:
    table = {row.name: row.change for row in rows(replace(results, stages=results.stages[:3]))}
    assert table["AP test_small"] == ""
    assert table["AP val"] == "−0.102"


def test_an_input_that_is_not_square_is_named_width_by_height(results: SlimResults) -> None:
    wide = SlimResults(stages=(replace(results.dense, input_size=(256, 320)),))
    assert rows(wide)[3].name == "MACs @320x256"


@pytest.mark.parametrize("beside", [[], ["slim", "int8"]])
def test_the_terminal_table_fits_eighty_columns(results: SlimResults, beside: list[str]) -> None:
    if beside:
        results = replace(results, int8=stage("int8", 1_000_000, 300_000_000, 0.79, 14.0))
    console = Console(width=80, record=True, file=None, color_system=None)
    with console.capture() as capture:
        console.print(stage_table(results))
    lines = capture.get().splitlines()
    assert "…" not in capture.get()
    assert lines[1].split() == ["dense", "sparse", "pruned", "slim", "change", *beside]
    parameters = [
        "Parameters",
        *["4.00", "M"] * 2,
        *["1.00", "M"] * 2,
        "−75.0",
        "%",
        *["1.00", "M"] * bool(beside),
    ]
    assert any(line.split() == parameters for line in lines)


def test_the_files_of_the_sizes_are_named(results: SlimResults) -> None:
    assert files_text(results) == "File: the size of the .safetensors checkpoint"
    with_int8 = replace(results, int8=results.slim)
    assert files_text(with_int8) == f"{files_text(results)}, of slim int8 that of slim_int8.onnx"


def test_markdown_by_hand() -> None:
    one = StageResult(
        stage="dense",
        params=1000,
        size_bytes=4000,
        macs=2_000_000,
        input_size=(64, 64),
        metrics={"val": SplitMetrics(0.5, 0.75)},
    )
    assert markdown_table(SlimResults(stages=(one,))) == (
        "|  | dense | change |\n"
        "| --- | ---: | ---: |\n"
        "| Epochs | – |  |\n"
        "| Parameters | 1.00 k | 0.0 % |\n"
        "| File | 4.00 KB | 0.0 % |\n"
        "| MACs @64 | 2.00 M | 0.0 % |\n"
        "| AP val | 0.500 | 0.000 |\n"
        "| AP@0.5 val | 0.750 | 0.000 |\n"
    )
