"""Importance: one number per slot that says how much is lost when it goes.

`bn` is the batch-normalisation scale |γ| (Network Slimming, Liu 2017), `norm` the L2 norm of a channel's
kernel, `group` the length of all that is tied (Fang 2023), kernels as batch normalisation scales them,
`taylor` how much the loss is expected to change (Molchanov 2019; measured by `training.taylor`), `obs` how
much the outputs change after others have made up for it (measured by `pruning.obs`), `uniform` and `random`
the controls. Where several convolutions are tied, their mean counts by default; with the largest score a
trunk that many blocks add to is hardly ever cut, and what is left of the budget starves the blocks. `group`
and `taylor` add theirs up; `obs` scores them as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seyolo.errors import UsageError
from seyolo.pruning.groups.groups import Group, Groups

FloatArray = NDArray[np.float64]
State = Mapping[str, NDArray[Any]]
Method = Literal["bn", "norm", "group", "taylor", "obs", "uniform", "random"]
MEASURED: frozenset[Method] = frozenset({"taylor", "obs"})
"""Methods that need images."""
Tied = Literal["max", "mean", "sum"]
USUALLY_TIED: Mapping[str, Tied] = {"group": "sum", "taylor": "sum", "obs": "max"}
EPSILON = 1e-6
"""Inside the root of batch normalisation, as in `network.layers`, which would import torch here."""


def importance(
    groups: Groups,
    state: State,
    method: Method = "bn",
    *,
    tied: Tied | None = None,
    per_layer: bool = False,
    generator: np.random.Generator | None = None,
    measured: Mapping[int, FloatArray] | None = None,
) -> tuple[FloatArray, ...]:
    """Scores of all groups, larger is more important.

    Args:
        groups: the network's groups.
        state: its tensors.
        method: one of `Method`.
        tied: how the scores of tied convolutions become one; by default what fits the method. `sum` adds
            squares and takes the root.
        per_layer: divide each convolution's scores by their mean, so that layers compete as equals.
        generator: the source of `random`.
        measured: per convolution (filters,), what `taylor` or `obs` measured.

    Returns:
        Per group (num_channels,) float64. A group that the method cannot score (`bn` without any batch
        normalisation, the squeeze of an SE gate for instance) is infinitely important: it stays whole.

    Raises:
        UsageError: an unknown method, `random` without a generator, `taylor` or `obs` without measurements.
    """
    if method == "uniform":
        return tuple(np.ones(group.num_channels) for group in groups.groups)
    if method == "random":
        if generator is None:
            raise UsageError("importance 'random' needs a generator; give a seed")
        return tuple(generator.random(group.num_channels) for group in groups.groups)
    scores = _layer_scores(state, method, measured)
    if per_layer:
        scores = {layer: score / max(score.mean(), 1e-12) for layer, score in scores.items()}
    how = tied or USUALLY_TIED.get(method, "mean")
    return tuple(_combine(group, scores, how) for group in groups.groups)


def _layer_scores(
    state: State, method: str, measured: Mapping[int, FloatArray] | None
) -> Mapping[int, FloatArray]:
    if method in MEASURED:
        if measured is None:
            raise UsageError(f"importance {method!r} is measured on images; give a data set")
        return measured
    methods = {"bn": _scale_scores, "norm": _norm_scores, "group": _scaled_norm_scores}
    if method not in methods:
        raise UsageError(f"there is no importance {method!r}; choose {', '.join(get_args(Method))}")
    return methods[method](state)


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


def _scaled_norm_scores(state: State) -> dict[int, FloatArray]:
    """L2 norm of each output channel's kernel as its batch normalisation scales it."""
    norms = _norm_scores(state)
    for layer, norm in norms.items():
        scale, variance = (state.get(f"layers.{layer}.bn.{name}") for name in ("weight", "running_var"))
        if scale is not None and variance is not None:
            norms[layer] = norm * np.abs(scale) / np.sqrt(np.maximum(variance, 0) + EPSILON)
    return norms


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
    ways: dict[Tied, Callable[[], FloatArray]] = {
        "max": lambda: stacked.max(axis=0),
        "mean": lambda: stacked.mean(axis=0),
        "sum": lambda: np.linalg.norm(stacked, axis=0),
    }
    return ways[tied]()
