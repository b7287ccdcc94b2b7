"""Devices of PyTorch by their names, and the choice of cuDNN's kernels on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def tried_kernels() -> Iterator[None]:
    """Inside, every convolution of a new shape is tried out with all kernels, and the fastest is kept."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
