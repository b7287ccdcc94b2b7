"""The long run of a target: worker processes one after the other, restarted where one dies or hangs."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import seyolo
from fuzz.targets import Target

PATHS = os.pathsep.join(str(Path(module).parents[1]) for module in (seyolo.__file__, __file__))

HANGS_S = 30.0  # without a new case
MOST_DEATHS = 100
MOST_SHOWN = 5
POLL_S = 0.05


@dataclass
class Result:
    """Counts of a target; a run goes on at the case `next`."""

    name: str
    next: int = 0
    cases: int = 0
    read: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: tuple[float, int] = (0.0, -1)  # seconds of the processor, and the case
    largest: tuple[float, int] = (0.0, -1)  # MB above what was the largest before, and the case
    faults: dict[str, list[Any]] = field(default_factory=dict)  # count and the first cases, by what was wrong
    deaths: dict[str, list[int]] = field(default_factory=dict)  # cases, by what took the worker down

    def add(self, row: dict[str, Any]) -> None:
        """Adds a line of a worker."""
        for name in ("cases", "read", "refused"):
            setattr(self, name, getattr(self, name) + row.get(name, 0))
        self.slowest = max(tuple(self.slowest), tuple(row["slowest"]))
        self.largest = max(tuple(self.largest), tuple(row["largest"]))
        for fault, numbers in row["faults"].items():
            kept = self.faults.setdefault(fault, [0, []])
            kept[0] += len(numbers)
            kept[1] = (kept[1] + numbers)[:MOST_SHOWN]
        self.next = row["end"]

    def num_deaths(self) -> int:
        """Counts the cases that took a worker down."""
        return sum(map(len, self.deaths.values()))


def run(
    target: Target,
    cases: int,
    seconds: float = math.inf,
    hangs_s: float = HANGS_S,
    result: Result | None = None,
) -> Result:
    """Reads the cases of a target from `result.next` on, for no longer than so many seconds.

    A case that takes a worker down is counted, and left out when the next worker starts at its place.
    """
    result = result or Result(target.name)
    start, before = time.perf_counter(), result.seconds
    with tempfile.TemporaryDirectory() as folder:
        while result.next < cases and (left := seconds - result.seconds + before) > 0:
            _work(target, cases, Path(folder), (left, hangs_s), result)
            result.seconds = before + time.perf_counter() - start
            if result.num_deaths() > MOST_DEATHS:
                break
    return result


def _work(target: Target, cases: int, folder: Path, limits_s: tuple[float, float], result: Result) -> None:
    """Lets a worker read cases until all are read, the time is over, or a case takes it down."""
    state, out = folder / "at", folder / "rows.jsonl"
    state.write_bytes(bytes(8))
    out.write_text("")
    skipped = [number for numbers in result.deaths.values() for number in numbers]
    arguments = [target.name, str(result.next), str(cases), json.dumps(skipped), str(limits_s[0])]
    command = [sys.executable, "-m", "fuzz.worker", *arguments, str(state), str(out)]
    reason = _watch(command, state, folder / "said", limits_s[1])
    for line in out.read_text().splitlines():
        result.add(json.loads(line))
    if reason:
        result.deaths.setdefault(reason, []).append(int.from_bytes(state.read_bytes(), "little"))


def _watch(command: list[str], state: Path, said: Path, hangs_s: float) -> str:
    """Runs a worker until it ends, or is at one case for too long; returns what ended it, empty for 0."""
    with said.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, "PYTHONPATH": PATHS})
    seen, since = b"", time.monotonic()
    while process.poll() is None:
        time.sleep(POLL_S)
        now = state.read_bytes()
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > hangs_s:
            process.kill()
            process.wait()
            return f"hung for {hangs_s:.0f} s"
    last = (said.read_text(errors="replace").strip().splitlines() or [""])[-1]
    code = process.returncode
    return "" if code == 0 else f"signal {-code}" if code < 0 else f"exit code {code}: {last[:200]}"
