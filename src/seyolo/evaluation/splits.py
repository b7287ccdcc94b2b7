"""Evaluation of a model on the splits of a data set: detections, AP, and AP differences.

A runtime backend needs no PyTorch here.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from seyolo.checkpoint import default_names
from seyolo.data.datasets import Dataset, Sample
from seyolo.errors import DataError
from seyolo.evaluation.ap import Metrics, average_precision
from seyolo.evaluation.bootstrap import bootstrap_difference
from seyolo.evaluation.curves import Curves, detection_curves
from seyolo.evaluation.evaluate import Judgement, judged
from seyolo.progress import Progress
from seyolo.results import Difference, SplitMetrics
from seyolo.runtime.protocol import Backend

if TYPE_CHECKING:
    from seyolo.torchnet.build import DarknetModel


def judge_splits(
    model: DarknetModel | Backend,
    dataset: Dataset,
    split: str | None,
    size_hw: tuple[int, int],
    progress: Progress | None = None,
    *,
    batch: int = 16,
) -> Judgement:
    """Returns ground truth and detections of the named split, or of every split but `train`.

    Args:
        model: a network or a runtime backend.
        dataset: of the same number of classes.
        split: its name; None for all but `train`.
        size_hw: height and width of the input in pixels.
        progress: updated after every batch.
        batch: images at a time.

    Raises:
        DataError: another number of classes, or no such split.
    """
    check_classes(model, dataset)
    return {
        name: judged(model, samples, size_hw, batch_size=batch, progress=progress)
        for name, samples in chosen_splits(dataset, split).items()
    }


def metrics_of(judgement: Judgement, num_classes: int) -> dict[str, Metrics]:
    """Returns COCO AP by split."""
    return {name: average_precision(*pair, num_classes) for name, pair in judgement.items()}


def split_metrics(judgement: Judgement, num_classes: int) -> dict[str, SplitMetrics]:
    """Computes AP and AP@0.5 by split, as results keep them."""
    return {name: SplitMetrics(m.ap, m.ap50) for name, m in metrics_of(judgement, num_classes).items()}


def ap_lead(first: Judgement, second: Judgement, num_classes: int) -> dict[str, Difference]:
    """Computes AP of `first` minus that of `second` with a 95 % bootstrap interval over images.

    Splits without labels are left out.
    """
    return {
        split: bootstrap_difference(truths, first[split][1], found, num_classes)
        for split, (truths, found) in second.items()
        if any(len(truth.class_ids) for truth in truths)
    }


def curves_by_split(judgement: Judgement, num_classes: int) -> dict[str, Curves]:
    """Computes precision, recall and F1 by split; splits without labels are left out."""
    curves = {split: detection_curves(*pair, num_classes) for split, pair in judgement.items()}
    return {split: found for split, found in curves.items() if found is not None}


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
        warnings.warn(f"{dataset.source}: class {theirs!r} is called {mine!r} in the model", stacklevel=4)


def chosen_splits(dataset: Dataset, split: str | None) -> dict[str, list[Sample]]:
    """Returns the split of that name, or all but `train`; `train` if there is no other."""
    names = [name for name in dataset.splits if name != "train"] if split is None else [split]
    return {name: dataset.split(name) for name in names or ["train"]}
