"""A MODEL ready to detect: a file on its own runtime, everything else on PyTorch.

PyTorch is imported only for a model that needs it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from seyolo.class_names import read_names
from seyolo.darknet.zoo import is_zoo_name
from seyolo.errors import BackendError, UsageError
from seyolo.opening.description import describe, weights_beside
from seyolo.options.model import NO_OPTIONS, ModelOptions
from seyolo.runtime.choice import (
    MODEL_ENDINGS,
    RUNTIMES,
    check_choice,
    check_threads,
    is_exported,
    open_backend,
)
from seyolo.runtime.protocol import Backend, Precision, Runtime, Session
from seyolo.runtime.shipped import is_checkpoint, is_shipped

Options = TypeVar("Options", bound=ModelOptions)


class Choice(NamedTuple):
    """A MODEL, and the runtime and precision behind it, as in `slim.onnx@openvino:bf16`."""

    model: str
    runtime: Runtime | None
    precision: Precision


def split_model(model: str | Path | Choice, wanted: str | None = None) -> Choice:
    """Splits a MODEL at its last `@` from a runtime and a precision; refuses those that do not exist.

    `wanted` is a runtime, or RUNTIME:PRECISION, given beside the MODEL; a UsageError refuses two that differ.
    """
    if isinstance(model, Choice):
        return model
    choice = _split(str(model))
    if wanted is None:
        return choice
    beside = _parse_runtime(wanted, f"--runtime {wanted}")
    if choice.runtime is not None and choice[1:] != beside:
        raise UsageError(f"{model} and --runtime {wanted} name two runtimes; leave one of them out")
    return Choice(choice.model, *beside)


def _parse_runtime(wanted: str, source: str) -> tuple[Runtime, Precision]:
    runtime, colon, precision = wanted.partition(":")
    check_choice(runtime, precision if colon else "f32", source)
    return cast(Runtime, runtime), cast(Precision, precision if colon else "f32")


def _split(text: str) -> Choice:
    name, at, wanted = text.rpartition("@")
    # `yolov3@0.25` is a zoo name with a width; only PyTorch runs zoo names.
    is_torch = wanted.partition(":")[0] == "torch"
    names_runtime = name.endswith(MODEL_ENDINGS) or is_shipped(name) or is_torch
    if not at or Path(text).exists() or not names_runtime:
        return Choice(text, None, "f32")
    return Choice(name, *_parse_runtime(wanted, text))


def options_for(model: str, options: Options) -> Options:
    """Returns options for one of several models: those of a MODEL not for a file complete in itself."""
    is_complete = not is_zoo_name(model) and not model.endswith(".cfg")
    return replace(options, **vars(NO_OPTIONS)) if is_complete else options


def open_detector(
    model: str | Path | Choice,
    options: ModelOptions = NO_OPTIONS,
    *,
    threads: int | None = None,
    device: str = "cpu",
    random: bool = False,
    parallel: int = 1,
) -> Backend:
    """Opens a MODEL ready to run.

    Args:
        model: a shipped detector, an `.onnx` or `.xml` file, a checkpoint, a `.cfg` or a zoo name;
            `@RUNTIME` or `@RUNTIME:PRECISION` behind it chooses another runtime than the usual, as in
            `slim.onnx@openvino:bf16`.
        options: weights, names, classes and gates; classes and gates need PyTorch.
        threads, device, parallel: as in `Session`.
        random: accept random weights where none are given.

    Raises:
        BackendError: no such file, or a runtime that is missing or refuses it.
        ModelError: a network without weights.
        UsageError: options for an exported file.
    """
    choice = split_model(model)
    check_threads(threads)
    if runs_as_file(choice.model, options, random=random):
        return open_backend(
            choice.model,
            options.weights,
            runtime=choice.runtime,
            precision=choice.precision,
            threads=threads,
            device=device,
            names=None if options.names is None else read_names(options.names),
            parallel=parallel,
        )
    if choice.runtime not in (None, "torch"):
        raise BackendError(
            f"{choice.model}: {choice.runtime} runs files without model options; leave them out, or use torch"
        )
    if Path(choice.model).suffix not in MODEL_ENDINGS:
        describe(choice.model, options.num_classes)  # refuses an unknown MODEL, whatever is installed
    with RUNTIMES["torch"].needed_by(choice.model):
        from seyolo.opening.network import open_model  # noqa: PLC0415
        from seyolo.runtime.torch_backend import TorchBackend  # noqa: PLC0415
    opened = open_model(choice.model, options, device=device, random=random)
    return TorchBackend(opened, Session(None, choice.precision, threads, device))


def runs_as_file(model: str, options: ModelOptions, *, random: bool = False) -> bool:
    """Tells whether a runtime opens the file itself: no model options, and Darknet weights where needed.

    A UsageError refuses such options for an exported file.
    """
    path, weights = Path(model), options.weights
    if is_exported(model):
        if (weights, options.num_classes, options.attention) != (None, None, None):
            advice = "leave --weights and the model options out"
            raise UsageError(f"{model}: an exported file is run as it is; {advice}")
        return True
    if path.suffix not in MODEL_ENDINGS or (options.num_classes, options.attention) != (None, None):
        return False
    if weights is not None and (path.suffix != ".cfg" or is_checkpoint(weights)):
        return False
    has_weights = path.suffix != ".cfg" or weights is not None or weights_beside(path) is not None
    return has_weights or not random
