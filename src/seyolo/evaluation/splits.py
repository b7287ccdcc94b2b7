"""Evaluation of a model on the splits of a data set; a backend needs no PyTorch."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from seyolo.checkpoint import default_names
from seyolo.data.datasets import Dataset, Sample
from seyolo.errors import DataError
from seyolo.evaluation.ap import Metrics, average_precision
from seyolo.evaluation.evaluate import Judgement, judged
from seyolo.progress import Progress
from seyolo.runtime.protocol import Backend

if TYPE_CHECKING:
    from seyolo.torchnet.build import DarknetModel


def judge_splits(
    model: DarknetModel | Backend,
    dataset: Dataset,
    split: str | None,
    size_hw: tuple[int, int],
    progress: Progress | None = None,
) -> Judgement:
    """Returns ground truth and detections of the named split, or of every split but `train`.

    Args:
        model: a network or a runtime backend.
        dataset: of the same number of classes.
        split: its name; None for all but `train`.
        size_hw: height and width of the input in pixels.
        progress: updated after every batch.

    Raises:
        DataError: another number of classes, or no such split.
    """
    check_classes(model, dataset)
    return {
        name: judged(model, samples, size_hw, progress=progress)
        for name, samples in chosen_splits(dataset, split).items()
    }


def metrics_of(judgement: Judgement, num_classes: int) -> dict[str, Metrics]:
    """Returns COCO AP by split."""
    return {name: average_precision(*pair, num_classes) for name, pair in judgement.items()}


def check_classes(model: DarknetModel | Backend, dataset: Dataset) -> None:
    """Refuses a data set with another number of classes, and warns where the class names differ.

    Raises:
        DataError: another number of classes.
    """
    if len(model.names) != len(dataset.names):
        raise DataError(
            f"{dataset.source}: has {len(dataset.names)} classes ({', '.join(dataset.names[:5])}), "
            f"the model {len(model.names)} ({', '.join(model.names[:5])})"
        )
    numbered = tuple(model.names) == default_names(len(model.names))
    if not numbered and tuple(model.names) != tuple(dataset.names):
        pairs = zip(model.names, dataset.names, strict=True)
        mine, theirs = next(pair for pair in pairs if pair[0] != pair[1])
        warnings.warn(f"{dataset.source}: calls {theirs!r} what the model calls {mine!r}", stacklevel=4)


def chosen_splits(dataset: Dataset, split: str | None) -> dict[str, list[Sample]]:
    """Returns the split of that name, or all but `train`; `train` if there is no other."""
    names = [name for name in dataset.splits if name != "train"] if split is None else [split]
    return {name: dataset.split(name) for name in names or ["train"]}
