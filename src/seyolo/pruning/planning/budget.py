"""Budgets: what a slim network may cost, as text and as numbers.

`macs=30%`, `params=2.4M` and `latency=8ms@onnxruntime` say what stays, as a share of the dense network or in
absolute numbers; `channels=85%` says what goes, as the papers count. Several hold together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from seyolo.errors import UsageError

Kind = Literal["macs", "params", "channels", "latency"]
LATENCY_BACKENDS = ("onnxruntime", "opencv", "torch")
_AMOUNT = re.compile(r"(?P<number>\d+\.?\d*|\.\d+)\s*(?P<unit>%|ms|[kKmMgG]?)")
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


@dataclass(frozen=True)
class Budget:
    """One limit.

    Attributes:
        kind: `macs`, `params` and `latency` limit what stays, `channels` says how many go.
        amount: a share in [0, 1], a number, or milliseconds.
        is_share: whether `amount` is a share of the dense network.
        backend: where latency counts; empty for the other kinds.
    """

    kind: Kind
    amount: float
    is_share: bool
    backend: str = ""

    def limit(self, dense: float) -> float:
        """The most that may stay, where the dense network has `dense` of it."""
        value = self.amount * dense if self.is_share else self.amount
        if self.kind == "latency":
            return value
        # A share such as 0.85 is not exact in binary: 0.85 of 100 must not become 86.
        if self.kind == "channels":
            return dense - math.ceil(value - 1e-6)
        return math.floor(value + 1e-6)

    def with_amount(self, amount: float) -> str:
        """The text of a budget of this kind with another amount."""
        if not self.is_share and self.kind in ("channels", "params", "macs"):
            return f"{self.kind}={amount:.0f}"
        return str(replace(self, amount=amount))

    def __str__(self) -> str:
        if self.is_share:
            amount = f"{self.amount * 100:.6g}%"
        else:
            amount = f"{self.amount:g}ms" if self.kind == "latency" else format_count(self.amount)
        return f"{self.kind}={amount}" + (f"@{self.backend}" if self.backend else "")


def format_count(value: float) -> str:
    """A number with K, M or G, four digits: 1234567 -> 1.235M."""
    for suffix, unit in (("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if abs(value) >= unit:
            return f"{value / unit:.4g}{suffix}"
    return f"{value:.4g}"


def parse_budgets(texts: str | Sequence[str]) -> tuple[Budget, ...]:
    """Reads one or several budgets; one text may hold several, separated by commas.

    Raises:
        UsageError: not `KIND=AMOUNT`, an unknown kind, an amount that makes no sense, or a kind twice.
    """
    parts = [part for text in ([texts] if isinstance(texts, str) else texts) for part in text.split(",")]
    budgets = tuple(_parse(part.strip()) for part in parts if part.strip())
    if not budgets:
        raise UsageError("a budget is empty; give for example macs=30%")
    kinds = [budget.kind for budget in budgets]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise UsageError(f"budget {kind}= is given twice; give it once")
    return budgets


def _parse(text: str) -> Budget:
    name, equals, amount = (part.strip() for part in text.partition("="))
    kind = next((kind for kind in get_args(Kind) if kind == name.lower()), None)
    if not equals or kind is None:
        known = ", ".join(get_args(Kind))
        raise UsageError(f"budget {text!r}: expected KIND=AMOUNT with a kind of {known}, e.g. macs=30%")
    amount, _, backend = (part.strip() for part in amount.partition("@"))
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        raise UsageError(f"budget {text!r}: expected an amount like 30%, 2.4M or 1.2G, got {amount!r}")
    backend = _backend(text, kind, match["unit"], backend)
    number = float(match["number"])
    if match["unit"] == "%":
        return Budget(kind, _share(text, kind, number), is_share=True, backend=backend)
    if kind == "latency":
        return Budget(kind, _milliseconds(text, number), is_share=False, backend=backend)
    return Budget(kind, _absolute(text, number * _UNITS[match["unit"].lower()]), is_share=False)


def _backend(text: str, kind: Kind, unit: str, backend: str) -> str:
    """The backend a budget names; only latency has one, and it always has one."""
    if kind != "latency":
        if backend or unit == "ms":
            raise UsageError(f"budget {text!r}: milliseconds and @backend belong to latency=, not {kind}=")
        return ""
    if unit not in ("ms", "%") or backend not in LATENCY_BACKENDS:
        raise UsageError(
            f"budget {text!r}: write latency=8ms@BACKEND or latency=40%@BACKEND with a backend of "
            f"{', '.join(LATENCY_BACKENDS)}"
        )
    return backend


def _milliseconds(text: str, value: float) -> float:
    if value <= 0:
        raise UsageError(f"budget {text!r}: the latency is above 0 ms")
    return value


def _share(text: str, kind: Kind, percent: float) -> float:
    if kind == "channels" and not 0 <= percent < 100:
        raise UsageError(f"budget {text!r}: the share of channels to remove is at least 0% and below 100%")
    if kind != "channels" and not 0 < percent <= 100:
        raise UsageError(f"budget {text!r}: the share of {kind} to keep is above 0% and at most 100%")
    return percent / 100


def _absolute(text: str, value: float) -> float:
    if value < 1:
        raise UsageError(f"budget {text!r}: less than one; for a share write a percentage, e.g. 30%")
    return value
