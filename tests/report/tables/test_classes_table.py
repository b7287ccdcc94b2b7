"""Tables of AP by class: all of few classes, the worst of many, and those that are never found."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from rich.console import Console, Group

from seyolo.evaluation.ap import ClassMetrics
from seyolo.report.tables.classes import (
    ByClass,
    left_out_note,
    never_found,
    shown_classes,
    slim_classes,
)
from seyolo.results import ClassResult, SlimResults, SplitMetrics, StageResult


def classes(num: int) -> dict[str, ClassMetrics]:
    """Class 0 is the best, the last the worst."""
    return {f"c{i}": ClassMetrics((num - i) / num, (num - i) / num, 5) for i in range(num)}


def test_few_classes_stand_in_their_order() -> None:
    found = classes(20)
    assert shown_classes(found) == list(found)
    assert left_out_note(found) == ""


def test_of_many_the_worst_stand_first_and_the_best_is_named() -> None:
    found = classes(21)
    assert shown_classes(found) == [f"c{i}" for i in range(20, 10, -1)]
    assert left_out_note(found) == "the worst 10 of 21 classes; the best is c0 (AP 1.000)"


def test_about_nothing_at_iou_half_is_never_found() -> None:
    found = {
        "none": ClassMetrics(0, 0, 3),
        "hardly": ClassMetrics(0.001, 0.0049, 3),
        "badly": ClassMetrics(0.001, 0.005, 3),
    }
    assert never_found(found) == ["none", "hardly"]
    assert never_found({}) == []


def stage(name: str, **splits: dict[str, ClassResult]) -> StageResult:
    return StageResult(
        stage=name,
        params=10,
        size_bytes=40,
        macs=100,
        input_size=(96, 96),
        metrics={split: SplitMetrics(0.5, 0.8, found) for split, found in splits.items()},
    )


DENSE = {"RBC": ClassResult(0.541, 0.818, 968, 900), "Platelets": ClassResult(0.24, 0.596, 83, 40)}
SLIM = {"RBC": ClassResult(0.53, 0.8, 968, 880), "Platelets": ClassResult(0.2, 0.5, 83, 0)}


def cells_run(**splits: dict[str, ClassResult]) -> SlimResults:
    """A run whose slim network has these classes, whose int8 network has no split but the first."""
    dense = stage("dense", **{split: DENSE if found else {} for split, found in splits.items()})
    slim = stage("finetuned", **splits)
    first = dict(list(slim.metrics.items())[:1])
    return SlimResults(stages=(dense, slim), int8=replace(slim, stage="int8", metrics=first))


def printed(results: SlimResults) -> list[str]:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(Group(*slim_classes(results).parts()))
    return [" ".join(line.split()) for line in capture.get().splitlines() if line.strip(" ─")]


def test_dense_and_slim_stand_side_by_side_with_the_objects_of_each_class() -> None:
    lines = printed(cells_run(val=SLIM))
    assert lines == [
        "on val, at confidence 0.25 and above, slim never finds: Platelets (dense does)",
        "objects dense slim change slim int8",
        "AP val RBC 968 0.541 0.530 −0.011 0.530",
        "AP val Platelets 83 0.240 0.200 −0.040 0.200",
        "AP@0.5 val RBC 968 0.818 0.800 −0.018 0.800",
        "AP@0.5 val Platelets 83 0.596 0.500 −0.096 0.500",
    ]


def test_the_splits_are_those_of_the_page_and_what_is_missing_is_a_dash() -> None:
    text = "\n".join(
        printed(cells_run(val=SLIM, test=SLIM, test_small={"RBC": SLIM["RBC"], "new": SLIM["RBC"]}))
    )
    assert "AP val" not in text
    assert "AP test RBC 968 0.541 0.530 −0.011 –" in text  # int8 was measured on val alone
    assert "AP test_small new 968 – 0.530 –" in text
    assert text.count("never finds") == 1


@pytest.mark.parametrize(
    ("dense", "slim", "text"),
    [
        ({"a": 1, "b": 1}, {"a": 1, "b": 1}, ""),
        ({"a": 1, "b": 1}, {"a": 1, "b": 0}, "never finds: b (dense does)"),
        ({"a": 1, "b": 0}, {"a": 0, "b": 0}, "never finds: a, b (dense finds a)"),
        ({"a": 0, "b": 0}, {"a": 0, "b": 0}, "never finds: a, b (nor does dense)"),
    ],
)
def test_what_is_never_found_and_whether_dense_did(
    dense: dict[str, int], slim: dict[str, int], text: str
) -> None:
    networks = {
        title: {"val": {name: ClassResult(0.1, 0.2, 3, count) for name, count in found.items()}}
        for title, found in (("dense", dense), ("slim", slim))
    }
    assert ByClass(networks, "slim").never("val") == text
    alone = ByClass({"best": networks["slim"]}, "best")
    assert alone.never("val") == re.sub(r" \(.*", "", text)
    assert alone.never("test") == ""
    assert alone.table().header == ["", "objects", "best"]


def test_of_many_classes_the_terminal_has_the_worst_and_the_whole_table_all() -> None:
    found = {f"class with a long name {i}": ClassResult(i / 80, i / 80, 999, 1) for i in range(1, 81)}
    results = cells_run(test=found)
    assert len(slim_classes(results).table().rows) == 160
    lines = printed(results)
    rows = [line for line in lines if line.startswith("AP")]
    assert [row.split(" 999 ")[0] for row in rows[:10]] == [
        f"AP test class with a long name {i}" for i in range(1, 11)
    ]
    assert len(rows) == 20
    assert max(map(len, lines)) <= 80
    best = "the best is class with a long name 80 (AP 1.000)"
    assert " ".join(lines).endswith(f"test: the worst 10 of 80 classes; {best}; report.html has all")


def test_of_one_class_there_is_no_table() -> None:
    assert slim_classes(cells_run(val={}, test={})).parts() == []


def test_names_are_in_json_only_where_there_are_several_classes() -> None:
    results = cells_run(val=SLIM)
    assert SlimResults.from_json(results.to_json()) == results
    assert results.to_json()["int8"]["metrics"]["val"]["classes"]["Platelets"] == {
        "ap": 0.2,
        "ap50": 0.5,
        "num_objects": 83,
        "found": 0,
    }
    assert cells_run(val={}).to_json()["stages"][0]["metrics"] == {"val": {"ap": 0.5, "ap50": 0.8}}
