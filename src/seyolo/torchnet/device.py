"""Devices of PyTorch by their names."""

from __future__ import annotations

import torch

from seyolo.errors import BackendError


def torch_device(name: str) -> torch.device:
    """Returns the device of that name: `cpu`, `cuda` or `cuda:N`.

    Raises:
        BackendError: no such device, or this machine has none.

    Example:
        >>> seyolo.api.torch_device("cpu")
        device(type='cpu')
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BackendError(f"{name!r} is no device; use cpu or cuda") from None
    if device.type not in ("cpu", "cuda"):
        raise BackendError(f"{name!r}: training and inference run on cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BackendError(f"PyTorch sees no GPU here, so it cannot run on {name!r}; use cpu")
    return device
