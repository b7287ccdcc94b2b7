"""Built-in importances by name.

| name | score of a channel |
|---|---|
| `bn` | batch-normalisation scale \\|γ\\| (Network Slimming, Liu 2017) |
| `norm` | L2 norm of its kernel |
| `group` | root of the summed squares of the scaled kernels of all tied channels (DepGraph, Fang 2023) |
| `taylor` | expected change of the loss without it (Molchanov 2019), measured on labelled images |
| `obs` | change of the outputs after the other channels make up for it, measured on images |
| `uniform`, `random` | controls |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from seyolo.errors import UsageError
from seyolo.options.cut import Importance as Name
from seyolo.options.cut import Tied
from seyolo.progress import Progress
from seyolo.pruning.groups.groups import Groups
from seyolo.pruning.importance import importance as weights
from seyolo.pruning.importance.importance import ByGroup, ByLayer, Importance, LayerScores, Measure
from seyolo.pruning.importance.obs import num_images, obs_scores
from seyolo.pruning.importance.taylor import taylor_scores
from seyolo.torchnet.build import DarknetModel

MEASURED: frozenset[Name] = frozenset({"taylor", "obs"})  # these need images


class Images(Protocol):
    """Training images on which `taylor` and `obs` are measured."""

    @property
    def seed(self) -> int:
        """Seed of the choice of images, and of random directions."""

    def batches(self, count: int) -> Iterable[Float[Tensor, "N 3 H W"]]:
        """Returns `count` images in batches, RGB in [0, 1]."""

    def num_images(self, count: int) -> int:
        """Returns how many images `batches` gives where `count` are asked for."""

    def labelled_batches(self) -> Iterable[tuple[UInt8[Tensor, "N 3 S S"], Float[Tensor, "M 6"]]]:
        """Returns batches of images and targets as `TrainingLoader` gives them."""


@dataclass(frozen=True)
class Material:
    """Everything a built-in importance may need; each takes its part."""

    tied: Tied | None = None  # by default the way that suits the importance
    generator: np.random.Generator | None = None  # the source of `random`
    images: Images | None = None  # to measure `taylor` and `obs` on
    measured: LayerScores | None = None  # scores of `taylor` or `obs` that were measured before
    progress: Progress | None = None  # of their measurement


def named_importance(name: Name | None, material: Material) -> Importance:
    """Returns the built-in importance of a name; without a name `obs` where there are images, else `bn`.

    Raises:
        UsageError: an unknown name, `random` without a generator, `taylor` or `obs` without images.
    """
    if name is not None and name not in IMPORTANCES:
        raise UsageError(f"there is no importance {name!r}; choose {', '.join(IMPORTANCES)}")
    return IMPORTANCES[name or ("bn" if material.images is None else "obs")](material)


def _on_images(name: Name, material: Material, measure: Callable[..., LayerScores]) -> Measure:
    """Returns the scores that were measured before, or else their measurement on images."""
    images, measured = material.images, material.measured
    if measured is not None:
        return lambda model, groups: measured
    if images is None:
        raise UsageError(f"importance {name!r} is measured on images; give --data, or measured= in Python")
    return lambda model, groups: measure(model, groups, images)


def _taylor(material: Material) -> Importance:
    measure = _on_images(
        "taylor",
        material,
        lambda model, _, images: taylor_scores(model, images.labelled_batches(), material.progress),
    )
    return ByLayer("taylor", measure, material.tied or "sum")


def _obs(material: Material) -> Importance:
    def measure(model: DarknetModel, groups: Groups, images: Images) -> LayerScores:
        count, progress = num_images(model.network), material.progress
        total = images.num_images(count)
        return obs_scores(model, images.batches(count), images.seed, groups, progress=progress, total=total)

    return ByLayer("obs", _on_images("obs", material, measure), material.tied or "max", per_cost=True)


def _random(material: Material) -> Importance:
    if material.generator is None:
        raise UsageError("importance 'random' needs a generator; give generator=numpy.random.default_rng(0)")
    return ByGroup("random", material.generator.random)


IMPORTANCES: Mapping[Name, Callable[[Material], Importance]] = {
    "bn": lambda material: ByLayer("bn", weights.scale_scores, material.tied or "mean"),
    "norm": lambda material: ByLayer("norm", weights.norm_scores, material.tied or "mean"),
    "group": lambda material: ByLayer("group", weights.scaled_norm_scores, material.tied or "sum"),
    "taylor": _taylor,
    "obs": _obs,
    "uniform": lambda _: ByGroup("uniform", np.ones),
    "random": _random,
}
"""Every name that `--importance` takes; a new one also enters `options.cut.Importance`."""
