"""Verdict on a run: whether its networks have learned and why not, loss of AP in shares, noisy timings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from seyolo.errors import counted
from seyolo.options.budget import parse_budgets
from seyolo.report.tables.slim import shown_split
from seyolo.report.text import MOST_LOST_AP, latency_text, noise_text, ratio_text, share_text, speed_text
from seyolo.results import STAGE_TITLES, Difference, RunStart, SlimResults, SplitMetrics, StageResult
from seyolo.runtime.choice import RUNTIMES

LEARNED_AP50 = 0.3
"""AP@0.5 on val from which on a network counts as one that has learned."""
ENOUGH_STEPS, ENOUGH_IMAGES, ENOUGH_VAL_BOXES = 300, 30, 10
FEW_IMAGES, FEW_OBJECTS, WIDEST = 50, 100, 0.06
"""Images and objects that are too few to compare AP on, and the width of a 95 % interval that is too wide.

On hands the interval is 0.020 wide for 448 images and by the square root wider for fewer: 0.06 for 50.
"""
OR_WEIGHTS = ", or start from trained weights with --weights"
NOISE = 0.1
"""Networks of one shape that were timed further apart than this share show that the timing was noisy."""


@dataclass(frozen=True)
class Failure:
    """Networks of a run that have not learned.

    Attributes:
        ap50: AP@0.5 of all networks of the run on `split`, by name: dense and slim, or network.
        reasons: what may be the cause, each with the option that helps.
    """

    ap50: Mapping[str, float]
    split: str
    reasons: tuple[str, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the networks that have not learned."""
        return tuple(name for name, ap50 in self.ap50.items() if ap50 < LEARNED_AP50)

    def headline(self) -> str:
        """Returns one sentence: Neither network has learned: AP@0.5 on val is 0.021 dense, 0.013 slim."""
        figures = ", ".join(
            f"{share_text(ap50)}{f' {name}' if len(self.ap50) > 1 else ''}"
            for name, ap50 in self.ap50.items()
        )
        if len(self.ap50) == 1:
            who = "The network has not learned"
        elif len(self.failed) == len(self.ap50):
            who = "Neither network has learned"
        else:
            who = f"The {self.failed[0]} network has not learned"
        return f"{who}: AP@0.5 on {self.split} is {figures}; from {LEARNED_AP50} on a network is of use."

    def lines(self) -> list[str]:
        """Returns the headline, and a line per reason."""
        return [self.headline(), *(f"- {reason}" for reason in self.reasons)]


@dataclass(frozen=True)
class NoisyTiming:
    """Two networks of one shape whose latency on a runtime differs by more than `NOISE`."""

    runtime: str
    latency_ms: Mapping[str, float]  # of the two, by stage

    def sentence(self) -> str:
        """Returns what shows that latency was measured badly, and what to do about it."""
        (one, first), (other, second) = self.latency_ms.items()
        title = RUNTIMES[self.runtime].title if self.runtime in RUNTIMES else self.runtime
        one, other = (STAGE_TITLES.get(name, name) for name in (one, other))
        took = f"{one} took {latency_text(first)} and {other} {latency_text(second)} on {title}"
        advice = "compare MACs, or time the files again on an idle machine with seyolo benchmark"
        return f"Timing was noisy: {took}, although both have one shape; {advice}."


@dataclass(frozen=True)
class Verdict:
    """Statements that come before the figures of a run."""

    failure: Failure | None = None
    noise: NoisyTiming | None = None
    few: str = ""  # the split that represents the run, where it is too small: 12 images with 23 objects
    harm: tuple[str, ...] = ()  # a sentence for each stage of training that lowered AP

    def lines(self) -> list[str]:
        """Returns the lines to print first; none for a run as it should be."""
        failed = self.failure.lines() if self.failure else []
        return [*self.harm, *failed, *([self.noise.sentence()] if self.noise else [])]

    def remark(self) -> str:
        """Returns what follows an AP that was measured on too few images, in brackets; else nothing."""
        return f" (on {self.few}: too few to tell; label more)" if self.few else ""


def slim_verdict(
    results: SlimResults, start: RunStart | None = None, *, new_activation: bool = False
) -> Verdict:
    """Returns the verdict on a run of `slim`.

    Args:
        start: the task of the run, for the reasons of a failure.
        new_activation: whether fine-tuning began with another activation, which changes latency.
    """
    noise = noisy_timing(results, new_activation=new_activation)
    shown = shown_of(results)
    few = too_few(shown, start, results.lead.get(shown)) if len(results.stages) > 1 else ""
    split, dense = validation_ap50(results.dense.metrics)
    slim = results.slim.metrics.get(split, SplitMetrics()).ap50
    ap50 = {"dense": dense, "slim": slim} if len(results.stages) > 1 else {"network": dense}
    worse = tuple(lowered_lines(results))
    if not min(ap50.values()) < LEARNED_AP50:
        return Verdict(None, noise, few, worse)
    reasons = tuple(_slim_reasons(ap50, results, start))
    return Verdict(Failure(ap50, split, reasons), noise, few, worse)


