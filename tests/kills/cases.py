"""One run from its first kill to the comparison with the undisturbed one."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kills.child import Request
from kills.compare import broken, differences
from kills.faults import PHASES, Fault
from kills.jobs import JOBS, Job, write_inputs
from kills.nursery import Child, Nursery

LONGEST_S = 240.0
KINDS = ("time", "time", "file", "file", "full")
SHARE_FRESH = 0.1
KILLED = -9
CAN_BE_MENDED = 2


@dataclass(frozen=True)
class Moment:
    """A moment at which a run stops.

    Attributes:
        time: as a share of the undisturbed run's time; None for a file operation.
        fault: the file operation.
    """

    time: float | None = None
    fault: Fault | None = None

    @property
    def kind(self) -> str:
        """What the table counts it as: time, file or full."""
        if self.time is not None:
            return "time"
        assert self.fault is not None
        return "full" if self.fault.is_full else "file"

    def __str__(self) -> str:
        if self.time is not None:
            return f"time {self.time:.3f}"
        assert self.fault is not None
        return f"{self.kind} {self.fault.phase} {self.fault.number}"


@dataclass(frozen=True)
class Reference:
    """An undisturbed run.

    Attributes:
        folder: that it was started in.
        seconds: that each worker took.
        operations: lines of each worker's log of file operations.
    """

    folder: Path
    seconds: tuple[float, ...]
    operations: tuple[tuple[str, ...], ...]


@dataclass
class Start:
    """A start of a command line and how it ended.

    Attributes:
        arguments: behind `seyolo`.
        moment: at which it was to stop.
        code: the exit code; -9 for a kill.
        seconds: that it took.
        operations: file operations by number, phase of the fault, name and path.
        output: stdout and stderr.
    """

    arguments: tuple[str, ...]
    moment: Moment | None
    code: int | None
    seconds: float
    operations: tuple[str, ...]
    output: str

    @property
    def was_hit(self) -> bool:
        """The moment came before the run's end."""
        return self.moment is not None and self.code != 0

    @property
    def last_operation(self) -> str:
        """Number, phase, name and path; empty where there was none."""
        return self.operations[-1] if self.operations else ""

    @property
    def message(self) -> str:
        """The last line of the output that says something."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error")]
        return (errors or lines or [""])[-1]

    def to_json(self) -> dict[str, Any]:
        """Returns what the journal keeps."""
        return {
            "command": " ".join(self.arguments),
            "kind": self.moment.kind if self.moment else "",
            "moment": str(self.moment or ""),
            "code": self.code,
            "seconds": round(self.seconds, 3),
            "operation": self.last_operation,
            "message": self.message[:300],
        }


@dataclass
class Result:
    """All starts of a run, and what was wrong."""

    job: str
    starts: list[Start] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def count(self, *kinds: str) -> int:
        """Returns how many stops of these kinds hit the run."""
        return sum(start.was_hit and start.moment.kind in kinds for start in self.starts if start.moment)


class Workspace:
    """A folder with inputs, undisturbed runs and the runs that are killed; for use in a `with` statement."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.nursery = Nursery()
        self._references: dict[str, Reference] = {}
        self._lock = threading.RLock()
        if not (folder / "data").exists():
            write_inputs(folder)

    def __enter__(self) -> Workspace:
        self.nursery.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.nursery.__exit__()

    def begin(
        self,
        folder: Path,
        arguments: Sequence[str],
        fault: Fault | None = None,
        *,
        is_fresh: bool = False,
        **environment: str,
    ) -> Running:
        """Starts a command line in a folder of this workspace."""
        name = self.folder / f".{threading.get_ident()}-{time.monotonic_ns()}"
        request = Request(tuple(arguments), str(folder), f"{name}.log", f"{name}.output", fault, environment)
        return Running(request, self.nursery.start(request, is_fresh=is_fresh))

    def start(
        self,
        folder: Path,
        arguments: Sequence[str],
        moment: Moment | None = None,
        *,
        seconds: float = 0.0,
        is_fresh: bool = False,
    ) -> Start:
        """Runs a command line to its end or to the moment; `seconds` is the undisturbed run's time."""
        fault = moment.fault if moment else None
        running = self.begin(folder, arguments, fault, is_fresh=is_fresh)
        if moment is not None and moment.time is not None:
            return running.end(moment, moment.time * seconds)
        return running.end(moment)

    def reference(self, job: Job) -> Reference:
        """Returns the undisturbed run of a job, made when first asked for.

        Raises:
            RuntimeError: it failed.
        """
        with self._lock:
            if job.name not in self._references:
                self._references[job.name] = self._undisturbed(job)
            return self._references[job.name]

    def _undisturbed(self, job: Job) -> Reference:
        folder = self.new_folder(f"whole-{job.name}", job)
        starts = [self.start(folder, job.start(shard)) for shard in range(1, job.shards + 1)]
        for start in starts:
            if start.code != 0:
                raise RuntimeError(f"the undisturbed run of {job.name} failed: {start.output}")
        seconds = tuple(start.seconds for start in starts)
        return Reference(folder, seconds, tuple(start.operations for start in starts))

    def new_folder(self, name: str, job: Job) -> Path:
        """Makes a folder to start a job in, with the finished run that it builds on."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if job.base is not None:
            shutil.copytree(self.reference(JOBS[job.base]).folder / "runs", folder / "runs")
        return folder

    def run(
        self, name: str, job: Job, moments: Sequence[Sequence[Moment]], *, is_fresh: bool = False
    ) -> Result:
        """Runs a job in a new folder, stopped at the moments of each worker, and compares what it leaves."""
        reference = self.reference(job)
        folder = self.new_folder(name, job)
        result = Result(job.name)
        with ThreadPoolExecutor(job.shards) as pool:
            ends = [
                pool.submit(Worker(self, job, folder, result, is_fresh, shard).run, stops)
                for shard, stops in enumerate(moments, 1)
            ]
        for end in ends:
            end.result()
        if not result.problems:
            result.problems += differences(reference.folder / "runs", folder / "runs")
        if not result.problems:
            shutil.rmtree(folder)
        return result


@dataclass
class Running:
    """A command line that was started."""

    request: Request
    child: Child

    def end(self, moment: Moment | None = None, seconds: float | None = None) -> Start:
        """Waits for the end; kills the command line after so many seconds."""
        begin = time.monotonic()
        code = self.child.wait(LONGEST_S if seconds is None else seconds)
        if code is None:
            self.child.kill()
            code = self.child.wait(LONGEST_S)
        took = time.monotonic() - begin
        texts = []
        for path in map(Path, (self.request.log, self.request.output)):
            texts.append(path.read_text(errors="replace") if path.exists() else "")
            path.unlink(missing_ok=True)
        log, output = texts
        return Start(self.request.arguments, moment, code, took, tuple(log.splitlines()), output)


@dataclass
class Worker:
    """One process of a run after the other, each started when the one before is dead."""

    workspace: Workspace
    job: Job
    folder: Path
    result: Result
    is_fresh: bool
    shard: int

    def run(self, moments: Sequence[Moment]) -> None:
        """Stops the run at the moments, then lets it come to its end."""
        seconds = self.workspace.reference(self.job).seconds[self.shard - 1]
        is_first = True
        for moment in (*moments, None):
            run_folder = self.folder / self.job.folder
            is_new = not run_folder.exists() or (is_first and self.job.shards > 1)
            arguments = self.job.start(self.shard) if is_new else self.job.resume(self.shard)
            is_first = False
            start = self.workspace.start(
                self.folder, arguments, moment, seconds=seconds, is_fresh=self.is_fresh
            )
            self.result.starts.append(start)
            if start.code == 0 or self._is_finished(start):
                return
            self.result.problems += problems_of(start)
            if run_folder.exists():
                self.result.problems += [f"not whole after {moment}: {name}" for name in broken(run_folder)]
            if self.result.problems:
                return

    def _is_finished(self, start: Start) -> bool:
        """A run of detect that was killed behind its last file says that nothing is left to do."""
        return self.job.verb == "detect" and start.code == CAN_BE_MENDED and "is finished" in start.message


def problems_of(start: Start) -> list[str]:
    """Returns what is wrong with the way in which a start ended."""
    command = " ".join(start.arguments)
    if start.moment is not None and start.moment.kind != "full" and start.code == KILLED:
        return []
    if start.moment is not None and start.moment.kind == "full" and start.code == CAN_BE_MENDED:
        is_clear = "No space left" in start.message and "Traceback" not in start.output
        return [] if is_clear else [f"full disk, unclear at {start.last_operation}: {start.message}"]
    what = "refused" if start.code == CAN_BE_MENDED else f"exit code {start.code}"
    return [f"{what}: {command}: {start.message}"]


def draw_moments(
    job: Job, reference: Reference, draw: random.Random, kinds: Sequence[str]
) -> list[list[Moment]]:
    """Draws one to three stops per worker, each in what the one before leaves of the run."""
    return [list(_draw_stops(len(operations), draw, kinds)) for operations in reference.operations]


def _draw_stops(num_operations: int, draw: random.Random, kinds: Sequence[str]) -> Iterator[Moment]:
    done = 0.0
    for _ in range(draw.choice((1, 1, 2, 3))):
        kind = draw.choice(kinds)
        left = draw.random()
        if kind == "time":
            yield Moment(time=left * (1 - done))
        else:
            number = 1 + int(left * (1 - done) * num_operations)
            yield Moment(fault=Fault(number, draw.choice(PHASES), is_full=kind == "full"))
        done += left * (1 - done) / 2


@dataclass(frozen=True)
class Case:
    """A run drawn from a seed."""

    seed: int
    job: Job
    kinds: tuple[str, ...]
    is_fresh: bool

    def run(self, workspace: Workspace) -> Result:
        """Runs the case; the same seed stops the same job at the same moments."""
        draw = random.Random(f"moments {self.seed}")
        moments = draw_moments(self.job, workspace.reference(self.job), draw, self.kinds)
        return workspace.run(f"case-{self.seed}", self.job, moments, is_fresh=self.is_fresh)


def draw_case(
    seed: int,
    jobs: Sequence[str] = tuple(JOBS),
    kinds: Sequence[str] = KINDS,
    *,
    is_fresh: bool | None = None,
) -> Case:
    """Draws a job, the kinds of its stops and, unless given, whether each start is a process of its own."""
    draw = random.Random(f"case {seed}")
    job = JOBS[draw.choice(jobs)]
    drawn = draw.random() < SHARE_FRESH
    return Case(seed, job, tuple(kinds), drawn if is_fresh is None else is_fresh)
