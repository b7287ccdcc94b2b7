"""Evaluation of the networks of a run on every split but `train`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from seyolo.data.datasets import Dataset
from seyolo.evaluation.evaluate import Judgement, judge_splits
from seyolo.progress import Advance, Progress
from seyolo.runtime.protocol import Backend
from seyolo.torchnet.build import DarknetModel

EVALUATION_BATCH = 32


@dataclass(frozen=True)
class _Titled:
    """Progress whose tasks all have one title."""

    progress: Progress
    title: str

    def message(self, text: str) -> None:
        self.progress.message(text)

    def task(self, title: str, total: int | None) -> AbstractContextManager[Advance]:
        del title
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
