"""Process that reads the cases of a target in a row, for `runner`.

It tells the case it is at in a file of shared memory: when outside software takes the process down, that case
did it. The memory that it may take is limited, so that one case cannot stop the machine.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fuzz.cases import MOST_MB, Bench, bench
from fuzz.targets import BY_NAME, Target

FLUSH_EVERY = 200
ROOM_BYTES = 4 << 30  # of address space above that of the base


def work(
    target: Target, cases: range, skipped: frozenset[int], seconds: float, files: tuple[Path, Path]
) -> None:
    """Reads cases; of `files` the first tells the case, the second gets a line for every few hundred."""
    deadline = time.monotonic() + seconds
    state, out = files
    with (
        state.open("r+b") as file,
        mmap.mmap(file.fileno(), 8) as at,
        out.open("a") as lines,
        bench(target) as opened,
    ):
        _limit_memory()
        for start in range(cases.start, cases.stop, FLUSH_EVERY):
            row = _read(opened, range(start, min(start + FLUSH_EVERY, cases.stop)), skipped, at)
            lines.write(json.dumps(row) + "\n")
            lines.flush()
            if time.monotonic() > deadline:
                return


def _read(opened: Bench, cases: range, skipped: frozenset[int], at: mmap.mmap) -> dict[str, Any]:
    """Reads a few cases and returns their counts."""
    counts: Counter[str] = Counter()
    faults: dict[str, list[int]] = {}
    slowest, largest = (0.0, -1), (0.0, -1)
    for number in cases:
        if number in skipped:
            continue
        at[:] = number.to_bytes(8, "little")
        outcome = opened.read(opened.case(number))
        fault = outcome.fault
        if not fault and outcome.growth_mb > MOST_MB:
            fault = f"took {outcome.growth_mb:.0f} MB"
        if fault:
            faults.setdefault(fault, []).append(number)
        counts["cases"] += 1
        counts["refused" if outcome.is_refused else "read"] += not fault
        slowest = max(slowest, (outcome.seconds, number))
        largest = max(largest, (outcome.growth_mb, number))
    return {"end": cases.stop, **counts, "slowest": slowest, "largest": largest, "faults": faults}


def _limit_memory() -> None:
    statm = Path("/proc/self/statm")
    if statm.exists():
        most = int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") + ROOM_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    name, first, end, skipped, seconds, state, out = sys.argv[1:]
    left_out = frozenset(json.loads(skipped))
    work(BY_NAME[name], range(int(first), int(end)), left_out, float(seconds), (Path(state), Path(out)))
