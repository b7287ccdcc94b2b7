"""Options in the folder of a run, those of version 0.1.0 among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from seyolo.errors import SeyoloError, TrainingError
from seyolo.json_files import from_json, read_json, to_json
from seyolo.options.slim import SlimOptions
from seyolo.options.train import TrainOptions
from seyolo.options.training import TrainingOptions

Options = TypeVar("Options")
Migration = Callable[[dict[str, Any]], dict[str, Any]]
SLIM_FILE = "config.json"
TRAIN_FILE = "command.json"
RENAMED = {"size_px": "size", "batch_size": "batch", "learning_rate": "lr", "strength": "s"}
RENAMED_IN_CUT = {"method": "importance", "size": "size_hw"}
# Of runs that do not name their optimizer.
FIRST_OPTIMIZER, FIRST_EPOCHS, FIRST_SPARSE = "adamw", 30, 11
OLD_NAMES = {new: old for old, new in RENAMED.items()}
OLD_NAMES_IN_CUT = {new: old for old, new in RENAMED_IN_CUT.items()}
SLIM_NAMES = frozenset(
    """data model weights budget size epochs branch_epoch sparse_epochs finetune_epochs finetune batch lr
    sparsity s schedule scales_rate rounds repair distill seed device""".split()
)
GATE_NAMES = ("at", "reduction", "join")
TRAIN_NAMES = tuple(field.name for field in fields(TrainingOptions) if field.name not in SLIM_NAMES)


@dataclass(frozen=True)
class _Gates:
    """Options of the attention as version 0.1.0 keeps them."""

    kind: str
    at: Any
    reduction: Any
    join: Any


@dataclass(frozen=True)
class _Nested:
    """Settings of version 0.1.0 that are objects."""

    attention: _Gates | None = None
    cut: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)


def read_slim_options(folder: Path) -> SlimOptions:
    """Reads the options of a run of `slim`; raises TrainingError for a damaged file or another verb's."""
    values = _read(folder / SLIM_FILE)
    if "budget" not in values:
        raise TrainingError(f"{folder}: a run of another verb, not of slim; resume it with its own verb")
    return _typed(folder / SLIM_FILE, migrated_slim, values, SlimOptions)


def read_train_options(folder: Path) -> TrainOptions:
    """Reads the options of a run of `train`; raises TrainingError for a damaged file."""
    return _typed(folder / TRAIN_FILE, migrated_train, _read(folder / TRAIN_FILE), TrainOptions)


def data_of_run(model: Path) -> Path | None:
    """Returns the data of the run in whose folder a model lies, or in a folder of it; None without a run."""
    for folder in model.absolute().parents[:2]:
        for name in (TRAIN_FILE, SLIM_FILE):
            try:
                data = read_json(folder / name, dict).get("data")
            except SeyoloError:
                continue
            if isinstance(data, str):
                return Path(data)
    return None


def stored_slim(options: SlimOptions) -> dict[str, Any]:
    """Returns what config.json of a run of `slim` holds: the form of version 0.1.0.

    Options of training are under `train` where they are not the usual ones, and the optimizer always;
    controls, names and activation are there where any were asked for.
    """
    values: dict[str, Any] = to_json(options)
    usual: dict[str, Any] = to_json(SlimOptions()) | {"optimizer": None}
    stored = {OLD_NAMES.get(name, name): value for name, value in values.items() if name in SLIM_NAMES}
    gates = {"kind": options.attention, **{name: values[name] for name in GATE_NAMES}}
    controls = {"controls": values["controls"]} if options.controls else {}
    asked = {name: values[name] for name in ("names", "activation") if values[name] is not None}
    return (
        stored
        | controls
        | asked
        | {
            "attention": None if options.attention is None else gates,
            "cut": {OLD_NAMES_IN_CUT.get(name, name): value for name, value in values["cut"].items()},
            "train": {name: values[name] for name in TRAIN_NAMES if values[name] != usual[name]},
        }
    )


def migrated_slim(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a run of `slim`, of version 0.1.0 or later, with today's names."""
    if "size_px" not in values:
        first = {} if "optimizer" in values else {"optimizer": FIRST_OPTIMIZER, **_first_epochs(values)}
        return {**values, **first}
    nested = from_json(values, _Nested)
    cut = {RENAMED_IN_CUT.get(name, name): value for name, value in nested.cut.items()}
    new = migrated_train({name: value for name, value in values.items() if name != "train"})
    if "optimizer" not in nested.train:
        new |= _first_epochs(new)
    return new | nested.train | {"cut": cut, "blocks": cut.get("blocks", False)}


def _first_epochs(values: Mapping[str, Any]) -> dict[str, int]:
    """Returns the epochs of runs that do not name their optimizer, where they were not given."""
    dense = FIRST_EPOCHS if values.get("epochs") is None else values["epochs"]
    if dense:
        return {"epochs": dense}
    sparse, tune = values.get("sparse_epochs"), values.get("finetune_epochs")
    sparse = FIRST_SPARSE if sparse is None else sparse
    tune = 2 * FIRST_EPOCHS - sparse if tune is None else tune
    return {"epochs": 0, "sparse_epochs": sparse, "finetune_epochs": tune}


def migrated_train(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a run of `train`, of version 0.1.0 or later, with today's names."""
    if "size_px" not in values:
        return {"optimizer": FIRST_OPTIMIZER, **values}
    renamed = {RENAMED.get(name, name): value for name, value in values.items() if name != "attention"}
    new = {"optimizer": FIRST_OPTIMIZER, **renamed}
    if new.get("sparsity", "") is None:
        new["s"] = None
    if new.get("teacher", "") is None:
        new["distill"] = None
    if (gates := from_json(values, _Nested).attention) is not None:
        new |= {"attention": gates.kind, **{name: getattr(gates, name) for name in GATE_NAMES}}
    return new


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path, dict)
    except TrainingError as error:
        raise TrainingError(f"{error}; this run cannot be resumed") from None


def _typed(path: Path, migrated: Migration, values: dict[str, Any], kind: type[Options]) -> Options:
    try:
        new = migrated(values)
        options = from_json(new, kind)
    except SeyoloError as error:
        raise TrainingError(f"{path}: {error}; this run cannot be resumed") from None
    for name in _unknown(new, to_json(options)):
        advice = "it may be of a newer seyolo; update seyolo, or remove it from the file"
        raise TrainingError(f"{path}: there is no option {name!r}; {advice}")
    return options


def _unknown(values: Mapping[str, Any], known: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Yields the keys that options do not have: without them a resumed run would be another one."""
    for name, value in values.items():
        if name not in known:
            yield where + name
        elif isinstance(value, dict) and isinstance(known[name], dict):
            yield from _unknown(value, known[name], f"{where}{name}.")
