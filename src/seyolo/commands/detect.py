"""`seyolo detect`: pictures in, annotated pictures and JSON out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from seyolo.commands.options import MODEL_DEFAULTS, Json, ModelOptions, open_detector
from seyolo.commands.output import STDOUT, check_target, remark, show
from seyolo.detector import Detector
from seyolo.errors import DataError, UsageError
from seyolo.files import replacing, write_json
from seyolo.media.annotate import draw
from seyolo.media.pictures import find_pictures, read_picture
from seyolo.progress import console_progress
from seyolo.runs import new_run
from seyolo.runtime.backend import class_names

Row = dict[str, object]
MOST_LISTED = 5


def detect(
    model: str,
    /,
    *sources: str,
    confidence: float = 0.25,
    iou: float = 0.6,
    names: Path | None = None,
    out: Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
    start: ModelOptions = MODEL_DEFAULTS,
    json: Json = None,
) -> None:
    """Find objects in pictures; annotated pictures and JSON out.

    Args:
        model: an .onnx or .xml file, which need no PyTorch, a checkpoint, or a .cfg with its weights;
            @RUNTIME:PRECISION behind it as in seyolo benchmark.
        sources: pictures, folders of pictures, or patterns such as 'photos/*.jpg'.
        confidence: smallest score reported, 0 to 1.
        iou: overlap above which the worse of two boxes of a class goes, 0 to 1.
        names: a file with one class name per line, instead of those in the model.
        out: folder of the annotated pictures; by default a new one under runs/detect, or, with --json, none.
        device: cpu, cuda or cuda:N.
        threads: of the CPU.
        json: write the detections here; - is stdout.
    """
    check_target(json)
    if not sources:
        raise UsageError("detect needs pictures: seyolo detect MODEL PICTURE_OR_FOLDER...")
    pictures = find_pictures(sources)
    backend = open_detector(model, start, device=device, threads=threads)
    detector = Detector(
        backend,
        confidence=confidence,
        iou_threshold=iou,
        names=None if names is None else class_names(read_names(names), len(backend.names), model),
    )
    folder = new_run("detect") if out is None and json is None else out
    places = list(_places(pictures, folder))
    _check_places(pictures, places)
    rows: list[Row] = []
    unreadable: list[str] = []
    with console_progress().task("detecting", len(pictures)) as advance:
        for picture, place in zip(pictures, places, strict=True):
            try:
                rows.append(_detect_one(detector, picture, place))
            except DataError as error:
                unreadable.append(str(error))
            advance(1, picture.name)
    value = {"model": model, "confidence": confidence, "runtime": backend.name, "pictures": rows}
    if folder is not None:
        write_json(folder / "detections.json", value)
    show(value, "\n".join(_lines(rows)), json)
    if folder is not None:
        remark(f"annotated pictures and detections.json are in {folder}")
    elif json != STDOUT:
        remark("no pictures drawn; for those give --out DIR")
    if unreadable:
        raise DataError(_unreadable_text(unreadable, len(pictures)))


def read_names(path: Path) -> list[str]:
    """The lines of a names file, without empty ones.

    Raises:
        UsageError: it cannot be read, or holds no name.
    """
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--names {path}: cannot be read as text ({error})") from None
    if not names:
        raise UsageError(f"--names {path}: holds no names; write one per line")
    return names


def _detect_one(detector: Detector, picture: Path, place: Path | None) -> Row:
    image = read_picture(picture)
    found = detector.detect(image)
    if place is not None:
        with replacing(place) as temporary:
            if not cv2.imwrite(str(temporary), draw(image, found, detector.names)):
                raise OSError(f"{place}: OpenCV could not write this picture; is the disk full?")
    height, width = image.shape[:2]
    return {
        "picture": str(picture),
        "width": width,
        "height": height,
        "annotated": None if place is None else str(place),
        "detections": found.to_dicts(detector.names),
    }


def _places(pictures: Sequence[Path], folder: Path | None) -> Iterator[Path | None]:
    """Where each annotated picture goes; equal names from several folders are numbered."""
    taken: set[str] = set()
    for picture in pictures:
        name, number = picture.name, 1
        while name in taken:
            number += 1
            name = f"{picture.stem}-{number}{picture.suffix}"
        taken.add(name)
        yield None if folder is None else folder / name


def _check_places(pictures: Sequence[Path], places: Sequence[Path | None]) -> None:
    """Refuses to write annotated pictures over the photos themselves."""
    sources = {picture.resolve() for picture in pictures}
    for place in places:
        if place is not None and place.resolve() in sources:
            raise UsageError(f"--out {place.parent}: would write over {place}; give another folder")


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        found = row["detections"]
        assert isinstance(found, list)
        text = ", ".join(f"{item['name']} {item['score']:.2f}" for item in found)
        yield f"{row['picture']}: {text or 'nothing found'}"


def _unreadable_text(unreadable: Sequence[str], total: int) -> str:
    listed = "\n  ".join(unreadable[:MOST_LISTED])
    more = f"\n  and {len(unreadable) - MOST_LISTED} more" if len(unreadable) > MOST_LISTED else ""
    rest = ", the others are done" if len(unreadable) < total else ""
    return f"{len(unreadable)} of {total} pictures could not be read{rest}:\n  {listed}{more}"
