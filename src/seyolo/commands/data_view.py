"""`seyolo data view`: a data set on one page."""

from __future__ import annotations

from pathlib import Path

from seyolo.commands.output import print_readable, remark
from seyolo.data.datasets import load_dataset
from seyolo.options.parameters import Size
from seyolo.report.pages.data import PAGE_FILE
from seyolo.sizes import USUAL_SIZE
from seyolo.verbs.data_view import view_dataset


def view(
    data: Path, /, *, out: Path = Path(PAGE_FILE), images: int = 12, seed: int = 0, size: Size = None
) -> None:
    """Write a data set as one page: labelled images, classes, sizes, smallest boxes and near-duplicates.

    The page is one HTML file that loads nothing. It also lists what data check finds.

    Args:
        data: a data set as it is: folder, archive, data.yaml, Darknet .data or COCO .json.
        out: the page, a file .html.
        images: labelled images to show of each split, drawn at random.
        seed: the same seed shows the same images.
        size: input in pixels that boxes are measured in: 416, or 416x256 (width x height) [default: 416].
    """
    dataset = load_dataset(data)
    for line in (*dataset.described(), *dataset.unlabelled()):
        remark(line)
    print_readable(str(view_dataset(dataset, out, images=images, seed=seed, size=size or USUAL_SIZE)))
