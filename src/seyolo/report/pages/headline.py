"""What a slimming run gained, in one line and in one paragraph: computed, and as honest when it is worse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seyolo.report.tables.stages import shown_split

RUNTIME_NAMES = {
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "opencv": "OpenCV",
    "torch": "PyTorch",
}
"""By the names in `results.json`, the first that was measured stands for the run."""


@dataclass(frozen=True)
class Gain:
    """The dense and the slim network of a run in the figures that count.

    Attributes:
        split: on which AP was measured.
        ap, macs, latency_ms: of the dense and of the slim network.
        runtime: that latency is of; empty where none was measured.
        interval: 95 % of the difference in AP, from low to high, where it is known.
    """

    split: str
    ap: tuple[float, float]
    macs: tuple[int, int]
    latency_ms: tuple[float, float]
    runtime: str
    interval: tuple[float, float] | None

    def headline(self) -> str:
        """3.3x fewer MACs, 1.4x faster on ONNX Runtime, AP +0.1."""
        parts = [ratio_text(*self.macs, "fewer MACs", "more MACs", "as many MACs")]
        if self.runtime:
            where = f" on {RUNTIME_NAMES.get(self.runtime, self.runtime)}"
            parts.append(ratio_text(*self.latency_ms, f"faster{where}", f"slower{where}", f"as fast{where}"))
        if self.is_measured():
            parts.append(f"AP {points_text(self.ap[1] - self.ap[0])}")
        return ", ".join(parts)

    def is_measured(self) -> bool:
        """Whether AP says something: without a labelled object it is nan."""
        return all(math.isfinite(value) for value in self.ap)

    def verdict(self) -> str:
        """What the difference in AP is worth, given the images it was measured on."""
        if self.interval is None:
            return "How certain that difference is was not measured."
        low, high = self.interval
        span = f"95 % interval {points_text(low)} to {points_text(high)}"
        if low > 0:
            return f"That is better beyond the chance of which images were tested ({span})."
        if high < 0:
            return f"That is worse beyond the chance of which images were tested ({span})."
        return f"With these images no difference is certain ({span})."


def gain_of(results: Mapping[str, Any]) -> Gain:
    """The gain of a run; `results` as in `results.json`, its last stage is the slim network."""
    dense, slim = results["stages"][0], results["stages"][-1]
    labelled = [name for name, metrics in dense["metrics"].items() if math.isfinite(metrics["ap"])]
    split = shown_split(labelled or dense["metrics"])
    runtime = next((name for name in RUNTIME_NAMES if name in dense["latency_ms"]), "")
    lead = results.get("lead", {}).get(split)
    return Gain(
        split=split,
        ap=(dense["metrics"][split]["ap"], slim["metrics"][split]["ap"]),
        macs=(dense["macs"], slim["macs"]),
        latency_ms=(dense["latency_ms"].get(runtime, 0.0), slim["latency_ms"].get(runtime, 0.0)),
        runtime=runtime,
        interval=(lead["low"], lead["high"]) if lead else None,
    )


def points_text(share: float) -> str:
    """A difference of AP in points, hundredths of the whole: +0.1, −1.2, ±0.0."""
    points = round(100 * share, 1)
    return f"{points:+.1f}".replace("-", "−") if points else "±0.0"


def ratio_text(before: float, after: float, less: str, more: str, same: str) -> str:
    """How many times less or more there is after than before: 1.4x fewer."""
    if round(max(before, after) / min(before, after), 1) == 1.0:
        return same
    return f"{before / after:.1f}x {less}" if after < before else f"{after / before:.1f}x {more}"
