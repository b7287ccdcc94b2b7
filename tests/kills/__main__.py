"""Kills hundreds of runs and prints what became of them.

    make kills                                     300 kills; goes on where a stopped one was
    PYTHONPATH=src:tests python -m kills --help    other numbers, jobs and kinds, one seed again

Every run is a line of the journal: its seed, the commands, the moments at which they stopped, and problems.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from kills.cases import KINDS, Case, Moment, Result, Workspace, draw_case
from kills.faults import HALF, PHASES, WRITES, Fault
from kills.jobs import JOBS

Entry = dict[str, Any]


def main() -> int:
    """Runs the cases and prints the table; 1 where something was wrong."""
    options = _options()
    with _folder(options.folder) as folder, Workspace(folder) as workspace:
        if options.sweep:
            entries = _sweep(workspace, options.sweep, options.every, options.journal, options.workers)
        elif options.seed is not None:
            entries = [_show(_run(workspace, draw_case(options.seed, options.jobs, options.kinds)))]
        else:
            entries = _many(workspace, options)
    print(table(entries))
    return int(any(entry["problems"] for entry in entries))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="kills", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=300, help="kills in all; full disks come on top")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seed", type=int, help="run this one again and show each start")
    parser.add_argument("--sweep", choices=list(JOBS), help="stop this job at each of its file operations")
    parser.add_argument("--every", type=int, default=1, help="of the sweep: only each n-th operation")
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--kinds", nargs="+", choices=sorted(set(KINDS)), default=list(KINDS))
    parser.add_argument("--journal", type=Path, default=Path("build/kills.jsonl"))
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    parser.add_argument("--folder", type=Path, help="keeps the runs with problems; by default none is kept")
    return parser.parse_args()


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        yield Path(folder)


def _many(workspace: Workspace, options: argparse.Namespace) -> list[Entry]:
    """Runs cases until the journal has as many kills as asked for."""
    entries = _read(options.journal)
    done = {entry["seed"] for entry in entries}
    kills = sum(entry["kills"] for entry in entries)
    seeds = (seed for seed in count(options.first) if seed not in done)
    with ThreadPoolExecutor(options.workers) as pool:
        while kills < options.kills:
            cases = [draw_case(next(seeds), options.jobs, options.kinds) for _ in range(2 * options.workers)]
            for entry in pool.map(lambda case: _run(workspace, case), cases):
                _keep(entry, options.journal)
                entries.append(entry)
                kills += entry["kills"]
    return entries


def _run(workspace: Workspace, case: Case) -> Entry:
    return _entry(case.seed, case.run(workspace))


def _entry(seed: int | str, result: Result) -> Entry:
    return {
        "seed": seed,
        "job": result.job,
        "kills": result.count("time", "file"),
        "full": result.count("full"),
        "starts": [start.to_json() for start in result.starts],
        "problems": result.problems,
    }


def _read(journal: Path) -> list[Entry]:
    return [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []


def _keep(entry: Entry, journal: Path) -> None:
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
    if entry["problems"]:
        print(
            entry["seed"],
            entry["job"],
            entry["starts"][-1]["moment"],
            *entry["problems"][:3],
            sep=" | ",
            flush=True,
        )


def _sweep(workspace: Workspace, job_name: str, every: int, journal: Path, workers: int) -> list[Entry]:
    """Stops a job at every file operation of its undisturbed run, in each way that operation can stop."""
    job = JOBS[job_name]
    operations = workspace.reference(job).operations
    moments = [
        (shard, Moment(fault=Fault(number, phase, is_full)))
        for shard, lines in enumerate(operations)
        for number, line in list(enumerate(lines, 1))[::every]
        for phase in PHASES
        for is_full in (False, True)
        if phase != HALF or line.split()[1] in WRITES
    ]

    def run(numbered: tuple[int, tuple[int, Moment]]) -> Entry:
        index, (shard, moment) = numbered
        stops: list[Sequence[Moment]] = [()] * job.shards
        stops[shard] = [moment]
        return _entry(f"{moment} of {job_name}", workspace.run(f"sweep-{index}", job, stops))

    with ThreadPoolExecutor(workers) as pool:
        entries = []
        for entry in pool.map(run, enumerate(moments)):
            _keep(entry, journal)
            entries.append(entry)
    return entries


def _show(entry: Entry) -> Entry:
    """Prints the starts of a run."""
    for start in entry["starts"]:
        print(*(f"{name}: {value}" for name, value in start.items()), sep="\n  ")
    print(*entry["problems"], sep="\n")
    return entry


def table(entries: Sequence[Entry]) -> str:
    """Returns stops by job and kind, and the seeds of the runs in which something was wrong."""
    stops: Counter[tuple[str, str]] = Counter()
    failures: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for entry in entries:
        hits = [start["kind"] for start in entry["starts"] if start["kind"] and start["code"] != 0]
        stops.update((entry["job"], kind) for kind in hits)
        if entry["problems"]:
            failures[entry["job"], hits[-1] if hits else "none"].append(entry["seed"])
    return "\n".join(_lines(entries, stops, failures))


def _lines(
    entries: Sequence[Entry], stops: Counter[tuple[str, str]], failures: dict[tuple[str, str], list[Any]]
) -> Iterator[str]:
    yield f"{'job':12} {'stopped by':12} {'stops':>6} {'failures':>9}  seeds of failures"
    for job, kind in sorted({*stops, *failures}):
        seeds = failures[job, kind]
        listed = ", ".join(map(str, seeds[:12]))
        yield f"{job:12} {NAMES[kind]:12} {stops[job, kind]:6} {len(seeds):9}  {listed}"
    kills = sum(number for (_, kind), number in stops.items() if kind != "full")
    identical = sum(not entry["problems"] for entry in entries)
    full = stops.total() - kills
    yield f"{kills} kills, {full} full disks; {identical} of {len(entries)} runs end identical"


NAMES = {"time": "a clock", "file": "a file", "full": "a full disk", "none": "nothing"}

if __name__ == "__main__":
    sys.exit(main())
