"""How ready a network is for a cut."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from seyolo.data.datasets import Dataset, Sample
from seyolo.evaluation.evaluate import evaluate
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.prune import prune_by
from seyolo.torchnet.build import DarknetModel
from seyolo.training.sparsity import sparse_scales
from seyolo.training.validation import validation_splits

VALIDATION_IMAGES = 200
NEARLY_ZERO = 0.01


def validation_images(dataset: Dataset) -> list[Sample]:
    """Up to 200 images of every validation split in which something is labelled."""
    found: list[Sample] = []
    for name in validation_splits(dataset):
        samples = dataset.split(name)
        chosen = samples[:: math.ceil(len(samples) / VALIDATION_IMAGES)]
        if any(len(sample.class_ids) for sample in chosen):
            found += chosen
    return found


@dataclass(frozen=True)
class Readiness:
    """How ready a network is for a cut.

    Attributes:
        nearly_zero: share of the scales below 1 % of the median of those that stay.
        going: share of the channels with a scale that go.
        going_scale: mean scale of a channel that goes, as a share of that of one that stays.
        misplaced: share of the channels that go with a scale above that of the smallest tenth that stays.
        ap50: AP@0.5 on validation images before the cut.
        cut_ap50: the same right after it, with nothing repaired.
        importance: what decides which channels go; scales have to be apart only where that is `bn`.
    """

    nearly_zero: float
    going: float
    going_scale: float
    misplaced: float
    ap50: float
    cut_ap50: float
    importance: str

    def lines(self) -> list[str]:
        """What the figures mean, in sentences."""
        verdict = "the scales are apart" if self.misplaced < 0.1 else "the scales overlap"
        if self.importance != "bn":
            verdict = f"importance {self.importance} decides, not the scales"
        return [
            f"{self.going:.0%} of the channels go, {self.nearly_zero:.0%} of all scales are nearly zero",
            f"{verdict}: a channel that goes has {self.going_scale:.0%} of the scale of one that stays, and "
            f"{self.misplaced:.0%} of those that go are larger than the smallest tenth that stays",
            f"cut with nothing repaired: AP@0.5 on val {self.ap50:.3f} -> {self.cut_ap50:.3f}",
        ]

    def as_dict(self) -> dict[str, Any]:
        """The figures for `results.json`."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def readiness(
    model: DarknetModel, plan: Plan, images: list[Sample], size_hw: tuple[int, int]
) -> Readiness | None:
    """Looks at the scales a plan parts, and tries the cut; None where no channel with a scale goes.

    Args:
        model: before the cut.
        plan: of the cut.
        images: labelled ones.
        size_hw: at which they are seen.
    """
    stays, goes = _parted_scales(model, plan)
    if not len(goes) or not len(stays):
        return None
    before, after = (
        evaluate(candidate, images, size_hw, batch_size=32).ap50
        for candidate in (model, prune_by(model, plan).to(next(model.parameters()).device))
    )
    scales = np.concatenate([stays, goes])
    return Readiness(
        nearly_zero=float(np.mean(scales < NEARLY_ZERO * np.median(stays))),
        going=len(goes) / len(scales),
        going_scale=float(goes.mean() / max(stays.mean(), 1e-12)),
        misplaced=float(np.mean(goes > np.quantile(stays, 0.1))),
        ap50=before,
        cut_ap50=after,
        importance=plan.importance,
    )


def _parted_scales(model: DarknetModel, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """|γ| of the channels that stay and of those that go."""
    masks = plan.masks(model.network)
    stays, goes = [], []
    for name, bn in sparse_scales(model).items():
        scales = np.abs(bn.weight.detach().cpu().numpy())
        mask = masks[int(name.split(".")[1])]
        stays.append(scales[mask])
        goes.append(scales[~mask])
    return np.concatenate([*stays, np.zeros(0)]), np.concatenate([*goes, np.zeros(0)])
