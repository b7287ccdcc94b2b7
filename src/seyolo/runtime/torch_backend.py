"""PyTorch backend: checkpoints and Darknet networks.

A CPU runs the network in eager mode. For a GPU batch normalisation is folded and the network is recorded as a
CUDA graph.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch
from jaxtyping import Float32

from seyolo.runtime.model_file import read_model_file
from seyolo.runtime.protocol import USUAL_SESSION, Session
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint
from seyolo.torchnet.device import CudaGraph, torch_device
from seyolo.translation.folding import fold_batch_norm

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class TorchBackend:
    """A DarknetModel, which is switched to evaluation mode, as a backend; a GPU runs a copy of it.

    `threads` sets the number of threads of the whole process, as PyTorch has no other setting; `f32` on a GPU
    means TF32 unless PyTorch is told otherwise.

    Raises:
        BackendError: this machine has no such device.
    """

    name = "torch"

    def __init__(self, model: DarknetModel, session: Session = USUAL_SESSION) -> None:
        if session.threads is not None:
            torch.set_num_threads(session.threads)
        self._device = torch_device(session.device)
        self._type = TYPES[session.precision]
        model.eval()
        if self._device.type == "cuda":
            model = _for_gpu(model, self._type)
        # A twentieth to a sixth faster on CPUs than planes, and what a GPU's matrix units read.
        self._model = model.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._graphs: dict[tuple[int, ...], CudaGraph] = {}
        net = model.network.net
        self.names = model.names
        self.input_size, self.input_channels = net.input_size, net.channels
        self.letterbox_mode, self.pad_value = net.letterbox_mode, net.pad_value

    @classmethod
    def open(cls, path: Path, session: Session) -> Self:
        """Opens a `.safetensors` checkpoint, or a `.cfg` with its `.weights`."""
        return cls(from_checkpoint(read_model_file(path, session)), session)

    def infer(self, batch: Float32[np.ndarray, "n c h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the network and waits for the result, so that a caller can time the call.

        On a GPU the first batch of every shape takes a second or more.
        """
        with torch.inference_mode():
            if self._device.type == "cpu":
                return self._run(torch.from_numpy(np.ascontiguousarray(batch))).numpy()
            with torch.cuda.device(self._device):
                if batch.shape not in self._graphs:
                    self._graphs[batch.shape] = CudaGraph(self._run, batch.shape, self._device)
                return self._graphs[batch.shape](batch)

    def _run(self, images: Float32[torch.Tensor, "n c h w"]) -> Float32[torch.Tensor, "n p columns"]:
        with torch.autocast(self._device.type, self._type, enabled=self._type != torch.float32):
            raw = self._model(images.contiguous(memory_format=torch.channels_last))
        found: Float32[torch.Tensor, "n p columns"] = raw.float()
        return found


def _for_gpu(model: DarknetModel, dtype: torch.dtype) -> DarknetModel:
    """Returns a copy with batch normalisation folded and kernels of type `dtype`."""
    folded = from_checkpoint(fold_batch_norm(to_checkpoint(model)))
    for module in folded.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.to(dtype)
    return folded
