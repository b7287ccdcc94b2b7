"""The protocol of an importance, and importances that need no more than scores of single layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from seyolo.options.cut import Tied
from seyolo.pruning.groups.groups import Group, Groups
from seyolo.torchnet.build import DarknetModel

FloatArray = NDArray[np.float64]
LayerScores = Mapping[int, FloatArray]
"""Per convolution (filters,) scores of its output channels."""

Measure = Callable[[DarknetModel, Groups], LayerScores]


@runtime_checkable
class Importance(Protocol):
    """Ranking of the channels of a network; any class with these three members is one.

    Example:
        >>> import numpy as np
        >>> class LargestWeight:
        ...     name, per_cost = "largest weight", False
        ...     def scores(self, model, groups):
        ...         return [self.of_group(model, group) for group in groups.groups]
        ...     def of_group(self, model, group):
        ...         scores = np.full(group.num_channels, np.inf if group.fixed else 0.0)
        ...         for layer, channels in zip(group.layers, group.members):
        ...             kernel = model.layers[layer].conv.weight.detach().abs().amax((1, 2, 3)).numpy()
        ...             scores = np.maximum(scores, kernel[channels])
        ...         return scores
        >>> model = seyolo.load("yolov3-tiny@0.25", num_classes=1)
        >>> slim, plan = seyolo.prune(model, budget="macs=50%", importance=LargestWeight())
        >>> plan.importance
        'largest weight'
    """

    @property
    def name(self) -> str:
        """Written into the plan."""

    @property
    def per_cost(self) -> bool:
        """True for changes of one quantity, which a planner divides by the cost of a channel."""

    def scores(self, model: DarknetModel, groups: Groups) -> Sequence[FloatArray]:
        """Returns per group (num_channels,) scores, larger is more important.

        A group with an infinite score keeps all its channels.

        Args:
            model: the dense model; its weights must stay as they are.
            groups: the channel groups of its network.
        """


@dataclass(frozen=True)
class ByLayer:
    """Importance made of the scores of single convolutions.

    Where several convolutions are tied, their mean counts by default: with the maximum a trunk that many
    blocks add to is hardly ever pruned, and the blocks starve.

    Attributes:
        name, per_cost: as in `Importance`.
        measure: returns the scores of the convolutions of a model. A group without any is never pruned.
        tied: combines the scores of tied convolutions; `sum` adds squares and takes the root.
    """

    name: str
    measure: Measure
    tied: Tied = "mean"
    per_cost: bool = False

    def scores(self, model: DarknetModel, groups: Groups) -> list[FloatArray]:
        """Returns per group (num_channels,) scores."""
        by_layer = self.measure(model, groups)
        return [_combined(group, by_layer, self.tied) for group in groups.groups]


def _combined(group: Group, scores: LayerScores, tied: Tied) -> FloatArray:
    rows = [
        scores[layer][members]
        for layer, members in zip(group.layers, group.members, strict=True)
        if layer in scores
    ]
    if not rows:
        return np.full(group.num_channels, np.inf)
    combine: dict[Tied, Callable[..., FloatArray]] = {"max": np.max, "mean": np.mean, "sum": np.linalg.norm}
    return combine[tied](np.stack(rows), axis=0)


@dataclass(frozen=True)
class Uniform:
    """The control that ranks all channels alike."""

    name: str = "uniform"
    per_cost: bool = False

    def scores(self, model: DarknetModel, groups: Groups) -> list[FloatArray]:
        """Returns per group (num_channels,) ones."""
        del model
        return [np.ones(group.num_channels) for group in groups.groups]


@dataclass(frozen=True)
class Random:
    """The control that ranks channels by random numbers of a generator."""

    generator: np.random.Generator
    name: str = "random"
    per_cost: bool = False

    def scores(self, model: DarknetModel, groups: Groups) -> list[FloatArray]:
        """Returns per group (num_channels,) numbers in [0, 1)."""
        del model
        return [self.generator.random(group.num_channels) for group in groups.groups]
