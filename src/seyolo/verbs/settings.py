"""Checks and defaults that the training verbs share, and settings read back from a run's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seyolo.errors import TrainingError, UsageError
from seyolo.opening.description import CHECKPOINT, Attention
from seyolo.torchnet.device import torch_device
from seyolo.training.distributed import current_team

DEFAULT_MODEL = "yolov3@0.25"
MAX_LEARNING_RATE = 10.0


def check_training(
    *, epochs: int, batch: int, lr: float, seed: int, device: str, least_epochs: int = 1
) -> None:
    """Refuses settings no training can run with.

    Raises:
        UsageError: a number out of its range, or a batch that several processes cannot share.
        BackendError: no such device.
    """
    torch_device(device)
    if epochs < least_epochs:
        raise UsageError(f"--epochs {epochs}: at least {least_epochs}")
    if batch < 1:
        raise UsageError(f"--batch {batch}: at least one image per step")
    current_team().share_of(batch)
    if not 0 < lr <= MAX_LEARNING_RATE:
        raise UsageError(f"--lr {lr:g}: a learning rate above 0 and at most {MAX_LEARNING_RATE:g}")
    if not 0 <= seed < 1 << 32:
        raise UsageError(f"--seed {seed}: a whole number from 0 to {(1 << 32) - 1}")


def chosen_model(model: str | Path | None, weights: str | Path | None) -> tuple[str, str | None]:
    """MODEL and weights to start from: a checkpoint given as weights alone is the model, too."""
    for file in (model, weights):
        if file is not None and Path(file).suffix == ".onnx":
            raise UsageError(f"{file}: an .onnx file cannot be trained; give the checkpoint it was made from")
    if model is not None:
        return str(model), None if weights is None else str(weights)
    if weights is not None and Path(weights).suffix == CHECKPOINT:
        return str(weights), None
    return DEFAULT_MODEL, None if weights is None else str(weights)


def attention_of(values: dict[str, Any] | None) -> Attention | None:
    """The gates of a run's settings as they come back from JSON."""
    return None if values is None else Attention(**{**values, "at": tuple(values["at"])})


def read_settings(path: Path) -> dict[str, Any]:
    """The settings a run wrote down.

    Raises:
        TrainingError: the file is damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TrainingError(f"{path}: damaged ({error}); this run cannot be resumed") from None
    if not isinstance(values, dict):
        raise TrainingError(f"{path}: not the settings of a run; this run cannot be resumed")
    return values
