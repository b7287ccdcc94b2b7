"""Shipped detectors: trained files that come with the package, such as `hand`, `shipped/hand.onnx`.

A shipped detector is NAME.onnx, NAME.md (card) and NAME.json (figures) in that folder; with a checkpoint,
NAME.safetensors, it is also trained, pruned and exported. Older versions are NAME-1.onnx, NAME-2.onnx, ...:
NAME is always the newest one, and so is its number, one more than that of the last older one. A path with a
folder or an ending, such as `./hand` or `hand.onnx`, is a file of the user.
"""

from __future__ import annotations

import re
import warnings
from importlib.resources import files
from pathlib import Path

from seyolo.errors import UsageError
from seyolo.runtime.foreign import finished_advice, foreign_advice

FOLDER, ENDING, CHECKPOINT = Path(str(files("seyolo"))) / "shipped", ".onnx", ".safetensors"
VERSIONED = re.compile(r"(.+)-([0-9]+)")


def shipped_names() -> tuple[str, ...]:
    """Returns the names of the shipped detectors, sorted: `hand`, `hand-1`, ..."""
    return tuple(sorted(_stems()))


def _stems() -> dict[str, str]:
    """Returns by name the common stem of the files of a shipped detector."""
    stems = {path.stem: path.stem for path in FOLDER.glob(f"*{ENDING}")}
    last: dict[str, int] = {}
    for older in filter(None, map(VERSIONED.fullmatch, stems)):
        last[older[1]] = max(last.get(older[1], 0), int(older[2]))
    newest = {f"{name}-{last.get(name, 0) + 1}": name for name in stems if not VERSIONED.fullmatch(name)}
    return {name: f"{name}-{number}" for name, number in last.items()} | stems | newest


def with_version(model: str | Path) -> str:
    """Returns a MODEL; a shipped detector with the number of its version, as in `hand-2`."""
    stems, name = _stems(), str(model)
    same = (other for other, stem in stems.items() if stem == stems.get(name) and VERSIONED.fullmatch(other))
    return next(same, name)


def is_shipped(model: str | Path | None) -> bool:
    """Tells whether a MODEL is the name of a shipped detector."""
    return str(model) in shipped_names()


def model_path(model: str | Path) -> Path:
    """Returns the file of a MODEL, a shipped detector or a path; warns where a file here has its name."""
    _warn_of_namesake(model)
    return model_file(model)


def model_file(model: str | Path) -> Path:
    """Returns what `model_path` does, without a warning."""
    stem = _stems().get(str(model))
    return Path(model) if stem is None else FOLDER / f"{stem}{ENDING}"


def card_path(name: str) -> Path:
    """Returns the path of the model card of a shipped detector."""
    return model_file(name).with_suffix(".md")


def checkpoint_path(model: str | Path | None) -> Path | None:
    """Returns the checkpoint of a shipped detector; None for another MODEL, or where there is none."""
    path = model_file(str(model)).with_suffix(CHECKPOINT)
    return path if is_shipped(model) and path.is_file() else None


def is_checkpoint(model: str | Path | None) -> bool:
    """Tells whether a MODEL or weights are a checkpoint: a `.safetensors` file, or that of a shipped one."""
    return Path(str(model)).suffix == CHECKPOINT or checkpoint_path(model) is not None


def network_path(model: str | Path) -> Path:
    """Returns the file of a MODEL, of a shipped one its checkpoint; raises UsageError for no network."""
    _refuse_finished(model)
    return checkpoint_path(model) or Path(model)


def check_network(*models: str | Path | None) -> None:
    """Refuses (UsageError) files that are no network; warns where one here has a shipped detector's name."""
    for model in models:
        _refuse_finished(model)
        _warn_of_namesake(model)


def _refuse_finished(model: str | Path | None) -> None:
    if advice := shipped_advice(model) or foreign_advice(str(model)) or finished_advice(str(model)):
        raise UsageError(advice)


def shipped_advice(model: str | Path | None) -> str | None:
    """Returns why a shipped detector is no network to work on, and what is; None for another MODEL."""
    if not is_shipped(model) or checkpoint_path(model) is not None:
        return None
    name = str(model)
    return (
        f"{name}: comes with seyolo as a finished .onnx file ({model_file(name)}), which cannot be trained, "
        "pruned or exported; give a zoo name, a .cfg or a checkpoint (how to train one like it: "
        f"{card_path(name)})"
    )


def _warn_of_namesake(model: str | Path | None) -> None:
    if is_shipped(model) and Path(str(model)).exists():
        kind = "folder" if Path(str(model)).is_dir() else "file"
        warnings.warn(
            f"{model}: is the detector that comes with seyolo, not the {kind} of that name here; "
            f"a model file of yours needs its ending, as in {model}{ENDING}",
            stacklevel=3,
        )
