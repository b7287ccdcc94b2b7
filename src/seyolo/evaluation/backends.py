"""AP of a runtime backend on a data set; needs faster-coco-eval, but no PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seyolo.data.datasets import Dataset, load_dataset
from seyolo.progress import Progress
from seyolo.runtime.choice import needing
from seyolo.runtime.protocol import Backend, require_size
from seyolo.sizes import InputSize

if TYPE_CHECKING:
    from seyolo.evaluation.ap import Metrics


def evaluate_backend(
    backend: Backend,
    data: str | Path | Dataset,
    split: str | None = None,
    *,
    size: InputSize | None = None,
    progress: Progress | None = None,
) -> dict[str, Metrics]:
    """Returns COCO AP by split, as `seyolo.evaluate` does.

    Raises:
        BackendError: faster-coco-eval is not installed.
        UsageError: another size than the model's own.
        DataError: no class in common, or no such split.
    """
    with needing("faster_coco_eval", "AP", "faster-coco-eval", title="faster-coco-eval"):
        # Not part of the base install.
        from seyolo.evaluation.evaluate import judge_splits, metrics_of  # noqa: PLC0415
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    judgement = judge_splits(backend, dataset, split, require_size(backend, size), progress)
    return metrics_of(judgement, dataset.names)
