"""What the system says about its processor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seyolo.processor import granted_cores, has_bf16, processor_name, quota_cores, usable_cores

X86 = "processor\t: 0\nmodel name\t: AMD EPYC 7763: 64-Core\nflags\t\t: fpu avx2 {flags}\n\nprocessor\t: 1\n"


@pytest.mark.parametrize(
    ("text", "has"),
    [
        (X86.format(flags="avx512f"), False),
        (X86.format(flags="avx512f avx512_bf16"), True),
        (X86.format(flags="amx_bf16"), True),
        (X86.format(flags="avx512_bf16x"), False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n", True),  # Arm
        ("processor\t: 0\nFeatures\t: fp asimd\n", False),
        ("processor\t: 0\n", None),
        ("", None),
    ],
)
def test_bf16_is_read_from_the_flags(tmp_path: Path, text: str, has: bool | None) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert has_bf16(tmp_path / "cpuinfo") is has


def test_a_system_without_that_file_says_nothing(tmp_path: Path) -> None:
    assert has_bf16(tmp_path / "none") is None
    assert processor_name(tmp_path / "none")  # what Python knows


def test_the_name_may_hold_a_colon(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(X86.format(flags=""))
    assert processor_name(tmp_path / "cpuinfo") == "AMD EPYC 7763: 64-Core"


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2),
        ("250000 100000\n", 2),
        ("50000 100000\n", 1),  # half a core is one thread
        ("100000 0\n", None),
        ("", None),
        ("text", None),
    ],
)
def test_the_quota_of_a_container(tmp_path: Path, text: str, cores: int | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert quota_cores(tmp_path / "cpu.max") == cores
    assert quota_cores(tmp_path / "none") is None


def test_cores_and_not_hyperthreads_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for cpu, siblings in enumerate(["0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"]):
        folder = tmp_path / f"cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    none, quota = tmp_path / "none", tmp_path / "cpu.max"
    quota.write_text("200000 100000")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert usable_cores(none, tmp_path) == 4
    assert usable_cores(quota, tmp_path) == 2
    assert usable_cores(none, none) == 8  # no topology: each counts
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 4}, raising=False)  # taskset -c 0,1,4
    assert usable_cores(none, tmp_path) == 2


def test_only_a_process_that_is_kept_from_cores_is_granted_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none, quota = tmp_path / "none", tmp_path / "cpu.max"
    quota.write_text("200000 100000")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert granted_cores(none, tmp_path) is None
    assert granted_cores(quota, tmp_path) == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    assert granted_cores(none, tmp_path) == granted_cores(quota, tmp_path) == 1
