"""The fastest runtime and number of threads for a model file on this processor, measured and remembered.

`contest` compares the ways. Where the caller allows it, exported files of the same name beside the model file
compete, too; precision is never a choice.

Figures are kept in `$SEYOLO_CACHE/runtimes` (by default `~/.cache/seyolo`), by the content of the model file,
the versions of the runtimes, the processor, its cores, and what is asked for.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seyolo.errors import SeyoloError
from seyolo.files import cache_root, write_json
from seyolo.json_files import from_json, read_json, to_json
from seyolo.processor import processor_name, usable_cores
from seyolo.runtime.benchmark import Clock
from seyolo.runtime.choice import (
    EXPORT_NAMES,
    EXPORTED_ENDINGS,
    RUNTIMES,
    darknet_weights,
    installed_version,
    runtimes_for,
)
from seyolo.runtime.contest import Contest, Figure, Way
from seyolo.runtime.protocol import Backend, Precision, Runtime

Open = Callable[[Path, Runtime, int | None], Backend]  # opens a file with a runtime and its threads
LEAST_IMAGES, LEAST_S = 50, 2.0  # with less work a measurement does not pay


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
        """Returns the figures in words, and why the chosen one is not the fastest."""
        others = ", ".join(str(figure) for figure in self.all if figure != chosen)
        differing = "".join(f", {way} gives other boxes" for way in self.differing)
        longer_s = self.best.open_s - chosen.open_s
        opening = f"; {self.best.way.text} takes {longer_s:.2g} s more to open" if chosen != self.best else ""
        return f"{chosen} an image (others: {others or 'none'}{differing}{opening})"


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
        cores=usable_cores(),
        clock=clock,
    )
    if contest.can_change and (
        use.num_runs is None or contest.best.figure.ms * use.num_runs >= LEAST_S * 1e3
    ):
        contest.run()
        figures = Figures(key, contest.best.figure, tuple(contest.figures), tuple(contest.differing))
        kept = f"kept in {path}" if path is not None and _write(path, figures) else "not kept"
        say(f"{use.path.name}: {figures.text(figures.best)}; measured now, {kept}")
    return contest.best.backend, use.file(contest.best.figure.beside)


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
