"""The functions behind the verbs `train`, `val` and `slim`, and what opens a MODEL for them.

Thin: each puts together what the rooms offer. Training runs write down what they were asked for, so that
`resume_train` and `resume_slim` need nothing but the folder.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import GateKind, set_size
from seyolo.darknet.sections import Join
from seyolo.data.augment import Augmentation
from seyolo.data.datasets import Dataset, Sample, load_dataset
from seyolo.described import CHECKPOINT, attention_places, describe
from seyolo.errors import DataError, ModelError, TrainingError, UsageError
from seyolo.evaluation.ap import Metrics
from seyolo.evaluation.evaluate import evaluate as evaluate_samples
from seyolo.evaluation.evaluate import predict
from seyolo.evaluation.oxford import BOXES_FILE, oxford_metrics
from seyolo.exporting.formats import export
from seyolo.files import write_json
from seyolo.model_file import default_names, read_model_file
from seyolo.models import load, save
from seyolo.network.attention import attach
from seyolo.network.build import DarknetModel, from_file, to_file
from seyolo.pipeline import SlimConfig, recalibrate_on
from seyolo.pipeline import slim as run_slim
from seyolo.progress import Progress
from seyolo.pruning.allocate import Scope
from seyolo.pruning.plan import Plan
from seyolo.pruning.prune import prune
from seyolo.runs import existing_run, new_run
from seyolo.runtime.backend import Backend
from seyolo.runtime.torch_backend import TorchBackend, torch_device
from seyolo.training.loop import TrainConfig, TrainResult, can_resume
from seyolo.training.loop import train as run_train
from seyolo.training.prepare import Attention, starting_model
from seyolo.training.sparsity import make_sparsity

DEFAULT_MODEL = "yolov3@0.25"
DEFAULT_STRENGTH = 0.01
MAX_LEARNING_RATE = 10.0
SETTINGS_FILE = "command.json"


class ModelKeywords(TypedDict, total=False):
    """What may be said about a MODEL besides its name, see `open_model`."""

    weights: str | Path | None
    num_classes: int | None
    attention: GateKind | None
    at: str | Sequence[str]
    reduction: int
    join: Join


@dataclass(frozen=True)
class TrainSettings:
    """What `train` is asked for: all that a resumed run needs."""

    data: str
    model: str
    weights: str | None
    attention: Attention | None
    sparsity: str | None
    strength: float
    epochs: int
    batch_size: int
    size_px: int
    learning_rate: float
    seed: int
    device: str
    multi_scale: bool

    def train_config(self) -> TrainConfig:
        """The training loop's part of the settings."""
        return TrainConfig(
            epochs=self.epochs,
            batch_size=self.batch_size,
            size_px=self.size_px,
            learning_rate=self.learning_rate,
            seed=self.seed,
            device=self.device,
            multi_scale=self.multi_scale,
        )


