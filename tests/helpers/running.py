"""What tests of the command line share: the smallest network, and what a line did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MODEL = "yolov3-tiny@0.125"
SIZE_PX = 64


@dataclass(frozen=True)
class Outcome:
    """What a command line did."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def assert_refused(outcome: Outcome, *parts: str) -> None:
    """Exit code 2, one message with all `parts` in it, no traceback, nothing on stdout."""
    assert outcome.code == 2, outcome
    assert "Traceback" not in outcome.err
    for part in parts:
        assert part in outcome.err, outcome.err
    assert outcome.out == ""
