"""Command line: verbs by name, loaded when called, and exit codes of their errors.

Exit codes: 0 done, 2 an error that the user can mend, 130 interrupted by Ctrl-C, 143 by SIGTERM, 1 (with a
traceback) a bug of ours. Nothing here imports PyTorch or NumPy; slow imports stand inside `main`, so that
Ctrl-C prints one line from the start.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
import warnings
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from seyolo.errors import SeyoloError
from seyolo.interrupts import INTERRUPTED, Interrupts, is_main_thread

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import Any

    from cyclopts import App, Token

PROCESSES = "seyolo.training.distributed"
"""Joins the processes that torchrun starts."""
MISTYPED = "seyolo.commands.mistyped"
"""Answers to lines that cannot be run; loaded for those only."""
INSTALLING = "seyolo.installing"
"""Words the command that installs a missing package; loaded for that only."""
DONE, USER_CAN_MEND = 0, 2
VERBS = {
    "slim": "Photos in, a slim detector and its before/after table out: the whole way in one command.",
    "train": "Train a detector, dense or with sparsity, or fine-tune one.",
    "val": "Average precision of a model on a data set.",
    "detect": "Find objects in images, videos, cameras and streams; annotated media and tables out.",
    "prune": "Prune a trained network to a budget.",
    "export": "Write a model for ONNX Runtime, OpenVINO, LiteRT, MNN, ncnn or Darknet.",
    "benchmark": "Latency of several models side by side, and their AP.",
    "report": "Write a run as one page, or several runs side by side.",
    "study": "Does attention help? Gates, places, joins, budgets and seeds, trained on as many images each.",
    "serve": "A local page and HTTP API for one model, or two side by side.",
    "info": "Layers, parameters and MACs of a network or an .onnx file.",
    "demo": "The main job in a few minutes, on drawn hands.",
}
DATA_VERBS = {
    "oxford": "Convert the Oxford Hand data set, a folder or the archive.",
    "synth": "Draw a data set of synthetic hands.",
    "convert": "Write any data set as YOLO, COCO or VOC.",
    "split": "Divide the images of a data set anew into train, val and test.",
    "check": "Look through a data set: counts, and everything that is wrong.",
    "view": "Write a data set as one page: labelled images, classes, sizes and near-duplicates.",
    "label": "Label images with a model, the doubtful ones listed first, to correct and train on.",
    "anchors": "Anchor boxes for a data set.",
}
RESUMED_WITH = {
    verb: {"--resume", "--tracker", "--data-changed", "--json", *own}
    for verb, own in {"train": (), "slim": ("--controls",), "study": ("--shard",)}.items()
}
"""Options that a resumed run takes; the others are those of the run."""
OWN_MODULES = ("view", "label")
"""Verbs of `data` in a module of their own: they import what the others do without."""


def make_app(words: Collection[str] = ()) -> App:
    """Returns the app with all verbs; the module of a verb is loaded when it is called.

    A verb in `words` has its whole docstring as help, the others the line that the list of verbs shows.
    """
    from cyclopts import App, Parameter  # noqa: PLC0415 (see the top of this file)

    app = App(
        name="seyolo",
        help="Make YOLO detectors small and fast without losing accuracy.",
        version_flags=["--version", "-V"],
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(converter=_convert),
    )
    for verb, help_text in VERBS.items():
        app.command(f"seyolo.commands.{verb}:{verb}", name=verb, help=None if verb in words else help_text)
    data = App(name="data", help="Make, convert, look at and check data sets.")
    for verb, help_text in DATA_VERBS.items():
        module = f"data_{verb}" if verb in OWN_MODULES else "data"
        data.command(f"seyolo.commands.{module}:{verb}", name=verb, help=None if verb in words else help_text)
    app.command(data)
    app.command(
        "seyolo.completion:install_completion",
        name="--install-completion",
        help="Let the shell complete verbs and options.",
        help_flags=[],
        version_flags=[],
    )
    return app


def _convert(hint: Any, tokens: Sequence[Token]) -> Any:
    """Converts the value of an option; cyclopts alone would round 1.5 to 2 for a whole number."""
    from cyclopts import convert  # noqa: PLC0415

    if int in (hint, *getattr(hint, "__args__", ())):
        for token in tokens:
            if "." in token.value:
                raise ValueError(f"{token.value!r} is no whole number")
    return convert(hint, tokens)


def command() -> NoReturn:
    """Runs `main` as a process and exits with its code; Ctrl-C during the exit is ignored."""
    try:
        code = main()
    except KeyboardInterrupt:  # before `main` listens, or behind it
        code = _stop("interrupted", INTERRUPTED)
    if is_main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line, `sys.argv` by default, and returns the exit code."""
    words = _with_help(sys.argv[1:] if arguments is None else arguments)
    with Interrupts() as interrupts:
        try:
            _run(words)
        except KeyboardInterrupt as interrupt:
            return _stop(f"interrupted; {interrupt}" if str(interrupt) else "interrupted", interrupts.code)
        except BaseException as error:
            if not interrupts.seen:
                return _code_of(error, words)
        return _stop("interrupted", interrupts.code) if interrupts.seen else DONE


