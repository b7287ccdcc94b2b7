"""Run folders: taken by one process, locked while it works, always resumable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from seyolo import runs
from seyolo.errors import TrainingError, UsageError
from seyolo.files import remove_leftovers
from seyolo.runs import NewRun, existing_run, locked, new_run, resumed_run

MARKER = "options.json"
HOLD = """
import sys, time
from pathlib import Path
from seyolo.runs import existing_run, locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def write(path: Path) -> None:
    path.write_text("{}")


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has locked `run`."""
    (tmp_path / "run").mkdir()
    write(tmp_path / "run" / MARKER)
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_runs_started_together_get_folders_of_their_own(tmp_path: Path) -> None:
    runs_begun = [NewRun("train", root=tmp_path) for _ in range(3)]

    def fill(number: int, prepared: Path) -> None:
        (prepared / MARKER).write_text(str(number))
        if number < 2 and runs_begun[number + 1].path is None:  # the next one is faster
            runs_begun[number + 1].take(partial(fill, number + 1))

    runs_begun[0].take(partial(fill, 0))
    assert [run.taken.name for run in runs_begun] == ["train-3", "train-2", "train"]
    assert [(run.taken / MARKER).read_text() for run in runs_begun] == ["0", "1", "2"]
    assert sorted(os.listdir(tmp_path / "train")) == ["train", "train-2", "train-3"]


def test_a_folder_that_is_taken_in_between_is_left_alone(tmp_path: Path) -> None:
    def faster(prepared: Path) -> None:
        write(prepared / MARKER)
        (tmp_path / "train/mine").mkdir()
        (tmp_path / "train/mine/theirs").touch()

    with pytest.raises(UsageError, match=r"train/mine: there is a run of this name already"):
        NewRun("train", "mine", tmp_path).take(faster)
    assert os.listdir(tmp_path / "train/mine") == ["theirs"]
    assert os.listdir(tmp_path / "train") == ["mine"]
    with pytest.raises(UsageError, match="--resume"):
        NewRun("train", "mine", tmp_path)


def test_an_empty_folder_is_free(tmp_path: Path) -> None:
    (tmp_path / "train/mine").mkdir(parents=True)
    folder = NewRun("train", "mine", tmp_path).take(lambda prepared: write(prepared / MARKER))
    assert os.listdir(folder) == [MARKER]


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", ".."])
def test_a_name_is_a_plain_one(name: str) -> None:
    with pytest.raises(UsageError, match="one plain folder name"):
        NewRun("train", name)


def test_a_folder_that_could_not_be_filled_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        NewRun("train", root=tmp_path).take(lambda _: 1 / 0)
    assert os.listdir(tmp_path / "train") == []


def test_a_run_holds_its_folder(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    said = rf"run: process {holder.pid} on .* works in this folder; wait for it or stop it"
    with pytest.raises(TrainingError, match=said):
        resumed_run("train", tmp_path / "run", MARKER).__enter__()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with resumed_run("train", tmp_path / "run", MARKER) as folder:
        assert os.listdir(folder) != [MARKER]
    assert os.listdir(tmp_path / "run") == [MARKER]


def test_a_lock_that_an_orphan_holds_is_waited_for(
    holder: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loader processes of a killed run hold its lock until they notice."""
    monkeypatch.setattr(runs, "is_running", lambda _: False)
    monkeypatch.setattr(runs, "ORPHANS_S", 0.3)
    start = time.monotonic()
    with pytest.raises(TrainingError, match="works in this folder"):
        resumed_run("train", tmp_path / "run", MARKER).__enter__()
    assert time.monotonic() - start > 0.3
    monkeypatch.setattr(runs, "ORPHANS_S", 60)
    monkeypatch.setattr(runs.time, "sleep", lambda _: (holder.kill(), holder.wait()))
    with resumed_run("train", tmp_path / "run", MARKER):
        pass


def test_a_file_system_without_locks_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def unsupported(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with locked(tmp_path), locked(tmp_path, "other"):
        pass


def test_a_new_run_with_an_error_of_the_user_leaves_nothing(tmp_path: Path) -> None:
    for place, left in ((NewRun("slim", root=tmp_path / "runs"), []), (tmp_path / "given", None)):
        with pytest.raises(UsageError), new_run("slim", place, MARKER, write):
            raise UsageError("no such budget")
        parent = tmp_path / "runs/slim" if left == [] else tmp_path / "given"
        assert (os.listdir(parent) if parent.exists() else None) == left
    (tmp_path / "given").mkdir()
    with pytest.raises(UsageError), new_run("slim", tmp_path / "given", MARKER, write):
        raise UsageError("no such budget")
    assert os.listdir(tmp_path / "given") == []
    (tmp_path / "given/notes.txt").touch()
    with pytest.raises(UsageError), new_run("slim", tmp_path / "given", MARKER, write):
        raise UsageError("no such budget")
    assert os.listdir(tmp_path / "given") == ["notes.txt"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), TrainingError("not finite")])
def test_work_is_kept(tmp_path: Path, error: Exception) -> None:
    place = NewRun("train", root=tmp_path)
    with pytest.raises(type(error)), new_run("train", place, MARKER, write) as folder:  # noqa: PT012
        if isinstance(error, TrainingError):
            (folder / "state.safetensors").touch()
        raise error
    assert (place.taken / MARKER).exists()
    with pytest.raises(TrainingError, match="holds a run already"), new_run("x", place.taken, MARKER, write):
        pass
    with pytest.raises(KeyboardInterrupt, match=f"resume with: seyolo train --resume {place.taken}"):  # noqa: SIM117
        with resumed_run("train", place.taken, MARKER):
            raise KeyboardInterrupt


def test_what_killed_processes_left_goes(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        number = process.pid
    (tmp_path / "deep").mkdir()
    kept = [".x.1.partial.json", ".x.partial.json", "detections.partial.jsonl", ".hidden"]
    left = [f".x.{number}.partial.json", f"deep/.a.b.{number}.partial.onnx.data", f".hands.{number}.partial"]
    for name in kept + left[:2]:
        (tmp_path / name).touch()
    (tmp_path / left[2] / "images").mkdir(parents=True)
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "deep"])
    assert os.listdir(tmp_path / "deep") == []


def test_what_a_killed_start_left_beside_a_run_goes(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        number = process.pid
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine" / MARKER)
    (tmp_path / f".mine-0a1b2c3d.{number}.partial").mkdir()
    with resumed_run("train", tmp_path / "mine", MARKER):
        assert os.listdir(tmp_path) == ["mine"]


def test_a_run_of_another_verb_is_named(tmp_path: Path) -> None:
    (tmp_path / "dense").mkdir()
    with pytest.raises(TrainingError, match=r"there is one of slim: seyolo slim --resume"):
        existing_run(tmp_path, "command.json")
