"""Function behind `seyolo data label`; it needs no PyTorch for an exported model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from seyolo.class_names import is_default
from seyolo.data import labelling
from seyolo.data.convert import Target, check_format
from seyolo.data.labelling import Labelled
from seyolo.data.rounds import choose, earlier_rounds
from seyolo.detecting.work import sample_images
from seyolo.detector import Detector
from seyolo.errors import UsageError
from seyolo.media.images import find_images
from seyolo.opening.running import Work, open_running
from seyolo.options.label import LabelOptions
from seyolo.progress import Progress, shown_progress

DEFAULTS = LabelOptions()
_LOGGER = logging.getLogger(__name__)


def label_images(
    model: str | Path,
    pictures: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    to: Target = "yolo",
    options: LabelOptions = DEFAULTS,
    overwrite: bool = False,
    progress: Progress | bool | None = True,
) -> Labelled:
    """Labels images with a model: a data set to correct and train on, the doubtful images listed first.

    Args:
        model: a shipped detector, an exported file, a checkpoint, or a `.cfg` with its weights.
        pictures: images, folders of images, or patterns such as `photos/**/*.jpg`.
        out: a folder that does not exist yet, or that of an earlier round in YOLO, whose labels are kept;
            images are hard links where the system makes them, else copies.
        to: `yolo`, `coco` or `voc`.
        options: confidence threshold, classes, runtime and tiles.
        overwrite: labels images again that have labels, in `out` or in files of their own; those in `out` are
            replaced. By default they are left out.
        progress: True shows it as the command line does, or in a notebook; False does not; or a receiver.

    Returns:
        Counts, and a message for each image that was left out.

    Raises:
        DataError: no image without labels, none that can be read, or `out` is another folder with files.
        UsageError: a model whose classes have no names.

    Example:
        >>> seyolo.api.label_images("hand", "hands/images/test", "round1", overwrite=True).counts.num_images
        2
    """
    check_format(to)
    folder = Path(out)
    earlier = earlier_rounds(folder, to)
    found = find_images([pictures] if isinstance(pictures, str | Path) else pictures)
    chosen = choose(found, earlier, folder, overwrite=overwrite)
    if chosen.remark:
        _LOGGER.info("%s", chosen.remark)
    labelled = labelling.label_images(
        _detector(str(model), options, chosen.images),
        chosen.images,
        folder,
        to,
        shown_progress(progress),
        earlier=earlier,
        there=chosen.there,
    )
    return labelled._replace(num_kept=chosen.num_kept, num_beside=chosen.num_beside)


def _detector(model: str, options: LabelOptions, images: Sequence[Path]) -> Detector:
    """Opens the model; raises UsageError for one that names no classes."""
    names = [str(image) for image in images]
    work = Work(len(images), samples=lambda: sample_images(names), takes_beside=True)
    backend, _ = open_running(model, options, work, _LOGGER.info)
    if is_default(backend.names):
        raise UsageError(f"{model}: names no classes, which labels need; give them with --names FILE")
    tiling = options.tiling(backend.input_size)
    return Detector(backend, confidence=options.confidence, iou_threshold=options.iou, tiling=tiling)
