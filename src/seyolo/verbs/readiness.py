"""Readiness of a network for pruning: BN scales of pruned and kept channels, and AP without repair."""

from __future__ import annotations

import math

import numpy as np

from seyolo.data.datasets import Dataset
from seyolo.data.samples import Sample
from seyolo.evaluation.evaluate import evaluate
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.prune import prune_by
from seyolo.report.verdict import LEARNED_AP50, moved_text
from seyolo.results import Readiness
from seyolo.torchnet.build import DarknetModel
from seyolo.training.sparsity import sparse_scales
from seyolo.training.validation import validation_splits

VALIDATION_IMAGES = 200
NEARLY_ZERO, APART = 0.01, 0.5


def validation_images(dataset: Dataset) -> list[Sample]:
    """Returns up to 200 images of every validation split that has labels."""
    found: list[Sample] = []
    for name in validation_splits(dataset):
        samples = dataset.split(name)
        chosen = samples[:: math.ceil(len(samples) / VALIDATION_IMAGES)]
        if any(len(sample.class_ids) for sample in chosen):
            found += chosen
    return found


def readiness_lines(found: Readiness | None, *, is_given: bool = False) -> list[str]:
    """Explains the measurements in sentences; `is_given` where the weights had no dense training here."""
    if found is None:
        return ["the plan prunes no channel with a BN scale"]
    is_apart = found.misplaced < 0.1 and found.going_scale < APART
    verdict = "the scales are apart" if is_apart else "the scales are not apart"
    if found.importance != "bn":
        verdict = f"importance {found.importance} decides, not the scales"
    lines = [
        f"{found.going:.0%} of the channels are pruned, {found.nearly_zero:.0%} of the scales nearly zero",
        f"{verdict}: a pruned channel has {found.going_scale:.0%} of the scale of a kept one, and "
        f"{found.misplaced:.0%} of the pruned scales are larger than the smallest tenth of the kept ones",
        f"after pruning, before repair: AP@0.5 on val {moved_text(found.ap50, found.cut_ap50)}",
    ]
    if is_given and found.ap50 < LEARNED_AP50:
        better = "where the given weights are better, start again without it: --sparse-epochs 0"
        lines.append(f"warning: after sparsity training AP@0.5 on val is {found.ap50:.3f}; {better}")
    return lines


def readiness(
    model: DarknetModel, plan: Plan, images: list[Sample], size_hw: tuple[int, int]
) -> Readiness | None:
    """Compares the scales of pruned and kept channels, and evaluates the network before and after pruning.

    Returns None where no channel with a scale is pruned, or every one is.
    """
    masks = plan.masks(model.network)
    scales_of = {name: np.abs(bn.weight.detach().cpu().numpy()) for name, bn in sparse_scales(model).items()}
    scales = np.concatenate([np.zeros(0), *scales_of.values()])  # |γ| of all channels
    is_kept = np.concatenate([np.zeros(0, bool), *(masks[int(name.split(".")[1])] for name in scales_of)])
    kept, pruned = scales[is_kept], scales[~is_kept]
    if not len(pruned) or not len(kept):
        return None
    before, after = (
        evaluate(candidate, images, size_hw, batch_size=32).ap50
        for candidate in (model, prune_by(model, plan).to(next(model.parameters()).device))
    )
    return Readiness(
        nearly_zero=float(np.mean(scales < NEARLY_ZERO * np.median(kept))),
        going=len(pruned) / len(scales),
        going_scale=float(pruned.mean() / max(kept.mean(), 1e-12)),
        misplaced=float(np.mean(pruned > np.quantile(kept, 0.1))),  # larger than the smallest tenth kept
        ap50=before,
        cut_ap50=after,
        importance=plan.importance,
    )
