"""The command line: verbs by name, loaded when called, and what becomes of their errors.

Exit codes: 0 done, 2 the user can mend it, 130 interrupted, 1 (with a traceback) a bug of ours.
Nothing here imports PyTorch or NumPy, so that `seyolo --help` is quick.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import TextIO

from cyclopts import App, CycloptsError

from seyolo.errors import SeyoloError

DONE, USER_CAN_MEND, INTERRUPTED = 0, 2, 130
TRAIN_PACKAGES = ("torch", "faster_coco_eval", "scipy", "onnx", "onnxscript", "matplotlib", "jinja2")
VERBS = {
    "slim": "Photos in, a slim detector and its before/after table out: the whole way in one command.",
    "train": "Train a detector, dense or with sparsity, or fine-tune one.",
    "val": "Average precision of a model on a data set.",
    "detect": "Find objects in pictures; annotated pictures and JSON out.",
    "prune": "Cut a trained network to a budget.",
    "export": "Write a model as .onnx, .cfg with .weights, or .safetensors.",
    "benchmark": "Latency of several models side by side, and their AP.",
    "info": "Layers, parameters and MACs of a network.",
    "demo": "The main job in a few minutes, on drawn hands.",
}
DATA_VERBS = {
    "oxford": "Convert the Oxford Hand data set, a folder or the archive.",
    "synth": "Draw a data set of synthetic hands.",
    "check": "Look through a data set: counts, and everything that is wrong.",
    "anchors": "Anchor boxes for a data set.",
}


def make_app() -> App:
    """The verbs with their help; each one's module is loaded only when it is called."""
    app = App(
        name="seyolo",
        help="Make YOLO detectors small and fast without losing accuracy.",
        version=lambda: metadata.version("seyolo"),
        suppress_keyboard_interrupt=False,
    )
    for verb, help_text in VERBS.items():
        app.command(f"seyolo.commands.{verb}:{verb}", name=verb, help=help_text)
    data = App(name="data", help="Make, convert and check data sets.")
    for verb, help_text in DATA_VERBS.items():
        data.command(f"seyolo.commands.data_{verb}:{verb}", name=verb, help=help_text)
    app.command(data)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line, `sys.argv` by default, and returns the exit code."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            make_app()(arguments, exit_on_error=False, result_action="return_value")
            sys.stdout.flush()
    except CycloptsError:
        return USER_CAN_MEND  # cyclopts has printed what is wrong
    except KeyboardInterrupt as interrupt:
        return _stop(f"interrupted; {interrupt}" if str(interrupt) else "interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; without this the interpreter complains at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (SeyoloError, OSError, ModuleNotFoundError) as error:
        text = mendable(error)
        if text is None:
            raise
        return _stop(f"error: {text}", USER_CAN_MEND)
    return DONE


def mendable(error: Exception) -> str | None:
    """What the user can do about an error, None when it is a bug of ours."""
    if isinstance(error, SeyoloError):
        return str(error)
    if isinstance(error, OSError):
        return _system_error(error)
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        advice = f'needs {package}, which is not installed; get it with: pip install "seyolo[train]"'
        return f"this {advice}" if package in TRAIN_PACKAGES else None
    return None


def _stop(text: str, code: int) -> int:
    sys.stdout.flush()
    print(text, file=sys.stderr)
    return code


def _system_error(error: OSError) -> str:
    advice = {
        errno.ENOSPC: "free some space and go on",
        errno.EDQUOT: "free some space and go on",
        errno.EACCES: "check the permissions or choose another place",
        errno.EPERM: "check the permissions or choose another place",
        errno.EROFS: "choose another place",
    }
    where = f"{error.filename}: " if error.filename else ""
    hint = advice.get(error.errno or 0)
    return f"{where}{error.strerror or error}" + (f"; {hint}" if hint else "")


def _show_warning(  # noqa: PLR0917 (the standard library's signature)
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del category, filename, lineno, file, line
    print(f"warning: {message}", file=sys.stderr)
