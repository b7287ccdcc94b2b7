"""Verdict on a run: failed networks and their reasons, noisy timings, changes as shares."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from seyolo.errors import counted
from seyolo.files import write_json
from seyolo.json_files import to_json
from seyolo.report.verdict import (
    Verdict,
    looser_budgets,
    moved_text,
    noisy_timing,
    relative_text,
    shortages,
    slim_verdict,
    summary,
    too_few,
    train_verdict,
    validation_ap50,
)
from seyolo.results import (
    START_FILE,
    Difference,
    RunStart,
    SlimResults,
    SplitMetrics,
    StageResult,
    read_start,
)

START = RunStart(
    network="yolov3@0.25",
    origin="new weights",
    images={"train": 60, "val": 20},
    boxes={"train": 70, "val": 25},
    num_classes=1,
    device="cpu",
    threads=2,
    batch=16,
    input_size=(416, 416),
    epochs={"dense": 100, "sparse": 36, "finetuned": 152},
    steps={"dense": 400, "sparse": 144, "finetuned": 608},
    seconds=600.0,
)


def stage(name: str, ap50: float = 0.8, ms: float = 10.0, macs: int = 100) -> StageResult:
    """A stage evaluated on val, and timed on PyTorch."""
    return StageResult(
        stage=name,
        params=macs // 10,
        size_bytes=1000,
        macs=macs,
        input_size=(416, 416),
        metrics={"test": SplitMetrics(0.1, 0.2), "val": SplitMetrics(ap50 / 2, ap50)},
        latency_ms={"torch": ms},
    )


def run(dense: float, slim: float, last: str = "finetuned") -> SlimResults:
    """The results of a run whose networks have this AP@0.5 on val."""
    stages = stage("dense", dense), stage("sparse", dense), stage("pruned", slim, macs=30)
    tuned = (stage("finetuned", slim, macs=30),) if last == "finetuned" else ()
    return SlimResults(stages=(*stages, *tuned), budget=("macs=30%",))


def test_a_run_that_has_learned_has_nothing_to_say_first() -> None:
    assert slim_verdict(run(0.3, 0.31), START).lines() == []
    assert train_verdict({"epoch": 3, "val_ap": 0.2, "val_ap50": 0.4, "ap": 0.2}, START).lines() == []


def test_neither_network_has_learned_for_want_of_steps() -> None:
    short = replace(START, epochs={"dense": 18}, steps={"dense": 18})
    assert slim_verdict(run(0.0213, 0.013), short).lines() == [
        "Neither network has learned: AP@0.5 on val is 0.021 dense, 0.013 slim; "
        "from 0.3 on a network is of use.",
        "- 18 steps of dense training; a few hundred are needed: --epochs 300",
    ]


def test_only_the_slim_network_has_not_learned() -> None:
    head, *reasons = slim_verdict(run(0.8, 0.1), START).lines()
    assert head.startswith("The slim network has not learned: AP@0.5 on val is 0.800 dense, 0.100 slim")
    assert [reason.split(":")[-1].strip() for reason in reasons] == [
        "try one that leaves more, --budget macs=50%",
        "raise --epochs or --finetune-epochs",
    ]
    assert "leave --no-finetune out" in slim_verdict(run(0.8, 0.1, last="pruned"), START).lines()[2]


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (("macs=60%",), "--budget macs=80%"),
        (("macs=70%",), "--budget macs=85%"),
        (("params=1K",), "--budget params=1.5K"),
        (("macs=80K", "latency=9ms@torch"), "--budget macs=90K,latency=9.5ms@torch"),
        (("latency=9ms@opencv",), "--budget latency=13.5ms@opencv"),  # where dense was not timed
        (("channels=85%,macs=100%",), "--budget channels=65%,macs=100%"),
        (("macs=100%",), ""),
        ((), ""),
    ],
)
def test_the_budget_to_try_leaves_more(given: tuple[str, ...], advice: str) -> None:
    results = run(0.8, 0.1)
    stages = tuple(replace(one, macs=1000 * one.macs, params=1000 * one.params) for one in results.stages)
    assert looser_budgets(replace(results, stages=stages, budget=given)) == advice


def test_a_budget_that_cannot_be_looser_is_no_reason() -> None:
    lines = slim_verdict(replace(run(0.8, 0.1), budget=("macs=100%",)), START).lines()
    assert len(lines) == 2
    assert "budget" not in str(lines)


def test_only_the_dense_network_has_not_learned() -> None:
    head = slim_verdict(run(0.2, 0.7), START).lines()[0]
    assert head.startswith("The dense network has not learned")


def test_a_trained_network_has_not_learned() -> None:
    few = replace(START, images={"train": 9}, epochs={"train": 100}, steps={"train": 100})
    assert train_verdict({"val_ap50": 0.05, "val_small_ap50": 0.5}, few).lines() == [
        "The network has not learned: AP@0.5 on val is 0.050; from 0.3 on a network is of use.",
        "- 100 steps; a few hundred are needed: --epochs 300",
        "- 9 training images; 30 or more are needed: label more, or start from trained weights with "
        "--weights",
    ]


def test_given_weights_are_not_asked_for() -> None:
    few = replace(START, images={"train": 28}, steps={"train": 900}, epochs={"train": 100})
    asked = "28 training images; 30 or more are needed: label more"
    for origin in ("weights from x.weights", "410 of 414 tensors from x.weights, the others new"):
        assert shortages(replace(few, origin=origin)) == [asked]
    for origin in ("new weights", "new weights with new se gates"):
        (line,) = shortages(replace(few, origin=origin))
        assert line == f"{asked}, or start from trained weights with --weights"


@pytest.mark.parametrize("start", [None, START])
def test_without_a_shortage_the_labels_are_suspected(start: RunStart | None) -> None:
    _, first, *_ = slim_verdict(run(0.1, 0.1), start).lines()
    assert "seyolo data check DATA" in first


def test_without_labels_on_val_nothing_is_judged() -> None:
    assert train_verdict({"epoch": 1}).lines() == []
    assert slim_verdict(run(math.nan, math.nan)).lines() == []


def test_the_split_that_represents_a_run() -> None:
    one, other = SplitMetrics(0.1, 0.2), SplitMetrics(0.3, 0.4)
    assert validation_ap50({"test": one, "val": other, "val_small": one}) == ("val", 0.4)
    assert validation_ap50({"test": one, "valid": other}) == ("valid", 0.4)
    assert validation_ap50({"val": SplitMetrics(), "val_small": one}) == ("val_small", 0.2)
    assert math.isnan(validation_ap50({"test": one})[1])


@pytest.mark.parametrize(
    ("steps", "epochs", "advice"),
    [(1, 1, 300), (18, 18, 300), (60, 30, 200), (20, 2, 30), (299, 1, 2), (4, 1, 80), (120, 30, 80)],
)
def test_the_epochs_that_are_enough(steps: int, epochs: int, advice: int) -> None:
    short = replace(START, epochs={"train": epochs}, steps={"train": steps})
    assert shortages(short)[0].endswith(f"--epochs {advice}")
    assert shortages(short)[0].startswith(counted(steps, "step"))


def test_few_steps_from_given_weights_are_a_shortage() -> None:
    few = replace(
        START,
        epochs={"dense": 0, "sparse": 6, "finetuned": 26},
        steps={"dense": 0, "sparse": 30, "finetuned": 130},
    )
    assert shortages(few)[0] == "160 steps; a few hundred are needed: --finetune-epochs 60"


def test_shortages_of_images_and_boxes_are_counted_in_the_right_number() -> None:
    assert shortages(START) == []
    assert shortages(replace(START, images={"train": 1}))[0].startswith("1 training image; 30 or more")
    assert shortages(replace(START, boxes={"train": 70, "val": 1})) == [
        "1 box in val; AP on so few says little: move more labelled images to val"
    ]
    assert shortages(replace(START, boxes={"train": 70, "val": 2}))[0].startswith("2 boxes in val")
    given = replace(START, epochs={"dense": 0, "sparse": 5}, steps={"dense": 0, "sparse": 20})
    assert shortages(given) == []  # trained weights were given


@pytest.mark.parametrize(("ms", "is_noisy"), [(10.9, False), (11.2, True), (8.9, True), (9.2, False)])
def test_networks_of_one_shape_that_are_timed_apart(ms: float, is_noisy: bool) -> None:
    results = SlimResults(stages=(stage("dense"), stage("sparse", ms=ms), stage("pruned", ms=5, macs=30)))
    assert (noisy_timing(results) is not None) == is_noisy


def test_the_sentence_on_noise_names_both_figures() -> None:
    stages = stage("dense"), stage("sparse", ms=10.5), stage("pruned", macs=30), stage("finetuned", 0.8, 14.0)
    results = SlimResults(stages=(*stages[:3], replace(stages[3], macs=30, params=3)))
    assert slim_verdict(results).lines() == [
        "Timing was noisy: pruned took 10.0 ms and slim 14.0 ms on PyTorch, although both have one "
        "shape; compare MACs, or time the files again on an idle machine with seyolo benchmark."
    ]
    assert noisy_timing(results, new_activation=True) is None  # the slim one may well be faster


def test_changes_as_shares() -> None:
    assert relative_text(0.444, 0.432) == "3 % less"
    assert relative_text(0.432, 0.444) == "3 % more"
    assert relative_text(0.5, 0.5) == "the same"
    assert relative_text(0.5, 0.4981) == "0.4 % less"
    assert relative_text(0.0, 0.4) == ""
    assert relative_text(math.nan, 0.4) == ""
    assert relative_text(0.4, math.nan) == ""
    assert relative_text(0.8, 0.0) == "100 % less"
    assert relative_text(0.5, 0.50001) == "the same"


def test_a_change_is_told_in_its_direction() -> None:
    assert moved_text(0.432, 0.398) == "fell from 0.432 to 0.398"
    assert moved_text(0.432, 0.444) == "rose from 0.432 to 0.444"
    assert moved_text(0.4321, 0.4318) == "stayed at 0.432"


def test_the_summary_leaves_out_what_was_timed_badly() -> None:
    results = run(0.8, 0.78)
    assert summary(results, slim_verdict(results)) == (
        "slim against dense: AP on test 0.100, the same, 3.3x fewer MACs, as fast on PyTorch"
    )
    noisy = replace(
        results, stages=(*results.stages[:3], replace(results.stages[3], latency_ms={"torch": 20.0}))
    )
    assert summary(noisy, slim_verdict(noisy)).endswith("3.3x fewer MACs")


def test_the_summary_names_a_dense_ap_of_0() -> None:
    stages = [replace(one, metrics={"val": SplitMetrics(0.0, 0.0)}) for one in run(0.8, 0.8).stages]
    stages[-1] = replace(stages[-1], metrics={"val": SplitMetrics(0.2, 0.4)})
    results = SlimResults(stages=tuple(stages))
    assert "AP on val 0.200 instead of 0.000, 3.3x fewer" in summary(results, Verdict())


def staged(*ap: float, epochs: int = 0, lead: float = math.nan) -> SlimResults:
    """A run whose stages have this AP on val, its dense network trained for some epochs."""
    results = run(0.8, 0.8)
    stages = tuple(
        replace(one, epochs=epochs, metrics={"val": SplitMetrics(value, min(1.0, 2 * value))})
        for one, value in zip(results.stages, ap, strict=True)
    )
    width = {} if math.isnan(lead) else {"val": Difference(ap[3] - ap[0], -lead / 2, lead / 2)}
    return replace(results, stages=stages, lead=width)


TUNED = (
    "Fine-tuning lowered AP on val from 0.339 to 0.180: pruned.safetensors is better; fewer epochs "
    "(--finetune-epochs), a smaller --lr or more images harm less."
)
KEPT = (
    "No epoch of fine-tuning was better than its start: the pruned network, AP on val 0.339, is kept as "
    "slim; fewer epochs (--finetune-epochs), a smaller --lr or more images harm less."
)
KEPT_OF_LITTLE = KEPT.partition(";")[0].replace("0.339", "0.100") + "."  # it needs more epochs, not fewer
SPARSE = (
    "Sparsity training lowered AP of the given weights on val from 0.400 to 0.150: leave it out, "
    "--sparse-epochs 0."
)


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (staged(0.4, 0.4, 0.339, 0.18), [TUNED]),
        (staged(0.4, 0.15, 0.339, 0.18), [SPARSE, TUNED]),
        (replace(staged(0.4, 0.4, 0.339, 0.339), start_kept=True), [KEPT]),
        (replace(staged(0.4, 0.4, 0.1, 0.1), start_kept=True), [KEPT_OF_LITTLE]),
        (staged(0.4, 0.15, 0.1, 0.2), [SPARSE]),
        (staged(0.4, 0.15, 0.1, 0.395), []),  # it recovers
        (staged(0.4, 0.21, 0.1, 0.2), []),  # not far
        (staged(0.4, 0.15, 0.1, 0.2, epochs=9), []),  # no given weights
        (staged(0.4, 0.4, 0.339, 0.18, lead=0.3), [TUNED]),
        (staged(0.4, 0.4, 0.339, 0.18, lead=0.4), []),  # within the interval
        (staged(0.4, 0.4, 0.339, 0.33), []),
        (staged(math.nan, math.nan, math.nan, math.nan), []),
        (run(0.8, 0.8, last="pruned"), []),
    ],
)
def test_a_training_that_lowers_ap_is_named_first(results: SlimResults, said: list[str]) -> None:
    assert list(slim_verdict(results, START).harm) == said
    assert slim_verdict(results, START).lines()[: len(said)] == said


FEW = replace(START, images={"val": 12}, boxes={"val": 23})


@pytest.mark.parametrize(
    ("images", "objects", "interval", "is_few"),
    [
        (12, 23, (0.01, 0.02), True),  # so few that the interval is a guess
        (40, 1300, (-0.01, 0.01), False),
        (400, 600, (-0.01, 0.01), False),
        (400, 600, (-0.02, 0.05), True),
        (60, 61, (-0.02, 0.05), True),
        (60, 101, None, False),
        (60, 99, None, True),
        (49, 500, None, True),
    ],
)
def test_images_that_are_too_few_to_compare_on(
    images: int, objects: int, interval: tuple[float, float] | None, is_few: bool
) -> None:
    start = replace(START, images={"val": images}, boxes={"val": objects})
    lead = None if interval is None else Difference(0.015, *interval)
    said = f"{images} images of val with {objects} objects" if is_few else ""
    assert too_few("val", start, lead) == said


def test_runs_without_counts_are_judged_by_the_interval() -> None:
    assert too_few("val", None) == ""
    assert too_few("val", None, Difference(0.1, 0.0, 0.02)) == ""
    assert too_few("val", None, Difference(0.1, 0.0, 0.2)) == "the images of val"


def test_on_few_images_no_gain_is_claimed() -> None:
    results = run(0.8, 0.9)
    stages = [replace(one, metrics={"val": one.metrics["val"]}) for one in results.stages]
    results = replace(results, stages=tuple(stages), lead={"val": Difference(0.05, 0.01, 0.09)})
    told = "(on 12 images of val with 23 objects: too few to tell; label more)"
    said = f"AP on val 0.450 instead of 0.400 {told}, 3.3x fewer"
    assert said in summary(results, slim_verdict(results, FEW))
    unknown = replace(results, lead={})
    assert "AP on val 0.450, 12 % more" in summary(unknown, slim_verdict(unknown))
    verdict = train_verdict({"val_ap50": 0.8}, FEW)
    assert (verdict.lines(), verdict.few) == ([], "12 images of val with 23 objects")
    assert train_verdict({"val_ap50": math.nan}, FEW).remark() == ""


def test_the_summary_says_how_noisy_the_timing_was() -> None:
    results = run(0.8, 0.78)
    ends = {"dense": (10.0, 0.03), "finetuned": (9.6, 0.05)}
    stages = [
        replace(one, latency_ms={"torch": ms}, latency_noise={"torch": noise})
        for one in results.stages
        for ms, noise in [ends.get(one.stage, (10.0, 0.03))]
    ]
    noisy = replace(results, stages=tuple(stages))
    assert summary(noisy, Verdict()).endswith("3.3x fewer MACs, about as fast on PyTorch (±5 %)")
    faster = replace(noisy, stages=(*stages[:3], replace(stages[3], latency_ms={"torch": 5.0})))
    assert summary(faster, Verdict()).endswith("2.0x faster on PyTorch (±5 %)")


def test_the_task_of_a_run_is_read_back(tmp_path: Path) -> None:
    assert read_start(tmp_path) is None
    write_json(tmp_path / START_FILE, to_json(START))
    assert read_start(tmp_path) == START


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (1, "class", "1 class"),
        (2, "class", "2 classes"),
        (0, "box", "0 boxes"),
        (2, "batch", "2 batches"),
        (2, "epoch", "2 epochs"),
        (1, "box", "1 box"),
        (1200, "image", "1,200 images"),
    ],
)
def test_numbers_with_their_noun(number: int, noun: str, text: str) -> None:
    assert counted(number, noun) == text
