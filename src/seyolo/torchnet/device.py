"""Devices of PyTorch by name, the choice of cuDNN's kernels, and a network as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from seyolo.errors import BackendError
from seyolo.processor import has_bf16

WARM_UP = 3
"""Runs before recording, in which cuDNN tries out and chooses its kernels."""


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


def gains_from_bf16(device: torch.device) -> bool:
    """Tells whether bfloat16 is faster than float32 there: on a CPU only with instructions that multiply it.

    PyTorch takes every CPU with AVX-512 for one that supports bfloat16; without those instructions its
    convolutions convert each value, and a training step takes twice as long as in float32.
    """
    return device.type != "cpu" or has_bf16() is True


@contextmanager
def limited_threads(number: int | None) -> Iterator[None]:
    """Runs PyTorch on this number of CPU threads in this context; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def tried_kernels() -> Iterator[None]:
    """Tries out all kernels for each new shape of a convolution in this context, and keeps the fastest."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


class CudaGraph:
    """A function of a batch on a GPU, recorded for batches of one shape: one launch instead of hundreds.

    At batch 1 a GPU waits for the CPU: launching the kernels of a YOLOv3 one by one takes several times as
    long as running them. The kernels that `run` starts must not depend on the values of the batch.
    """

    def __init__(
        self,
        run: Callable[[Float32[Tensor, "n 3 h w"]], Float32[Tensor, "n p columns"]],
        shape: tuple[int, ...],
        device: torch.device,
    ) -> None:
        self._images = torch.zeros(shape, device=device)
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream), tried_kernels():
            for _ in range(WARM_UP):
                run(self._images)
        torch.cuda.current_stream(device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph), tried_kernels():
            self._outputs = run(self._images)
        # The GPU reads and writes pinned memory many times faster than any other.
        self._sent = torch.empty(shape, pin_memory=True)
        self._received = torch.empty(self._outputs.shape, pin_memory=True)
        self._device = device

    def __call__(self, batch: Float32[np.ndarray, "n 3 h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the recorded function on a batch and waits for the result."""
        self._sent.copy_(torch.from_numpy(np.ascontiguousarray(batch)))
        self._images.copy_(self._sent, non_blocking=True)
        self._graph.replay()
        self._received.copy_(self._outputs, non_blocking=True)
        torch.cuda.current_stream(self._device).synchronize()
        return self._received.numpy().copy()
