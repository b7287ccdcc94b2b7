"""Writing of a data set with YOLO labels: it appears under its name only when it is complete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float

from seyolo.boxes import xyxy_to_cxcywh
from seyolo.errors import DataError
from seyolo.files import new_folder, write_text


@contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """Yields a folder beside `path`, renamed to it when the block succeeds, else removed.

    Raises DataError when `path` is not an empty folder, or the system refuses to read or write a file.
    """
    path = path.absolute()
    check_new_folder(path)
    try:
        with new_folder(path) as prepared:
            yield prepared
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error}); free space or name another folder") from error


def check_new_folder(path: Path) -> None:
    """Raises DataError for a path that is there and not an empty folder."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DataError(f"{path}: already there and not an empty folder; name another folder")


def write_data_yaml(path: str | Path, splits: Mapping[str, str], names: tuple[str, ...]) -> None:
    """Writes a `data.yaml` with the given split folders, relative to its own folder."""
    import yaml  # noqa: PLC0415 (its import takes longer than detection in a photo)

    values = {"path": ".", **splits, "names": dict(enumerate(names))}
    write_text(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def label_rows(boxes_xyxy: Float[np.ndarray, "n 4"], height: int, width: int, decimals: int) -> list[str]:
    """Returns the label rows of class 0 for boxes in pixels of an image of the given size."""
    sides = np.array([width, height, width, height], boxes_xyxy.dtype)
    boxes_cxcywh = (xyxy_to_cxcywh(boxes_xyxy) / sides).tolist()
    return ["0 " + " ".join(f"{value:.{decimals}f}" for value in box) + "\n" for box in boxes_cxcywh]
