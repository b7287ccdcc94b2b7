"""Checkpoints, and Darknet networks where OpenCV cannot read them, on PyTorch.

On a CPU in eager mode; on a GPU batch normalisation is folded and the network recorded as a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from jaxtyping import Float32

from seyolo.checkpoint import Checkpoint, read_checkpoint
from seyolo.darknet.cfg import read_cfg
from seyolo.darknet.graph import num_classes
from seyolo.darknet.weights import read_weights
from seyolo.errors import BackendError
from seyolo.letterbox import Mode
from seyolo.runtime.backend import Precision, class_names
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint
from seyolo.torchnet.cuda_graph import CudaGraph
from seyolo.torchnet.folding import fold_batch_norm

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class TorchBackend:
    """A model of ours, put into evaluation mode.

    Args:
        model: is switched to `eval()`, and for a CPU moved there; a GPU gets a copy.
        threads: PyTorch has one setting for the whole process; this changes it.
        device: anything `torch.device` understands.
        precision: of the convolutions. `f32` on a GPU is what PyTorch makes of it, TF32 unless forbidden.

    Raises:
        BackendError: there is no such device here.
    """

    name = "torch"

    def __init__(
        self,
        model: DarknetModel,
        *,
        threads: int | None = None,
        device: str = "cpu",
        precision: Precision = "f32",
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = torch_device(device)
        self._type = TYPES[precision]
        model.eval()
        if self._device.type == "cuda":
            model = _for_gpu(model, self._type)
        # A twentieth to a sixth faster on CPUs than planes, and what a GPU's matrix units read.
        self._model = model.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._graphs: dict[tuple[int, ...], CudaGraph] = {}
        net = model.network.net
        self.names = model.names
        self.input_size = net.height, net.width
        self.letterbox_mode: Mode = "letterbox" if net.letter_box else "stretch"

    @classmethod
    def open(
        cls,
        path: str | Path,
        weights: str | Path | None = None,
        *,
        threads: int | None = None,
        device: str = "cpu",
        names: Sequence[str] | None = None,
        precision: Precision = "f32",
    ) -> Self:
        """Opens a `.safetensors` checkpoint, or a `.cfg` with its `.weights`.

        Raises:
            ModelError, CfgError, WeightsError: a damaged file, or files that do not belong together.
            BackendError: there is no such device here, or the number of names is wrong.
        """
        file = read_checkpoint(path) if weights is None else _read_darknet(path, weights)
        if names is not None:
            names = class_names(names, len(file.names), path)
            file = Checkpoint(file.network, file.state, names, file.provenance)
        return cls(from_checkpoint(file), threads=threads, device=device, precision=precision)

    def infer(self, batch: Float32[np.ndarray, "n 3 h w"]) -> Float32[np.ndarray, "n p columns"]:
        """Runs the network; it waits for a GPU, so a clock around it is right.

        The first batch of every shape takes a GPU a second or more.
        """
        with torch.inference_mode():
            if self._device.type == "cpu":
                return self._run(torch.from_numpy(np.ascontiguousarray(batch))).numpy()
            with torch.cuda.device(self._device):
                if batch.shape not in self._graphs:
                    self._graphs[batch.shape] = CudaGraph(self._run, batch.shape, self._device)
                return self._graphs[batch.shape](batch)

    def _run(self, images: Float32[torch.Tensor, "n 3 h w"]) -> Float32[torch.Tensor, "n p columns"]:
        low = self._type != torch.float32
        with torch.autocast(self._device.type, self._type, enabled=low):
            raw = self._model(images.contiguous(memory_format=torch.channels_last))
        found: Float32[torch.Tensor, "n p columns"] = raw.float()
        return found


def _for_gpu(model: DarknetModel, dtype: torch.dtype) -> DarknetModel:
    """A copy without batch normalisation, its kernels of that type already."""
    folded = from_checkpoint(fold_batch_norm(to_checkpoint(model)))
    for module in folded.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.to(dtype)
    return folded


def _read_darknet(cfg: str | Path, weights: str | Path) -> Checkpoint:
    network = read_cfg(cfg)
    names = class_names(None, num_classes(network), cfg)
    return Checkpoint(network, read_weights(weights, network), names, {})


def torch_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        BackendError: no such device, or none here.
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
