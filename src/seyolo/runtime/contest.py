"""Contest of the ways to run a model: runtimes, files of the same name, and numbers of threads.

The usual runtime is challenged by the other ways, then the winner by itself with half the threads. A duel
runs both in turns on one drawn image, so that a machine that slows down slows both; at most two are open at
once. Output that is not that of the usual way is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from jaxtyping import Float32

from seyolo.errors import BackendError, counted
from seyolo.json_files import Positive, PositiveFinite
from seyolo.runtime.benchmark import Clock, time_interleaved
from seyolo.runtime.choice import RUNTIMES
from seyolo.runtime.protocol import Backend, Runtime

Raw = Float32[np.ndarray, "n p columns"]
DUEL_S, LEAST_ROUNDS, MOST_ROUNDS = 0.4, 3, 20
MARGIN = 1.05  # how much faster another runtime, or twice the threads, must be
HOPELESS = 3.0  # slower by this factor in the first turn: no further ones
TOLERANCE = 1e-4  # relative, as for exported files


class Way(NamedTuple):
    """A file and the runtime that opens it."""

    runtime: Runtime
    beside: str | None = None  # ending of the file, where it is another one than the given one

    @property
    def text(self) -> str:
        """The way in words."""
        return self.runtime if self.beside is None else f"{self.runtime} on the {self.beside} beside it"


@dataclass(frozen=True)
class Figure:
    """A runtime with its threads: seconds to open the file, and milliseconds of a run of the network."""

    runtime: str
    threads: Positive | None  # None leaves the number to the runtime
    open_s: PositiveFinite
    ms: PositiveFinite
    beside: str | None = None  # as in `Way`

    @property
    def way(self) -> Way:
        """The file and the runtime."""
        return Way(cast(Runtime, self.runtime), self.beside)

    def total_s(self, num_runs: float) -> float:
        """Returns the seconds of opening and of this number of runs."""
        return self.open_s + num_runs * self.ms / 1e3

    def __str__(self) -> str:
        threads = "" if self.threads is None else f" with {counted(self.threads, 'thread')}"
        return f"{self.way.text}{threads} {self.ms:.3g} ms"


class _Answer(NamedTuple):
    preparation: tuple[object, ...]  # what decides how an image becomes an input, and the class names
    output: Raw

    def is_like(self, other: _Answer) -> bool:
        is_same = self.preparation == other.preparation
        return is_same and _relative_error(self.output, other.output) <= TOLERANCE


class _Contestant(NamedTuple):
    backend: Backend
    figure: Figure
    answer: _Answer


class Contest:
    """Comparison of the ways to run a model; `best` is the winner so far, at first the usual one.

    Args:
        open: opens the model in a way, with a number of threads.
        ways: the usual one, and those that challenge it.
        threads: their number where it is asked for.
        batch: images in one run.
        cores: most threads where none are asked for.
        clock: returns nanoseconds.
    """

    def __init__(
        self,
        open: Callable[[Way, int | None], Backend],
        ways: Sequence[Way],
        threads: int | None,
        batch: int,
        *,
        cores: int,
        clock: Clock,
    ) -> None:
        self._open, self._batch, self._cores, self._clock = open, batch, cores, clock
        usual, *self._rivals = ways
        self._is_free = threads is None
        takes_all = threads is None and RUNTIMES[usual.runtime].is_fast
        self.best = self._opened(usual, cores if takes_all else threads)
        self.figures, self.differing = [self.best.figure], list[str]()

    @property
    def can_change(self) -> bool:
        """Tells whether there is anything to compare."""
        return bool(self._rivals) or self._can_halve

    @property
    def _can_halve(self) -> bool:
        return self._is_free and (self.best.figure.threads or 1) > 1

    def run(self) -> None:
        """Lets the other ways, then smaller numbers of threads, run against the best so far."""
        expected, threads = self.best.answer, self.best.figure.threads
        for way in self._rivals:
            self._challenge(way, threads or (self._cores if self._is_free else None), expected)
        while self._can_halve and self._halve():
            pass

    def _challenge(self, way: Way, threads: int | None, expected: _Answer) -> None:
        try:
            rival = self._opened(way, threads)
        except (BackendError, ImportError):  # it refuses the file, or is not installed as a whole
            return
        if not rival.answer.is_like(expected):
            self.differing.append(way.text)
        else:
            self._duel(rival, MARGIN)

    def _halve(self) -> bool:
        """Lets half the threads run against the best; tells whether they win."""
        whole = self.best.figure
        rival = self._opened(whole.way, (whole.threads or 2) // 2)
        # The first opening of a runtime also loads its library.
        return self._duel(rival._replace(figure=replace(rival.figure, open_s=whole.open_s)), 1 / MARGIN)

    def _opened(self, way: Way, threads: int | None) -> _Contestant:
        start = self._clock()
        backend = self._open(way, threads)
        open_ns = self._clock() - start
        image = drawn_input(backend, self._batch)
        output = backend.infer(image)
        begin, end = self._run(backend, image, 0, self._clock)
        figure = Figure(way.runtime, threads, max(1, open_ns) / 1e9, max(1, end - begin) / 1e6, way.beside)
        return _Contestant(backend, figure, _Answer(_preparation(backend), output))

    @staticmethod
    def _run(backend: Backend, image: Float32[np.ndarray, "n c h w"], _: int, clock: Clock) -> list[int]:
        start = clock()
        backend.infer(image)
        return [start, clock()]

    def _duel(self, rival: _Contestant, margin: float) -> bool:
        """Times the best and a rival in turns; the rival wins where it is faster by the factor `margin`."""
        best_ms, rival_ms = self._timed(rival)
        if len(self.figures) == 1:  # the figures of all others are relative to this one
            self.best = self.best._replace(figure=replace(self.best.figure, ms=best_ms))
            self.figures[0] = self.best.figure
        figure = replace(rival.figure, ms=self.best.figure.ms * rival_ms / best_ms)
        self.figures.append(figure)
        is_won = rival_ms * margin < best_ms
        if is_won:
            self.best = rival._replace(figure=figure)
        return is_won

    def _timed(self, rival: _Contestant) -> tuple[float, float]:
        """Returns the median milliseconds of the best and of a rival, side by side."""
        image = drawn_input(rival.backend, self._batch)
        turns = [partial(self._run, one.backend, image) for one in (self.best, rival)]

        def median_ms(rounds: int) -> tuple[float, float]:
            times = time_interleaved(dict(enumerate(turns)), rounds, 0, self._clock)
            return max(float(np.median(times[0])), 1e-6), max(float(np.median(times[1])), 1e-6)

        best_ms, rival_ms = median_ms(1)
        if rival_ms > HOPELESS * best_ms:
            return best_ms, rival_ms
        return median_ms(min(max(round(DUEL_S * 1e3 / (best_ms + rival_ms)), LEAST_ROUNDS), MOST_ROUNDS))


def _preparation(backend: Backend) -> tuple[object, ...]:
    pad = getattr(backend, "pad_value", 114)
    return backend.input_size, backend.letterbox_mode, pad, tuple(backend.names)


def drawn_input(backend: Backend, batch: int = 1) -> Float32[np.ndarray, "n c h w"]:
    """Returns an input of soft shapes, the same in every call."""
    height, width = backend.input_size
    channels = getattr(backend, "input_channels", 3)
    coarse = np.random.default_rng(0).random(
        (max(2, height // 32), max(2, width // 32), channels), np.float32
    )
    image: Any = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    planes = image.reshape(height, width, channels).clip(0, 1).transpose(2, 0, 1)
    return np.ascontiguousarray(np.repeat(planes[None], batch, axis=0))


def _relative_error(actual: Raw, expected: Raw) -> float:
    """Returns the largest difference of boxes or of scores, relative to the largest value of these."""
    if actual.shape != expected.shape or not np.isfinite(actual).all():
        return float("inf")
    parts = slice(0, 4), slice(4, None)
    errors = (np.abs(actual[..., p] - expected[..., p]).max(initial=0) for p in parts)
    peaks = (np.abs(expected[..., p]).max(initial=1e-9) for p in parts)
    return max(float(error / peak) for error, peak in zip(errors, peaks, strict=True))
