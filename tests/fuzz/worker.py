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
from collections import Counter
from pathlib import Path

from fuzz.cases import MOST_MB, bench
from fuzz.targets import BY_NAME, Target

FLUSH_EVERY = 500
ROOM_BYTES = 4 << 30  # of address space above that of the base


def work(target: Target, cases: range, skipped: frozenset[int], state: Path, out: Path) -> None:
    """Reads the cases; appends a line of counts to `out` every few hundred."""
    with (
        state.open("r+b") as file,
        mmap.mmap(file.fileno(), 8) as at,
        out.open("a") as lines,
        bench(target) as opened,
    ):
        _limit_memory()
        counts: Counter[str] = Counter()
        faults: dict[str, list[int]] = {}
        slowest, largest = (0.0, -1), (0.0, -1)
        for number in cases:
            if number not in skipped:
                at[:] = number.to_bytes(8, "little")
                outcome = opened.read(opened.case(number))
                counts["cases"] += 1
                counts["refused" if outcome.is_refused else "read"] += not outcome.fault
                slowest = max(slowest, (outcome.seconds, number))
                largest = max(largest, (outcome.growth_mb, number))
                fault = outcome.fault
                if not fault and outcome.growth_mb > MOST_MB:
                    fault = f"took {outcome.growth_mb:.0f} MB"
                if fault:
                    faults.setdefault(fault, []).append(number)
            if number == cases[-1] or (number + 1 - cases[0]) % FLUSH_EVERY == 0:
                row = {"end": number + 1, **counts, "slowest": slowest, "largest": largest, "faults": faults}
                lines.write(json.dumps(row) + "\n")
                lines.flush()
                counts, faults, slowest, largest = Counter(), {}, (0.0, -1), (0.0, -1)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    if pages:
        most = pages * os.sysconf("SC_PAGE_SIZE") + ROOM_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    name, first, end, skipped, state, out = sys.argv[1:]
    work(BY_NAME[name], range(int(first), int(end)), frozenset(json.loads(skipped)), Path(state), Path(out))
