"""`evaluate` and the Oxford protocols: a MODEL on the splits of a data set."""

from __future__ import annotations

import warnings
from pathlib import Path

from seyolo.api.opening import input_size, open_model
from seyolo.data.datasets import Dataset, Sample, load_dataset
from seyolo.errors import DataError
from seyolo.evaluation.ap import Metrics, average_precision
from seyolo.evaluation.evaluate import Judgement, judged
from seyolo.evaluation.oxford import BOXES_FILE, oxford_metrics
from seyolo.model_file import default_names
from seyolo.network.build import DarknetModel
from seyolo.progress import Progress
from seyolo.report.train_report import write_validation
from seyolo.runtime.backend import Backend


def evaluate(
    model: str | Path | DarknetModel | Backend,
    data: str | Path | Dataset,
    split: str | None = None,
    *,
    size: int | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Metrics]:
    """COCO AP of a model on the named split, or on every split but `train`.

    Args:
        model: a MODEL with weights, or one that is open already.
        data: a `data.yaml`, Darknet `.data`, COCO `.json` or VOC folder.
        split: its name; None for all but `train`.
        size: side of the square input in pixels, by default the model's own.
        out: a folder for curves, and for pictures with what is labelled and found.
        progress: where to tell how far it is.
    """
    detector = open_model(model) if isinstance(model, str | Path) else model
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    judgement = _judge(detector, dataset, split, size=size, out=out, progress=progress)
    num_classes = len(detector.names)
    return {name: average_precision(*judged, num_classes) for name, judged in judgement.items()}


def evaluate_oxford(
    model: DarknetModel | Backend,
    data: str | Path | Dataset,
    split: str | None = None,
    *,
    size: int | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, Metrics]]:
    """AP by the Oxford Hand protocols, `all` and `official`, per split; arguments as in `evaluate`."""
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    judgement = _judge(model, dataset, split, size=size, out=out, progress=progress)
    table = dataset.source.parent / BOXES_FILE
    return {name: oxford_metrics(dataset.split(name), found, table) for name, (_, found) in judgement.items()}


def _judge(
    model: DarknetModel | Backend,
    dataset: Dataset,
    split: str | None,
    *,
    size: int | None,
    out: str | Path | None,
    progress: Progress | None,
) -> Judgement:
    _check_classes(model, dataset)
    size_hw = input_size(model, size)
    judgement = {
        name: judged(model, samples, size_hw, progress=progress)
        for name, samples in _chosen_splits(dataset, split).items()
    }
    if out is not None:
        write_validation(Path(out), dataset, judgement)
    return judgement


def _check_classes(model: DarknetModel | Backend, dataset: Dataset) -> None:
    """Refuses data of other classes than the model's, and warns where only the names differ.

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
        warnings.warn(f"{dataset.source}: calls {theirs!r} what the model calls {mine!r}", stacklevel=3)


def _chosen_splits(dataset: Dataset, split: str | None) -> dict[str, list[Sample]]:
    names = [name for name in dataset.splits if name != "train"] if split is None else [split]
    return {name: dataset.split(name) for name in names or ["train"]}
