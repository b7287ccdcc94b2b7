"""Wheels for 64-bit ARM Linux, as on a Raspberry Pi: the newest one of each package that running needs.

    python tools/aarch64_wheels.py [PYTHON...]     versions of Python, 3.11 and 3.13 by default

Prints the table of docs/how-to/raspberry-pi.md. pip resolves each package with all that it needs, for wheels
only, and installs nothing. Training (`train`) is left out: it belongs on a larger machine.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from requirements import asked_for, groups_of, normal, parts

ROOT = Path(__file__).resolve().parents[1]
GROUPS = ("base", "openvino", "ncnn", "mnn", "litert", "web", "supervision", "track")
PYTHONS = ("3.11", "3.13")
GLIBC_OF_BOOKWORM = 36
"""Minor version of the glibc of Debian 12; that of Debian 13 is newer."""
PLATFORMS = [
    "manylinux2014_aarch64",
    *(f"manylinux_2_{minor}_aarch64" for minor in range(17, GLIBC_OF_BOOKWORM + 1)),
]


def main(pythons: Sequence[str]) -> None:
    """Prints the table."""
    groups = groups_of((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    print(f"| install | package | {' | '.join(f'Python {python}' for python in pythons)} |")
    print("|---" * (len(pythons) + 2) + "|")
    for group in GROUPS:
        for requirement in asked_for(groups, group):
            found = " | ".join(newest(requirement, python) for python in pythons)
            print(f"| {group} | {parts(requirement)[0]} | {found} |", flush=True)


def newest(requirement: str, python: str) -> str:
    """Returns the version that pip would install and what its wheel is for; `none` where pip finds no way."""
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        line = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        line += ["--only-binary=:all:", "--python-version", python, *platforms, "--target", folder]
        done = subprocess.run([*line, "--report", str(report), requirement], capture_output=True, check=False)
        return told(report.read_text(encoding="utf-8"), requirement) if done.returncode == 0 else "none"


def told(report: str, requirement: str) -> str:
    """Returns the version of a package in a report of pip, and the oldest glibc that its wheel runs with."""
    rows = {normal(row["metadata"]["name"]): row for row in json.loads(report)["install"]}
    row = rows[parts(requirement)[0]]
    url, version = row["download_info"]["url"], row["metadata"]["version"]
    minors = [17 for _ in re.findall("manylinux2014_aarch64", url)]
    minors += [int(minor) for minor in re.findall(r"manylinux_2_(\d+)_aarch64", url)]
    return f"{version}, glibc 2.{min(minors)}" if minors else f"{version}, any machine"


if __name__ == "__main__":
    main(sys.argv[1:] or PYTHONS)
