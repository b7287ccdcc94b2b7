"""Scores of channels from the weights alone: batch-normalisation scales and kernel norms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seyolo.pruning.groups.groups import Groups
from seyolo.pruning.importance.importance import FloatArray
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.layers import BATCH_NORM_EPSILON

State = Mapping[str, NDArray[Any]]


def scale_scores(model: DarknetModel, groups: Groups) -> dict[int, FloatArray]:
    """Returns |γ| of every convolution with batch normalisation (Network Slimming, Liu 2017)."""
    return {
        _layer_of(name): np.abs(array).astype(np.float64)
        for name, array in state_of(model).items()
        if name.endswith(".bn.weight")
    }


def norm_scores(model: DarknetModel, groups: Groups) -> dict[int, FloatArray]:
    """Returns the L2 norm of the kernel of every output channel."""
    return _norms(state_of(model))


def scaled_norm_scores(model: DarknetModel, groups: Groups) -> dict[int, FloatArray]:
    """Returns the L2 norm of every output channel's kernel times γ/σ of its batch normalisation."""
    state = state_of(model)
    norms = _norms(state)
    for layer, norm in norms.items():
        scale, variance = (state.get(f"layers.{layer}.bn.{name}") for name in ("weight", "running_var"))
        if scale is not None and variance is not None:
            norms[layer] = norm * np.abs(scale) / np.sqrt(np.maximum(variance, 0) + BATCH_NORM_EPSILON)
    return norms


def state_of(model: DarknetModel) -> State:
    """Returns the tensors of a model as arrays that share its memory on a CPU."""
    return {name: tensor.float().cpu().contiguous().numpy() for name, tensor in model.state_dict().items()}


def _norms(state: State) -> dict[int, FloatArray]:
    return {
        _layer_of(name): np.linalg.norm(array.reshape(len(array), -1), axis=1).astype(np.float64)
        for name, array in state.items()
        if name.endswith(".conv.weight")
    }


def _layer_of(name: str) -> int:
    return int(name.split(".")[1])
