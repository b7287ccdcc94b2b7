"""Trained detectors that come with the package: the name `hand` stands for the file `shipped/hand.onnx`.

What lies in that folder is all there is to one: NAME.onnx, its card NAME.md and the card's figures NAME.json.
What has a folder or an ending, such as `./hand` or `hand.onnx`, is a file of your own.
"""

from __future__ import annotations

import warnings
from importlib.resources import files
from pathlib import Path

from seyolo.errors import UsageError

FOLDER = Path(str(files("seyolo"))) / "shipped"
ENDING = ".onnx"


def shipped_names() -> tuple[str, ...]:
    """The names of all of them, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{ENDING}")))


def is_shipped(model: str | Path | None) -> bool:
    """Whether a MODEL is the name of a shipped detector."""
    return str(model) in shipped_names()


def model_path(model: str | Path) -> Path:
    """The file of a MODEL: of a shipped detector by its name, else the path as it is.

    Warns where a file or folder of that name lies here, since that is not what runs.
    """
    if not is_shipped(model):
        return Path(model)
    if Path(model).exists():
        kind = "folder" if Path(model).is_dir() else "file"
        warnings.warn(
            f"{model}: runs the detector that comes with seyolo, not the {kind} of that name here; "
            f"a model file of yours needs its ending, as in {model}{ENDING}",
            stacklevel=2,
        )
    return FOLDER / f"{model}{ENDING}"


def card_path(name: str) -> Path:
    """The model card of a shipped detector."""
    return FOLDER / f"{name}.md"


def refuse_shipped(model: str | Path | None) -> None:
    """Refuses the name of a shipped detector where a network is needed that can be changed.

    Raises:
        UsageError: says what to give instead.
    """
    if is_shipped(model):
        raise UsageError(
            f"{model}: comes with seyolo as a finished .onnx file, to be run, not trained, cut or exported; "
            f"give a zoo name, a .cfg or a checkpoint (how to train one like it: {card_path(str(model))})"
        )
