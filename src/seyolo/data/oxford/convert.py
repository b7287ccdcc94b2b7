"""Converter of the Oxford Hand data set, a folder or archive, into a data set with YOLO labels.

Reads `hand_dataset/{training,validation,test}_dataset/{…}_data/{images/*.jpg,annotations/*.mat}` and writes
`images|labels/<split>/<original name>`, `data.yaml` and `oxford_boxes.csv`.

Several splits use the same file names, so each split has its own folder. YOLO labels cannot hold rotated
corners, and the official protocol needs the area of the quadrilateral, so the table holds both, one row per
label row in the same order.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import compress, product
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np

from seyolo.data.archives import extract
from seyolo.data.oxford.annotations import CORNERS, AnnotationReader, Hand
from seyolo.data.writing import label_rows, output_folder, write_data_yaml
from seyolo.errors import DataError, UsageError, counted
from seyolo.media.images import check_complete, encoded_size, read_encoded

SplitMode = Literal["official", "reference"]

PUBLISHED_COUNTS = {"train": (4069, 9163), "val": (738, 1856), "test": (821, 2031)}  # images and hands

COLUMNS = ("split", "image", "width", "height", *map("_".join, product(CORNERS, "xy")), "area_px2", "side")
"""Columns of `oxford_boxes.csv`: folder and file name of the written image, its size, corners in pixels (not
clipped), area of the quadrilateral, and `left`, `right` or nothing."""

MIN_SIDE_PX = 1.0  # a box thinner than this after clipping is dropped

_SOURCES = {"train": "training", "val": "validation", "test": "test"}
_OFFICIAL = {"train": "train", "val": "val", "test": "test"}
# Folders that the official splits are written to, and folders of the splits of data.yaml.
_TARGETS = {"official": _OFFICIAL, "reference": _OFFICIAL | {"val": "train"}}
_SPLITS = {"official": _OFFICIAL, "reference": _OFFICIAL | {"val": "test"}}
_IMAGE_ENDINGS = frozenset({".jpg", ".jpeg"})


@dataclass(frozen=True)
class SplitCounts:
    """Counts of one official split."""

    split: str
    num_pictures: int
    num_hands: int
    published_pictures: int
    published_hands: int
    num_clipped: int  # hands
    num_dropped: int  # hands


@dataclass(frozen=True)
class ConversionReport:
    """Counts per official split, and warnings about them."""

    out: Path
    counts: tuple[SplitCounts, ...]
    warnings: tuple[str, ...]

    def rows(self) -> list[dict[str, object]]:
        """Returns one row per official split, for a printed table."""
        return [asdict(count) for count in self.counts]

    def to_dict(self) -> dict[str, object]:
        """Returns the report as JSON types."""
        return {"out": str(self.out), "splits": self.rows(), "warnings": list(self.warnings)}


class _Converted(NamedTuple):
    height: int
    width: int
    hands: list[Hand]
    num_clipped: int
    num_dropped: int


def convert(source: str | Path, out: str | Path, split: SplitMode = "official") -> ConversionReport:
    """Converts Oxford Hand into the folder `out`.

    Args:
        source: the folder `hand_dataset`, a folder that holds it, or an archive of it (.tar.gz, .tar, .zip).
        split: "official" keeps train, val and test; "reference" trains on train and val, and uses test as
            val, too, as the reference system does.

    Raises DataError, and does not change `out`, when something is missing or broken or `out` is not empty.

    Example:
        >>> seyolo.api.convert_oxford("hand_dataset.tar.gz", "oxford-anew").counts[0].split
        'train'
    """
    source, out = Path(source), Path(out).absolute()
    if split not in _TARGETS:
        raise UsageError(f"unknown split {split!r}; use {' or '.join(_TARGETS)}")
    with output_folder(out) as converted, _opened(source, out) as folder, AnnotationReader() as reader:
        counts = _convert_splits(_find_root(folder), converted, split, reader)
    return ConversionReport(out, counts, tuple(_warnings(counts, split)))


@contextmanager
def _opened(source: Path, out: Path) -> Iterator[Path]:
    """Yields the folder of the source; an archive is unpacked beside `out`, and errors name the archive."""
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        extract(source, Path(folder), _is_wanted)
        try:
            yield Path(folder)
        except DataError as error:
            raise DataError(str(error).replace(folder, str(source))) from error


def _is_wanted(name: PurePosixPath) -> bool:
    return (
        name.suffix.lower() in {*_IMAGE_ENDINGS, ".mat"}
        and not name.name.startswith(".")
        and name.parent.name in {"images", "annotations"}
        and name.parent.parent.name in {f"{official}_data" for official in _SOURCES.values()}
    )


def _find_root(folder: Path) -> Path:
    """Returns the folder that holds `training_dataset` and its siblings: the given one or one inside it."""
    names = [f"{official}_dataset" for official in _SOURCES.values()]
    for candidate in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if any((candidate / name).is_dir() for name in names):
            return candidate
    raise DataError(f"{folder}: not the Oxford Hand data set; it holds none of {', '.join(names)}")


def _convert_splits(
    root: Path, out: Path, split: SplitMode, reader: AnnotationReader
) -> tuple[SplitCounts, ...]:
    counts: list[SplitCounts] = []
    rows: list[Sequence[object]] = [COLUMNS]
    taken: set[str] = set()
    for official, target in _TARGETS[split].items():
        images = []
        for image, annotation in _pairs(root, _SOURCES[official]):
            stem = image.stem
            while f"{target}/{stem}" in taken:
                stem = f"{_SOURCES[official]}_{stem}"
            taken.add(f"{target}/{stem}")
            found = _convert_image(image, reader.read(annotation), out, f"{target}/{stem}")
            images.append(found)
            head = [target, f"{stem}{image.suffix}", found.width, found.height]
            for hand in found.hands:
                rows.append([*head, *hand.corners_xy.ravel().tolist(), hand.area_px2, hand.side])
        counts.append(_count(official, images))
    with (out / "oxford_boxes.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    splits = {name: f"images/{folder}" for name, folder in _SPLITS[split].items()}
    write_data_yaml(out / "data.yaml", splits, ("hand",))
    return tuple(counts)


def _pairs(root: Path, source: str) -> list[tuple[Path, Path]]:
    """Returns the images of a split with their annotations by name; raises DataError if one is missing."""
    folder = root / f"{source}_dataset" / f"{source}_data"
    images = _files_by_stem(folder / "images", _IMAGE_ENDINGS)
    annotations = _files_by_stem(folder / "annotations", frozenset({".mat"}))
    for stem in sorted(images.keys() ^ annotations.keys()):
        present, absent = (images, "annotation") if stem in images else (annotations, "image")
        raise DataError(f"{present[stem]}: its {absent} is missing; take it from the archive again")
    return [(images[stem], annotations[stem]) for stem in sorted(images)]


def _files_by_stem(folder: Path, endings: frozenset[str]) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: this folder is missing; take it from the archive again")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in endings)
    found = {path.stem: path for path in files if not path.name.startswith(".")}
    if not found:
        kinds = " or ".join(sorted(endings))
        raise DataError(f"{folder}: no {kinds} files; take them from the archive again")
    return found


def _convert_image(image: Path, hands: list[Hand], out: Path, name: str) -> _Converted:
    """Copies an image and writes its labels; `name` is `folder/stem`."""
    data = read_encoded(image)
    check_complete(data, image)
    height, width = encoded_size(data, image)
    boxes_xyxy = np.array([hand.box_xyxy() for hand in hands]).reshape(-1, 4)
    clipped_xyxy = np.clip(boxes_xyxy, 0, [width, height, width, height])
    kept = ((clipped_xyxy[:, 2:] - clipped_xyxy[:, :2]) >= MIN_SIDE_PX).all(axis=1)
    num_clipped = int((clipped_xyxy != boxes_xyxy).any(axis=1)[kept].sum())
    rows = label_rows(clipped_xyxy[kept], height, width, decimals=6)
    contents = {f"images/{name}{image.suffix}": data, f"labels/{name}.txt": "".join(rows).encode("utf-8")}
    for path, content in contents.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content)
    return _Converted(height, width, list(compress(hands, kept)), num_clipped, int((~kept).sum()))


def _count(official: str, images: Sequence[_Converted]) -> SplitCounts:
    num_hands = sum(len(image.hands) for image in images)
    num_clipped = sum(image.num_clipped for image in images)
    num_dropped = sum(image.num_dropped for image in images)
    published = PUBLISHED_COUNTS[official]
    return SplitCounts(official, len(images), num_hands, *published, num_clipped, num_dropped)


def _warnings(counts: Sequence[SplitCounts], split: SplitMode) -> Iterator[str]:
    for count in counts:
        found = (count.num_pictures, count.num_hands)
        published = (count.published_pictures, count.published_hands)
        if found != published:
            wanted = f"published are {published[0]:,} with {published[1]:,}"
            images, hands = counted(found[0], "image"), counted(found[1], "hand")
            yield f"{count.split}: found {images} with {hands}, {wanted}"
        if count.num_dropped:
            dropped = counted(count.num_dropped, "hand")
            yield f"{count.split}: dropped {dropped} outside their image or under 1 px"
    if split == "reference":
        yield "val is test here, as in the reference system: a checkpoint chosen on val is chosen on test"
