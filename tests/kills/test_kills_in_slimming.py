"""`slim` killed at drawn moments, its stages and between them, ends as if nothing had happened."""

from __future__ import annotations

import pytest

from kills.cases import Workspace, draw_case


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_run_ends_bit_identical_to_an_undisturbed_one(workspace: Workspace, seed: int) -> None:
    result = draw_case(seed, ("slim",), is_fresh=False).run(workspace)
    assert not result.problems, [start.to_json() for start in result.starts]
