"""This source tree in a Python process of its own, wherever that is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import seyolo

SOURCE = str(Path(seyolo.__file__).parents[1])


def run_python(
    *arguments: str, folder: Path, variable: str = "PYTHONPATH"
) -> subprocess.CompletedProcess[str]:
    """Runs Python in `folder`; the environment's `variable` leads to the source."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, variable: SOURCE},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
