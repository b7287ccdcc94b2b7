"""Settings of a study, and whether more networks may join those that its folder holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from seyolo.errors import TrainingError
from seyolo.json_files import read_json, to_json
from seyolo.options.slim import USUAL_EPOCHS, SlimOptions
from seyolo.options.study import StudyOptions
from seyolo.report.record import flat_settings
from seyolo.study_results import STUDY_FILE
from seyolo.verbs.effort import with_effort

PLACES = ("data", "model", "weights", "names")
"""Options that may name the same file or folder by another text."""
DESCRIBING = (".yaml", ".yml", ".data", ".json")
"""Endings of files that describe the data set of their folder."""
FOLLOWING = ("branch_epoch", "sparse_epochs", "finetune_epochs")  # from `epochs`


@dataclass(frozen=True)
class Settings:
    """The content of study.json."""

    study: StudyOptions
    slim: SlimOptions


def common_options(folder: Path, chosen: SlimOptions, command: str) -> SlimOptions:
    """Returns the options of all networks of a study that is there; epochs and batch may be left out.

    A path may be written otherwise, and a data set be named by its folder or by the file that describes it.
    The data set is read only for weights of classes.

    Raises:
        TrainingError: `chosen` has other options; the message names them, and `command`, which goes on.
    """
    stored = read_json(folder / STUDY_FILE, Settings).slim
    batch = stored.batch if chosen.batch == "auto" else chosen.batch
    epochs = stored.epochs if chosen.epochs is None else chosen.epochs
    chosen = replace(chosen, batch=batch, epochs=epochs)
    for weights in ((), chosen.class_weights):
        asked = with_effort(replace(chosen, class_weights=weights), USUAL_EPOCHS).equal_images()
        there = replace(stored, class_weights=stored.class_weights if weights == chosen.class_weights else ())
        if found := _differing(there, asked):
            here, given = (", ".join(texts) for texts in zip(*found, strict=True))
            message = f"{folder}: the networks of this study have {here}, and {given} is asked for"
            raise TrainingError(
                f"{message}; give another --name (in Python: folder=), or continue it: {command}"
            )
    return stored


def _differing(stored: SlimOptions, asked: SlimOptions) -> list[tuple[str, str]]:
    """Returns the options in which they differ as texts: `--epochs 2` and `--epochs 3`."""
    before, now = (flat_settings(to_json(options)) for options in (stored, asked))
    names = [name for name in before if not _are_same(name, before[name], now[name])]
    named = [name for name in names if name not in FOLLOWING or "epochs" not in names]
    return [(_text(name, before[name]), _text(name, now[name])) for name in named]


def _are_same(name: str, stored: object, asked: object) -> bool:
    if name not in PLACES or stored is None or asked is None:
        return stored == asked
    one, other = (Path(str(place)).resolve() for place in (stored, asked))
    pairs = (one, other), (other, one)
    return one == other or any(file.parent == folder and file.suffix in DESCRIBING for file, folder in pairs)


def _text(name: str, value: object) -> str:
    option = f"--{name.rpartition('.')[2].replace('_', '-')}"
    if value is None or value is False or value == []:
        return f"no {option}"
    given = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return option if value is True else f"{option} {given}"
