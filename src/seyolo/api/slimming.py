"""`slim` and `resume_slim`: see `seyolo.pipeline`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seyolo.api.opening import make_attention
from seyolo.api.settings import attention_of, check_training, chosen_model, read_settings
from seyolo.darknet.placement import GateKind
from seyolo.darknet.sections import Join
from seyolo.data.augment import Augmentation
from seyolo.described import CHECKPOINT
from seyolo.errors import TrainingError, UsageError
from seyolo.pipeline import SlimConfig
from seyolo.pipeline import slim as run_slim
from seyolo.progress import Progress
from seyolo.runs import existing_run, new_run


def slim(
    data: str | Path,
    model: str | Path | None = None,
    *,
    weights: str | Path | None = None,
    attention: GateKind | None = None,
    at: str | Sequence[str] = (),
    reduction: int = 16,
    join: Join = "scale",
    budget: str | Sequence[str] = "macs=30%",
    size: int = 416,
    epochs: int | None = None,
    sparse_epochs: int | None = None,
    finetune_epochs: int | None = None,
    finetune: bool = True,
    batch: int = 16,
    lr: float = 1.5e-3,
    seed: int = 0,
    device: str = "cpu",
    train_settings: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """From photos to a small detector and its before/after table: see `seyolo.pipeline`.

    Args:
        data: a `data.yaml`, Darknet `.data`, COCO `.json` or VOC folder.
        model, weights, attention, at, reduction, join: as in `train`.
        budget: what the result may cost, e.g. `macs=30%`; several hold together.
        size: side of the square input in pixels.
        epochs: of the dense stage; the others follow in proportion unless set.
        sparse_epochs, finetune_epochs: of those stages.
        finetune: False stops after the cut and its recalibration.
        batch, lr, seed, device: of training.
        train_settings: further fields of `TrainConfig` for every stage.
        folder: of the run; by default a new one under `runs/slim`.
        progress: where to tell how far it is.

    Returns:
        What `results.json` holds.

    Raises:
        SeyoloError: one of its kinds, for whatever the user can mend.
    """
    model, weights = chosen_model(model, weights)
    has_weights = weights is not None or Path(model).suffix == CHECKPOINT
    stages = [SlimConfig.epochs if epochs is None else epochs, sparse_epochs or 0, finetune_epochs or 0]
    check_training(epochs=min(stages), batch=batch, lr=lr, seed=seed, device=device, least_epochs=0)
    if stages[0] == 0 and not has_weights:
        raise UsageError("--epochs 0 leaves out dense training: give trained weights with --weights")
    config = SlimConfig(
        data=str(data),
        model=model,
        weights=weights,
        attention=make_attention(model, attention, at, reduction, join),
        budget=(budget,) if isinstance(budget, str) else tuple(budget),
        size_px=size,
        epochs=SlimConfig.epochs if epochs is None else epochs,
        sparse_epochs=sparse_epochs,
        finetune_epochs=finetune_epochs,
        finetune=finetune,
        batch_size=batch,
        learning_rate=lr,
        seed=seed,
        device=device,
        train=dict(train_settings or {}),
    )
    return run_slim(config, Path(folder) if folder is not None else new_run("slim"), progress=progress)


def resume_slim(folder: str | Path, progress: Progress | None = None) -> dict[str, Any]:
    """Goes on with a run of `slim` where it was stopped.

    Raises:
        TrainingError: the folder holds no run of `slim`.
    """
    folder = existing_run(folder, "config.json")
    values = read_settings(folder / "config.json")
    if "budget" not in values:
        raise TrainingError(f"{folder}: a run of another verb, not of slim; resume it with its own verb")
    values |= {"attention": attention_of(values["attention"]), "budget": tuple(values["budget"])}
    values["train"] = _train_settings(values["train"])
    return run_slim(SlimConfig(**values), folder, resume=True, progress=progress)


def _train_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of `TrainConfig` as they come back from JSON, with the augmentation made whole."""
    if "augmentation" not in values:
        return values
    recipe = dict(values["augmentation"])
    recipe["grid_probabilities"] = tuple(recipe["grid_probabilities"])
    return {**values, "augmentation": Augmentation(**recipe)}
