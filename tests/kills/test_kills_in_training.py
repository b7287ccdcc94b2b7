"""`train` and `detect` killed at drawn moments end as if nothing had happened."""

from __future__ import annotations

import pytest

from kills.cases import KILLED, Moment, Workspace, draw_case
from kills.faults import AFTER, Fault
from kills.jobs import JOBS

NAMES = ("train", "sparse", "taught", "detect", "shards")


@pytest.mark.parametrize("seed", range(15))
def test_a_killed_run_ends_bit_identical_to_an_undisturbed_one(workspace: Workspace, seed: int) -> None:
    result = draw_case(seed, (NAMES[seed % len(NAMES)],), is_fresh=False).run(workspace)
    assert not result.problems, [start.to_json() for start in result.starts]


def states(start_operations: tuple[str, ...]) -> list[int]:
    """Numbers of the operations that give a state its final name."""
    lines = [line.split(maxsplit=2) for line in start_operations]
    return [
        int(words[0]) for words in lines if words[1] == "replace" and words[2].endswith("/state.safetensors")
    ]


@pytest.mark.parametrize("step", [2, 6])
def test_a_run_goes_on_at_the_step_that_it_saved_last(workspace: Workspace, step: int) -> None:
    """The states before the kill and those after it are as many as those of the undisturbed run."""
    job = JOBS["train"]
    every = states(workspace.reference(job).operations[0])
    folder = workspace.new_folder("at-a-step", job)
    killed = workspace.start(folder, job.start(), Moment(fault=Fault(every[step - 1], AFTER)))
    assert killed.code == KILLED
    resumed = workspace.start(folder, job.resume())
    assert resumed.code == 0
    assert len(states(resumed.operations)) == len(every) - step