def train(
    data: str | Path,
    model: str | Path | None = None,
    *,
    weights: str | Path | None = None,
    attention: GateKind | None = None,
    at: str | Sequence[str] = (),
    reduction: int = 16,
    join: Join = "scale",
    sparsity: str | None = None,
    s: float | None = None,
    epochs: int = 100,
    batch: int = 16,
    size: int = 416,
    lr: float = 1.5e-3,
    seed: int = 0,
    device: str = "cpu",
    multi_scale: bool = False,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Trains a detector on a data set's `train` split and keeps the checkpoint that is best on `val`.

    Args:
        data: a `data.yaml`, Darknet `.data`, COCO `.json` or VOC folder.
        model: a zoo name, a `.cfg` or a checkpoint; by default the checkpoint in `weights`, else yolov3@0.25.
        weights: what to start from; random without.
        attention: `se` or `cbam` gates to attach, at the places `at` with `reduction` and `join`.
        sparsity: `l1` (subgradient, as published) or `proximal`, of strength `s` (0.01 unless given).
        epochs, batch, size, lr, seed, device: of training; `size` is the side of the square input in pixels.
        multi_scale: draw another input size for each epoch.
        folder: of the run; by default a new one under `runs/train`.
        progress: where to tell how far it is.

    Raises:
        SeyoloError: one of its kinds, for whatever the user can mend.
    """
    model, weights = chosen_model(model, weights)
    check_training(epochs=epochs, batch=batch, lr=lr, seed=seed, device=device)
    settings = TrainSettings(
        data=str(data),
        model=model,
        weights=weights,
        attention=make_attention(model, attention, at, reduction, join),
        sparsity=sparsity,
        strength=_strength(sparsity, s),
        epochs=epochs,
        batch_size=batch,
        size_px=size,
        learning_rate=lr,
        seed=seed,
        device=device,
        multi_scale=multi_scale,
    )
    folder = Path(folder) if folder is not None else new_run("train")
    return _train(settings, folder, resume=False, progress=progress)


def resume_train(folder: str | Path, progress: Progress | None = None) -> TrainResult:
    """Goes on with a training run exactly where its last finished epoch left it.

    Raises:
        TrainingError: the folder holds no run of `train`.
    """
    folder = existing_run(folder, SETTINGS_FILE)
    values = _read_json(folder / SETTINGS_FILE)
    values["attention"] = _attention_of(values["attention"])
    return _train(TrainSettings(**values), folder, can_resume(folder), progress)


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
    values = _read_json(folder / "config.json")
    if "budget" not in values:
        raise TrainingError(f"{folder}: a run of another verb, not of slim; resume it with its own verb")
    values |= {"attention": _attention_of(values["attention"]), "budget": tuple(values["budget"])}
    values["train"] = _train_settings(values["train"])
    return run_slim(SlimConfig(**values), folder, resume=True, progress=progress)


def _check_classes(model: DarknetModel | Backend, dataset: Dataset) -> None:
    """Refuses data of other classes than the model's, and warns where only the names differ.

    Raises:
        DataError: another number of classes.
    """
    if len(model.names) != len(dataset.names):
        raise DataError(
            f"{dataset.source}: has {len(dataset.names)} classes ({', '.join(dataset.names[:5])}), "
            f"the model {len(model.names)} ({', '.join(model.names[:5])})"
        )
    numbered = tuple(model.names) == default_names(len(model.names))
    if not numbered and tuple(model.names) != tuple(dataset.names):
        pairs = zip(model.names, dataset.names, strict=True)
        mine, theirs = next(pair for pair in pairs if pair[0] != pair[1])
        warnings.warn(f"{dataset.source}: calls {theirs!r} what the model calls {mine!r}", stacklevel=3)


def evaluate(
    model: str | Path | DarknetModel | Backend,
    data: str | Path | Dataset,
    split: str | None = None,
    *,
    size: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Metrics]:
    """COCO AP of a model on the named split, or on every split but `train`.

    Args:
        model: a MODEL with weights, or one that is open already.
        data: a `data.yaml`, Darknet `.data`, COCO `.json` or VOC folder.
        split: its name; None for all but `train`.
        size: side of the square input in pixels, by default the model's own.
        progress: where to tell how far it is.
    """
    detector = open_model(model) if isinstance(model, str | Path) else model
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    _check_classes(detector, dataset)
    size_hw = input_size(detector, size)
    return {
        name: evaluate_samples(detector, samples, size_hw, progress=progress)
        for name, samples in _chosen_splits(dataset, split).items()
    }


def evaluate_oxford(
    model: DarknetModel | Backend,
    data: str | Path | Dataset,
    split: str | None = None,
    *,
    size: int | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, Metrics]]:
    """AP by the Oxford Hand protocols, `all` and `official`, per split; arguments as in `evaluate`."""
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    _check_classes(model, dataset)
    size_hw = input_size(model, size)
    table = dataset.source.parent / BOXES_FILE
    return {
        name: oxford_metrics(samples, predict(model, samples, size_hw, progress=progress), table)
        for name, samples in _chosen_splits(dataset, split).items()
    }


def open_model(
    model: str | Path,
    weights: str | Path | None = None,
    *,
    num_classes: int | None = None,
    attention: GateKind | None = None,
    at: str | Sequence[str] = (),
    reduction: int = 16,
    join: Join = "scale",
    device: str = "cpu",
    random: bool = False,
) -> DarknetModel:
    """A MODEL in evaluation mode on a device, gates attached; a `.cfg` takes the `.weights` beside it.

    Args:
        model: a zoo name, a `.cfg` or a checkpoint.
        weights, num_classes: as in `load`.
        attention, at, reduction, join: as in `train`.
        device: where it runs.
        random: random weights are welcome where none are given.

    Raises:
        ModelError: there are no weights.
    """
    target = torch_device(device)
    path = Path(model)
    if weights is None and path.suffix == ".cfg" and path.with_suffix(".weights").is_file():
        weights = path.with_suffix(".weights")
    if weights is None and path.suffix != CHECKPOINT and not random:
        describe(model)
        raise ModelError(f"{model}: has no trained weights; give them with --weights FILE")
    loaded = load(model, weights, num_classes)
    if not random:
        _require_trained(loaded, model, weights)
    gates = make_attention(loaded.network, attention, at, reduction, join)
    return (loaded if gates is None else attach(loaded, **asdict(gates))).to(target)


def _require_trained(loaded: DarknetModel, model: str | Path, weights: str | Path | None) -> None:
    """Refuses a model of which some tensors are random: it would be measured, cut or shipped as trained."""
    transfer = loaded.provenance.get("transfer")
    left = transfer.get("random", 0) if isinstance(transfer, dict) else 0
    if left:
        source = model if weights is None else f"{weights} for {model}"
        message = f"{source}: {left} tensors have no trained weights (other classes, or another network)"
        raise ModelError(f"{message}; train it first: seyolo train --model {model} --weights FILE")


def open_on_torch(
    model: str | Path,
    *,
    threads: int | None = None,
    device: str = "cpu",
    random: bool = False,
    **options: Unpack[ModelKeywords],
) -> TorchBackend:
    """As `open_model`, as a runtime backend."""
    opened = open_model(model, device=device, random=random, **options)
    return TorchBackend(opened, threads=threads, device=device)


def resized(model: DarknetModel, size: int | None) -> DarknetModel:
    """The model with another square input, or itself when `size` is None."""
    if size is None:
        return model
    file = to_file(model)
    device = next(model.parameters()).device
    return from_file(replace(file, network=set_size(file.network, size, size))).to(device)


def input_size(model: DarknetModel | Backend, size: int | None) -> tuple[int, int]:
    """(height, width) of a model's input in pixels: `size` square, or its own.

    Raises:
        UsageError: another size than the one a runtime's file is made for.
    """
    if isinstance(model, DarknetModel):
        net = set_size(model.network, size, size).net if size else model.network.net
        return net.height, net.width
    if size is not None and model.input_size != (size, size):
        height, width = model.input_size
        raise UsageError(f"--size {size}: this file is made for {width}x{height} pixels; leave --size out")
    return model.input_size


def check_training(
    *, epochs: int, batch: int, lr: float, seed: int, device: str, least_epochs: int = 1
) -> None:
    """Refuses settings no training can run with.

    Raises:
        UsageError: a number out of its range.
        BackendError: no such device.
    """
    torch_device(device)
    if epochs < least_epochs:
        raise UsageError(f"--epochs {epochs}: at least {least_epochs}")
    if batch < 1:
        raise UsageError(f"--batch {batch}: at least one picture per step")
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


def make_attention(
    model: str | Network, kind: GateKind | None, at: str | Sequence[str], reduction: int, join: Join
) -> Attention | None:
    """The gates asked for; without a place at the first the network has of `residual`, `neck` and `head`.

    Raises:
        UsageError: a place without a kind.
    """
    network = describe(model)[0] if isinstance(model, str) else model
    places = attention_places(network, kind, at, reduction, join)
    if kind is None:
        return None
    return Attention(kind, places, reduction, join)


def prune_file(
    model: str | Path,
    out: Path,
    *,
    budget: str | Sequence[str],
    scope: Scope = "all",
    multiple: int | None = None,
    dataset: Dataset | None = None,
    size: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    **options: Unpack[ModelKeywords],
) -> Plan:
    """Cuts a MODEL with weights, recalibrates it on a data set if there is one, and writes it.

    Args:
        model, options: as in `open_model`.
        out: a `.safetensors` or `.cfg` file.
        budget, scope, multiple: as in `seyolo.prune`.
        dataset: its `train` split gives the pictures for recalibration.
        size: side of the square input in pixels; by default the model's.
        seed: of the choice of those pictures.
        device: where recalibration runs.
    """
    if out.suffix not in (CHECKPOINT, ".cfg"):
        raise UsageError(f"{out}: a slim model is written as {CHECKPOINT} or .cfg")
    if out.resolve() == Path(model).resolve():
        raise UsageError(f"{out}: is the model to be cut; write the slim one to another file")
    dense = resized(open_model(model, device=device, **options), size)
    slim_model, plan = prune(dense, budget, scope=scope, multiple=multiple)
    slim_model = slim_model.to(torch_device(device))
    if dataset is not None:
        recalibrate_on(slim_model, dataset, input_size(slim_model, None), seed)
    save(slim_model, out)
    return plan


def export_file(
    model: str | Path,
    out: Path,
    *,
    nms: bool = False,
    dynamic_batch: bool = False,
    size: int | None = None,
    random: bool = False,
    **options: Unpack[ModelKeywords],
) -> tuple[Path, ...]:
    """Writes a MODEL for other programs, or as a checkpoint; returns the files.

    Args:
        model, options, random: as in `open_model`.
        out: `.onnx`, `.cfg` or `.safetensors`.
        nms, dynamic_batch: as in `seyolo.export`.
        size: side of the square input in pixels; by default the model's.
    """
    if out.suffix != ".onnx" and (nms or dynamic_batch):
        raise UsageError(f"{out}: non-maximum suppression and a dynamic batch are for .onnx")
    opened = resized(open_model(model, random=random, **options), size)
    if out.suffix == CHECKPOINT:
        save(opened, out)
        return (out,)
    return export(opened, out, nms=nms, dynamic_batch=dynamic_batch)


def _train(settings: TrainSettings, folder: Path, resume: bool, progress: Progress | None) -> TrainResult:
    torch_device(settings.device)
    dataset = load_dataset(settings.data)
    config = settings.train_config()
    sparsity = None if settings.sparsity is None else make_sparsity(settings.sparsity, settings.strength)
    if resume:
        model = from_file(read_model_file(folder / "last.safetensors"))
    else:
        model = starting_model(settings.model, dataset, config, settings.weights, settings.attention)
        write_json(folder / SETTINGS_FILE, asdict(settings))
    return run_train(model, dataset, config, folder, sparsity=sparsity, resume=resume, progress=progress)


def _strength(sparsity: str | None, s: float | None) -> float:
    if sparsity is None and s is not None:
        raise UsageError("--s is the strength of sparsity training; say which with --sparsity l1 or proximal")
    return DEFAULT_STRENGTH if s is None else s


def _chosen_splits(dataset: Dataset, split: str | None) -> dict[str, list[Sample]]:
    names = [name for name in dataset.splits if name != "train"] if split is None else [split]
    return {name: dataset.split(name) for name in names or ["train"]}


def _attention_of(values: dict[str, Any] | None) -> Attention | None:
    return None if values is None else Attention(**{**values, "at": tuple(values["at"])})


def _train_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of `TrainConfig` as they come back from JSON, with the augmentation made whole."""
    if "augmentation" not in values:
        return values
    recipe = dict(values["augmentation"])
    recipe["grid_probabilities"] = tuple(recipe["grid_probabilities"])
    return {**values, "augmentation": Augmentation(**recipe)}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TrainingError(f"{path}: damaged ({error}); this run cannot be resumed") from None
    if not isinstance(values, dict):
        raise TrainingError(f"{path}: not the settings of a run; this run cannot be resumed")
    return values
