"""labelme: a json for each image, with `shapes` in pixels.

A json lies beside its image, or is found by its `imagePath`. The box of a rectangle or polygon is its extent;
points and lines have none and are refused by name. The classes are the lines of `labels.txt` or `classes.txt`
in the folder, else the sorted labels of all shapes. An image without json is a negative.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from seyolo.data.formats.pairs import Pairs, pair
from seyolo.data.formats.pictures import Pictures, names_file
from seyolo.data.labels import ImageSize, Marked, Problem, Reading, collect, row_of_pixels, size_of
from seyolo.data.text import read_lines, read_text, without_path
from seyolo.data.tree import Finder, Tree
from seyolo.errors import DataError, quoted, shortened
from seyolo.json_files import MOST

_SHAPES = {"rectangle": 2, "polygon": 3}
"""Shapes with a box, and the least number of their points."""


class _File(NamedTuple):
    size: tuple[int, int] | None = None  # (height, width)
    shapes: tuple[Any, ...] = ()
    image_path: str = ""
    problem: Problem | None = None  # of the whole file


@dataclass(frozen=True)
class LabelmeFiles(Pictures):
    """A data set of labelme's jsons."""

    files: Mapping[str, _File] = field(repr=False, kw_only=True)
    pairs: Pairs = field(repr=False, kw_only=True)

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Reads the json of an image."""
        (path,) = _beside(str(image))
        if not os.path.isfile(path):
            path = self.pairs.of(str(image))
        if not path:
            return Reading()
        file = self.files.get(path) or _read(path)
        if file.problem is not None:
            return Reading(problems=[file.problem])
        size = size_of(file.size, image_size)
        labels, found = collect(enumerate(file.shapes), partial(_row, names=self.names, size=size), size)
        return Reading(labels, [Problem(path, 0, f"shapes[{n}]: {text}") for n, text in found], file.size)

    def unmatched_labels(self, images: Mapping[str, Sequence[str]]) -> list[Problem]:
        """Lists jsons without image, and splits without json."""
        return [*self.pairs.problems, *self.without_labels(images)]

    def has_label_file(self, image: str) -> bool:
        """Tells whether an image has a json."""
        return bool(self.pairs.of(image)) or any(map(os.path.isfile, _beside(image)))

    def sources(self, split: str, folders: Iterable[str]) -> list[str]:
        """Returns the folder, and those of jsons that do not lie beside the images."""
        return [str(self.source), *self.pairs.folders()]


def _beside(image: str) -> tuple[str]:
    return (f"{os.path.splitext(image)[0]}.json",)


def read_labelme(
    source: Path,
    splits: Mapping[str, tuple[Path, ...]],
    tree: Tree,
    jsons: Sequence[str],
    notes: Iterable[str] = (),
) -> LabelmeFiles:
    """Reads the classes of the jsons of all splits; raises DataError where there are none."""
    files = {path: _read(path) for path in jsons}
    if (listed := names_file(source)) is not None:
        names = tuple(
            name for name in read_lines(listed).values() if name not in ("__ignore__", "_background_")
        )
    else:
        labels = [
            shape.get("label") for file in files.values() for shape in file.shapes if isinstance(shape, dict)
        ]
        names = tuple(sorted({label for label in labels if isinstance(label, str)}))
    if not names:
        raise DataError(f"{source}: no shape has a label; name the classes in {source / 'labels.txt'}")
    pairs = pair(tree, jsons, _beside, lambda path: files[path].image_path)
    finder = Finder(source, notes=[*notes, *pairs.notes])
    return LabelmeFiles(source, names, splits, (source,), "labelme", finder, files=files, pairs=pairs)


def _read(path: str) -> _File:
    try:
        # The image itself is in most of these files, too.
        values = json.loads(read_text(path), object_hook=lambda found: {**found, "imageData": None})
    except DataError as error:
        return _File(problem=Problem(path, 0, without_path(error, Path(path))))
    except (ValueError, RecursionError) as error:
        return _File(problem=Problem(path, 0, f"not valid JSON ({shortened(str(error))})"))
    shapes = values.get("shapes") if isinstance(values, dict) else None
    if not isinstance(shapes, list):
        return _File(problem=Problem(path, 0, "expected labelme's `shapes`, a list"))
    height, width = values.get("imageHeight"), values.get("imageWidth")
    is_stated = all(type(side) is int and 0 < side <= MOST for side in (height, width))
    image_path = values.get("imagePath")
    own = image_path if isinstance(image_path, str) else ""
    return _File((height, width) if is_stated else None, tuple(shapes), own)


def _row(shape: Any, names: tuple[str, ...], size: ImageSize) -> Marked:
    kind, points = (
        (shape.get("shape_type", "polygon"), shape.get("points")) if isinstance(shape, dict) else ("", None)
    )
    if not isinstance(kind, str) or kind not in _SHAPES:
        known = " and ".join(_SHAPES)
        raise DataError(
            f"a {shortened(kind)} has no box; boxes are read of {known}s: draw one, or remove the shape"
        )
    if shape.get("label") not in names:
        raise DataError(
            f"{quoted(shape.get('label'))} is none of the classes; there are {shortened(', '.join(names))}"
        )
    try:
        xs, ys = zip(*((float(x), float(y)) for x, y in points or ()), strict=True)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"points: expected pairs of x and y in pixels, found {quoted(points)}") from None
    if len(xs) < _SHAPES[kind]:
        raise DataError(f"points: a {kind} has at least {_SHAPES[kind]}, found {len(xs)}")
    row = row_of_pixels(names.index(shape["label"]), (min(xs), min(ys), max(xs), max(ys)), size)
    return Marked(row, is_outline=kind == "polygon")
