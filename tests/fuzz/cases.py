"""Cases of a target: their bytes, and what the reader makes of them, with its time and memory."""

from __future__ import annotations

import os
import re
import resource
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzz.targets import Target
from seyolo.errors import SeyoloError

LONGEST_S = 2.0
MOST_MB = 512
LONGEST_MESSAGE = 1_500
SOURCE = "/src/seyolo/"


@dataclass(frozen=True)
class Outcome:
    """What a reader makes of a case; `fault` is empty for a value and for an error of ours."""

    is_refused: bool
    fault: str
    seconds: float  # of the processor
    growth_mb: float  # of the largest resident memory of the process


class Bench:
    """Reads cases of a target in a folder; the first readings, of the seeds, are its base of memory."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target, self.folder = target, folder
        self._seeds = target.seed_bytes()
        self._path = target.prepare(folder)
        for seed in self._seeds:
            self.read(seed)

    def case(self, number: int) -> bytes:
        """Returns the bytes of a case; the same number gives the same bytes."""
        return self.mutated(Random(f"{self.target.name} {number}"))

    def mutated(self, random: Random) -> bytes:
        """Returns a changed seed."""
        return self.target.mutate(random, random.choice(self._seeds), self._seeds)

    def read(self, data: bytes) -> Outcome:
        """Writes a case and reads it."""
        self._path.write_bytes(data)
        before, start = self.peak_mb(), self.processor_s()
        is_refused, fault = False, ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.target.read(self.folder)
        except SeyoloError as error:
            is_refused, fault = True, self._fault_of(error)
        except Exception as error:
            fault = f"{type(error).__name__} in {_place(error)}"
        seconds, growth_mb = self.processor_s() - start, self.peak_mb() - before
        if not fault and seconds > LONGEST_S:
            fault = f"took {seconds:.1f} s"
        return Outcome(is_refused, fault, seconds, growth_mb)

    def peak_mb(self) -> float:
        """Returns the largest resident memory of this process, and of those that the reader has started."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000 + sum(map(_peak_mb_of, self._pids()))

    def processor_s(self) -> float:
        """Returns the processor time of this process, and of those that the reader has started."""
        times = os.times()
        ended = times.children_user + times.children_system
        return time.process_time() + ended + sum(map(_processor_s_of, self._pids()))

    def _pids(self) -> list[str]:
        children = Path("/proc/self/task", str(os.getpid()), "children")
        return children.read_text().split() if self.target.starts_processes and children.exists() else []

    def _fault_of(self, error: SeyoloError) -> str:
        message = str(error)
        if str(self.folder) not in message:
            return f"message without the file in {_place(error)}"
        if len(message) > LONGEST_MESSAGE + 3 * len(str(self.folder)):
            return f"long message in {_place(error)}"
        return ""


@contextmanager
def bench(target: Target) -> Iterator[Bench]:
    """Opens a target in a temporary folder, in memory where the system has such a place."""
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=place if place.is_dir() else None) as folder:
        yield Bench(target, Path(folder))


def _peak_mb_of(pid: str) -> float:
    """Returns the largest resident memory of a process; 0 where it has ended (Linux)."""
    try:
        status = Path("/proc", pid, "status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(found[1]) / 1000 if found else 0.0


def _processor_s_of(pid: str) -> float:
    """Returns the processor time of a process; 0 where it has ended (Linux)."""
    try:
        stat = Path("/proc", pid, "stat").read_text()
    except OSError:
        return 0.0
    user, system = map(int, stat.rpartition(")")[2].split()[11:13])  # clock ticks
    return (user + system) / os.sysconf("SC_CLK_TCK")


def _place(error: BaseException) -> str:
    """Returns file, line and function of the innermost frame of ours, and the outside module that raised."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if SOURCE in frame.filename]
    if not ours:
        return "the target"
    where = f"{ours[-1].filename.split(SOURCE)[1]}:{ours[-1].lineno} {ours[-1].name}"
    last = frames[-1].filename
    return where if SOURCE in last else f"{where} ({'/'.join(Path(last).parts[-2:])})"
