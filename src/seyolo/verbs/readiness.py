"""Readiness of a network for pruning: BN scales of pruned and kept channels, and AP without repair."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np

from seyolo.data.datasets import Dataset
from seyolo.data.samples import Sample
from seyolo.evaluation.evaluate import evaluate
from seyolo.pruning.groups.atoms import FloatArray
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.prune import prune_by
from seyolo.report.verdict import LEARNED_AP50, moved_text
from seyolo.results import NEARLY_ZERO, Readiness, Scales
from seyolo.torchnet.build import DarknetModel
from seyolo.training.sparsity import sparse_scales
from seyolo.training.validation import validation_splits

VALIDATION_IMAGES = 200
APART = 0.5
FEW = 0.1  # share of the scales nearly zero below which they are not apart after training
NOT_APART = "warning: importance bn prunes nearly at random while the scales are not apart; "
IN_TRAIN = f"{NOT_APART}more steps of sparsity training move them apart"
IN_SLIM = f"{NOT_APART}more --sparse-epochs or a larger --scales-rate move them apart"
IN_PRUNE = f"{NOT_APART}--data IMAGES without --importance ranks by obs, or train with more steps of sparsity"


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
    """Explains the measurements in sentences; `is_given` where given weights had sparsity training alone."""
    if found is None:
        return ["the plan prunes no channel with a BN scale"]
    lines = [
        *_scale_lines(found, found.importance, IN_SLIM),
        f"after pruning, before repair: AP@0.5 on val {moved_text(found.ap50, found.cut_ap50)}",
    ]
    if is_given and found.ap50 < LEARNED_AP50:
        better = "where the given weights are better, start again without it: --sparse-epochs 0"
        lines.append(f"warning: after sparsity training AP@0.5 on val is {found.ap50:.3f}; {better}")
    return lines


def _scale_lines(found: Scales, importance: str, advice: str) -> list[str]:
    """Says whether the scales of pruned and kept channels are apart, and what helps if they have to be."""
    is_apart = found.misplaced < 0.1 and found.going_scale < APART
    verdict = "the scales are apart" if is_apart else "the scales are not apart"
    if importance != "bn":
        verdict = f"importance {importance} decides, not the scales"
    return [
        f"{found.going:.0%} of all channels with a BN scale are pruned, "
        f"{found.nearly_zero:.0%} of the scales nearly zero",
        f"{verdict}: a pruned channel has {found.going_scale:.0%} of the scale of a kept one, and "
        f"{found.misplaced:.0%} of the pruned scales are larger than the smallest tenth of the kept ones",
        *([advice] if importance == "bn" and not is_apart else []),
    ]


def scales_of_cut(model: DarknetModel, plan: Plan) -> list[str]:
    """Explains a plan of importance `bn` by the scales of the channels; says nothing on another plan."""
    found = _scales(model, plan) if plan.importance == "bn" else None
    if found is None:
        return []
    lines, can_prune = _scale_lines(found, plan.importance, IN_PRUNE), plan.prunable_channels()
    if can_prune is None:
        return lines
    kept, pruned = _kept_and_pruned(model, plan, {layer for layer, channels in can_prune.items() if channels})
    ranges = (
        f"pruned are those up to {pruned.max():.3g}, kept those from {kept.min():.3g} to {kept.max():.3g}"
    )
    overlap = "; they overlap as every layer keeps its last channels" if pruned.max() > kept.min() else ""
    share = f"{len(pruned) / (len(kept) + len(pruned)):.0%} of those that may be pruned"
    return [*lines, f"scales where one threshold decides, {share}: {ranges}{overlap}"]


def scales_of_training(model: DarknetModel, figure: Path) -> list[str]:
    """Says how many scales sparsity training has moved to nearly zero, and which figure shows them."""
    scales = np.concatenate([np.zeros(0), *_absolute(model).values()])
    if not len(scales):
        return []
    share = _nearly_zero(scales, np.quantile(scales, 0.95))  # the median of the largest tenth
    lines = [
        f"{share:.0%} of the scales nearly zero, as {figure} shows: importance bn can prune about as many"
    ]
    return [*lines, IN_TRAIN] if share < FEW else lines


def readiness(
    model: DarknetModel, plan: Plan, images: list[Sample], size_hw: tuple[int, int]
) -> Readiness | None:
    """Compares the scales of pruned and kept channels, and evaluates the network before and after pruning.

    Returns None where no channel with a scale is pruned, or every one is.
    """
    found = _scales(model, plan)
    if found is None:
        return None
    before, after = (
        evaluate(candidate, images, size_hw, batch_size=32).ap50
        for candidate in (model, prune_by(model, plan).to(next(model.parameters()).device))
    )
    return Readiness(**vars(found), ap50=before, cut_ap50=after, importance=plan.importance)


def _scales(model: DarknetModel, plan: Plan) -> Scales | None:
    """Compares the scales of pruned and kept channels; None where none is pruned, or every one is."""
    kept, pruned = _kept_and_pruned(model, plan)
    if not len(pruned) or not len(kept):
        return None
    scales = np.concatenate([kept, pruned])
    return Scales(
        nearly_zero=_nearly_zero(scales, np.median(kept)),
        going=len(pruned) / len(scales),
        going_scale=float(pruned.mean() / max(kept.mean(), 1e-12)),
        misplaced=float(np.mean(pruned > np.quantile(kept, 0.1))),  # larger than the smallest tenth kept
    )


def _nearly_zero(scales: FloatArray, large: np.floating) -> float:
    return float(np.mean(scales < NEARLY_ZERO * large))


def _kept_and_pruned(
    model: DarknetModel, plan: Plan, layers: Collection[int] | None = None
) -> tuple[FloatArray, FloatArray]:
    """Returns |γ| of the channels that a plan keeps and prunes, of all layers or of some."""
    masks = plan.masks(model.network)
    scales = {layer: own for layer, own in _absolute(model).items() if layers is None or layer in layers}
    whole = np.concatenate([np.zeros(0), *scales.values()])
    is_kept = np.concatenate([np.zeros(0, bool), *(masks[layer] for layer in scales)])
    return whole[is_kept], whole[~is_kept]


def _absolute(model: DarknetModel) -> dict[int, FloatArray]:
    """Returns |γ| of every convolution with batch normalisation."""
    norms = sparse_scales(model)
    return {int(name.split(".")[1]): np.abs(bn.weight.detach().cpu().numpy()) for name, bn in norms.items()}
