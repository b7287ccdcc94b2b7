"""Peak memory of a process of its own: what a module written here takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seyolo.errors import BackendError
from seyolo.runtime import memory
from seyolo.runtime.memory import measure_alone, peak_memory_mb

SOURCE = """
def hold(megabytes):
    print("said on the way")
    held = bytearray(b"x" * 1_000_000 * megabytes)
    del held

def fail(reason):
    raise ValueError(reason)
"""

needs_linux = pytest.mark.skipif(peak_memory_mb() is None, reason="only Linux tells")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "greedy.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "greedy"


@needs_linux
def test_the_peak_counts_and_not_the_end(module: str) -> None:
    idle, greedy = (measure_alone(module, "hold", {"megabytes": number}) for number in (1, 201))
    assert idle is not None
    assert greedy is not None
    # A bytearray is copied from bytes: both are held for a moment.
    assert greedy - idle == pytest.approx(400, abs=8)


@needs_linux
def test_what_this_process_holds_does_not_count(module: str) -> None:
    before = measure_alone(module, "hold", {"megabytes": 1})
    held = np.ones(300_000_000, np.uint8)
    after = measure_alone(module, "hold", {"megabytes": 1})
    assert held[-1] == 1
    assert (peak_memory_mb() or 0) > 300
    assert after == pytest.approx(before, abs=8)


def test_a_failure_is_told(module: str) -> None:
    with pytest.raises(BackendError, match="measuring memory failed: ValueError: no such thing"):
        measure_alone(module, "fail", {"reason": "no such thing"})


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    assert peak_memory_mb() is None
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t    2000 kB\n")
    assert peak_memory_mb() == 2.048
