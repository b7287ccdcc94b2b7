"""Options in the folder of a run, those of version 0.1.0 among them."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from seyolo.errors import SeyoloError, TrainingError
from seyolo.json_files import from_json, to_json
from seyolo.options.slim import SlimOptions
from seyolo.options.train import TrainOptions
from seyolo.options.training import TrainingOptions

Options = TypeVar("Options")
SLIM_FILE = "config.json"
TRAIN_FILE = "command.json"
RENAMED = {"size_px": "size", "batch_size": "batch", "learning_rate": "lr", "strength": "s"}
RENAMED_IN_CUT = {"method": "importance", "size": "size_hw"}
OLD_NAMES = {new: old for old, new in RENAMED.items()}
OLD_NAMES_IN_CUT = {new: old for old, new in RENAMED_IN_CUT.items()}
SLIM_NAMES = frozenset(
    """data model weights budget size epochs branch_epoch sparse_epochs finetune_epochs finetune batch lr
    sparsity s schedule scales_rate rounds repair distill seed device""".split()
)
GATE_NAMES = ("at", "reduction", "join")
TRAIN_NAMES = tuple(field.name for field in fields(TrainingOptions) if field.name not in SLIM_NAMES)


def read_slim_options(folder: Path) -> SlimOptions:
    """Reads the options of a run of `slim`; raises TrainingError for a damaged file or another verb's."""
    values = _read(folder / SLIM_FILE)
    if "budget" not in values:
        raise TrainingError(f"{folder}: a run of another verb, not of slim; resume it with its own verb")
    return _typed(folder / SLIM_FILE, migrated_slim(values), SlimOptions)


def read_train_options(folder: Path) -> TrainOptions:
    """Reads the options of a run of `train`; raises TrainingError for a damaged file."""
    return _typed(folder / TRAIN_FILE, migrated_train(_read(folder / TRAIN_FILE)), TrainOptions)


def stored_slim(options: SlimOptions) -> dict[str, Any]:
    """Returns what config.json of a run of `slim` holds: the form of version 0.1.0.

    Options of training are under `train` where they are not the usual ones; controls are there where any
    were asked for.
    """
    values: dict[str, Any] = to_json(options)
    usual: dict[str, Any] = to_json(SlimOptions())
    stored = {OLD_NAMES.get(name, name): value for name, value in values.items() if name in SLIM_NAMES}
    gates = {"kind": options.attention, **{name: values[name] for name in GATE_NAMES}}
    controls = {"controls": values["controls"]} if options.controls else {}
    return (
        stored
        | controls
        | {
            "attention": None if options.attention is None else gates,
            "cut": {OLD_NAMES_IN_CUT.get(name, name): value for name, value in values["cut"].items()},
            "train": {name: values[name] for name in TRAIN_NAMES if values[name] != usual[name]},
        }
    )


def migrated_slim(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a run of `slim`, of version 0.1.0 or later, with today's names."""
    if "size_px" not in values:
        return values
    cut = {RENAMED_IN_CUT.get(name, name): value for name, value in values["cut"].items()}
    train: dict[str, Any] = values.get("train", {})
    return migrated_train(values) | train | {"cut": cut, "blocks": cut["blocks"]}


def migrated_train(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a run of `train`, of version 0.1.0 or later, with today's names."""
    if "size_px" not in values:
        return values
    new = {RENAMED.get(name, name): value for name, value in values.items() if name != "attention"}
    if new.get("sparsity", "") is None:
        new["s"] = None
    if new.get("teacher", "") is None:
        new["distill"] = None
    gates = values.get("attention")  # version 0.1.0 kept the options of the attention as one object
    if gates is not None:
        new |= {"attention": gates["kind"], **{name: gates[name] for name in GATE_NAMES}}
    return new


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TrainingError(f"{path}: damaged ({error}); this run cannot be resumed") from None
    if not isinstance(values, dict):
        raise TrainingError(f"{path}: not the settings of a run; this run cannot be resumed")
    return values


def _typed(path: Path, values: dict[str, Any], kind: type[Options]) -> Options:
    try:
        return from_json(values, kind)
    except SeyoloError as error:
        raise TrainingError(f"{path}: {error}; this run cannot be resumed") from None
