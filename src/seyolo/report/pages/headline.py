"""Gain of a slimming run in AP, MACs and latency: its headline, and how certain the difference in AP is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seyolo.report.tables.slim import shown_split
from seyolo.report.text import points_text, ratio_text
from seyolo.results import SlimResults
from seyolo.runtime.choice import RUNTIMES

RUNTIME_NAMES: dict[str, str] = {name: kind.title for name, kind in RUNTIMES.items()}
"""Names for print by the names in `results.json`; the first that was measured represents the run."""


@dataclass(frozen=True)
class Gain:
    """The dense and the slim network of a run compared."""

    split: str  # that AP was measured on
    ap: tuple[float, float]
    macs: tuple[int, int]
    latency_ms: tuple[float, float]
    runtime: str  # that latency was measured on; empty where it was not
    interval: tuple[float, float] | None  # 95 % interval of the difference in AP; None where it is unknown

    def headline(self) -> str:
        """Returns one line: 3.3x fewer MACs, 1.4x faster on ONNX Runtime, AP +0.1."""
        parts = [ratio_text(*self.macs, "fewer MACs", "more MACs", "as many MACs")]
        if self.runtime:
            where = f" on {RUNTIME_NAMES.get(self.runtime, self.runtime)}"
            parts.append(ratio_text(*self.latency_ms, f"faster{where}", f"slower{where}", f"as fast{where}"))
        if self.is_measured():
            parts.append(f"AP {self.ap_points}")
        return ", ".join(parts)

    @property
    def ap_points(self) -> str:
        """Change of AP in points, as text."""
        return points_text(self.ap[1] - self.ap[0])

    def is_measured(self) -> bool:
        """Tests whether AP was measured; without a labelled object it is nan."""
        return all(math.isfinite(value) for value in self.ap)

    def verdict(self) -> str:
        """Returns a sentence on whether the difference in AP is significant for the evaluated images."""
        if self.interval is None:
            return "No confidence interval of this difference was measured."
        low, high = self.interval
        span = f"95 % interval {points_text(low)} to {points_text(high)}"
        if not (low > 0 or high < 0):
            return f"These images show no certain difference ({span})."
        better = "better" if low > 0 else "worse"
        return f"The slim network is {better}, also given the random choice of test images ({span})."


def gain_of(results: SlimResults) -> Gain:
    """Returns the gain of a run."""
    dense, slim = results.dense, results.slim
    labelled = [name for name, metrics in dense.metrics.items() if math.isfinite(metrics.ap)]
    split = shown_split(labelled or dense.metrics)
    runtime = next((name for name in RUNTIME_NAMES if name in dense.latency_ms), "")
    lead = results.lead.get(split)
    return Gain(
        split=split,
        ap=(dense.metrics[split].ap, slim.metrics[split].ap),
        macs=(dense.macs, slim.macs),
        latency_ms=(dense.latency_ms.get(runtime, 0.0), slim.latency_ms.get(runtime, 0.0)),
        runtime=runtime,
        interval=(lead.low, lead.high) if lead else None,
    )
