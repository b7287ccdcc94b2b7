"""The table of controls by hand."""

from __future__ import annotations

from typing import Any

import pytest

from seyolo.report.tables.controls import controls_markdown, controls_table, lead_text


def row(name: str, ap: float, lead: dict[str, Any]) -> dict[str, Any]:
    return {
        "control": name,
        "params": 800_000,
        "macs": 300_000_000,
        "input_size": [320, 320],
        "metrics": {"val": {"ap": 0.1, "ap50": 0.2}, "test": {"ap": ap, "ap50": 0.9}},
        "latency_ms": 9.5,
        "lead": lead,
    }


@pytest.mark.parametrize(
    ("lead", "text"),
    [
        ({"difference": 0.0123, "low": 0.0034, "high": 0.0212}, "+1.2 (0.3 to 2.1)"),
        ({"difference": -0.0123, "low": -0.0212, "high": 0.00002}, "−1.2 (−2.1 to 0.0)"),
        ({"difference": -0.0001, "low": -0.0001, "high": 0.0001}, "+0.0 (0.0 to 0.0)"),
    ],
)
def test_a_lead_is_in_points_with_its_interval(lead: dict[str, float], text: str) -> None:
    assert lead_text(lead) == text


def test_only_test_splits_are_shown_where_there_are_some() -> None:
    rows = [
        row("slim", 0.792, {}),
        row("uniform", 0.78, {"test": {"difference": 0.012, "low": 0.003, "high": 0.021}}),
    ]
    assert controls_markdown(rows) == (
        "| control | MACs | input | p50 | AP test | slim leads by |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| slim | 300 M | 320 | 9.50 ms | 0.792 |  |\n"
        "| uniform | 300 M | 320 | 9.50 ms | 0.780 | +1.2 (0.3 to 2.1) |\n"
    )
    assert controls_table(rows).row_count == 2
