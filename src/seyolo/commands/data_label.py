"""`seyolo data label`: images labelled by a model, to correct and train on."""

from __future__ import annotations

from pathlib import Path

from seyolo.commands.output import Json, check_target, remark, show, table
from seyolo.data.convert import Target
from seyolo.data.rounds import REVIEW_FILE
from seyolo.errors import counted
from seyolo.options.label import LabelOptions
from seyolo.options.parameters import Flag
from seyolo.verbs.data_label import DEFAULTS, label_images

MOST_SHOWN = 3


def label(
    model: str,
    pictures: str,
    out: Path,
    /,
    *,
    to: Target = "yolo",
    options: LabelOptions = DEFAULTS,
    overwrite: Flag = False,
    json: Json = None,
) -> None:
    """Label images with a model, the doubtful ones listed first, to correct and train on.

    OUT is a data set with one split, train: the images as hard links where the system makes them, else
    copies, and a label for each, empty without a box. review.csv lists the images in the order in which to
    correct them. In YOLO further images may be added to OUT; labels that are there are kept.

    Args:
        model: as in detect: hand, an exported file, a checkpoint, or a .cfg with its weights.
        pictures: an image, a folder of images, or a pattern such as 'photos/**/*.jpg'.
        out: a folder that does not exist yet, or that of an earlier round.
        to: the format.
        overwrite: label images again that have labels, in OUT, where they are replaced, or in files of their
            own; by default they are left out.
        json: write the counts here as JSON, too; - is stdout.
    """
    check_target(json)
    labelled = label_images(model, pictures, out, to=to, options=options, overwrite=overwrite)
    for text in labelled.unreadable[:MOST_SHOWN]:
        remark(f"warning: left out: {text}")
    if (more := len(labelled.unreadable) - MOST_SHOWN) > 0:
        remark(f"warning: left out: {counted(more, 'more image')} that cannot be read")
    num_images = labelled.counts.num_images
    row = {
        "num_images": num_images,
        "num_boxes": labelled.counts.num_objects,
        "num_without_boxes": labelled.num_empty,
        "num_unreadable": len(labelled.unreadable),
    }
    value = {**row, "num_kept": labelled.num_kept, "num_in_all": labelled.num_in_all}
    show({"out": str(out), **value, "review": str(out / REVIEW_FILE)}, table([row]), json)
    is_first = labelled.num_in_all == num_images
    done = f"wrote {out}" if is_first else f"{out} has {counted(labelled.num_in_all, 'image')} now"
    remark(f"{done}; correct the images in the order of {out / REVIEW_FILE}, then: seyolo train --data {out}")
    if to == "yolo" and labelled.num_beside:
        those, own = "images that have labels of their own", "train: [images/train, ../own/images/train]"
        way = f"move them and their labels into a folder, and add it in {out / 'data.yaml'}: {own}"
        remark(f"to train on {those}, too, {way}")
        remark(f"move {those} alone: one that is in {out}, too, would count twice, once as without objects")
