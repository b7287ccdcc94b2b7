"""Reader of `.mat` annotations in a process of its own: `python -m seyolo.data.oxford.mat`.

Some damaged files end the whole process inside SciPy's reader, others make it take all memory. A line of the
input is a path as JSON; a line of the output is the hands of this file, or what is wrong with it.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from seyolo.data.oxford.annotations import CORNERS

MOST_BYTES = 128_000_000  # that a file of a few kilobytes may take in memory

_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
# Errors of scipy for damaged files, MATLAB 7.3 files and other structures.
_MAT_ERRORS = (
    MatReadError, OSError, NotImplementedError, ValueError, TypeError, AttributeError, LookupError, EOFError,
    OverflowError, MemoryError, RecursionError, struct.error, zlib.error,
)  # fmt: skip


def main() -> None:
    """Answers until its input ends."""
    _limit_memory()
    for line in sys.stdin:
        answer: dict[str, object]
        try:
            answer = {"hands": [_hand(cell) for cell in loadmat(json.loads(line))["boxes"].ravel()]}
        except _MAT_ERRORS as error:
            answer = {"problem": repr(error)}
        print(json.dumps(answer), flush=True)


def _limit_memory() -> None:
    """Limits the address space where the system can."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 (not on Windows)

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + MOST_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _hand(cell: object) -> tuple[list[list[float]], str]:
    """Returns the corners as (x, y) in pixels, and the side."""
    record = np.asarray(cell).ravel()[0]
    corners_yx = np.array([np.asarray(record[corner], np.float64).reshape(2) for corner in CORNERS])
    if not np.isfinite(corners_yx).all():
        raise ValueError("a corner is not finite")
    return corners_yx[:, ::-1].tolist(), _side(record)  # yx to xy


def _side(record: np.void) -> str:
    """Returns left or right, which is the value or the name of a further field, depending on the file."""
    fields = [field for field in record.dtype.names or () if field not in CORNERS]
    texts = [str(text).strip().lower() for field in fields for text in (*np.ravel(record[field]), field)]
    return next((_SIDES[text] for text in texts if text in _SIDES), "")


if __name__ == "__main__":
    main()
