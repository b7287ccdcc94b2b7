"""The long run of a target: worker processes one after the other, restarted where one dies or hangs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fuzz.targets import Target

HANGS_S = 30.0  # without a new case
MOST_DEATHS = 100
POLL_S = 0.05


@dataclass
class Result:
    """Counts of a target. `faults` are the cases by what was wrong; `deaths` what took a worker down."""

    name: str
    cases: int = 0
    read: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: tuple[float, int] = (0.0, -1)  # seconds of the processor, and the case
    largest: tuple[float, int] = (0.0, -1)  # MB above what was the largest before, and the case
    faults: dict[str, list[int]] = field(default_factory=dict)
    deaths: dict[str, list[int]] = field(default_factory=dict)

    def add(self, row: dict[str, object]) -> int:
        """Adds a line of a worker; returns the case that follows."""
        for name in ("cases", "read", "refused"):
            setattr(self, name, getattr(self, name) + row.get(name, 0))
        self.slowest = max(self.slowest, tuple(row["slowest"]))  # type: ignore[arg-type, type-var]
        self.largest = max(self.largest, tuple(row["largest"]))  # type: ignore[arg-type, type-var]
        for fault, numbers in row["faults"].items():  # type: ignore[attr-defined]
            self.faults.setdefault(fault, []).extend(numbers)
        return row["end"]  # type: ignore[return-value]


def run(target: Target, cases: int, hangs_s: float = HANGS_S) -> Result:
    """Reads so many cases of a target; a case that takes a worker down is counted, and left out then."""
    result, first, start = Result(target.name), 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        state, out = Path(folder) / "at", Path(folder) / "rows.jsonl"
        while first < cases:
            state.write_bytes(bytes(8))
            out.write_text("")
            skipped = [number for numbers in result.deaths.values() for number in numbers]
            arguments = [target.name, str(first), str(cases), json.dumps(skipped), str(state), str(out)]
            reason = _watch(
                [sys.executable, "-m", "fuzz.worker", *arguments], state, Path(folder) / "said", hangs_s
            )
            for line in out.read_text().splitlines():
                first = result.add(json.loads(line))
            if first < cases:
                case = int.from_bytes(state.read_bytes(), "little")
                if len(skipped) == MOST_DEATHS or case in skipped:
                    result.faults[f"gave up after case {case}: {reason}"] = [case]
                    break
                result.deaths.setdefault(reason, []).append(case)
    result.seconds = time.perf_counter() - start
    return result


def _watch(command: list[str], state: Path, said: Path, hangs_s: float) -> str:
    """Runs a worker until it ends, or is at one case for too long; returns what ended it, empty for 0."""
    with said.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
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


def as_json(result: Result) -> str:
    """Returns a result as a line of JSON; of each fault the first few cases."""
    values = asdict(result)
    for name in ("faults", "deaths"):
        values[name] = {kind: [len(cases), cases[:5]] for kind, cases in values[name].items()}
    return json.dumps(values)