def exit_code(work: Callable[[], object]) -> int:
    """Does the work of a script, and returns its exit code; prints an error that the user can mend."""
    try:
        work()
    except KeyboardInterrupt:
        return _stop("interrupted", INTERRUPTED)
    except SeyoloError as error:
        return _stop(f"error: {error}", USER_CAN_MEND)
    return DONE


def _with_help(words: Sequence[str]) -> list[str]:
    """Returns the words with `--help` for the word help: `seyolo help train`, `seyolo train help`."""
    if words[:1] == ["help"]:
        return [*words[1:], "--help"]
    is_last = words[-1:] == ["help"] and len(words) == (3 if words[0] == "data" else 2)
    return [*words[:-1], "--help"] if is_last and not os.path.exists("help") else list(words)


def _run(words: Sequence[str]) -> None:
    with warnings.catch_warnings(), _shown_remarks():
        warnings.showwarning = _show_warning
        if "RANK" in os.environ:
            import_module(PROCESSES).run_on_leader(partial(_call, words))
        else:
            _call(words)
        sys.stdout.flush()


def _call(words: Sequence[str]) -> None:
    """Loads a verb, reads its options and calls it."""
    is_collecting = gc.isenabled()
    gc.disable()  # hardly anything that imports make is garbage, and looking for it takes 7 % of the start
    try:
        verb, bound, _ = make_app(words).parse_args(words, exit_on_error=False, print_error=False)
    finally:
        if is_collecting:
            gc.enable()
    _warn_of_ignored(words)
    verb(*bound.args, **bound.kwargs)


def _warn_of_ignored(words: Sequence[str]) -> None:
    """Warns of options that `--resume` does not use, as the run keeps its settings."""
    options = [word.partition("=")[0].replace("_", "-") for word in words if word.startswith("--")]
    ignored = dict.fromkeys(name for name in options if name not in RESUMED_WITH.get(words[0], options))
    if ignored and "--resume" in options:
        are = "is" if len(ignored) == 1 else "are"
        extending = "; to extend the study, give --name instead of --resume" if words[0] == "study" else ""
        _show_warning(
            f"--resume keeps the settings of the run; {', '.join(ignored)} {are} not used{extending}"
        )


def _code_of(error: BaseException, words: Sequence[str]) -> int:
    """Prints an error that the user can mend and returns its exit code; raises a bug of ours again."""
    from cyclopts import CycloptsError  # noqa: PLC0415 (see the top of this file)

    if isinstance(error, BrokenPipeError):
        # The reader of our output has closed it; without this the interpreter complains at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    is_mistyped = isinstance(error, CycloptsError)
    text = "" if is_mistyped else mendable(error)
    if text is None:
        raise error
    if is_mistyped or isinstance(error, SeyoloError):
        text = import_module(MISTYPED).answer(error, words, make_app())
    return _stop(f"error: {text}", USER_CAN_MEND)


def mendable(error: BaseException) -> str | None:
    """Returns the message of an error that the user can mend, None for a bug of ours."""
    if isinstance(error, SeyoloError):
        return str(error)
    if isinstance(error, OSError):
        return _system_error(error)
    if isinstance(error.__cause__, ModuleNotFoundError):
        error = error.__cause__  # cyclopts before 5 wraps it
    if isinstance(error, ModuleNotFoundError):
        advice: str | None = import_module(INSTALLING).missing(error)
        return advice
    return None


def _stop(text: str, code: int) -> int:
    sys.stdout.flush()
    print(text, file=sys.stderr)
    return code


def _system_error(error: OSError) -> str:
    advice = {
        errno.ENOSPC: "free some space and try again",
        errno.EDQUOT: "free some space and try again",
        errno.EACCES: "check the permissions or choose another folder",
        errno.EPERM: "check the permissions or choose another folder",
        errno.EROFS: "choose another folder",
    }
    if isinstance(error, FileExistsError) and os.path.islink(str(error.filename)):
        return (
            f"{error.filename}: a link to {os.readlink(error.filename)}, which is not there; remove the link"
        )
    where = f"{error.filename}: " if error.filename else ""
    hint = advice.get(error.errno or 0)
    return f"{where}{error.strerror or error}" + (f"; {hint}" if hint else "")


@contextmanager
def _shown_remarks() -> Iterator[None]:
    """Prints what our modules log at level INFO, each line once."""
    import logging  # noqa: PLC0415 (see the top of this file)

    logger, handler, said = logging.getLogger("seyolo"), logging.Handler(logging.INFO), set[str]()

    def show(record: logging.LogRecord) -> None:
        if (text := record.getMessage()) not in said:
            print(text, file=sys.stderr, flush=True)
        said.add(text)

    handler.emit = show  # type: ignore[method-assign]
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)
