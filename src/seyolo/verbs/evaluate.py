"""`evaluate` and the Oxford protocols: a MODEL on the splits of a data set; networks of a run on theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from seyolo.data.datasets import Dataset, load_dataset
from seyolo.evaluation.ap import Metrics
from seyolo.evaluation.evaluate import Judgement
from seyolo.evaluation.oxford import BOXES_FILE, oxford_metrics
from seyolo.evaluation.splits import judge_splits, metrics_of
from seyolo.opening.model import input_size, open_model
from seyolo.progress import Advance, Progress
from seyolo.report.figures.train_run import write_validation_figures
from seyolo.runtime.choice import is_exported, open_backend
from seyolo.runtime.protocol import Backend
from seyolo.torchnet.build import DarknetModel


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
        model: a MODEL with weights, one that is run as it is among them, or one that is open already.
        data: a `data.yaml`, Darknet `.data`, COCO `.json` or VOC folder.
        split: its name; None for all but `train`.
        size: side of the square input in pixels, by default the model's own.
        out: a folder for curves, and for images with what is labelled and found.
        progress: where to tell how far it is.
    """
    detector = _opened(model) if isinstance(model, str | Path) else model
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    judgement = _judge(detector, dataset, split, size=size, out=out, progress=progress)
    return metrics_of(judgement, len(detector.names))


def _opened(model: str | Path) -> DarknetModel | Backend:
    return open_backend(model) if is_exported(model) else open_model(model)


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
    judgement = judge_splits(model, dataset, split, input_size(model, size), progress)
    if out is not None:
        write_validation_figures(Path(out), dataset, judgement)
    return judgement


EVALUATION_BATCH = 32


@dataclass(frozen=True)
class _Titled:
    """Progress whose tasks all have one title."""

    progress: Progress
    title: str

    def message(self, text: str) -> None:
        self.progress.message(text)

    def task(self, title: str, total: int | None) -> AbstractContextManager[Advance]:
        return self.progress.task(self.title, total)


def judge(
    model: DarknetModel | Backend,
    dataset: Dataset,
    size: int,
    *,
    device: str,
    progress: Progress,
    title: str = "evaluating",
) -> Judgement:
    """Returns labels and detections of every split but `train`.

    Args:
        model: a network, which runs on `device`, or a runtime backend, which runs where it was opened.
        dataset: of the same classes.
        size: side of the square input in pixels.
        device: `cpu`, `cuda` or `cuda:N`.
        progress: receives a task per split.
        title: of these tasks.
    """
    networks = [model] if isinstance(model, DarknetModel) else []
    batch = EVALUATION_BATCH if networks else 1
    with on_device(device, *networks):
        return judge_splits(model, dataset, None, (size, size), _Titled(progress, title), batch=batch)


@contextmanager
def on_device(device: str, *models: DarknetModel) -> Iterator[None]:
    """Moves models to a device for the block, and back to the CPU after it."""
    try:
        for model in models:
            model.to(device)
        yield
    finally:
        for model in models:
            model.cpu()
