"""Processor of this machine: model, cores that this process may use, and bfloat16 instructions."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPU_INFO, CPU_QUOTA = Path("/proc/cpuinfo"), Path("/sys/fs/cgroup/cpu.max")  # Linux only
TOPOLOGY = Path("/sys/devices/system/cpu")
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"})  # the last one is Arm's


def processor_name(info: Path = CPU_INFO) -> str:
    """Returns the model of the processor."""
    return _entry(info, "model name") or platform.processor() or platform.machine()


def has_bf16(info: Path = CPU_INFO) -> bool | None:
    """Tells whether the processor multiplies bfloat16; None where the system does not say."""
    flags = _entry(info, "flags") or _entry(info, "Features")
    return None if flags is None else not BF16_FLAGS.isdisjoint(flags.split())


def usable_cores(quota: Path = CPU_QUOTA, topology: Path = TOPOLOGY) -> int:
    """Returns the number of cores that this process may keep busy; two threads of one core count once."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    files = [topology / f"cpu{cpu}/topology/thread_siblings_list" for cpu in os.sched_getaffinity(0)]
    cores = len({file.read_text(encoding="ascii") if file.is_file() else str(file) for file in files})
    return min(cores, quota_cores(quota) or cores)


def granted_cores(quota: Path = CPU_QUOTA, topology: Path = TOPOLOGY) -> int | None:
    """Returns how many cores this process may keep busy; None where nothing keeps it from any of them.

    A process is kept to some by its affinity (`taskset`, Slurm, `docker --cpuset-cpus`) or by a quota.
    """
    all_cpus = os.cpu_count() or 1
    kept = hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) < all_cpus
    return usable_cores(quota, topology) if kept else quota_cores(quota)


def quota_cores(quota: Path = CPU_QUOTA) -> int | None:
    """Returns how many cores' time a container may take, at least 1; None without a limit."""
    try:
        time_us, period_us = quota.read_text(encoding="ascii").split()
        return max(1, int(time_us) // int(period_us))
    except (OSError, ValueError, ZeroDivisionError):  # "max" is no number
        return None


def _entry(info: Path, name: str) -> str | None:
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), None
    )
