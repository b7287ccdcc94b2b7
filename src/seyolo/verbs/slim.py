"""`slim` and `resume_slim`: see `seyolo.verbs.slim_steps`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict, Unpack, get_args

from seyolo.darknet.placement import GateKind
from seyolo.darknet.sections import Join
from seyolo.data.batches.augment import Augmentation
from seyolo.data.datasets import load_dataset
from seyolo.errors import TrainingError, UsageError
from seyolo.json_files import from_json
from seyolo.opening.description import CHECKPOINT, make_attention
from seyolo.opening.network import load
from seyolo.options.cut import CutOptions as PlanOptions
from seyolo.progress import Progress
from seyolo.runs import existing_run, new_run
from seyolo.training.distillation import check_weight
from seyolo.training.distributed import on_leader
from seyolo.training.sparsity import Schedule
from seyolo.training.trackers import OpenTracker, TrackerName, chosen_tracker
from seyolo.verbs.controls import chosen_controls
from seyolo.verbs.settings import attention_of, check_training, chosen_model, read_settings
from seyolo.verbs.slim_config import SLIM_CUT, USUAL_EPOCHS, Repair, SlimConfig, SparsityMethod
from seyolo.verbs.slim_steps import slim as run_slim

MAX_SCALES_RATE = 1000.0
RENAMED = MappingProxyType({"method": "importance", "size": "size_hw"})
"""Keys of `cut` in runs of version 0.1.0, and their names today."""


class SlimChoices(TypedDict, total=False):
    """Fields of `SlimConfig` that say how a network is made ready for the cut, repaired and taught."""

    branch_epoch: int | None
    sparsity: SparsityMethod
    strength: float | None
    schedule: Schedule
    scales_rate: float | None
    rounds: int
    repair: Repair
    distill: float


@on_leader
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
    cut: PlanOptions | None = None,
    train_settings: Mapping[str, Any] | None = None,
    controls: str | Sequence[str] = (),
    folder: str | Path | None = None,
    progress: Progress | None = None,
    tracker: TrackerName | OpenTracker | None = None,
    **choices: Unpack[SlimChoices],
) -> dict[str, Any]:
    """From photos to a small detector and its before/after table: see `seyolo.verbs.slim_steps`.

    Args:
        data: a `data.yaml`, Darknet `.data`, COCO `.json` or VOC folder.
        model, weights, attention, at, reduction, join: as in `train`.
        budget: what the result may cost, e.g. `macs=30%`; several hold together.
        size: side of the square input in pixels.
        epochs: of dense training, by default 30, or 0 for trained weights of the same classes; the slim
            network sees twice as many in all unless its stages are set.
        sparse_epochs, finetune_epochs: of those stages, see `SlimConfig`.
        finetune: False stops after the cut and its repair.
        batch, lr, seed, device: of training.
        cut: what decides which channels go.
        train_settings: further fields of `TrainConfig` for every stage, `sync_bn` for instance.
        controls: to train and judge beside it, by name, or `all`: see `seyolo.verbs.controls`.
        folder: of the run; by default a new one under `runs/slim`.
        progress: where to tell how far it is.
        tracker: `tensorboard`, or what opens another `seyolo.training.trackers.Tracker`.
        choices: how the network is made ready for the cut, repaired and taught: see `SlimConfig`.

    Returns:
        The value of `results.json`; `seyolo.results.SlimResults.from_json` gives it types.

    Raises:
        SeyoloError: one of its kinds, for whatever the user can mend.
    """
    _check_choices(choices)
    opener = chosen_tracker(tracker)
    wanted = chosen_controls([controls] if isinstance(controls, str) else controls)
    model, weights = chosen_model(model, weights)
    gates = make_attention(model, attention, at, reduction, join)
    has_weights = weights is not None or Path(model).suffix == CHECKPOINT
    if epochs is None:
        is_trained = has_weights and gates is None and _is_whole(model, weights, data)
        epochs = 0 if is_trained else USUAL_EPOCHS
    stages = [epochs, sparse_epochs or 0, finetune_epochs or 0]
    check_training(epochs=min(stages), batch=batch, lr=lr, seed=seed, device=device, least_epochs=0)
    if epochs == 0 and not has_weights:
        raise UsageError("--epochs 0 leaves out dense training: give trained weights with --weights")
    config = SlimConfig(
        data=str(data),
        model=model,
        weights=weights,
        attention=gates,
        budget=(budget,) if isinstance(budget, str) else tuple(budget),
        size_px=size,
        epochs=epochs,
        sparse_epochs=sparse_epochs,
        finetune_epochs=finetune_epochs,
        finetune=finetune,
        batch_size=batch,
        learning_rate=lr,
        seed=seed,
        device=device,
        train=dict(train_settings or {}),
        cut=cut or SLIM_CUT,
        **choices,
    )
    folder = Path(folder) if folder is not None else new_run("slim")
    return run_slim(config, folder, controls=wanted, progress=progress, tracker=opener).to_json()


@on_leader
def resume_slim(
    folder: str | Path,
    progress: Progress | None = None,
    controls: str | Sequence[str] = (),
    tracker: TrackerName | OpenTracker | None = None,
) -> dict[str, Any]:
    """Goes on with a run of `slim` where it was stopped; `controls` may be added to a finished one.

    Raises:
        TrainingError: the folder holds no run of `slim`.
    """
    folder = existing_run(folder, "config.json")
    values = read_settings(folder / "config.json")
    if "budget" not in values:
        raise TrainingError(f"{folder}: a run of another verb, not of slim; resume it with its own verb")
    values |= {"attention": attention_of(values["attention"]), "budget": tuple(values["budget"])}
    cut = {RENAMED.get(name, name): value for name, value in values["cut"].items()}
    values["cut"] = from_json(cut, PlanOptions)
    values["train"] = _train_settings(values["train"])
    wanted = chosen_controls([controls] if isinstance(controls, str) else controls)
    return run_slim(
        SlimConfig(**values),
        folder,
        resume=True,
        controls=wanted,
        progress=progress,
        tracker=chosen_tracker(tracker),
    ).to_json()


def _check_choices(choices: SlimChoices) -> None:
    """Refuses what no run can mean, before any work is done."""
    given: dict[str, Any] = {**choices}
    for name, kinds in {"sparsity": SparsityMethod, "repair": Repair}.items():
        if name in given and given[name] not in get_args(kinds):
            raise UsageError(f"--{name} {given[name]}: there are {', '.join(get_args(kinds))}")
    rounds, strength = choices.get("rounds", 1), choices.get("strength")
    if rounds < 1:
        raise UsageError(f"--rounds {rounds}: at least one")
    if rounds > 1 and choices.get("sparsity") != "steered":
        raise UsageError("--rounds tightens the budget of steered sparsity training: add --sparsity steered")
    check_weight(choices.get("distill", 0.0))
    rate = choices.get("scales_rate")
    if rate is not None and not 0 < rate <= MAX_SCALES_RATE:
        raise UsageError(f"--scales-rate {rate:g}: above 0 and at most {MAX_SCALES_RATE:g}")
    if strength is not None and not strength > 0:
        raise UsageError(f"--s {strength}: the strength of sparsity training must be above 0")


def _is_whole(model: str, weights: str | None, data: str | Path) -> bool:
    """Whether the weights are all the network has, heads for the data's classes included."""
    transfer: Any = load(model, weights, names=load_dataset(data).names).provenance.get("transfer", {})
    return not transfer.get("random")


def _train_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of `TrainConfig` as they come back from JSON, with the augmentation made whole."""
    if "augmentation" not in values:
        return values
    recipe = dict(values["augmentation"])
    recipe["grid_probabilities"] = tuple(recipe["grid_probabilities"])
    return {**values, "augmentation": Augmentation(**recipe)}
