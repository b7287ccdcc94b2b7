"""`seyolo data`: data sets converted, drawn, checked, and their anchor boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from rich.console import Group

from seyolo.class_names import listed
from seyolo.commands.output import STDOUT, Json, check_target, print_readable, remark, remark_on, show, table
from seyolo.data.check import Report, SplitReport
from seyolo.data.convert import Converted, Target
from seyolo.data.datasets import load_dataset
from seyolo.data.labels import Problem
from seyolo.errors import DataError, counted
from seyolo.options.parameters import Size
from seyolo.sizes import USUAL_SIZE, input_text
from seyolo.verbs.data import check_dataset, convert_dataset, draw_dataset, find_anchors, split_dataset


def oxford(
    source: Path, out: Path, /, *, split: Literal["official", "reference"] = "official", json: Json = None
) -> None:
    """Convert the Oxford Hand data set, a folder or the archive.

    Args:
        source: the folder hand_dataset or the archive hand_dataset.tar.gz.
        out: a folder that does not exist yet.
        split: official keeps train, val and test; reference trains on train and val, and test is val, too.
        json: write the counts here as JSON, too; - is stdout.
    """
    # Needs SciPy, which is no part of the base install.
    from seyolo.data.oxford.convert import convert  # noqa: PLC0415

    check_target(json)
    report = convert(source, out, split)
    show(report.to_dict(), table(report.rows()), json)
    for warning in report.warnings:
        remark(f"warning: {warning}")
    remark(f"wrote {out / 'data.yaml'}")


def synth(
    out: Path,
    /,
    *,
    train: int = 400,
    val: int = 80,
    test: int = 120,
    size: int = 320,
    min_size: int | None = None,
    seed: int = 0,
    json: Json = None,
) -> None:
    """Draw a data set of synthetic hands.

    Args:
        out: a folder that does not exist yet.
        train: images to train on.
        val: images to choose checkpoints on.
        test: images to judge by.
        size: longest side of an image in pixels.
        min_size: shortest side; by default images are square and of one size.
        seed: the same seed draws the same images.
        json: write what was drawn here as JSON, too; - is stdout.
    """
    check_target(json)
    path = draw_dataset(
        out, train=train, val=val, test=test, size=(size if min_size is None else min_size, size), seed=seed
    )
    value = {"data": str(path), "train": train, "val": val, "test": test, "seed": seed}
    show(value, f"drew {counted(train + val + test, 'image')}: {path}", json)


def check(data: Path, /, *, json: Json = None) -> None:
    """Look through a data set: counts, and everything that is wrong; exit code 2 if anything is.

    Args:
        data: a data set as it is: folder, archive, data.yaml, Darknet .data or COCO .json.
        json: write the report here as JSON, too; - is stdout.
    """
    check_target(json)
    dataset = load_dataset(data)
    for line in (*dataset.described(), *dataset.unlabelled()):
        remark(line)
    report = check_dataset(dataset)
    show(report.to_dict(), Group(table(_figures(report.splits)), *_classes(report)), json)
    for line in report.warnings():
        remark(f"warning: {line}; `seyolo data view {data}` shows them")
    if report.problems:
        if json != STDOUT:
            print_readable("\n".join(map(_line, report.problems)))
        raise DataError(f"{data}: {counted(len(report.problems), 'problem')}; mend the files listed")
    if not report.warnings() and not dataset.unlabelled():
        remark(f"{data}: nothing is wrong")


def convert(data: Path, out: Path, /, *, to: Target = "yolo", json: Json = None) -> None:
    """Write any data set as YOLO, COCO or VOC.

    Images are hard links where the system makes them, else copies.

    Args:
        data: a data set as it is: folder, archive, data.yaml, Darknet .data or COCO .json.
        out: a folder that does not exist yet.
        to: the format.
        json: write the counts here as JSON, too; - is stdout.
    """
    check_target(json)
    dataset = load_dataset(data)
    remark_on(dataset)
    _show_converted(convert_dataset(dataset, out, to), out, to, json)


def _show_converted(counts: Sequence[Converted], out: Path, to: Target, json: Json) -> None:
    rows = [asdict(row) for row in counts]
    show({"out": str(out), "splits": rows}, table(rows), json)
    if left_out := sum(row.num_left_out for row in counts):
        remark(f"{counted(left_out, 'ignored region')} left out: there is no form for them in {to.upper()}")
    remark(f"wrote {out}")


def split(
    data: Path,
    out: Path,
    /,
    *,
    val: str = "20%",
    test: str = "0%",
    by: str | None = None,
    seed: int = 0,
    json: Json = None,
) -> None:
    """Divide the images of a data set anew into train, val and test: stratified by class, seeded.

    Of YOLO labels lists of the images are written; other formats are written as YOLO, images as hard links.

    Args:
        data: a data set as it is: folder, archive, data.yaml, Darknet .data or COCO .json.
        out: a folder that does not exist yet.
        val: share of the images to choose checkpoints on.
        test: share of the images to judge by.
        by: keep images together: folder, prefix (the name up to its last number, for frames of a video), or a
            regular expression whose first group names the scene in the path.
        seed: the same seed gives the same split.
        json: write the counts here as JSON, too; - is stdout.
    """
    check_target(json)
    dataset = load_dataset(data)
    remark_on(dataset)
    counts = split_dataset(dataset, out, val=val, test=test, by=by, seed=seed)
    _show_converted(counts, out, "yolo", json)


def _line(problem: Problem) -> str:
    place = f"{problem.file}:{problem.line}" if problem.line else str(problem.file)
    return f"{place}: {problem.text.removeprefix(f'{place}: ')}"


def _figures(splits: Sequence[SplitReport]) -> list[dict[str, object]]:
    """Returns a row per figure and a column per split: a terminal has too few columns for all figures."""
    rows = {split.split: _row(split, _occurring(splits)) for split in splits}
    names = dict.fromkeys(name for row in rows.values() for name in row)
    return [{"": name, **{split: _text(row.get(name, "–")) for split, row in rows.items()}} for name in names]


def _row(split: SplitReport, classes: Sequence[str]) -> dict[str, object]:
    """Returns the figures of a split, with one of each of these classes."""
    row: dict[str, object] = {}
    for key, value in split.row().items():
        if key == "objects_per_class":
            row |= {f"objects of {name}": split.objects_per_class[name] for name in classes}
        elif key != "split":
            row[key.replace("_", " ")] = value
    return row


def _occurring(splits: Sequence[SplitReport]) -> list[str]:
    """Returns the classes with objects in any split, in the order of their ids."""
    names = splits[0].objects_per_class if splits else {}
    return [name for name in names if any(split.objects_per_class[name] for split in splits)]


def _classes(report: Report) -> list[str]:
    """Returns a line on classes that never occur, if there are any."""
    occurring = _occurring(report.splits)
    never = [name for name in report.names if name not in occurring]
    if not never:
        return []
    few = f"{len(occurring):,} of {counted(len(report.names), 'class')}"
    return [f"{few} {'has' if len(occurring) == 1 else 'have'} objects; none of {listed(never)}"]


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def anchors(
    data: Path, /, *, size: Size = 416, num: int = 9, split: str = "train", seed: int = 0, json: Json = None
) -> None:
    """Anchor boxes for a data set, by k-means on IoU.

    Args:
        data: a data set as it is: folder, archive, data.yaml, Darknet .data or COCO .json.
        size: input in pixels: 416, or 416x256 (width x height).
        num: how many: 9 for yolov3, 6 for yolov3-tiny.
        split: whose boxes are looked at.
        seed: of the starting points.
        json: write the result here as JSON, too; - is stdout.
    """
    check_target(json)
    dataset = load_dataset(data)
    remark_on(dataset, [split])
    size = size or USUAL_SIZE
    found = find_anchors(dataset, size=size, num=num, split=split, seed=seed)
    value = {
        "anchors": [[round(side, 2) for side in pair] for pair in found.sizes_wh.tolist()],
        "mean_iou": found.mean_iou,
        "num_boxes": found.num_boxes,
        "size": size,
    }
    quality = f"mean IoU {found.mean_iou:.3f} over {counted(found.num_boxes, 'box')} at {input_text(size)} px"
    show(value, f"anchors={found.to_cfg()}\n{quality}", json)
