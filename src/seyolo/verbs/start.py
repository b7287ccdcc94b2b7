"""Checks and choices of the training verbs before a run: machine, data, model and attention sites."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, cast

from seyolo.class_names import listed, read_names
from seyolo.darknet.graph import detection_layers
from seyolo.darknet.placement import Site
from seyolo.darknet.zoo import DEFAULT_MODEL, is_zoo_name
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.data.fingerprint import DATA_FILE, differences, fingerprint, read_fingerprint
from seyolo.data.splitting import for_training
from seyolo.errors import TrainingError, UsageError
from seyolo.files import write_text
from seyolo.opening.description import Attention, describe, gates_of, weights_beside
from seyolo.options.slim import SlimOptions
from seyolo.options.train import TrainOptions
from seyolo.progress import Progress, Silent, tell
from seyolo.runtime.shipped import is_checkpoint, with_version
from seyolo.sizes import USUAL_SIZE, InputSize, checked_size, input_text
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.device import torch_device
from seyolo.training.config import TrainConfig
from seyolo.training.distributed import current_team
from seyolo.training.prepare import starting_model
from seyolo.verbs.effort import chosen_device

Options = TypeVar("Options", SlimOptions, TrainOptions)


def check_machine(options: SlimOptions | TrainOptions) -> None:
    """Refuses a device that is not here, and a batch that several processes cannot share."""
    torch_device(options.device)
    if options.batch != "auto":
        current_team().share_of(options.batch)


def open_data(options: SlimOptions | TrainOptions, folder: Path, progress: Progress) -> Dataset:
    """Loads the data set of a run and tells what is to say about it; one with a single split is divided.

    A resumed run keeps its division.

    Raises:
        DataError: as `load_dataset` and `divide`.
    """
    assert options.data is not None
    dataset = load_dataset(options.data)
    is_resumed = len(dataset.splits) == 1 and (folder / DATA_FILE).exists()
    kept = read_fingerprint(folder).splits if is_resumed else {}
    tell(progress, [*dataset.remarks, *dataset.cautions()])
    dataset, lines = for_training(dataset, options.seed, kept)
    tell(progress, lines)
    return dataset.tiled(options.tiling(options.size or USUAL_SIZE))


def check_data(folder: Path, dataset: Dataset, splits: Iterable[str], data_changed: bool) -> None:
    """Compares the data set with the one that the run in the folder began with; a new run only stores it.

    Raises:
        TrainingError: images or labels changed, and `data_changed` does not allow it, or the classes did.
    """
    path, now = folder / DATA_FILE, fingerprint(dataset, splits)
    if path.exists() and (found := differences(before := read_fingerprint(folder), now)):
        changes = f"{dataset.source}: changed since the run {folder} began: {'; '.join(found)}"
        if before.names != now.names:
            raise TrainingError(f"{changes}; start a new run")
        if not data_changed:
            raise TrainingError(f"{changes}. Put it back as it was, or go on with --data-changed")
        warnings.warn(changes, stacklevel=3)
    write_text(
        path, json.dumps({"names": now.names, "splits": now.splits})
    )  # large: indented it takes seconds


def check_classes(folder: Path, names: Sequence[str], dataset: Dataset) -> None:
    """Refuses (TrainingError) to resume a run of these classes on a data set of others, or in another order.

    A run of version 0.1.0 has no `data.json`, which `check_data` compares.
    """
    if tuple(names) != tuple(dataset.names):
        lists = f"the classes are {listed(dataset.names)}, not {listed(names)}"
        raise TrainingError(
            f"{dataset.source}: changed since the run {folder} began: {lists}; start a new run"
        )


def with_model(options: Options, progress: Progress | None = None) -> Options:
    """Returns the options with device, model, input size and sites of attention, for a machine that has it.

    The default model is a checkpoint given as weights alone, or the usual zoo network. The input size of a
    `.cfg` or checkpoint is its own, which `progress` is told; that of a zoo name is the usual one. A shipped
    detector is named with its version, so that a resumed run starts from the same one.
    """
    options = replace(options, device=chosen_device(options.device))
    check_machine(options)
    model = None if options.model is None else with_version(options.model)
    weights = None if options.weights is None else Path(with_version(options.weights))
    options = replace(options, model=model, weights=weights)
    if model is None and is_checkpoint(weights):
        options = replace(options, model=str(weights), weights=None)
    elif model is None:
        options = replace(options, model=DEFAULT_MODEL)
    if options.size is None:
        options = replace(options, size=_own_size(options, progress or Silent()))
    tell(progress or Silent(), _new_weights(options))
    if options.names is not None and options.weights is None and not is_checkpoint(options.model):
        advice = "give these with --weights, or leave --names out: a new network has the classes of the data"
        raise UsageError(f"--names {options.names}: names the classes of trained weights; {advice}")
    gates = _attention_of(options)
    return options if gates is None else replace(options, at=cast("tuple[Site, ...]", gates.at))


def _new_weights(options: SlimOptions | TrainOptions) -> list[str]:
    """Returns what new weights of a `.cfg` do not take from it: how images get in, and weights beside it."""
    cfg = Path(str(options.model))
    if cfg.suffix != ".cfg" or options.weights is not None:
        return []
    lines = []
    if not describe(cfg)[0].net.letter_box:
        lines.append(f"images are letterboxed, as always with new weights; {cfg.name} stretches them")
    if weights := weights_beside(cfg):
        start = f"training starts from new weights: --weights {weights} starts from it"
        lines.append(f"warning: {weights.name} beside {cfg.name} is not used, {start}")
    return lines


def _own_size(options: SlimOptions | TrainOptions, progress: Progress) -> InputSize:
    """Returns the input size of the model that training starts from."""
    source = str(options.model)
    if is_zoo_name(source) and is_checkpoint(options.weights):
        source = str(options.weights)
    if is_zoo_name(source):
        return USUAL_SIZE
    net = describe(source)[0].net
    size = checked_size((net.height, net.width))
    progress.message(f"input size {input_text(size)}, as in {source}; --size sets another")
    return size


def model_to_train(options: Options, dataset: Dataset, config: TrainConfig) -> DarknetModel:
    """Returns the model that training starts from."""
    assert options.model is not None
    weights = None if options.weights is None else str(options.weights)
    names = None if options.names is None else read_names(options.names)
    gates = _attention_of(options)
    model = starting_model(options.model, dataset, config, weights, gates, own_names=names)
    if options.freeze:
        _check_freeze(options.freeze, model, weights is not None or is_checkpoint(options.model))
    return model


def is_trained(options: Options, model: DarknetModel) -> bool:
    """Tells whether all weights of the `model_to_train` are given ones, detection layers included."""
    transfer = model.provenance.get("transfer")
    is_given = options.weights is not None or is_checkpoint(options.model)
    return is_given and not (isinstance(transfer, dict) and transfer.get("random"))


def _check_freeze(num_layers: int, model: DarknetModel, is_trained: bool) -> None:
    """Refuses to freeze more layers than lie in front of a detection layer, and random ones."""
    first = detection_layers(model.network)[0]
    if num_layers >= first:
        last = f"layer {first - 1} is the last in front of a detection layer"
        raise UsageError(f"--freeze {num_layers}: {last}; freeze at most {first - 1}")
    if not is_trained:
        raise UsageError(f"--freeze {num_layers}: these layers are random; give trained ones with --weights")


def _attention_of(options: SlimOptions | TrainOptions) -> Attention | None:
    """Returns the attention to attach, if any."""
    assert options.model is not None
    return gates_of(describe(options.model)[0], options)
