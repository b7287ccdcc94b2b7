"""`slim --controls`, asked for at once or of a finished run, killed at drawn moments."""

from __future__ import annotations

import pytest

from kills.cases import Workspace, draw_case


@pytest.mark.parametrize(("seed", "job"), [(0, "added"), (1, "added"), (3, "controlled")])
def test_a_killed_run_ends_bit_identical_to_an_undisturbed_one(
    workspace: Workspace, seed: int, job: str
) -> None:
    result = draw_case(seed, (job,), is_fresh=False).run(workspace)
    assert not result.problems, [start.to_json() for start in result.starts]
