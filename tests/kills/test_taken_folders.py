"""Two processes and one folder, data that changed, and another number of threads."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from kills.cases import CAN_BE_MENDED, KILLED, Moment, Running, Start, Workspace
from kills.compare import differences, read_safetensors
from kills.faults import AFTER, Fault
from kills.jobs import JOBS, Job

LONGEST_S = 120.0


def reach(gate: Path) -> None:
    """Waits until a process is at the gate."""
    until = time.monotonic() + LONGEST_S
    while not Path(f"{gate}.reached").exists():
        assert time.monotonic() < until, gate
        time.sleep(0.005)


def held(workspace: Workspace, folder: Path, arguments: Sequence[str], number: int, gate: Path) -> Running:
    """Starts a command line and waits until it is before this file operation."""
    running = workspace.begin(folder, arguments, Fault(number, gate=str(gate)))
    reach(gate)
    return running


def together(workspace: Workspace, folder: Path, commands: Sequence[Sequence[str]]) -> list[Start]:
    """Runs command lines that all come to their first file operation before one goes on."""
    gates = [workspace.folder / f"gate-{time.monotonic_ns()}" for _ in commands]
    pairs = list(zip(commands, gates, strict=True))
    running = [held(workspace, folder, arguments, 1, gate) for arguments, gate in pairs]
    for gate in gates:
        gate.touch()
    return [one.end() for one in running]


def empty_runs(workspace: Workspace, job: Job, name: str) -> Path:
    """A folder in which the folder of all runs of the verb exists."""
    folder = workspace.new_folder(name, job)
    (folder / job.folder).parent.mkdir(parents=True)
    return folder


def without_name(job: Job) -> tuple[str, ...]:
    return (job.verb, *job.options)


def test_two_runs_started_at_the_same_moment_get_two_folders(workspace: Workspace) -> None:
    job = JOBS["train"]
    folder = empty_runs(workspace, job, "two-trains")
    seeds = ("3", "4")
    lines = [(*without_name(job), "--seed", seed) for seed in seeds]
    alone = {seed: workspace.new_folder(f"alone-{seed}", job) for seed in seeds}
    for seed, line in zip(seeds, lines, strict=True):
        assert workspace.start(alone[seed], line).code == 0
    starts = together(workspace, folder, lines)
    assert [start.code for start in starts] == [0, 0], [start.output for start in starts]
    models = [Path(start.output.strip().splitlines()[-1].rpartition(": ")[2]) for start in starts]
    assert sorted(map(str, models)) == [
        "runs/train/train-2/best.safetensors",
        "runs/train/train/best.safetensors",
    ]
    for seed, model in zip(seeds, models, strict=True):
        wanted, found = (
            read_safetensors((place / path).read_bytes())
            for place, path in ((alone[seed], "runs/train/train/best.safetensors"), (folder, model))
        )
        tensors = {name for name in wanted if not name.startswith("metadata")}
        assert {name: wanted[name] for name in tensors} == {name: found[name] for name in tensors}


def test_two_detections_started_at_the_same_moment_get_two_folders(workspace: Workspace) -> None:
    job = JOBS["detect"]
    folder = empty_runs(workspace, job, "two-detects")
    starts = together(workspace, folder, [without_name(job)] * 2)
    assert [start.code for start in starts] == [0, 0], [start.output for start in starts]
    assert sorted(path.name for path in (folder / "runs/detect").iterdir()) == ["detect", "detect-2"]
    for path in (folder / "runs/detect").iterdir():
        for table in path.glob("*.json*"):
            table.write_text(table.read_text().replace("detect/detect-2", "detect/detect"))
        assert not differences(workspace.reference(job).folder / job.folder, path)


def test_two_slim_runs_started_at_the_same_moment_get_two_folders(workspace: Workspace) -> None:
    job = JOBS["slim"]
    folder = empty_runs(workspace, job, "two-slims")
    gates = [workspace.folder / f"slim-{number}" for number in (1, 2)]
    running = [
        held(workspace, folder, (*without_name(job), "--seed", str(seed)), 1, gate)
        for seed, gate in enumerate(gates)
    ]
    for gate in gates:
        gate.touch()
    until = time.monotonic() + LONGEST_S
    while len(list(folder.glob("runs/slim/*/dense/results.csv"))) < 2:
        assert time.monotonic() < until, "both runs share a folder"
        if all(one.child.wait(0.01) is not None for one in running):
            break
    for one in running:
        one.child.kill()
        one.end()
    configs = [json.loads(path.read_text()) for path in sorted(folder.glob("runs/slim/*/config.json"))]
    assert [str(config).count("'seed': ") for config in configs] == [1, 1]
    assert configs[0] != configs[1]


def test_of_two_runs_of_one_name_the_second_is_refused(workspace: Workspace) -> None:
    job = JOBS["train"]
    folder = empty_runs(workspace, job, "one-name")
    gate = workspace.folder / "one-name.gate"
    first = held(workspace, folder, job.start(), len(workspace.reference(job).operations[0]) // 3, gate)
    second = workspace.start(folder, job.start())
    gate.touch()
    refused_in_one_line(second, job.folder)
    assert first.end().code == 0
    assert not differences(workspace.reference(job).folder / "runs", folder / "runs")


def refused_in_one_line(start: Start, *parts: str) -> None:
    assert start.code == CAN_BE_MENDED, start.output
    lines = [line for line in start.output.splitlines() if line.strip() and not line.startswith("data: ")]
    assert len(lines) == 1, start.output
    for part in parts:
        assert part in lines[0], lines[0]


@pytest.mark.parametrize("name", ["train", "slim", "detect"])
def test_a_second_resume_of_a_running_folder_is_refused_with_the_process(
    workspace: Workspace, name: str
) -> None:
    job = JOBS[name]
    operations = workspace.reference(job).operations[0]
    folder = workspace.new_folder(f"resumed-{name}", job)
    killed = workspace.start(folder, job.start(), Moment(fault=Fault(len(operations) // 2)))
    assert killed.code == KILLED
    gate = workspace.folder / f"resumed-{name}.gate"
    first = held(workspace, folder, job.resume(), 15, gate)
    second = workspace.start(folder, job.resume())
    gate.touch()
    refused_in_one_line(second, job.folder, str(first.child.pid))
    end = first.end()
    assert end.code == 0, end.output
    assert not differences(workspace.reference(job).folder / "runs", folder / "runs")


@pytest.fixture
def stopped_on_own_data(workspace: Workspace) -> Path:
    """A folder with a stopped run whose data set, one level up, nobody else reads."""
    job = JOBS["train"]
    own = workspace.folder / "own"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    shutil.copytree(workspace.folder / "data", own / "data")
    shutil.copy(workspace.folder / "spots.safetensors", own)
    (own / "run").mkdir()
    number = len(workspace.reference(job).operations[0]) // 2
    start = workspace.start(own / "run", job.start(), Moment(fault=Fault(number, AFTER)))
    assert start.code == KILLED
    return own


def edit_label(data: Path) -> Path:
    path = data / "labels/train/0.txt"
    path.write_text(path.read_text().replace("0.6", "0.5", 1) + "0 0.5 0.5 0.25 0.25\n")
    return path


def remove_image(data: Path) -> Path:
    (data / "labels/train/7.txt").unlink()
    path = data / "images/train/7.png"
    path.unlink()
    return path


def edit_image(data: Path) -> Path:
    path = data / "images/train/1.png"
    path.write_bytes((data / "images/train/0.png").read_bytes() + b"\0")
    return path


@pytest.mark.parametrize("change", [edit_label, remove_image, edit_image])
def test_a_run_does_not_go_on_with_other_data_unless_asked_to(
    workspace: Workspace, stopped_on_own_data: Path, change: object
) -> None:
    job, folder = JOBS["train"], stopped_on_own_data / "run"
    assert callable(change)
    change(stopped_on_own_data / "data")
    refused = workspace.start(folder, job.resume())
    refused_in_one_line(refused, "data", "--data-changed")
    goes_on = workspace.start(folder, (*job.resume(), "--data-changed"))
    assert goes_on.code == 0, goes_on.output


def test_another_number_of_threads_is_told(workspace: Workspace, stopped_on_own_data: Path) -> None:
    job, folder = JOBS["train"], stopped_on_own_data / "run"
    running = workspace.begin(folder, job.resume(), is_fresh=True, OMP_NUM_THREADS="2")
    start = running.end()
    assert start.code == 0, start.output
    assert any(line.startswith("warning") and "thread" in line for line in start.output.splitlines())
