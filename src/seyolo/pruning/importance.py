"""Importance: one number per slot that says how much is lost when it goes.

`bn` is the batch-normalisation scale |γ| (Network Slimming, Liu 2017), `norm` the L2 norm of a channel's
kernel, `random` the control. Where several convolutions are tied, the largest of their scores counts by
default: a slot is free to go only when every one of its members is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seyolo.errors import UsageError
from seyolo.pruning.groups import Group, Groups

FloatArray = NDArray[np.float64]
State = Mapping[str, NDArray[Any]]
Method = Literal["bn", "norm", "random"]
Tied = Literal["max", "mean"]


def importance(
    groups: Groups,
    state: State,
    method: Method = "bn",
    *,
    tied: Tied = "max",
    per_layer: bool = False,
    generator: np.random.Generator | None = None,
) -> tuple[FloatArray, ...]:
    """Scores of all groups, larger is more important.

    Args:
        groups: the network's groups.
        state: its tensors.
        method: `bn`, `norm` or `random`.
        tied: how the scores of tied convolutions become one.
        per_layer: divide each convolution's scores by their mean, so that layers compete as equals.
        generator: the source of `random`.

    Returns:
        Per group (num_channels,) float64. A group that the method cannot score (`bn` without any batch
        normalisation, the squeeze of an SE gate for instance) is infinitely important: it stays whole.

    Raises:
        UsageError: an unknown method, or `random` without a generator.
    """
    if method == "random":
        if generator is None:
            raise UsageError("importance 'random' needs a generator; give a seed")
        return tuple(generator.random(group.num_channels) for group in groups.groups)
    if method not in ("bn", "norm"):
        raise UsageError(f"there is no importance {method!r}; choose bn, norm or random")
    scores = _scale_scores(state) if method == "bn" else _norm_scores(state)
    if per_layer:
        scores = {layer: score / max(score.mean(), 1e-12) for layer, score in scores.items()}
    return tuple(_combine(group, scores, tied) for group in groups.groups)


def _scale_scores(state: State) -> dict[int, FloatArray]:
    """|γ| of each convolution that has batch normalisation."""
    return {
        _layer_of(name): np.abs(array).astype(np.float64)
        for name, array in state.items()
        if name.endswith(".bn.weight")
    }


def _norm_scores(state: State) -> dict[int, FloatArray]:
    """L2 norm of each output channel's kernel."""
    return {
        _layer_of(name): np.linalg.norm(array.reshape(len(array), -1), axis=1).astype(np.float64)
        for name, array in state.items()
        if name.endswith(".conv.weight")
    }


def _layer_of(name: str) -> int:
    return int(name.split(".")[1])


def _combine(group: Group, scores: Mapping[int, FloatArray], tied: Tied) -> FloatArray:
    rows = [
        scores[layer][members]
        for layer, members in zip(group.layers, group.members, strict=True)
        if layer in scores
    ]
    if not rows:
        return np.full(group.num_channels, np.inf)
    stacked = np.stack(rows)
    result: FloatArray = stacked.max(axis=0) if tied == "max" else stacked.mean(axis=0)
    return result
