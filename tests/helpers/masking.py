"""The oracle of surgery: the dense network, float64, its removed channels zeroed behind every layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seyolo.darknet.cfg import Network
from seyolo.darknet.weights import tensor_shapes
from seyolo.pruning.groups.groups import Groups
from seyolo.torchnet.build import DarknetModel, build
from seyolo.torchnet.head import YoloHead

State = dict[str, np.ndarray[Any, Any]]


def random_state(network: Network, rng: np.random.Generator) -> State:
    """Float64 tensors that keep activations of order one."""
    return {name: _random_tensor(name, shape, rng) for name, shape in tensor_shapes(network).items()}


def _random_tensor(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    if name.endswith("running_var") or name.endswith("bn.weight"):
        return rng.uniform(0.5, 1.5, shape)
    return rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.5, shape)


def random_kept(groups: Groups, rng: np.random.Generator) -> list[np.ndarray[Any, Any]]:
    """Any legal choice: fixed groups whole, equally many of each part, at least one."""
    kept = []
    for group in groups.groups:
        if group.fixed:
            kept.append(np.arange(group.num_channels))
            continue
        count = rng.integers(1, group.num_channels // group.num_parts + 1)
        parts = [np.flatnonzero(group.parts == part) for part in range(group.num_parts)]
        kept.append(np.sort(np.concatenate([rng.choice(part, count, replace=False) for part in parts])))
    return kept


def model_of(network: Network, state: Mapping[str, np.ndarray[Any, Any]]) -> DarknetModel:
    """The real torch module in float64 and evaluation mode."""
    model = build(network).double()
    model.load_state_dict({name: torch.from_numpy(np.asarray(array)) for name, array in state.items()})
    return model.eval()


def mask_layers(model: DarknetModel, masks: Sequence[np.ndarray[Any, Any]]) -> DarknetModel:
    """Multiplies the removed output channels of every layer by zero."""
    for layer, mask in zip(model.layers, masks, strict=True):
        if not isinstance(layer, YoloHead):
            layer.register_forward_hook(_masking(torch.from_numpy(mask)[:, None, None]))
    return model


def _masking(mask: Tensor) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        del module, inputs
        return output * mask

    return hook


def largest_difference(first: DarknetModel, second: DarknetModel, rng: np.random.Generator) -> float:
    """Over all heads on one random image of the `[net]` size."""
    net = first.network.net
    image = torch.from_numpy(rng.random((1, net.channels, net.height, net.width)))
    with torch.no_grad():
        pairs = zip(first.forward_heads(image), second.forward_heads(image), strict=True)
        return max(float((one - other).abs().max()) for one, other in pairs)
