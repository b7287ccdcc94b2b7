"""The headline of a run, for better and for worse results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seyolo.evaluation.curves import Curves
from seyolo.report.pages.headline import Finds, gain_of, plain_headline
from seyolo.report.pages.train import found_line
from seyolo.report.record import MistakeCounts
from seyolo.report.text import objects_text, part_text, points_text
from seyolo.report.verdict import Verdict
from seyolo.results import Difference, SlimResults, SplitMetrics, StageResult


def stage(macs: int, latency_ms: float, ap: float) -> StageResult:
    return StageResult(
        stage="dense",
        params=1,
        size_bytes=4,
        macs=macs,
        input_size=(64, 64),
        metrics={"val": SplitMetrics(0.9), "test": SplitMetrics(ap)},
        latency_ms={"torch": 1.0, "onnxruntime": latency_ms},
    )


def results(macs: int, latency_ms: float, ap: float, lead: tuple[float, float] | None = None) -> SlimResults:
    """A run from 1000 MACs, 10 ms and AP 0.5 to these."""
    stages = (stage(1000, 10.0, 0.5), stage(macs, latency_ms, ap))
    return SlimResults(stages=stages, lead={} if lead is None else {"test": Difference(ap - 0.5, *lead)})


def changed(found: SlimResults, **values: object) -> SlimResults:
    return replace(found, stages=tuple(replace(one, **values) for one in found.stages))


@pytest.mark.parametrize(
    ("macs", "latency_ms", "ap", "text"),
    [
        (300, 5.5, 0.501, "3.3x fewer MACs, 1.8x faster on ONNX Runtime, AP +0.1"),
        (300, 12.0, 0.488, "3.3x fewer MACs, 1.2x slower on ONNX Runtime, AP −1.2"),
        (2000, 10.1, 0.5004, "2.0x more MACs, as fast on ONNX Runtime, AP ±0.0"),
        (999, 10.0, float("nan"), "as many MACs, as fast on ONNX Runtime"),
    ],
)
def test_headlines(macs: int, latency_ms: float, ap: float, text: str) -> None:
    assert gain_of(results(macs, latency_ms, ap)).headline() == text


def test_a_difference_below_the_noise_is_none() -> None:
    run = changed(results(300, 9.6, 0.5), latency_noise={"onnxruntime": 0.05})
    gain = gain_of(run)
    assert gain.headline() == "3.3x fewer MACs, about as fast on ONNX Runtime, AP ±0.0"
    assert ", in about the same time, from a file" in plain_headline(run, gain, finds(1000, (5, 5)))
    assert "1.0x" not in gain.headline()


def test_on_few_images_the_headline_claims_no_gain() -> None:
    run, few = results(300, 5.0, 0.6, (0.02, 0.18)), Verdict(few="12 images of test with 23 objects")
    gain = gain_of(run, few)
    assert gain.headline().endswith("AP: 12 images of test with 23 objects are too few to tell")
    assert "there are too few to tell. Label more." in gain.verdict()
    assert plain_headline(run, gain, finds(23, (2, 0), (1, 1))) == (
        "In half the time, from a file the same size; what it finds on 12 images of test with 23 objects: "
        "too few to tell, label more"
    )


def test_the_runtime_is_the_first_that_was_measured() -> None:
    found = results(500, 5.0, 0.5)
    on_torch = changed(found, latency_ms={"torch": 1.0})
    assert gain_of(on_torch).headline() == "2.0x fewer MACs, as fast on PyTorch, AP ±0.0"
    assert gain_of(changed(found, latency_ms={})).headline() == "2.0x fewer MACs, AP ±0.0"


def test_without_a_test_split_val_represents_the_run() -> None:
    found = changed(results(500, 5.0, 0.5), metrics={"val": SplitMetrics(0.9)})
    assert (gain_of(found).split, gain_of(found).ap) == ("val", (0.9, 0.9))


@pytest.mark.parametrize(
    ("lead", "text"),
    [
        (
            (0.001, 0.02),
            "is better, also given the random choice of test images (95 % interval +0.1 to +2.0)",
        ),
        ((-0.02, -0.001), "is worse, also given"),
        ((-0.006, 0.009), "no certain difference (95 % interval −0.6 to +0.9)"),
        (None, "No confidence interval"),
    ],
)
def test_a_verdict_needs_its_interval(lead: tuple[float, float] | None, text: str) -> None:
    assert text in gain_of(results(300, 5.0, 0.51, lead)).verdict()


def test_a_difference_that_rounds_to_nothing_has_no_sign() -> None:
    assert [points_text(value) for value in (0.0004, -0.0004, 0.0006, -0.0006)] == [
        "±0.0",
        "±0.0",
        "+0.1",
        "−0.1",
    ]


def finds(
    objects: int, missed: tuple[int, int], false: tuple[int, int] = (0, 0), noun: str = "hands"
) -> Finds:
    return Finds(noun, MistakeCounts(objects, *missed, 0, 0, *false))


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (
            finds(2031, (38, 40)),
            "Finds 98 of 100 hands, as before, in half the time, from a file an eighth of the size",
        ),
        (finds(2031, (38, 120)), "Finds 94 of 100 hands instead of 98, in half the time"),
        (finds(40, (2, 3)), "Finds 37 of 40 hands instead of 38, in half the time"),
        (
            finds(1000, (0, 1)),
            "Finds 99 of 100 hands instead of 100, in half",
        ),  # one is missed: not all are found
        (finds(1000, (1000, 999)), "Finds 1 of 100 hands instead of 0, in half"),
        (finds(7, (0, 0), noun="objects"), "Finds 7 of 7 objects, as before, in half"),
    ],
)
def test_the_first_line_in_plain_words(found: Finds, line: str) -> None:
    run = results(300, 5.0, 0.5)
    run = replace(run, stages=(replace(run.dense, size_bytes=800), replace(run.slim, size_bytes=100)))
    assert plain_headline(run, gain_of(run), found).startswith(line)


def test_far_more_false_detections_belong_to_the_first_line() -> None:
    run = results(300, 5.0, 0.5)
    many = plain_headline(run, gain_of(run), finds(100, (2, 2), (10, 40)))
    assert many.endswith(", but with 40 false detections instead of 10")
    for false in ((10, 14), (2, 6), (40, 10)):
        assert "false" not in plain_headline(run, gain_of(run), finds(100, (2, 2), false))


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (50, "half the time"),
        (52, "half the time"),
        (59, "59 % of the time"),
        (33, "a third of the time"),
        (66, "two thirds of the time"),
        (75, "three quarters of the time"),
        (12.5, "an eighth of the time"),
        (10, "a tenth of the time"),
        (3, "3 % of the time"),
        (98, "the same time"),
        (103, "the same time"),
        (130, "1.3 times the time"),
    ],
)
def test_shares_in_words(after: float, text: str) -> None:
    assert part_text(100, after, "time") == text


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["hand"], "hands"),
        (["traffic light"], "traffic lights"),
        (["person"], "people"),
        (["box"], "boxes"),
        (["berry"], "berries"),
        (["key"], "keys"),
        (["bus"], "buses"),
        (["glass"], "glasses"),
        (["hands"], "hands"),
        (["sheep"], "sheep"),
        (["RBC"], "objects"),
        (["class 0"], "objects"),
        (["Käfer"], "objects"),
        (["red_cell"], "objects"),
        ([""], "objects"),
        (["hand", "face"], "objects"),
    ],
)
def test_what_the_objects_are_called(names: list[str], text: str) -> None:
    assert objects_text(names) == text


@pytest.mark.parametrize(
    ("recall", "precision", "line"),
    [
        (0.931, 0.84, "Finds 93 of 100 hands on val; 84 of 100 detections are correct"),
        (0.0, 0.0, "Finds 0 of 100 hands on val; 0 of 100 detections are correct"),
        (0.0, 1.0, "Finds none of the hands on val"),
    ],
)
def test_what_a_trained_network_finds(recall: float, precision: float, line: str) -> None:
    points = [np.full(101, value) for value in (0.5, 0.5, precision, recall, 0.5)]
    assert found_line({"val": Curves(*points)}, ["hand"]) == line
