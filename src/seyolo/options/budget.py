"""Budgets: limits on the cost of the pruned network, one class for each kind.

`macs=30%`, `params=2.4M` and `latency=8ms@onnxruntime` limit what remains, as a share of the dense network or
as a number; `channels=85%` is the share of channels to remove, as the papers count. Several hold together. A
new kind is a class here, listed in `KINDS`; a cost that nobody counts yet is a method of `CostModel`.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from seyolo.errors import UsageError

if TYPE_CHECKING:
    from seyolo.pruning.groups.atoms import IntArray
    from seyolo.pruning.planning.cost_model import CostModel

LATENCY_BACKENDS = ("onnxruntime", "opencv", "torch")
_AMOUNT = re.compile(r"(?P<number>\d+\.?\d*|\.\d+)\s*(?P<unit>%|ms|[kKmMgG]?)")
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_ROUNDING = 1e-6
"""A share such as 0.85 is not exact in binary: 0.85 of 100 must not become 86."""


def format_count(value: float) -> str:
    """Formats a number with K, M or G and four digits: 1234567 -> 1.235M."""
    for suffix, unit in (("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if abs(value) >= unit:
            return f"{value / unit:.4g}{suffix}"
    return f"{value:.4g}"


@dataclass(frozen=True)
class Counted:
    """Sources of cost of a network whose groups keep some of their channels."""

    model: CostModel  # parameters and MACs
    owners: IntArray  # (groups,) convolutions of each group that may be pruned; 0 for other groups
    latency: Mapping[str, Callable[[IntArray], float]]  # per backend, ms of the (groups,) kept channels


@dataclass(frozen=True)
class Budget(ABC):
    """A limit on one kind of cost. This base class counts what remains, in whole numbers."""

    amount: float  # a share in [0, 1], a number, or milliseconds
    is_share: bool  # whether `amount` is a share of the dense network

    kind: ClassVar[str]
    examples: ClassVar[str]  # budgets of the kind, as help texts show them
    least: ClassVar[int] = 1_000  # a number below is meant as a share
    by_threshold: ClassVar[bool] = False
    """One threshold on importance decides, as published: no block is removed and no evenness is added."""

    @abstractmethod
    def cost(self, counted: Counted) -> Callable[[IntArray], float]:
        """Returns the cost as a function of the (groups,) kept channels; more channels never cost less."""

    @classmethod
    def parse(cls, text: str, amount: str) -> Self:
        """Reads the part of a budget behind the equals sign; errors quote the whole, `text`."""
        amount, _, backend = amount.partition("@")
        number, unit = _number(text, amount)
        if backend.strip() or unit == "ms":
            problem = f"milliseconds and @backend belong to latency=, not {cls.kind}="
            raise UsageError(f"budget {text!r}: {problem}")
        if unit == "%":
            cls.check_percent(text, number)
            return cls(number / 100, is_share=True)
        number *= _UNITS[unit.lower()]
        if number < cls.least:
            share = number * 100 if number < 1 else number if number <= 100 else 30
            advice = f"for a share write {cls.kind}={share:g}%"
            raise UsageError(f"budget {text!r}: less than {cls.least:,} {cls.kind}; {advice}")
        return cls(number, is_share=False)

    @classmethod
    def check_percent(cls, text: str, percent: float) -> None:
        """Raises UsageError for a share that no network can have."""
        if not 0 < percent <= 100:
            raise UsageError(f"budget {text!r}: the share of {cls.kind} to keep is above 0% and at most 100%")

    def limit(self, dense: float) -> float:
        """Returns the most that may remain, where the dense network has `dense`."""
        return math.floor(self._absolute(dense) + _ROUNDING)

    def nearest(self, least: float, dense: float) -> str:
        """Returns the nearest feasible budget of this kind, where `least` is all that can be reached."""
        if self.is_share:
            return str(replace(self, amount=_up(least / dense, 1000)))
        return f"{self.kind}={least:.0f}"

    def looser(self, dense: float) -> Self | None:
        """Returns a budget that leaves more of the `dense` cost, if there is one: macs=60% becomes macs=80%.

        It leaves 20 points or half more, at most half of what is missing; `inf` is an unknown dense cost.
        """
        whole, step = (1.0, 0.2) if self.is_share else (dense, self.amount / 2)
        amount = float(f"{min(self.amount + step, (self.amount + whole) / 2):.3g}")
        return replace(self, amount=amount) if self.amount < amount < whole else None

    def cost_text(self, cost: float) -> str:
        """Formats a cost of this kind."""
        return format_count(cost)

    @property
    def unit(self) -> str:
        """The unit of a cost in messages."""
        return self.kind

    def _absolute(self, dense: float) -> float:
        return self.amount * dense if self.is_share else self.amount

    def __str__(self) -> str:
        return f"{self.kind}={_percent(self.amount) if self.is_share else format_count(self.amount)}"


class MacsBudget(Budget):
    """Multiply-accumulates that may remain."""

    kind = "macs"
    examples = "macs=30%, macs=1.2G"

    def cost(self, counted: Counted) -> Callable[[IntArray], float]:
        return counted.model.macs


class ParamsBudget(Budget):
    """Parameters that may remain."""

    kind = "params"
    examples = "params=2.4M"

    def cost(self, counted: Counted) -> Callable[[IntArray], float]:
        return counted.model.params


class ChannelsBudget(Budget):
    """Output channels to remove, of the convolutions that may be pruned."""

    kind = "channels"
    examples = "channels=85% (removed)"
    least = 1
    by_threshold = True

    def cost(self, counted: Counted) -> Callable[[IntArray], float]:
        return lambda counts: int(counted.owners @ counts)

    @classmethod
    def check_percent(cls, text: str, percent: float) -> None:
        if not 0 <= percent < 100:
            problem = "the share of channels to remove is at least 0% and below 100%"
            raise UsageError(f"budget {text!r}: {problem}")

    def cost_text(self, cost: float) -> str:
        return f"{cost:,.0f}"

    def looser(self, dense: float) -> Self | None:
        amount = max(self.amount - 0.2, self.amount / 2) if self.is_share else self.amount // 2
        return replace(self, amount=float(f"{amount:.3g}")) if amount > 0 else None

    def limit(self, dense: float) -> float:
        return dense - math.ceil(self._absolute(dense) - _ROUNDING)

    def nearest(self, least: float, dense: float) -> str:
        if self.is_share:
            return str(replace(self, amount=math.floor((dense - least) / dense * 1000) / 1000))
        return f"{self.kind}={dense - least:.0f}"


@dataclass(frozen=True)
class LatencyBudget(Budget):
    """Milliseconds of an image that may remain on one backend."""

    backend: str
    kind = "latency"
    examples = f"latency=8ms@{LATENCY_BACKENDS[0]} (or {', '.join(LATENCY_BACKENDS[1:])})"

    def cost(self, counted: Counted) -> Callable[[IntArray], float]:
        return counted.latency[self.backend]

    @classmethod
    def parse(cls, text: str, amount: str) -> Self:
        amount, _, backend = (part.strip() for part in amount.partition("@"))
        number, unit = _number(text, amount)
        if unit not in ("ms", "%") or backend not in LATENCY_BACKENDS:
            forms = "latency=8ms@BACKEND or latency=40%@BACKEND"
            known = ", ".join(LATENCY_BACKENDS)
            raise UsageError(f"budget {text!r}: write {forms} with a backend of {known}")
        if unit == "%":
            cls.check_percent(text, number)
            return cls(number / 100, is_share=True, backend=backend)
        if number <= 0:
            raise UsageError(f"budget {text!r}: the latency is above 0 ms")
        return cls(number, is_share=False, backend=backend)

    def limit(self, dense: float) -> float:
        return self._absolute(dense)

    def nearest(self, least: float, dense: float) -> str:
        amount = _up(least / dense, 1000) if self.is_share else _up(least, 100)
        return str(replace(self, amount=amount))

    def cost_text(self, cost: float) -> str:
        return f"{cost:.3g}"

    @property
    def unit(self) -> str:
        return f"ms on {self.backend}"

    def __str__(self) -> str:
        amount = _percent(self.amount) if self.is_share else f"{self.amount:g}ms"
        return f"{self.kind}={amount}@{self.backend}"


KINDS: Mapping[str, type[Budget]] = {
    kind.kind: kind for kind in (MacsBudget, ParamsBudget, ChannelsBudget, LatencyBudget)
}
EXAMPLES = "; ".join([", ".join(kind.examples for kind in KINDS.values()), "several budgets all hold"])


def parse_budgets(texts: str | Sequence[str]) -> tuple[Budget, ...]:
    """Reads one or several budgets; one text may hold several, separated by commas.

    Raises UsageError for a text that is no `KIND=AMOUNT`, an amount that makes no sense, or a kind twice.
    """
    parts = [part for text in ([texts] if isinstance(texts, str) else texts) for part in text.split(",")]
    budgets = tuple(_parse(part.strip()) for part in parts if part.strip())
    if not budgets:
        raise UsageError("a budget is empty; give for example macs=30%")
    for kind, count in Counter(budget.kind for budget in budgets).items():
        if count > 1:
            raise UsageError(f"budget {kind}= is given twice; give it once")
    return budgets


def _parse(text: str) -> Budget:
    name, equals, amount = (part.strip() for part in text.partition("="))
    kind = KINDS.get(name.lower())
    if not equals or kind is None:
        form = f"KIND=AMOUNT with a kind of {', '.join(KINDS)}, e.g. macs=30%"
        if name.lower() in ("flops", "gflops", "ops") or (not equals and _AMOUNT.fullmatch(name)):
            form = f"{form}; did you mean macs={amount or name}?"
        raise UsageError(f"budget {text!r}: expected {form}")
    return kind.parse(text, amount)


def _number(text: str, amount: str) -> tuple[float, str]:
    """Returns the number and the unit of an amount."""
    match = _AMOUNT.fullmatch(amount.strip())
    if match is None:
        expected = "a comma between limits" if "+" in amount else "an amount like 30%, 2.4M or 1.2G"
        raise UsageError(f"budget {text!r}: expected {expected}, got {amount.strip()!r}")
    return float(match["number"]), match["unit"]


def _percent(share: float) -> str:
    return f"{share * 100:.6g}%"


def _up(value: float, steps: int) -> float:
    """Rounds up to a whole number of steps, which keeps a nearest budget feasible."""
    return math.ceil(value * steps) / steps
