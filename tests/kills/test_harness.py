"""The harness itself: it kills where it says, and it sees what differs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from kills.cases import KILLED, Moment, Workspace
from kills.compare import broken, differences
from kills.faults import AFTER, BEFORE, HALF, Fault
from kills.jobs import JOBS


def test_an_undisturbed_run_is_identical_to_another_one(workspace: Workspace) -> None:
    assert not workspace.run("again", JOBS["train"], [[]]).problems


def test_a_process_of_its_own_writes_what_a_forked_one_writes(workspace: Workspace) -> None:
    assert not workspace.run("fresh", JOBS["detect"], [[]], is_fresh=True).problems


@pytest.mark.parametrize(("phase", "share"), [(BEFORE, 0), (HALF, 0.5), (AFTER, 1)])
def test_a_process_dies_at_the_file_operation(workspace: Workspace, phase: str, share: float) -> None:
    """Nothing, half or all of the bytes of the only write are in the file."""
    folder = workspace.new_folder("operation", JOBS["detect"])
    arguments = ("detect", "../spots.onnx", "../photos/0.png", "--jsonl", "rows.jsonl")
    whole = workspace.start(folder, arguments)
    number = next(n for n, line in enumerate(whole.operations, 1) if line.split()[1] == "write")
    written = (folder / "rows.jsonl").read_bytes()
    (folder / "rows.jsonl").unlink()
    start = workspace.start(folder, arguments, Moment(fault=Fault(number, phase)))
    assert start.code == KILLED
    assert start.operations[-1].split()[:2] == [str(number), phase]
    assert [path.read_bytes() for path in folder.iterdir()] == [written[: int(share * len(written))]]


def write_pair(folder: Path) -> tuple[Path, Path]:
    """Two folders with the same files."""
    for name in ("left", "right"):
        (folder / name).mkdir()
        rows = [{"epoch": 1, "seconds": 1.0 if name == "left" else 2.0, "ap": 0.5}]
        tensors = {"a": np.arange(3.0), "b": np.zeros(2)}
        values = {"format": "x", "values": json.dumps({"history": rows})}
        save_file(tensors, folder / name / "state.safetensors", metadata=values)
        (folder / name / "results.csv").write_text(f"epoch,seconds,ap\n1,{rows[0]['seconds']},0.5\n")
        (folder / name / "plan.json").write_text("{}\n")
    return folder / "left", folder / "right"


def test_times_are_not_compared(tmp_path: Path) -> None:
    assert differences(*write_pair(tmp_path)) == []


def test_a_bit_of_a_tensor_a_figure_and_a_file_too_many_are_seen(tmp_path: Path) -> None:
    left, right = write_pair(tmp_path)
    data = bytearray((right / "state.safetensors").read_bytes())
    data[-1] ^= 1
    (right / "state.safetensors").write_bytes(data)
    (right / "results.csv").write_text("epoch,seconds,ap\n1,2.0,0.6\n")
    (right / ".plan.7.partial.json").touch()
    (right / "plan.json").unlink()
    assert differences(left, right) == [
        "missing: plan.json",
        "left over: .plan.7.partial.json",
        "differs: results.csv: 1",
        "differs: state.safetensors: b",
    ]


def test_half_a_file_is_seen(tmp_path: Path) -> None:
    folder, _ = write_pair(tmp_path)
    assert broken(folder) == []
    for name in ("state.safetensors", "plan.json"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])
    assert sorted(broken(folder)) == ["plan.json", "state.safetensors"]
