"""Batch normalisation folded into the convolution in front of it: fewer tensors and steps at inference.

Computed in float64 on the description and its arrays; the result is a model like any other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seyolo.checkpoint import Checkpoint, State
from seyolo.darknet.constants import BATCH_NORM_EPSILON
from seyolo.darknet.sections import Convolutional, CoordAtt


def fold_batch_norm(model_file: Checkpoint) -> Checkpoint:
    """Returns the same function without batch normalisation; for inference, not for training or pruning."""
    state: State = dict(model_file.state)
    layers = list(model_file.network.layers)
    for index, section in enumerate(layers):
        if isinstance(section, Convolutional | CoordAtt) and section.batch_normalize:
            layers[index] = replace(section, batch_normalize=0)
            _fold_layer(state, f"layers.{index}")
    return replace(model_file, network=replace(model_file.network, layers=tuple(layers)), state=state)


def _fold_layer(state: State, layer: str) -> None:
    scale, shift, mean, variance = (
        state.pop(f"{layer}.bn.{name}").astype(np.float64)
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / np.sqrt(variance + BATCH_NORM_EPSILON)  # γ / √(σ² + ε)
    kernel = state[f"{layer}.conv.weight"]
    folded = np.empty_like(kernel)
    # Written into float32 piece by piece: a kernel in float64 would take twice the memory and time.
    np.multiply(kernel, factor[:, None, None, None], out=folded, dtype=np.float64, casting="same_kind")
    state[f"{layer}.conv.weight"] = folded
    state[f"{layer}.conv.bias"] = (shift - mean * factor).astype(np.float32)  # β - μ · γ / √(σ² + ε)
