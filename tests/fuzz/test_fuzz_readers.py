"""Every reader on a few hundred damaged files: only our errors come out, soon, in little memory.

Hypothesis chooses the changes, so that it shows the smallest change that fails. `make fuzz` runs many more.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.cases import MOST_MB, bench
from fuzz.targets import BY_NAME, TARGETS

WAITING: set[str] = set()


@pytest.mark.parametrize("name", [name for name in BY_NAME if BY_NAME[name].short and name not in WAITING])
def test_only_our_errors(name: str) -> None:
    target = BY_NAME[name]
    with bench(target) as opened:

        @settings(
            max_examples=target.short,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.randoms(use_true_random=False))
        def check(random: Random) -> None:
            outcome = opened.read(opened.mutated(random))
            assert not outcome.fault
            assert outcome.growth_mb < MOST_MB

        check()


@pytest.mark.parametrize("name", [target.name for target in TARGETS])
def test_the_seeds_are_valid(name: str) -> None:
    with bench(BY_NAME[name]) as opened:
        for seed in BY_NAME[name].seed_bytes():
            outcome = opened.read(seed)
            assert (outcome.is_refused, outcome.fault) == (False, "")


def test_a_case_is_the_same_every_time() -> None:
    with bench(BY_NAME["plan.json"]) as one, bench(BY_NAME["plan.json"]) as other:
        cases = [one.case(number) for number in range(50)]
        assert cases == [other.case(number) for number in range(50)]
        assert len(set(cases)) > 40
