"""Layouts of a detector's output, ours and those of other exporters, and their conversion to ours.

| layout | output | columns |
|---|---|---|
| `rows`: ours, YOLOv5 | (N, P, 5 + C) | cx, cy, w, h, objectness, class probabilities |
| `columns`: Ultralytics | (N, 4 + C, P) | cx, cy, w, h, class probabilities |
| `suppressed`: Ultralytics with NMS inside, or no need for it | (N, M, 6) | x0, y0, x1, y1, score, class |

Boxes are in pixels of the input. A file of ours says so in its metadata (`producer`), and so does one of
Ultralytics (`task`, `end2end`, `args`); otherwise the shape decides, and values where one class of `rows` has
the shape of `suppressed`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from seyolo.errors import BackendError

Output = Float32[np.ndarray, "n a b"]
Raw = Float32[np.ndarray, "n p columns"]
SUPPRESSED_COLUMNS = 6
KNOWN = (
    "seyolo reads YOLO detectors as seyolo (without --nms), Ultralytics and YOLOv5 export them, YOLOv7 "
    "without --end2end, and no RT-DETR"
)


@dataclass(frozen=True)
class Layout:
    """Layout of an output, and the number of classes in it."""

    kind: Literal["rows", "columns", "suppressed"]
    num_classes: int

    @property
    def is_suppressed(self) -> bool:
        """Tells whether non-maximum suppression is done; more of it would drop boxes."""
        return self.kind == "suppressed"

    def to_raw(self, output: Output) -> Raw:
        """Converts an output to rows of cx, cy, w, h, objectness, class probabilities."""
        if self.kind == "rows":
            return output
        expected = {"columns": (1, 4 + self.num_classes), "suppressed": (2, SUPPRESSED_COLUMNS)}
        axis, length = expected[self.kind]
        if output.ndim != 3 or output.shape[axis] != length:
            raise BackendError(f"the network's output is {output.shape}, not what its file says")
        if self.kind == "columns":
            rows = output.transpose(0, 2, 1)
            ones = np.ones((*rows.shape[:2], 1), np.float32)
            return np.concatenate([rows[..., :4], ones, rows[..., 4:]], axis=2)
        raw = np.zeros((*output.shape[:2], 5 + self.num_classes), np.float32)
        raw[..., :2] = (output[..., :2] + output[..., 2:4]) / 2
        raw[..., 2:4] = output[..., 2:4] - output[..., :2]
        raw[..., 4] = output[..., 4]
        class_ids = np.nan_to_num(output[..., 5:]).clip(0, self.num_classes - 1).astype(np.int64)
        np.put_along_axis(raw[..., 5:], class_ids, 1, axis=2)
        return raw


def other_form(role: str, found: str) -> str:
    """Words the refusal of inputs or outputs of another number or rank."""
    form = "(N, 3, H, W)" if role == "input" else "(N, boxes, 5 + classes)"
    return f"expected one {role} of shape {form}, found {found}; {KNOWN}"


def check_task(metadata: Mapping[str, str], source: Path) -> None:
    """Refuses (BackendError) a file that its metadata says is no detector of boxes."""
    if (task := metadata.get("task", "detect")) != "detect":
        raise BackendError(f"{source}: was made for the task {task!r}; seyolo runs detectors of boxes only")


def find_layout(
    shape: Sequence[object],
    metadata: Mapping[str, str],
    names: Sequence[str] | None,
    run: Callable[[], Output],
    source: Path,
) -> Layout:
    """Finds the layout of an output.

    Args:
        shape: of the output in the graph; sides that are no numbers are open.
        metadata: of the file.
        names: class names, where they are known.
        run: runs the network on an image; called where metadata and shape do not decide.
        source: the file, for messages.

    Raises:
        BackendError: an unknown layout, or class names that are needed and not known.
    """
    num_rows, num_columns = _sides(shape, run, source)
    if metadata.get("producer") == "seyolo":
        return _rows(num_columns, source)
    if num_columns == SUPPRESSED_COLUMNS and _is_suppressed(metadata, run):
        if not names:
            given = "no class names; give them with --names FILE, one a line"
            raise BackendError(f"{source}: has non-maximum suppression inside and {given}")
        return Layout("suppressed", len(names))
    has_columns = 4 < num_rows < num_columns
    if names is not None:  # a small input has fewer boxes than classes
        by_names = num_rows == 4 + len(names), num_columns == 5 + len(names)
        has_columns = by_names[0] or (has_columns and not by_names[1])
    if has_columns:
        return Layout("columns", num_rows - 4)
    if "task" in metadata:
        raise BackendError(
            f"{source}: its output of {num_rows} x {num_columns} is none that seyolo knows; {KNOWN}"
        )
    return _rows(num_columns, source)


def _rows(num_columns: int, source: Path) -> Layout:
    if num_columns < 6:
        raise BackendError(f"{source}: the output has {num_columns} columns, expected 5 + classes")
    return Layout("rows", num_columns - 5)


def _sides(shape: Sequence[object], run: Callable[[], Output], source: Path) -> tuple[int, int]:
    match list(shape[1:]):
        case [int(rows), int(columns)]:
            return rows, columns
    match run().shape:
        case [_, int(rows), int(columns)]:
            return rows, columns
        case other:
            raise BackendError(f"{source}: the output is {other}, expected (N, boxes, 5 + classes)")


def _is_suppressed(metadata: Mapping[str, str], run: Callable[[], Output]) -> bool:
    """Tells whether rows of six columns are boxes after suppression, not boxes of one class before it."""
    if metadata.get("end2end") == "True" or _args(metadata).get("nms") is True:
        return True
    output = run()
    if output.ndim != 3 or output.shape[2] != SUPPRESSED_COLUMNS:
        return False
    corners, class_ids = output[..., :4], output[..., 5]
    are_corners = (corners[..., 2:] >= corners[..., :2]).all()
    return bool(are_corners and (class_ids == np.round(class_ids)).all())


def _args(metadata: Mapping[str, str]) -> dict[str, object]:
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        value = ast.literal_eval(metadata.get("args", ""))
        return value if isinstance(value, dict) else {}
    return {}
