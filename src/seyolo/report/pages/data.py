"""Page of a data set: labelled images, classes, sizes, smallest boxes, near-duplicates and problems."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from seyolo.boxes import cxcywh_to_xyxy
from seyolo.data.check import Report, SplitFindings, findings_of, report_of, shared_images
from seyolo.data.datasets import Dataset
from seyolo.data.near_duplicates import Pair, nearest_before
from seyolo.data.small_boxes import LEAST_PX
from seyolo.errors import DataError, UsageError, counted
from seyolo.files import write_text
from seyolo.letterbox import place
from seyolo.media.annotate import class_colour
from seyolo.progress import WARNING, Progress, Silent
from seyolo.report.figures.box_sizes import box_sizes_figure
from seyolo.report.figures.samples import spread_evenly
from seyolo.report.pages.data_images import Shown, SmallBox, enlarged, labelled, name_of, thumbnail
from seyolo.report.pages.parts import Grid, chart
from seyolo.report.pages.rendering import PAGE_ENDINGS, rendered
from seyolo.report.text import MISSING, percent_text
from seyolo.sizes import USUAL_SIZE, InputSize, input_text, size_hw

PAGE_FILE = "data.html"
NUM_IMAGES, NUM_SMALL, NUM_PAIRS, NUM_REPEATS = 12, 12, 8, 3
MOST_CLASSES, MOST_SIZES, MOST_PROBLEMS = 200, 8, 100
MOST_IMAGES = 1_000


@dataclass(frozen=True)
class ViewOptions:
    """Choices of a page; raises UsageError for a value out of its range."""

    num_images: int = NUM_IMAGES  # labelled images of each split
    seed: int = 0
    size: InputSize = USUAL_SIZE  # of the input that boxes are measured in

    def __post_init__(self) -> None:
        if not 1 <= self.num_images <= MOST_IMAGES:
            raise UsageError(f"--images {self.num_images}: from 1 to {MOST_IMAGES:,} of each split")
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed}: a number from 0")


class PairShown(NamedTuple):
    """Two images side by side."""

    first: str
    second: str
    alt: str
    caption: str


def write_data_page(
    dataset: Dataset,
    out: Path = Path(PAGE_FILE),
    options: ViewOptions = ViewOptions(),
    progress: Progress | None = None,
) -> Path:
    """Writes the page of a data set, one HTML file that loads nothing, and returns its path.

    Raises:
        DataError: none of the images can be read.
        UsageError: another ending.
    """
    if out.suffix.lower() not in PAGE_ENDINGS:
        raise UsageError(f"--out {out}: a page is a file .html")
    progress = progress or Silent()
    findings, problems = findings_of(dataset, progress)
    if not any(image.digest for split in findings.values() for image in split.images):
        first = f" ({problems[0]})" if problems else ""
        raise DataError(f"{dataset.source}: there is no image to show{first}; seyolo data check lists why")
    context = _context(dataset, findings, report_of(dataset, findings, problems), options)
    write_text(out, rendered("data.html.jinja", context, has_glossary=False))
    return out


def _context(
    dataset: Dataset, findings: Mapping[str, SplitFindings], report: Report, options: ViewOptions
) -> dict[str, Any]:
    """Returns the values of the template."""
    splits = [split for split in report.splits if split.num_pictures]
    num_images, num_boxes = (
        sum(counts) for counts in zip(*((s.num_pictures, s.num_objects) for s in splits), strict=True)
    )
    counts = [counted(num_images, "image"), counted(num_boxes, "box"), counted(len(dataset.names), "class")]
    inputs = {name: _input_sides(split, options.size) for name, split in findings.items()}
    source = dataset.source.resolve()
    problems = [str(problem).encode(errors="replace").decode() for problem in report.problems]
    unlabelled = [line.removeprefix(WARNING) for line in dataset.unlabelled()]
    warnings = [*report.warnings(), *unlabelled]
    if problems:
        warnings.append(f"{counted(len(problems), 'problem')} found by data check, listed at the end.")
    return {
        "version": "",
        "title": name_of(str(source.parent if source.is_file() and source.parent.name else source)),
        "headline": ", ".join(counts),
        "lead": [dataset.layout, *dataset.remarks],
        "warnings": warnings,
        "splits": _splits_table(report),
        "classes": _classes_table(dataset, findings),
        "samples": _samples(dataset, findings, options),
        "legend": _legend(dataset.names),
        "sizes": _sizes_table(findings),
        "input": input_text(options.size),
        "least_px": f"{LEAST_PX:g}",
        "box_sizes": _box_sizes_table(inputs),
        "box_chart": chart(
            box_sizes_figure({name: sides.area_px for name, sides in inputs.items()}, LEAST_PX),
            f"Share of the boxes by size in an input of {input_text(options.size)} px, for each split",
        ),
        "smallest": list(enlarged(_smallest(findings, inputs), dataset.names)),
        "pairs": _pairs(findings, report),
        "repeats": _repeats(findings),
        "problems": problems[:MOST_PROBLEMS],
        "unlabelled": unlabelled,
        "num_more": max(0, len(problems) - MOST_PROBLEMS),
    }


def _splits_table(report: Report) -> Grid:
    header = ["", "images", "boxes", "an image", "without boxes", "ignored regions", "not readable"]
    rows = [
        [
            split.split,
            f"{split.num_pictures:,}",
            f"{split.num_objects:,}",
            f"{split.num_objects / split.num_pictures:.1f}" if split.num_pictures else MISSING,
            f"{split.num_negatives:,}",
            f"{split.num_ignored:,}",
            f"{split.num_unreadable:,}",
        ]
        for split in report.splits
    ]
    used = [column for column in range(len(header)) if column < 5 or any(row[column] != "0" for row in rows)]
    return Grid([header[column] for column in used], [[row[column] for column in used] for row in rows])


def _classes_table(dataset: Dataset, findings: Mapping[str, SplitFindings]) -> Grid:
    """Returns boxes and images of each class in each split, the most frequent class first."""
    num = len(dataset.names)
    boxes, images = ({name: np.zeros(num, int) for name in findings} for _ in range(2))
    for name, split in findings.items():
        for reading in split.readings:
            boxes[name] += np.bincount(reading.labels.class_ids, minlength=num)
            images[name][np.unique(reading.labels.class_ids)] += 1
    order = np.argsort(-np.sum(list(boxes.values()), axis=0), kind="stable")[:MOST_CLASSES].tolist()
    rows = [
        [dataset.names[index], *(f"{boxes[name][index]:,} ({images[name][index]:,})" for name in findings)]
        for index in order
    ]
    left = num - len(rows)
    note = f" {counted(left, 'class')} with fewer boxes left out." if left > 0 else ""
    return Grid(["", *findings], rows, note=f"Boxes, and in brackets the images that have any.{note}")


def _legend(names: Sequence[str]) -> list[tuple[str, str]]:
    """Returns colour and name of the first classes."""
    colours = (class_colour(index) for index in range(len(names[:MOST_CLASSES])))
    return [(f"#{red:02x}{green:02x}{blue:02x}", names[i]) for i, (blue, green, red) in enumerate(colours)]


def _samples(
    dataset: Dataset, findings: Mapping[str, SplitFindings], options: ViewOptions
) -> list[tuple[str, str, list[Shown]]]:
    """Returns for each split its name, a remark and images drawn at random, in the order of their names."""
    found = []
    for name, split in findings.items():
        readable = [index for index, image in enumerate(split.images) if image.digest]
        chosen = np.random.default_rng(options.seed).permutation(readable)[: options.num_images]
        images = (
            labelled(split.paths[index], split.readings[index].labels, dataset.names)
            for index in sorted(chosen.tolist())
        )
        if shown := list(filter(None, images)):
            found.append((name, f"{len(shown):,} of {counted(len(split.paths), 'image')}", shown))
    return found


def _sizes_table(findings: Mapping[str, SplitFindings]) -> Grid:
    """Returns the numbers of images of each size, the most frequent sizes first."""
    counts = {
        name: Counter(image.size for image in split.images if image.digest)
        for name, split in findings.items()
    }
    totals = sum(counts.values(), Counter[tuple[int, int]]())
    most = [size for size, _ in totals.most_common(MOST_SIZES)]
    rows = [
        [f"{size[1]}x{size[0]} ({_ratio(size)})", *(f"{count[size]:,}" for count in counts.values())]
        for size in most
    ]
    if len(totals) > len(most):
        left = [sum(count.values()) - sum(count[size] for size in most) for count in counts.values()]
        rows.append([counted(len(totals) - len(most), "other size"), *(f"{number:,}" for number in left)])
    return Grid(["width x height", *counts], rows)


def _ratio(size: tuple[int, int]) -> str:
    """Returns width to height: 4:3, or 1.43:1 where no small numbers fit."""
    height, width = size
    common = math.gcd(height, width)
    small = width // common, height // common
    return f"{small[0]}:{small[1]}" if max(small) <= 20 else f"{width / height:.2f}:1"


class Sides(NamedTuple):
    """Boxes of a split in the input: image and row of each, and its sides in pixels."""

    image: np.ndarray  # (n,) number of the image in the split
    row: np.ndarray  # (n,) row in the labels of the image
    sides_px: Float[np.ndarray, "n 2"]  # width and height

    @property
    def area_px(self) -> Float[np.ndarray, " n"]:
        """Square root of the area of each box."""
        return np.asarray(np.sqrt(self.sides_px.prod(axis=1)), np.float64)

    @property
    def shorter_px(self) -> Float[np.ndarray, " n"]:
        """Shorter side of each box."""
        return np.asarray(self.sides_px.min(axis=1), np.float64)


def _input_sides(split: SplitFindings, size: InputSize) -> Sides:
    """Returns the boxes of the images that can be read, letterboxed into the input."""
    images, rows, sides = [np.empty(0, int)], [np.empty(0, int)], [np.empty((0, 2))]
    for index, (image, reading) in enumerate(zip(split.images, split.readings, strict=True)):
        boxes = reading.labels.boxes_cxcywh
        if image.digest and len(boxes):
            placement = place(image.size, size_hw(size), "letterbox")
            height, width = image.size
            scale = np.array([width * placement.scale_x, height * placement.scale_y])
            images.append(np.full(len(boxes), index))
            rows.append(np.arange(len(boxes)))
            sides.append(boxes[:, 2:] * scale)
    return Sides(np.concatenate(images), np.concatenate(rows), np.concatenate(sides))


def _box_sizes_table(inputs: Mapping[str, Sides]) -> Grid:
    rows = []
    for name, sides in inputs.items():
        if len(sides.row):
            quantiles = np.quantile(sides.area_px, (0, 0.1, 0.5, 0.9, 1))
            small = int((sides.shorter_px < LEAST_PX).sum())
            share = f"{small:,} ({percent_text(small, len(sides.row))})"
            rows.append([name, *(f"{value:.0f}" for value in quantiles), share])
    return Grid(
        ["√(width x height), px", "smallest", "p10", "median", "p90", "largest", f"under {LEAST_PX:g} px"],
        rows,
    )


def _smallest(findings: Mapping[str, SplitFindings], inputs: Mapping[str, Sides]) -> list[SmallBox]:
    """Returns the boxes with the shortest sides in the input, one of an image at most."""
    found: list[SmallBox] = []
    for name, sides in inputs.items():
        order = np.argsort(sides.shorter_px, kind="stable")
        _, first = np.unique(sides.image[order], return_index=True)
        for position in np.sort(first)[:NUM_SMALL].tolist():
            box = int(order[position])
            split, image, row = findings[name], int(sides.image[box]), int(sides.row[box])
            labels, (height, width) = split.readings[image].labels, split.images[image].size
            corners = cxcywh_to_xyxy(labels.boxes_cxcywh[row].astype(np.float64)) * np.array(
                [width, height] * 2
            )
            class_id, side_px = int(labels.class_ids[row]), float(sides.shorter_px[box])
            found.append(SmallBox(split.paths[image], corners, class_id, side_px))
    return sorted(found, key=lambda box: box.side_px)[:NUM_SMALL]


def _pairs(findings: Mapping[str, SplitFindings], report: Report) -> list[tuple[str, list[PairShown]]]:
    """Returns in words which images are in two splits, each with its most similar pairs."""
    found = []
    equal: dict[tuple[str, str], list[Pair]] = {}
    for paths in shared_images(findings).values():
        (other, path), *others = sorted(paths.items(), key=lambda item: item[0] != "train")
        for name, image in others:
            equal.setdefault((name, other), []).append(Pair(image, path, 1.0))
    for (name, other), pairs in equal.items():
        title = f"{counted(len(pairs), 'file')} of {name} equal to one of {other}"
        found.append((title, _shown(pairs[:NUM_PAIRS], name, other)))
    for leak in report.leaks:
        images = f"{len(leak.pairs):,} of {counted(leak.num_images, 'image')} of {leak.split}"
        title = f"{images}: near-duplicates of {leak.other}"
        found.append((title, _shown(leak.pairs[:NUM_PAIRS], leak.split, leak.other)))
    return found


def _repeats(findings: Mapping[str, SplitFindings]) -> list[tuple[str, list[PairShown]]]:
    """Returns in words how many images of each split repeat an earlier one, each with examples."""
    found = []
    for name, split in findings.items():
        best = nearest_before(split.signed().signatures)
        near = np.flatnonzero(best.are_near()).tolist()
        if near:
            pairs = [
                Pair(split.paths[i], split.paths[int(best.number[i])], float(best.similarity[i]))
                for i in near
            ]
            title = f"{name}: {len(near):,} of {counted(len(split.paths), 'image')}"
            found.append((title, _shown(spread_evenly(pairs, NUM_REPEATS), name, name)))
    return found


def _shown(pairs: Sequence[Pair], split: str, other: str) -> list[PairShown]:
    shown = []
    for pair in pairs:
        first, second = thumbnail(pair.image), thumbnail(pair.other)
        if first and second:
            one, two = f"{split}/{name_of(pair.image)}", f"{other}/{name_of(pair.other)}"
            caption = f"{one} and {two}, similarity {pair.similarity:.2f}"
            shown.append(PairShown(first, second, one, caption))
    return shown
