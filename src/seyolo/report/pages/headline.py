"""Gain of a slimming run: what it finds and costs in plain words, and how certain the difference in AP is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seyolo.errors import counted
from seyolo.report.record import Examples, MistakeCounts
from seyolo.report.text import found_text, objects_text, part_text, points_text, ratio_text, speed_text
from seyolo.report.verdict import Verdict, shown_of
from seyolo.results import SlimResults
from seyolo.runtime.choice import RUNTIMES

RUNTIME_NAMES: dict[str, str] = {name: kind.title for name, kind in RUNTIMES.items()}
"""Names for print by the names in `results.json`; the first that was measured represents the run."""
NO_VERDICT = Verdict()


@dataclass(frozen=True)
class Gain:
    """The dense and the slim network of a run compared."""

    split: str  # that AP was measured on
    ap: tuple[float, float]
    macs: tuple[int, int]
    latency_ms: tuple[float, float]
    runtime: str  # that latency was measured on; empty where it was not
    interval: tuple[float, float] | None  # 95 % interval of the difference in AP; None where it is unknown
    is_noisy: bool = False  # latency: networks of one shape took different times
    noise: float = 0.0  # of latency, as a share; smaller differences are none
    few: str = ""  # as in `Verdict`

    def headline(self) -> str:
        """Returns one line: 3.3x fewer MACs, 1.4x faster on ONNX Runtime, AP +0.1."""
        parts = [ratio_text(*self.macs, "fewer MACs", "more MACs", "as many MACs")]
        if self.is_timed:
            where = f" on {RUNTIME_NAMES.get(self.runtime, self.runtime)}"
            parts.append(speed_text(*self.latency_ms, self.noise, where))
        if self.is_measured():
            parts.append(f"AP: {self.few} are too few to tell" if self.few else f"AP {self.ap_points}")
        return ", ".join(parts)

    @property
    def is_timed(self) -> bool:
        """True where latency was measured without noise."""
        return bool(self.runtime) and not self.is_noisy

    @property
    def ap_points(self) -> str:
        """Change of AP in points, as text."""
        return points_text(self.ap[1] - self.ap[0])

    def is_measured(self) -> bool:
        """Tests whether AP was measured; without a labelled object it is nan."""
        return all(math.isfinite(value) for value in self.ap)

    def verdict(self) -> str:
        """Returns a sentence on whether the difference in AP is significant for the evaluated images."""
        if self.few:
            return f"That is no result: on {self.few} there are too few to tell. Label more."
        if self.interval is None:
            return "No confidence interval of this difference was measured."
        low, high = self.interval
        span = f"95 % interval {points_text(low)} to {points_text(high)}"
        if not (low > 0 or high < 0):
            return f"These images show no certain difference ({span})."
        better = "better" if low > 0 else "worse"
        return f"The slim network is {better}, also given the random choice of test images ({span})."


@dataclass(frozen=True)
class Finds:
    """Labelled objects that both networks find at a confidence threshold, and their false detections."""

    noun: str  # hands, objects
    counts: MistakeCounts

    @property
    def dense(self) -> int:
        """Objects that the dense network finds."""
        return self.counts.objects - self.counts.dense_missed

    @property
    def slim(self) -> int:
        """Objects that the slim network finds."""
        return self.counts.objects - self.counts.slim_missed

    def headline(self) -> str:
        """Returns the beginning of a headline: Finds 97 of 100 hands instead of 98."""
        total = self.counts.objects
        before, after = found_text(self.dense, total), found_text(self.slim, total)
        compared = ", as before" if before == after else f" instead of {before.split(' ')[0]}"
        return f"Finds {after} {self.noun}{compared}"

    def warning(self) -> str:
        """Returns the end of a headline where false detections are far more than before; else nothing."""
        before, after = self.counts.dense_false, self.counts.slim_false
        if after < 1.5 * before or after - before < 0.05 * self.counts.objects:
            return ""
        return f", but with {after:,} false detections instead of {before:,}"

    def sentences(self, split: str, confidence: float | None) -> str:
        """Returns the exact counts."""
        counts = self.counts
        return (
            f"On {split}, at confidence {confidence:g} and above, the slim network finds {self.slim:,} of "
            f"{counts.objects:,} {self.noun} and makes {counted(counts.slim_false, 'false detection')}; "
            f"the dense network finds {self.dense:,} and makes {counts.dense_false:,}. Only the dense "
            f"network finds {counts.only_slim_missed:,} of them, only the slim one "
            f"{counts.only_dense_missed:,}."
        )


def finds_of(examples: Examples, split: str, names: Sequence[str]) -> Finds | None:
    """Returns what both networks find on a split; None where it was not counted or nothing is labelled."""
    counts = examples.mistakes.get(split)
    return Finds(objects_text(names), counts) if counts is not None and counts.objects else None


def plain_headline(results: SlimResults, gain: Gain, finds: Finds) -> str:
    """Returns a line for everybody: Finds 98 of 100 hands, as before, in half the time, from a file ..."""
    if gain.is_timed:
        is_same = speed_text(*gain.latency_ms, gain.noise).startswith("about")
        cost = "in about the same time" if is_same else f"in {part_text(*gain.latency_ms, 'time')}"
    else:
        cost = f"with {part_text(*gain.macs, 'computation')}"
    size = part_text(results.dense.size_bytes, results.slim.size_bytes, "size")
    if gain.few:
        cheaper = f"{cost[0].upper()}{cost[1:]}, from a file {size}"
        return f"{cheaper}; what it finds on {gain.few}: too few to tell, label more"
    return f"{finds.headline()}, {cost}, from a file {size}{finds.warning()}"


def gain_of(results: SlimResults, verdict: Verdict = NO_VERDICT) -> Gain:
    """Returns the gain of a run; its headline leaves out noisy latency, and AP on too few images."""
    dense, slim = results.dense, results.slim
    split = shown_of(results)
    runtime = next((name for name in RUNTIME_NAMES if name in dense.latency_ms), "")
    lead = results.lead.get(split)
    return Gain(
        split=split,
        ap=(dense.metrics[split].ap, slim.metrics[split].ap),
        macs=(dense.macs, slim.macs),
        latency_ms=(dense.latency_ms.get(runtime, 0.0), slim.latency_ms.get(runtime, 0.0)),
        runtime=runtime,
        interval=(lead.low, lead.high) if lead else None,
        is_noisy=verdict.noise is not None,
        noise=results.noise(runtime),
        few=verdict.few,
    )
