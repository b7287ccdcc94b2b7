"""Networks with drawn weights, through public names alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import seyolo


def draw_scales(name: str, attention: str | None = None, at: str = "residual") -> Any:
    """A zoo network of one class with drawn batch normalisation, which starts at 1 and 0 otherwise."""
    generator = torch.Generator().manual_seed(0)
    model = seyolo.load(name, num_classes=1, generator=generator)
    if attention is not None:
        model = seyolo.attach(model, attention, at, generator=generator)
    for key, tensor in model.state_dict().items():
        if ".bn." not in key or not tensor.is_floating_point():
            continue
        drawn = torch.rand(tensor.shape, generator=generator)
        tensor.copy_(drawn + 0.5 if key.endswith(("weight", "running_var")) else (drawn - 0.5) / 5)
    return model.eval()


def numpy_state(model: Any) -> dict[str, np.ndarray]:
    """Its tensors by name."""
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}
