"""`seyolo data label`: images labelled by a model, to correct and train on."""

from __future__ import annotations

from pathlib import Path

from seyolo.class_names import is_default
from seyolo.commands.output import Json, check_target, remark, show, table
from seyolo.data.convert import Target, check_format
from seyolo.data.labelling import REVIEW_FILE, label_images
from seyolo.data.writing import check_new_folder
from seyolo.detecting.work import sample_images
from seyolo.detector import Detector
from seyolo.errors import UsageError, counted
from seyolo.media.images import find_images
from seyolo.opening.running import Work, open_running
from seyolo.options.label import LabelOptions
from seyolo.progress import console_progress

DEFAULTS = LabelOptions()
MOST_SHOWN = 3


def label(
    model: str,
    pictures: str,
    out: Path,
    /,
    *,
    to: Target = "yolo",
    options: LabelOptions = DEFAULTS,
    json: Json = None,
) -> None:
    """Label images with a model, the doubtful ones listed first, to correct and train on.

    OUT is a data set with one split, train: the images as hard links where the system makes them, else
    copies, and a label for each, empty without a box. review.csv lists the images in the order in which to
    correct them.

    Args:
        model: as in detect: hand, an exported file, a checkpoint, or a .cfg with its weights.
        pictures: an image, a folder of images, or a pattern such as 'photos/**/*.jpg'.
        out: a folder that does not exist yet.
        to: the format.
        json: write the counts here as JSON, too; - is stdout.
    """
    check_target(json)
    check_format(to)
    check_new_folder(out)
    images = find_images([pictures])
    labelled = label_images(_detector(model, options, images), images, out, to, console_progress())
    for text in labelled.unreadable[:MOST_SHOWN]:
        remark(f"warning: left out: {text}")
    if (more := len(labelled.unreadable) - MOST_SHOWN) > 0:
        remark(f"warning: left out: {counted(more, 'more image')} that cannot be read")
    row = {
        "num_images": labelled.counts.num_images,
        "num_boxes": labelled.counts.num_objects,
        "num_without_boxes": labelled.num_empty,
        "num_unreadable": len(labelled.unreadable),
    }
    show({"out": str(out), **row, "review": str(out / REVIEW_FILE)}, table([row]), json)
    order = f"correct the images in the order of {out / REVIEW_FILE}"
    remark(f"wrote {out}; {order}, then: seyolo train --data {out}")


def _detector(model: str, options: LabelOptions, images: list[Path]) -> Detector:
    """Opens the model; raises UsageError for one that names no classes."""
    names = [str(image) for image in images]
    work = Work(len(images), samples=lambda: sample_images(names), takes_beside=True)
    backend, _ = open_running(
        model,
        options,
        work,
        remark,
        runtime=options.runtime,
        threads=options.threads,
        device=options.device,
    )
    if is_default(backend.names):
        raise UsageError(f"{model}: names no classes, which labels need; give them with --names FILE")
    tiling = options.tiling(backend.input_size)
    return Detector(backend, confidence=options.confidence, iou_threshold=options.iou, tiling=tiling)
