"""Files of a stopped run that a disk damaged: a flipped bit, or a file cut short."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kills.cases import CAN_BE_MENDED, KILLED, Moment, Start, Workspace
from kills.compare import differences
from kills.faults import AFTER, Fault
from kills.jobs import JOBS, Job
from seyolo.progress import WARNING, WARNINGS_FILE, read_warnings

Damage = Callable[[bytes], bytes]


def flipped(share: float) -> Damage:
    """Flips a bit at this share of the file."""

    def damage(data: bytes) -> bytes:
        place = min(int(share * len(data)), len(data) - 1)
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    return damage


def cut(share: float) -> Damage:
    """Keeps this share of the file."""
    return lambda data: data[: int(share * len(data))]


DAMAGES = {
    "a bit of the header": flipped(0.01),
    "a bit in the middle": flipped(0.5),
    "the last bit": flipped(1),
    "the last byte cut": lambda data: data[:-1],
    "half": cut(0.5),
    "empty": cut(0),
}
every_damage = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)


def number_of(operations: tuple[str, ...], name: str, nth: int) -> int:
    """The number of the operation that gives a file its final name for the n-th time."""
    lines = [line.split(maxsplit=2) for line in operations]
    found = [
        int(words[0])
        for words in lines
        if words[-2] in ("replace", "rename", "safetensors") and Path(words[-1]).name == name
    ]
    return found[nth - 1]


def stopped(workspace: Workspace, job: Job, name: str, file: str, nth: int) -> Path:
    """A folder with a run that was killed when `file` had got its name for the n-th time."""
    reference = workspace.reference(job)
    folder = workspace.new_folder(name, job)
    number = number_of(reference.operations[0], file, nth)
    start = workspace.start(folder, job.start(), Moment(fault=Fault(number, AFTER)))
    assert start.code == KILLED
    return folder


@pytest.fixture(scope="module")
def stopped_train(workspace: Workspace) -> Path:
    """A run of `train` that has written its second of three states."""
    return stopped(workspace, JOBS["taught"], "stopped-train", "state.safetensors", 2)


@pytest.fixture(scope="module")
def stopped_slim(workspace: Workspace) -> Path:
    """A run of `slim` that was killed in its report."""
    return stopped(workspace, JOBS["slim"], "stopped-slim", "results.json", 1)


@pytest.fixture
def copy(workspace: Workspace, request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    """Copies a folder beside itself; the copy goes when the test ends."""

    def make(folder: Path) -> Path:
        target = workspace.folder / "damaged"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target)
        return target

    return make


def damage_file(path: Path, damage: Damage) -> None:
    path.write_bytes(damage(path.read_bytes()))


def resumed(workspace: Workspace, folder: Path, job: Job) -> Start:
    return workspace.start(folder, job.resume())


def left_over(workspace: Workspace, folder: Path, job: Job) -> list[str]:
    return differences(workspace.reference(job).folder / "runs", folder / "runs")


@every_damage
def test_the_state_before_a_damaged_one_is_used(
    workspace: Workspace, stopped_train: Path, copy: Callable[[Path], Path], damage: Damage
) -> None:
    job, folder = JOBS["taught"], copy(stopped_train)
    damage_file(folder / job.folder / "state.safetensors", damage)
    start = resumed(workspace, folder, job)
    assert start.code == 0, start.output
    warnings = [line for line in start.output.splitlines() if line.startswith("warning")]
    of_state = [line for line in warnings if "state.safetensors" in line]  # others: so few steps and images
    assert len(of_state) == 1, start.output
    assert left_over(workspace, folder, job) == [
        f"differs: {job.folder.removeprefix('runs/')}/{WARNINGS_FILE}"
    ]
    kept = [read_warnings(run / job.folder) for run in (workspace.reference(job).folder, folder)]
    assert kept[1] == [*kept[0], of_state[0].removeprefix(WARNING)]  # the page of the run says it, too


@pytest.mark.parametrize("damage", [flipped(0.5), cut(0.5), cut(0)], ids=["a bit", "half", "empty"])
def test_a_damaged_last_model_is_no_matter(
    workspace: Workspace, stopped_train: Path, copy: Callable[[Path], Path], damage: Damage
) -> None:
    job, folder = JOBS["taught"], copy(stopped_train)
    damage_file(folder / job.folder / "last.safetensors", damage)
    start = resumed(workspace, folder, job)
    assert start.code == 0, start.output
    assert left_over(workspace, folder, job) == []


@every_damage
@pytest.mark.parametrize("verb", ["detect", "export"])
def test_a_damaged_model_is_refused_by_name(
    workspace: Workspace, copy: Callable[[Path], Path], damage: Damage, verb: str
) -> None:
    folder = copy(workspace.reference(JOBS["taught"]).folder)
    model = f"{JOBS['taught'].folder}/best.safetensors"
    damage_file(folder / model, damage)
    target = {"detect": ("../photos", "--out", "found"), "export": ("model.onnx",)}[verb]
    start = workspace.start(folder, (verb, model, *target))
    assert start.code == CAN_BE_MENDED, start.output
    assert "Traceback" not in start.output
    assert "best.safetensors" in start.message
    assert not (folder / "model.onnx").exists()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("pruned.safetensors", flipped(0.5)),
        ("plan.json", cut(0.5)),
        ("dense/best.safetensors", cut(0.5)),
        ("dense/epoch-1.safetensors", flipped(0.5)),
    ],
)
def test_a_damaged_file_of_a_stage_is_mended_told_or_refused_by_name(
    workspace: Workspace, stopped_slim: Path, copy: Callable[[Path], Path], name: str, damage: Damage
) -> None:
    job, folder = JOBS["slim"], copy(stopped_slim)
    damage_file(folder / job.folder / name, damage)
    start = resumed(workspace, folder, job)
    if start.code == 0 and left_over(workspace, folder, job):
        assert any(line.startswith("warning") and name in line for line in start.output.splitlines())
    elif start.code != 0:
        assert start.code == CAN_BE_MENDED, start.output
        assert Path(name).name in start.message
