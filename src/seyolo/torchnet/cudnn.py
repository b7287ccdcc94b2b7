"""How convolutions run on NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def tried_kernels() -> Iterator[None]:
    """Inside, every convolution of a new shape is tried out with all kernels, and the fastest is kept."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
