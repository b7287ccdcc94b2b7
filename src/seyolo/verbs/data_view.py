"""Function behind `seyolo data view`."""

from __future__ import annotations

from pathlib import Path

from seyolo.data.datasets import Dataset, load_dataset
from seyolo.progress import Progress, shown_progress
from seyolo.report.pages.data import NUM_IMAGES, PAGE_FILE, ViewOptions, write_data_page
from seyolo.sizes import USUAL_SIZE, InputSize


def view_dataset(
    data: str | Path | Dataset,
    out: str | Path = PAGE_FILE,
    *,
    images: int = NUM_IMAGES,
    seed: int = 0,
    size: InputSize = USUAL_SIZE,
    progress: Progress | bool | None = True,
) -> Path:
    """Writes a data set as one page, an HTML file that loads nothing; returns its path.

    Args:
        data: a data set as it is: a folder, an archive, or the file that describes it.
        out: the page, a file .html.
        images: labelled images to show of each split, drawn at random.
        seed: the same seed shows the same images.
        size: of the input that boxes are measured in, pixels: the side of a square or (height, width).
        progress: True shows it as the command line does, or in a notebook; False does not; or a receiver.

    Raises:
        DataError: none of the images can be read.
        UsageError: a value out of range, or another ending.

    Example:
        >>> seyolo.api.view_dataset("hands/data.yaml", "hands.html").name
        'hands.html'
    """
    options = ViewOptions(images, seed, size)
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    return write_data_page(dataset, Path(out), options, shown_progress(progress))
