"""Tables of AP by class: all of few classes, the worst of many, and those that are never found."""

from __future__ import annotations

from seyolo.evaluation.ap import ClassMetrics
from seyolo.report.tables.classes import left_out_note, never_found, shown_classes


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