def lowered_lines(results: SlimResults) -> Iterator[str]:
    """Yields a sentence for each training that lowered AP on val: sparsity training of given weights, tuning.

    A change counts from 1 point on, and from half the interval of slim against dense where that is wider.
    """
    split, _ = validation_ap50(results.dense.metrics)
    ap = {one.stage: one.metrics.get(split, SplitMetrics()).ap for one in results.stages}
    lead = results.lead.get(split)
    least = max(MOST_LOST_AP, (lead.high - lead.low) / 2 if lead else 0.0)
    stages = ("dense", "sparse", "pruned", "finetuned")
    advice = "fewer epochs (--finetune-epochs), a smaller --lr or more images harm less"
    dense, sparse, pruned, tuned = (ap.get(name, math.nan) for name in stages)
    if results.dense.epochs == 0 and sparse < dense / 2 and dense - ap[results.slim.stage] > least:
        change = f"AP of the given weights on {split} from {share_text(dense)} to {share_text(sparse)}"
        yield f"Sparsity training lowered {change}: leave it out, --sparse-epochs 0."
    if results.start_kept:
        kept = f"the pruned network, AP on {split} {share_text(tuned)}, is kept as slim"
        has_learned = results.slim.metrics.get(split, SplitMetrics()).ap50 >= LEARNED_AP50
        told = f"{kept}; {advice}" if has_learned else kept
        yield f"No epoch of fine-tuning was better than its start: {told}."
    elif pruned - tuned > least:
        change = f"AP on {split} from {share_text(pruned)} to {share_text(tuned)}"
        yield f"Fine-tuning lowered {change}: pruned.safetensors is better; {advice}."


def shown_of(results: SlimResults) -> str:
    """Returns the split that represents a run: one with labels, if there is any."""
    metrics = results.dense.metrics
    return shown_split([split for split, found in metrics.items() if math.isfinite(found.ap)] or metrics)


def too_few(split: str, start: RunStart | None, lead: Difference | None = None) -> str:
    """Returns the images and objects of a split, where they are too few to compare AP on; else nothing.

    They are where the interval of the difference is wide. Where it is not known, or so few that the interval
    itself is a guess, the counts decide.
    """
    images, objects = (
        (math.inf, math.inf)
        if start is None
        else (found.get(split, math.inf) for found in (start.images, start.boxes))
    )
    are_few = images < FEW_IMAGES, objects < FEW_OBJECTS
    if not (any(are_few) if lead is None else all(are_few) or lead.high - lead.low > WIDEST):
        return ""
    if not math.isfinite(images):
        return f"the images of {split}"
    return f"{counted(int(images), 'image')} of {split} with {counted(int(objects), 'object')}"


def train_verdict(row: Mapping[str, float], start: RunStart | None = None) -> Verdict:
    """Returns the verdict on a run of `train` from the row of its best epoch in results.csv."""
    metrics = {
        name.removesuffix("_ap50"): SplitMetrics(ap50=float(value))
        for name, value in row.items()
        if name.endswith("_ap50")
    }
    split, ap50 = validation_ap50(metrics)
    few = too_few(split, start) if math.isfinite(ap50) else ""
    if not ap50 < LEARNED_AP50:
        return Verdict(few=few)
    return Verdict(Failure({"network": ap50}, split, tuple(_reasons(start))), few=few)


def validation_ap50(metrics: Mapping[str, SplitMetrics]) -> tuple[str, float]:
    """Returns the validation split with labels that represents a run, and AP@0.5 on it; nan without one."""
    measured = {
        name: found.ap50
        for name, found in metrics.items()
        if name.startswith("val") and math.isfinite(found.ap50)
    }
    split = "val" if "val" in measured or not measured else min(measured)
    return split, measured.get(split, math.nan)


def shortages(start: RunStart) -> list[str]:
    """Returns what a run has too little of to learn, each with the option that mends it."""
    stage, images = next(iter(start.steps)), start.images.get("train", 0)
    found = []
    anew = sum(start.steps.values())  # where given weights are slimmed
    if not start.steps[stage] and start.steps.get("finetuned") and anew < ENOUGH_STEPS:
        said = f"{counted(anew, 'step')}; a few hundred are needed"
        found.append(f"{said}: --finetune-epochs {_enough_epochs(start, 'finetuned')}")
    if 0 < start.steps[stage] < ENOUGH_STEPS:
        steps = counted(start.steps[stage], "step")
        of_stage = "" if stage == "train" else f" of {stage} training"
        found.append(f"{steps}{of_stage}; a few hundred are needed: --epochs {_enough_epochs(start, stage)}")
    if images < ENOUGH_IMAGES:
        said = f"{counted(images, 'training image')}; {ENOUGH_IMAGES} or more are needed"
        has_weights = not start.origin.startswith("new weights")
        found.append(f"{said}: label more{'' if has_weights else OR_WEIGHTS}")
    boxes = start.boxes.get("val", ENOUGH_VAL_BOXES)
    if boxes < ENOUGH_VAL_BOXES:
        found.append(
            f"{counted(boxes, 'box')} in val; AP on so few says little: move more labelled images to val"
        )
    return found


