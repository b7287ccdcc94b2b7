"""A network as a function from images to raw predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from seyolo.data.batches.training import to_planes
from seyolo.torchnet.build import DarknetModel

Infer = Callable[[UInt8[np.ndarray, "B H W 3"]], Float32[np.ndarray, "B P columns"]]
"""From RGB images to raw predictions: cx, cy, w, h in input pixels, objectness, class probabilities."""


@contextmanager
def inferring(model: DarknetModel) -> Iterator[Infer]:
    """Yields the network as a function of a batch, on its own device; meanwhile it is in evaluation mode."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device

    def infer(images: UInt8[np.ndarray, "B H W 3"]) -> Float32[np.ndarray, "B P columns"]:
        # Inference mode is entered here, so that the generator never leaves it switched on for its caller.
        with torch.inference_mode():
            batch = to_planes(images).to(device, non_blocking=True)
            raw = model(batch.float().div_(255))
        predictions: Float32[np.ndarray, "B P columns"] = raw.float().cpu().numpy()
        return predictions

    try:
        yield infer
    finally:
        model.train(was_training)
