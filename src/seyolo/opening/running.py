"""A MODEL opened to run on images: in the fastest way, unless a runtime is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from seyolo.errors import counted
from seyolo.letterbox import Fit
from seyolo.opening.detector import Choice, open_detector, runs_as_file, split_model
from seyolo.options.detect import DetectOptions, ServeOptions
from seyolo.options.evaluate import EvaluateOptions
from seyolo.options.label import LabelOptions
from seyolo.runtime.contest import drawn_input
from seyolo.runtime.fastest import Use, open_fastest
from seyolo.runtime.inference import Thresholds
from seyolo.runtime.protocol import Backend, Precision, Runtime
from seyolo.runtime.shipped import model_path

RunOptions = DetectOptions | ServeOptions | EvaluateOptions | LabelOptions
Raw = Float32[np.ndarray, "n p columns"]
MOST_COMPARED = 100  # boxes of an image, the best ones


@dataclass(frozen=True)
class Work:
    """Work of an opened MODEL."""

    num_images: int | None = None  # None is a number without end
    batch: int = 1  # images in one run of the network
    parallel: int = 1  # runs at the same time
    takes_beside: bool = False  # exported files of the same name beside the MODEL may run in its place
    # A few of the images, on which the error of a smaller precision is shown.
    samples: Callable[[], Sequence[UInt8[np.ndarray, "H W 3"]]] = lambda: ()


class Running(NamedTuple):
    """Backend of a MODEL, and the file that it runs."""

    backend: Backend
    model: str  # the MODEL, or the file beside it that runs in its place


def open_running(model: str, options: RunOptions, work: Work, say: Callable[[str], object]) -> Running:
    """Opens a MODEL to run on images; errors as in `open_detector`.

    Args:
        model: as in `open_detector`, `@RUNTIME:PRECISION` included.
        options: of the MODEL, its runtime, by default the fastest that is known or measured, threads, by
            default their fastest number, and device.
        work: what it will do; only long work is worth a measurement.
        say: receives a line about a choice that was measured, and one about a smaller precision.
    """
    choice, device = split_model(model, options.runtime), options.device

    def open_on(
        file: str | Path, wanted: Runtime | None, threads: int | None, precision: Precision = choice.precision
    ) -> Backend:
        asked = Choice(str(file), wanted, precision)
        return open_detector(asked, options, threads=threads, device=device, parallel=work.parallel)

    if device != "cpu" or not runs_as_file(choice.model, options):
        return Running(open_on(choice.model, choice.runtime, options.threads), choice.model)
    use = Use(
        model_path(choice.model),
        options.weights,
        choice.runtime,
        choice.precision,
        options.threads,
        work.num_images,
        work.batch,
        work.parallel,
        work.takes_beside and choice.runtime is None,
    )
    backend, file = open_fastest(use, open_on, say)
    if choice.precision != "f32" and Thresholds().of(backend) == Thresholds():
        exact = open_on(choice.model, choice.runtime, options.threads, "f32")
        say(f"{use.path.name}: in {choice.precision}, {_error_text(backend, exact, work.samples())}")
    return Running(backend, choice.model if file == use.path else str(file))


def _error_text(backend: Backend, exact: Backend, images: Sequence[UInt8[np.ndarray, "H W 3"]]) -> str:
    """Returns the difference from float32 in words."""
    batch = Fit.of(backend).batch(images)[0] if images else drawn_input(backend)
    shift_px, change = rounding_error(backend.infer(batch), exact.infer(batch))
    lost = f"boxes move by up to {shift_px:.2g} px, scores change by up to {change:.2g}"
    return f"{lost} from float32, on {counted(len(images), 'image') if images else 'a drawn image'}"


def rounding_error(actual: Raw, exact: Raw) -> tuple[float, float]:
    """Returns the largest change of the best boxes of each image, in pixels of the input, and of scores."""
    scores, after = (raw[..., 4] * raw[..., 5:].max(axis=-1) for raw in (exact, actual))
    best = np.argsort(-scores, axis=1)[:, :MOST_COMPARED, None]
    shifts = np.take_along_axis(np.abs(actual[..., :4] - exact[..., :4]), best, axis=1)
    changes = np.take_along_axis(np.abs(after - scores), best[..., 0], axis=1)
    return float(shifts.max()), float(changes.max())
