"""One command line of seyolo in a process that may be killed.

python -m kills.child REQUEST        a request as JSON, in a process of its own
"""

from __future__ import annotations

import itertools
import json
import os
import runpy
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kills.faults import Fault, Operations, install


@dataclass(frozen=True)
class Request:
    """A command line to run.

    Attributes:
        arguments: behind `seyolo`.
        folder: the working directory; file operations below it are counted.
        log: a file for the names of the operations.
        output: a file for stdout and stderr.
        fault: where the process dies, or finds the disk full.
        environment: variables that differ from those of this process.
    """

    arguments: tuple[str, ...]
    folder: str
    log: str
    output: str
    fault: Fault | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Returns the request as a line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Returns the request in a line of `to_json`."""
        values = json.loads(text)
        fault = values["fault"] and Fault(**values["fault"])
        return cls(**{**values, "arguments": tuple(values["arguments"]), "fault": fault})


def fix_latency() -> None:
    """Makes every latency one millisecond: the clock of benchmarks counts its readings.

    So reports that show latencies can be compared bit by bit. To be called before seyolo is imported.
    """
    ticks = itertools.count(step=1_000_000)
    time.perf_counter_ns = ticks.__next__
    from seyolo.runtime import benchmark  # noqa: PLC0415 (takes the clock when imported)

    benchmark.REST_S = 0.0


def run(request: Request) -> int:
    """Runs the command line in this process, unless the fault ends it, and returns the exit code."""
    os.environ.update(request.environment)
    os.chdir(request.folder)
    output = os.open(request.output, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nowhere), (1, output), (2, output)):
        os.dup2(source, target)
    install(Operations(Path(request.folder), request.fault, Path(request.log)))
    sys.argv = ["seyolo", *request.arguments]
    try:
        runpy.run_module("seyolo", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    fix_latency()
    sys.exit(run(Request.from_json(sys.argv[1])))
