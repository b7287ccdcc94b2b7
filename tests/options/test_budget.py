"""Budgets: text in, limits out."""

from __future__ import annotations

import pytest

from seyolo.errors import UsageError
from seyolo.options.budget import KINDS, MacsBudget, ParamsBudget, parse_budgets


@pytest.mark.parametrize(
    ("text", "dense", "most"),
    [
        ("macs=30%", 1000, 300),
        ("macs=1.2G", 5_000_000_000, 1_200_000_000),
        ("params=2.4M", 9_000_000, 2_400_000),
        ("params=2400k", 9_000_000, 2_400_000),
        ("params=29%", 100, 29),  # 0.29 * 100 is 28.999999999999996
        ("channels=85%", 100, 15),  # removed
        ("channels=85%", 101, 15),  # 85.85 must go, so 86 do
        ("channels=40", 100, 60),
        (" MACs = 30 % ", 1000, 300),
    ],
)
def test_limits(text: str, dense: int, most: int) -> None:
    (budget,) = parse_budgets(text)
    assert budget.limit(dense) == most


def test_several() -> None:
    expected = (MacsBudget(0.3, is_share=True), ParamsBudget(2e6, is_share=False))
    assert parse_budgets(["macs=30%", "params=2M"]) == expected
    assert parse_budgets("macs=30%,params=2M") == expected
    assert ",".join(map(str, expected)) == "macs=30%,params=2M"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("macs", "KIND=AMOUNT"),
        ("flops=30%", "macs, params, channels, latency"),
        ("latency=8ms", "latency=8ms@BACKEND"),
        ("latency=8@onnxruntime", "latency=8ms@BACKEND"),
        ("latency=8ms@tflite", "a backend of onnxruntime, opencv"),
        ("latency=0ms@torch", "above 0 ms"),
        ("macs=8ms", "belong to latency="),
        ("params=30%@torch", "belong to latency="),
        ("macs=lots", "an amount like"),
        ("macs=-3%", "an amount like"),
        ("macs=0.3", "for a share write macs=30%"),
        ("macs=30", "less than 1,000 macs; for a share write macs=30%"),
        ("params=999", "for a share write params=30%"),
        ("channels=0.3", "for a share write channels=30%"),
        ("channels=85%+macs=30%", "expected a comma between limits, got '85%[+]macs=30%'"),
        ("flops=50%", "did you mean macs=50%?"),
        ("50%", "did you mean macs=50%?"),
        ("macs=0%", "above 0%"),
        ("macs=130%", "at most 100%"),
        ("channels=100%", "below 100%"),
        ("macs=30%,macs=1G", "twice"),
    ],
)
def test_bad_text(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_budgets(text)


@pytest.mark.parametrize("kind", KINDS)
def test_the_nearest_budget_of_every_kind_can_be_read_and_is_feasible(kind: str) -> None:
    at = "@torch" if kind == "latency" else ""
    scale, one = (1, 0) if kind == "latency" else (1_000, 1)
    for amount in ("37%", "50ms" if kind == "latency" else "50K"):
        (budget,) = parse_budgets(f"{kind}={amount}{at}")
        (nearest,) = parse_budgets(budget.nearest(61.803 * scale, 100 * scale))
        assert type(nearest) is type(budget)
        assert 61.803 * scale <= nearest.limit(100 * scale) + one < 63.5 * scale


@pytest.mark.parametrize(
    ("text", "looser"),
    [
        ("macs=30%", "macs=50%"),
        ("macs=60%", "macs=80%"),
        ("params=90%", "params=95%"),
        ("macs=100%", "None"),
        ("macs=1.2G", "macs=1.6G"),
        ("macs=2G", "None"),  # no more than the dense network has
        ("latency=8ms@torch", "latency=12ms@torch"),
        ("latency=40%@torch", "latency=60%@torch"),
        ("channels=85%", "channels=65%"),
        ("channels=10%", "channels=5%"),
        ("channels=0%", "None"),
        ("channels=400", "channels=200"),
        ("channels=1", "None"),
    ],
)
def test_a_looser_budget(text: str, looser: str) -> None:
    (budget,) = parse_budgets(text)
    assert str(budget.looser(2e9)) == looser


@pytest.mark.parametrize("kind", ["macs", "params", "channels"])
@pytest.mark.parametrize("percent", [1, 30, 55, 62.5, 85, 99])
def test_a_looser_budget_leaves_more(kind: str, percent: float) -> None:
    (budget,) = parse_budgets(f"{kind}={percent}%")
    looser = budget.looser(100_000)
    assert looser is not None
    assert budget.limit(100_000) < looser.limit(100_000) < 100_000
    assert parse_budgets(str(looser)) == (looser,)
