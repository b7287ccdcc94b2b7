"""Makes the random networks of tests/darknet importable when only this folder is collected."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "darknet"))
