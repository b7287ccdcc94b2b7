"""A network on a GPU as a CUDA graph: one launch instead of hundreds.

At batch 1 a GPU waits for the CPU: launching the kernels of a YOLOv3 one by one takes several times as long
as running them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from seyolo.torchnet.device import tried_kernels

WARM_UP = 3
"""Runs before recording, in which cuDNN tries out and chooses its kernels."""


class CudaGraph:
    """A function of a batch on a GPU, recorded for batches of one shape.

    Args:
        run: the function; what it starts must not depend on the values it is given.
        shape: of the batch, (n, 3, h, w).
        device: a GPU.
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
        """What the function gives for a batch; returns when it is there."""
        self._sent.copy_(torch.from_numpy(np.ascontiguousarray(batch)))
        self._images.copy_(self._sent, non_blocking=True)
        self._graph.replay()
        self._received.copy_(self._outputs, non_blocking=True)
        torch.cuda.current_stream(self._device).synchronize()
        return self._received.numpy().copy()
