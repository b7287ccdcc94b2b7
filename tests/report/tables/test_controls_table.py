"""The table of controls by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from seyolo.report.tables.slim import controls_markdown, controls_table
from seyolo.report.text import lead_text
from seyolo.results import ControlRow, Difference, SplitMetrics


def row(name: str, ap: float, lead: Mapping[str, Difference]) -> ControlRow:
    return ControlRow(
        control=name,
        params=800_000,
        macs=300_000_000,
        input_size=(320, 320),
        metrics={"val": SplitMetrics(0.1, 0.2), "test": SplitMetrics(ap, 0.9)},
        latency_ms=9.5,
        lead=lead,
    )


@pytest.mark.parametrize(
    ("lead", "text"),
    [
        (Difference(0.0123, 0.0034, 0.0212), "+1.2 (0.3 to 2.1)"),
        (Difference(-0.0123, -0.0212, 0.00002), "−1.2 (−2.1 to 0.0)"),
        (Difference(-0.0001, -0.0001, 0.0001), "+0.0 (0.0 to 0.0)"),
    ],
)
def test_a_lead_is_in_points_with_its_interval(lead: Difference, text: str) -> None:
    assert lead_text(lead) == text


def test_only_test_splits_are_shown_where_there_are_some() -> None:
    rows = [
        row("slim", 0.792, {}),
        row("uniform", 0.78, {"test": Difference(0.012, 0.003, 0.021)}),
    ]
    assert controls_markdown(rows) == (
        "| control | MACs | input | p50 | AP test | slim leads by |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| slim | 300 M | 320 | 9.50 ms | 0.792 |  |\n"
        "| uniform | 300 M | 320 | 9.50 ms | 0.780 | +1.2 (0.3 to 2.1) |\n"
    )
    assert len(controls_table(rows).rows) == 2
