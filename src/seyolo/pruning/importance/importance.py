"""The protocol of an importance, and importances of the weights alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from seyolo.darknet.constants import BATCH_NORM_EPSILON
from seyolo.options.cut import Tied
from seyolo.pruning.groups.atoms import FloatArray
from seyolo.pruning.groups.groups import Group, Groups
from seyolo.torchnet.build import DarknetModel

LayerScores = Mapping[int, FloatArray]  # per convolution (filters,) scores of its output channels
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
        """Returns per group (num_channels,) scores, larger is more important; weights must stay as they are.

        A group with an infinite score keeps all its channels.
        """


@dataclass(frozen=True)
class ByLayer:
    """Importance made of the scores of single convolutions; a group without any is never pruned.

    `tied` combines the scores of tied convolutions; `sum` adds squares and takes the root. By default their
    mean counts: with the maximum a trunk that many blocks add to is hardly ever pruned, and blocks starve.
    """

    name: str
    measure: Measure
    tied: Tied = "mean"
    per_cost: bool = False

    def scores(self, model: DarknetModel, groups: Groups) -> list[FloatArray]:
        by_layer = self.measure(model, groups)
        return [_combined(group, by_layer, self.tied) for group in groups.groups]


def _combined(group: Group, scores: LayerScores, tied: Tied) -> FloatArray:
    owned = zip(group.layers, group.members, strict=True)
    rows = [scores[layer][members] for layer, members in owned if layer in scores]
    if not rows:
        return np.full(group.num_channels, np.inf)
    combine: dict[Tied, Callable[..., FloatArray]] = {"max": np.max, "mean": np.mean, "sum": np.linalg.norm}
    return combine[tied](np.stack(rows), axis=0)


@dataclass(frozen=True)
class ByGroup:
    """A control that ranks the channels of a group by (num_channels,) numbers that know no model."""

    name: str
    numbers: Callable[[int], FloatArray]
    per_cost: bool = False

    def scores(self, model: DarknetModel, groups: Groups) -> list[FloatArray]:
        return [self.numbers(group.num_channels) for group in groups.groups]


def scale_scores(model: DarknetModel, groups: Groups) -> dict[int, FloatArray]:
    """Returns |γ| of every convolution with batch normalisation (Network Slimming, Liu 2017)."""
    return {layer: np.abs(scale).astype(np.float64) for layer, scale in _tensors(model, "bn.weight").items()}


def norm_scores(model: DarknetModel, groups: Groups) -> dict[int, FloatArray]:
    """Returns the L2 norm of the kernel of every output channel."""
    return {
        layer: np.linalg.norm(kernel.reshape(len(kernel), -1), axis=1).astype(np.float64)
        for layer, kernel in _tensors(model, "conv.weight").items()
    }


def scaled_norm_scores(model: DarknetModel, groups: Groups) -> dict[int, FloatArray]:
    """Returns the L2 norm of every output channel's kernel times γ/σ of its batch normalisation."""
    norms, variances = norm_scores(model, groups), _tensors(model, "bn.running_var")
    for layer, scale in _tensors(model, "bn.weight").items():
        sigma = np.sqrt(np.maximum(variances[layer], 0) + BATCH_NORM_EPSILON)
        norms[layer] = norms[layer] * np.abs(scale) / sigma  # |γ| / σ: the kernel with its scale folded in
    return norms


def _tensors(model: DarknetModel, name: str) -> dict[int, NDArray[Any]]:
    """Returns one tensor of every layer that has it, float32 on the CPU."""
    return {
        int(key.split(".")[1]): tensor.float().cpu().contiguous().numpy()
        for key, tensor in model.state_dict().items()
        if key.endswith(f".{name}")
    }
