"""Many YOLO label files at once: rows of plain boxes inside their images are parsed together.

A file with anything else in it (an outline, a box that reaches out, a repeated row, an error) is left to
the reader of single files, so that there is one place for the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from seyolo.data.labels import NO_LABELS, Labels, Reading

_CHUNK = 4096  # files that are parsed together
_PLAIN = b"0123456789.+-eE \t\r\n"
_COLUMNS = 5


def read_many(
    paths: Sequence[str], find: Callable[[str], Iterator[str]], num_classes: int
) -> Iterator[Reading | None]:
    """Yields what the label file of each image says, None where it is to be read by itself.

    Args:
        paths: of the images.
        find: yields the possible label files of an image, the preferred one first.
        num_classes: of the data set.
    """
    for start in range(0, len(paths), _CHUNK):
        tokens = [_tokens(find(path)) for path in paths[start : start + _CHUNK]]
        yield from _parsed(tokens, num_classes)


def _tokens(candidates: Iterator[str]) -> list[bytes] | None:
    """Returns the columns of all rows of the first file that is there, five a row; None for other rows."""
    for path in candidates:
        try:
            with open(path, "rb", buffering=0) as file:
                data = file.read()
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return None if data.translate(None, _PLAIN) else _five_a_row(data)
    return []


def _five_a_row(data: bytes) -> list[bytes] | None:
    found: list[bytes] = []
    for line in data.splitlines():
        columns = line.split()
        if len(columns) == _COLUMNS:
            found += columns
        elif columns:
            return None
    return found


def _parsed(tokens: list[list[bytes] | None], num_classes: int) -> Iterator[Reading | None]:
    ends = np.cumsum([len(found or ()) // _COLUMNS for found in tokens])
    flat = [token for found in tokens for token in found or ()]
    try:
        rows = np.array(flat, np.bytes_).astype(np.float64).reshape(-1, _COLUMNS) + 0.0  # no negative zeros
    except ValueError:  # such as `1e`
        yield from (None for _ in tokens)
        return
    owners = np.searchsorted(ends, np.arange(len(rows)), side="right")
    is_odd = np.zeros(len(tokens), bool)
    is_odd[owners[~_is_plain(rows, num_classes) | _is_repeated(rows, owners)]] = True
    boxes_cxcywh, class_ids = rows[:, 1:].astype(np.float32), rows[:, 0].astype(np.int64)
    start = 0
    for found, odd, end in zip(tokens, is_odd.tolist(), ends.tolist(), strict=True):
        if found is None or odd:
            yield None
        else:
            labels = Labels(boxes_cxcywh[start:end], class_ids[start:end]) if end > start else NO_LABELS
            yield Reading(labels)
        start = end


def _is_plain(rows: np.ndarray, num_classes: int) -> np.ndarray:
    """Tells which rows are boxes of a class inside their image, that nothing has to be done about."""
    class_ids, cx, cy, w, h = rows.T
    is_class = (class_ids >= 0) & (class_ids < num_classes) & (np.floor(class_ids) == class_ids)
    is_inside_x = (w > 0) & (cx - w / 2 >= 0) & (cx + w / 2 <= 1)
    plain: np.ndarray = is_class & is_inside_x & (h > 0) & (cy - h / 2 >= 0) & (cy + h / 2 <= 1)
    return plain


def _is_repeated(rows: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Tells which rows equal an earlier one of their file."""
    keys = np.ascontiguousarray(np.column_stack([owners, rows]))
    _, first = np.unique(keys.view(np.dtype((np.void, keys.itemsize * keys.shape[1]))), return_index=True)
    repeated = np.ones(len(rows), bool)
    repeated[first] = False
    return repeated
