"""The fastest runtime and number of threads for a model file on this processor, measured and remembered.

The usual runtime is challenged by the other ones that are installed, then the winner by itself with half the
threads. Where the caller allows it, exported files of the same name beside the model file compete, too. A
duel runs both in turns on one drawn image, so that a machine that slows down slows both; at most two are open
at once. Output that is not that of the usual way is left out, and precision is never a choice.

Figures are kept in `$SEYOLO_CACHE/runtimes` (by default `~/.cache/seyolo`), by the content of the model file,
the versions of the runtimes, the processor, its cores, and what is asked for.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from jaxtyping import Float32

from seyolo.errors import BackendError, SeyoloError, counted
from seyolo.files import cache_root, write_json
from seyolo.json_files import Positive, PositiveFinite, from_json, read_json, to_json
from seyolo.processor import processor_name, usable_cores
from seyolo.runtime.benchmark import Clock, time_interleaved
from seyolo.runtime.choice import (
    EXPORT_NAMES,
    EXPORTED_ENDINGS,
    RUNTIMES,
    darknet_weights,
    installed_version,
    runtimes_for,
)
from seyolo.runtime.protocol import Backend, Precision, Runtime

Open = Callable[[Path, Runtime, int | None], Backend]  # opens a file with a runtime and its threads
Raw = Float32[np.ndarray, "n p columns"]
LEAST_IMAGES, LEAST_S = 50, 2.0  # with less work a measurement does not pay
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


@dataclass(frozen=True)
class Figures:
    """A finished measurement."""

    key: dict[str, Any]  # what decides the figures
    best: Figure
    all: tuple[Figure, ...]  # the usual one first
    differing: tuple[str, ...] = ()  # ways with another output, in words

    def best_for(self, num_runs: float | None) -> Figure:
        """Returns what finishes first; None is a number without end."""
        usual = self.all[0]
        if num_runs is None or usual.way == self.best.way:
            return self.best
        return min(self.best, usual, key=lambda figure: figure.total_s(num_runs))

    def text(self, chosen: Figure) -> str:
        """Returns the figures in words."""
        others = ", ".join(str(figure) for figure in self.all if figure != chosen)
        differing = "".join(f", {way} gives other boxes" for way in self.differing)
        return f"{chosen} an image (others: {others or 'none'}{differing})"


@dataclass(frozen=True)
class Use:
    """Use of a model file; what is None is chosen."""

    path: Path
    weights: Path | None = None  # of a `.cfg`
    runtime: Runtime | None = None
    precision: Precision = "f32"
    threads: int | None = None
    num_images: int | None = None  # None is a number without end
    batch: int = 1
    parallel: int = 1  # as in `Session`
    takes_beside: bool = False  # exported files of the same name beside it may run in its place

    @property
    def num_runs(self) -> float | None:
        """Number of runs of the network."""
        return None if self.num_images is None else self.num_images / self.batch

    def ways(self) -> tuple[Way, ...]:
        """Returns the ways to compare, the usual one first."""
        usual, *others = runtimes_for(self.path)
        if self.runtime is not None:
            return (Way(self.runtime),)
        ways = [Way(usual), *(Way(name) for name in others if _is_fast(name))]
        if self.takes_beside and self.path.suffix in EXPORTED_ENDINGS:
            ways += [Way(name, ending) for ending in EXPORT_NAMES for name in self._fast_readers(ending)]
        return tuple(ways)

    def _fast_readers(self, ending: str) -> Iterator[Runtime]:
        """Yields the runtimes that read another file of this name; none where there is no such file."""
        file = self.file(ending)
        if file != self.path and file.is_file():
            yield from filter(_is_fast, runtimes_for(file))

    def file(self, beside: str | None) -> Path:
        """Returns the file with an ending of `EXPORT_NAMES`; the given one for None."""
        stem = self.path.name.removesuffix(self.path.suffix).removesuffix(".ncnn")
        return self.path if beside is None else self.path.with_name(stem + beside)

    def key(self) -> dict[str, Any]:
        """Returns what decides the figures."""
        ways = self.ways()
        files = [part for beside in dict.fromkeys(way.beside for way in ways) for part in self._parts(beside)]
        asked = {
            name: getattr(self, name) for name in ("runtime", "precision", "threads", "batch", "parallel")
        }
        packages: dict[str, str] = {way.runtime: RUNTIMES[way.runtime].package for way in ways}
        return {
            **asked,
            "ways": [list(way) for way in ways],
            "files": [_digest(file) for file in files],
            "versions": {
                name: installed_version(package) or installed_version(f"{package}-gpu")
                for name, package in {"seyolo": "seyolo", **packages}.items()
            },
            "processor": [platform.machine(), processor_name(), usable_cores()],
        }

    def _parts(self, beside: str | None) -> Iterator[Path]:
        """Yields a file and the file of its weights, if it has one."""
        yield (file := self.file(beside))
        if file.suffix.lower() == ".cfg":
            yield darknet_weights(file, self.weights)
        elif file.suffix.lower() in (".xml", ".param") and (data := file.with_suffix(".bin")).is_file():
            yield data


def _is_fast(runtime: Runtime) -> bool:
    """Tells whether a runtime is worth a measurement and installed."""
    return RUNTIMES[runtime].is_fast and find_spec(RUNTIMES[runtime].module) is not None


def open_fastest(
    use: Use, open: Open, say: Callable[[str], object], *, clock: Clock = time.perf_counter_ns
) -> tuple[Backend, Path]:
    """Opens a model in the fastest way that is known or, where the work is long enough, measured now.

    Returns the backend and its file.

    Args:
        use: the model, and what is asked for.
        open: opens it.
        say: receives a line about the choice, with its figures.
        clock: returns nanoseconds.
    """
    (usual, _), *_ = ways = use.ways()
    if use.num_images is not None and use.num_images < 2:
        return open(use.path, usual, use.threads), use.path
    key = use.key()
    path = _cache_file(key)
    if path is not None and (known := _read(path, key)) is not None:
        chosen = known.best_for(use.num_runs)
        say(f"{use.path.name}: {known.text(chosen)}; measured before, {path}")
        file = use.file(chosen.beside)
        return open(file, chosen.way.runtime, chosen.threads), file
    if use.num_images is not None and use.num_images < LEAST_IMAGES:
        return open(use.path, usual, use.threads), use.path
    contest = Contest(
        lambda way, threads: open(use.file(way.beside), way.runtime, threads),
        ways,
        use.threads,
        use.batch,
        clock,
    )
    if contest.can_change and (
        use.num_runs is None or contest.best.figure.ms * use.num_runs >= LEAST_S * 1e3
    ):
        contest.run()
        figures = Figures(key, contest.best.figure, tuple(contest.figures), tuple(contest.differing))
        kept = f"kept in {path}" if path is not None and _write(path, figures) else "not kept"
        say(f"{use.path.name}: {figures.text(figures.best)}; measured now, {kept}")
    return contest.best.backend, use.file(contest.best.figure.beside)


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
        clock: returns nanoseconds.
    """

    def __init__(
        self,
        open: Callable[[Way, int | None], Backend],
        ways: Sequence[Way],
        threads: int | None,
        batch: int,
        clock: Clock,
    ) -> None:
        self._open, self._batch, self._clock = open, batch, clock
        usual, *self._rivals = ways
        self._is_free = threads is None
        cores = usable_cores() if threads is None and RUNTIMES[usual.runtime].is_fast else threads
        self.best = self._opened(usual, cores)
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
            self._challenge(way, threads or (usable_cores() if self._is_free else None), expected)
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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cache_file(key: dict[str, Any]) -> Path | None:
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
    try:
        return cache_root() / "runtimes" / f"{name}.json"
    except RuntimeError:  # the user has no home folder
        return None


def _read(path: Path, key: dict[str, Any]) -> Figures | None:
    """Returns kept figures; None where there are none, or the file is damaged or not about this."""
    try:
        figures = from_json(read_json(path, dict), Figures)
    except SeyoloError:
        return None
    known = [list(figure.way) for figure in (figures.best, *figures.all)]
    is_sound = figures.key == key and figures.best in figures.all and all(way in key["ways"] for way in known)
    return figures if is_sound else None


def _write(path: Path, figures: Figures) -> bool:
    """Keeps figures; tells whether that was possible."""
    try:
        write_json(path, to_json(figures))
    except OSError:
        return False
    return True
