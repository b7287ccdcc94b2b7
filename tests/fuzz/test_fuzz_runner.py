"""The long run: a case that kills, hangs or fills its worker is counted and named, and the run goes on."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fuzz import runner, targets, worker
from fuzz.cases import bench
from fuzz.mutators import mutated_bytes
from fuzz.runner import Result, run
from fuzz.targets import BY_NAME, Target

PLAIN = Target("names file", ("obj.names",), mutated_bytes, "case.txt", lambda folder: None)


def test_a_worker_that_dies_is_named_with_its_case_and_the_others_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[int] = []

    def started_in_this_test(command: list[str], state: Path, said: Path, hangs_s: float) -> str:
        first, end, skipped, out = int(command[4]), int(command[5]), command[6], Path(command[9])
        started.append(first)
        child = os.fork()
        if child == 0:

            def read(folder: Path) -> None:
                if int.from_bytes(state.read_bytes(), "little") in (210, 250):
                    os.kill(os.getpid(), signal.SIGKILL)

            target = replace(PLAIN, read=read)
            left_out = frozenset(int(number) for number in skipped.strip("[]").split(",") if number.strip())
            worker.work(target, range(first, end), left_out, 60.0, (state, out))
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        return "" if status == 0 else f"signal {os.waitstatus_to_exitcode(status) * -1}"

    monkeypatch.setattr(worker, "_limit_memory", lambda: None)
    monkeypatch.setattr(runner, "_watch", started_in_this_test)
    result = run(PLAIN, 500)
    assert result.deaths == {"signal 9": [210, 250]}
    assert (result.next, result.cases, started) == (500, 498, [0, 200, 200])


def test_a_process_that_says_nothing_new_is_ended(tmp_path: Path) -> None:
    (tmp_path / "at").write_bytes(bytes(8))
    reason = runner._watch(["sleep", "60"], tmp_path / "at", tmp_path / "said", 0.2)
    assert reason == "hung for 0 s"


def test_what_a_process_says_last_is_kept(tmp_path: Path) -> None:
    (tmp_path / "at").write_bytes(bytes(8))
    command = ["sh", "-c", "echo one >&2; echo two >&2; exit 3"]
    assert runner._watch(command, tmp_path / "at", tmp_path / "said", 9) == "exit code 3: two"


@pytest.mark.parametrize(
    ("read", "fault"),
    [
        (lambda folder: [].pop(), "IndexError in the target"),
        (lambda folder: b"".decode("utf-8", 3), "TypeError in the target"),
    ],
)
def test_a_traceback_is_a_fault(read: Any, fault: str) -> None:
    with bench(replace(PLAIN, read=read)) as opened:
        assert opened.read(b"x").fault == fault


def test_a_slow_and_a_large_case_are_seen() -> None:
    def slow(folder: Path) -> None:
        end = time.process_time() + 2.1
        while time.process_time() < end:
            pass

    with bench(PLAIN) as opened:
        opened.target = replace(PLAIN, read=slow)
        assert opened.read(b"x").fault.startswith("took 2.")
        opened.target = replace(PLAIN, read=lambda folder: b"x" * (64 << 20))
        assert opened.read(b"x").growth_mb >= 0


def test_a_run_goes_on_where_it_was_stopped() -> None:
    stopped = run(BY_NAME["readiness.json"], 400, seconds=0.01)
    assert isinstance(stopped, Result)
    assert stopped.next == 200
    whole = run(BY_NAME["readiness.json"], 400, result=stopped)
    assert (whole.next, whole.cases, whole.read + whole.refused) == (400, 400, 400)


def test_every_seed_belongs_to_a_target() -> None:
    used = {name for target in targets.TARGETS for name in (*target.seeds, *target.others.values())}
    files = [path for path in targets.SEEDS.rglob("*") if path.is_file()]
    names = {path.relative_to(targets.SEEDS).as_posix() for path in files}
    assert {name for name in names if not any(name.startswith(one) for one in used)} == set()
    assert sum(path.stat().st_size for path in files) < 200_000