def _enough_epochs(start: RunStart, stage: str) -> int:
    """Returns the epochs of about `ENOUGH_STEPS` steps, rounded up to one digit."""
    wanted = math.ceil(ENOUGH_STEPS * start.epochs[stage] / start.steps[stage])
    unit = int(f"1{'0' * (len(str(wanted)) - 1)}")
    return math.ceil(wanted / unit) * unit


def _reasons(start: RunStart | None) -> list[str]:
    found = shortages(start) if start is not None else []
    return found or [
        "images and labels may not fit each other: seyolo data check DATA lists what is wrong",
        "training may have been too short: raise --epochs",
    ]


def _slim_reasons(ap50: Mapping[str, float], results: SlimResults, start: RunStart | None) -> Iterator[str]:
    """Yields the reasons of a run of `slim`; where only the slim network failed, it is the pruning."""
    if ap50.get("dense", 0.0) < LEARNED_AP50:
        yield from _reasons(start)
        return
    if larger := looser_budgets(results):
        budget = " and ".join(results.budget)
        yield f"the budget of {budget} may be too tight for this network: try one that leaves more, {larger}"
    if results.slim.stage == "finetuned":
        yield "training after pruning may have been too short: raise --epochs or --finetune-epochs"
    else:
        yield "the slim network was not trained after pruning: leave --no-finetune out"


def looser_budgets(results: SlimResults) -> str:
    """Returns the option with budgets that leave more of the dense network; empty where none does."""
    dense = results.dense
    costs = vars(dense) | {f"ms on {runtime}": ms for runtime, ms in dense.latency_ms.items()}
    given = parse_budgets(results.budget) if results.budget else ()
    found = [budget.looser(costs.get(budget.unit, math.inf)) for budget in given]
    chosen = [str(looser or budget) for looser, budget in zip(found, given, strict=True)]
    return f"--budget {','.join(chosen)}" if any(found) else ""


def noisy_timing(results: SlimResults, *, new_activation: bool = False) -> NoisyTiming | None:
    """Returns the two stages of one shape whose latency is furthest apart, if by more than `NOISE`."""
    found = [
        NoisyTiming(runtime, {one.stage: one.latency_ms[runtime], other.stage: other.latency_ms[runtime]})
        for one, other in combinations(results.stages, 2)
        if _shape(one, new_activation) == _shape(other, new_activation)
        for runtime in one.latency_ms.keys() & other.latency_ms.keys()
    ]
    worst = max(found, key=_distance, default=None)
    return worst if worst is not None and _distance(worst) > 1 + NOISE else None


def _shape(stage: StageResult, new_activation: bool) -> tuple[object, ...]:
    is_new = new_activation and stage.stage == "finetuned"
    return stage.params, stage.macs, tuple(stage.input_size), is_new


def _distance(timing: NoisyTiming) -> float:
    return max(timing.latency_ms.values()) / min(timing.latency_ms.values())


def relative_text(before: float, after: float) -> str:
    """Formats a change as a share of what was before: 3 % less, 0.4 % more, the same.

    Empty where there was nothing before, or either is nan.
    """
    if not before > 0 or math.isnan(after):
        return ""
    percent = 100 * abs(after - before) / before
    text = f"{percent:.0f}" if percent >= 0.95 else f"{percent:.1f}"
    if text == "0.0":
        return "the same"
    return f"{text} % {'less' if after < before else 'more'}"


def summary(results: SlimResults, verdict: Verdict) -> str:
    """Returns the change from the dense to the slim network in one line; noisy latency is left out."""
    dense, slim = results.dense, results.slim
    parts = []
    split = shown_of(results)
    if math.isfinite(dense.metrics[split].ap):
        before, after = dense.metrics[split].ap, slim.metrics[split].ap
        change = "" if verdict.few or verdict.failure else relative_text(before, after)
        compared = f", {change}" if change else f" instead of {share_text(before)}{verdict.remark()}"
        parts.append(f"AP on {split} {share_text(after)}{compared}")
    parts.append(ratio_text(dense.macs, slim.macs, "fewer MACs", "more MACs", "as many MACs"))
    runtime = next((name for name in RUNTIMES if name in dense.latency_ms.keys() & slim.latency_ms), None)
    if runtime is not None and verdict.noise is None:
        times, noise = (dense.latency_ms[runtime], slim.latency_ms[runtime]), results.noise(runtime)
        around = f" ({noise_text(noise)})" if noise else ""
        parts.append(speed_text(*times, noise, f" on {RUNTIMES[runtime].title}") + around)
    last, first = results.titles()[-1], results.titles()[0]
    return f"{last} against {first}: {', '.join(parts)}"


def moved_text(before: float, after: float) -> str:
    """Formats a change of AP in words: fell from 0.432 to 0.398, rose from 0.4 to 0.5, stayed at 0.4."""
    old, new = share_text(before), share_text(after)
    if old == new:
        return f"stayed at {old}"
    return f"{'fell' if after < before else 'rose'} from {old} to {new}"
