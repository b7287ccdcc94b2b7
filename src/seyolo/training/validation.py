"""Validation during training: AP on every validation split, divided among the processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from seyolo.data.datasets import Dataset
from seyolo.errors import DataError
from seyolo.evaluation.curves import detection_curves
from seyolo.evaluation.evaluate import Judged, class_results, judged, metrics_of
from seyolo.torchnet.build import DarknetModel
from seyolo.training.distributed import Team

EVALUATION_BATCH = 32


def validation_splits(dataset: Dataset) -> list[str]:
    """Returns the splits for choosing checkpoints: `val` and others whose name starts with it."""
    return sorted(name for name in dataset.splits if name.startswith("val"))


class Validation:
    """Evaluation on the splits for choosing checkpoints; on the leader `curves` holds the last curves."""

    def __init__(self, dataset: Dataset, size_hw: tuple[int, int], team: Team) -> None:
        self.samples = {name: dataset.split(name) for name in validation_splits(dataset)}
        if not self.samples:
            raise DataError(f"{dataset.source}: training needs a `val` split to choose the best checkpoint")
        self._size_hw, self._team = size_hw, team
        self.curves: dict[str, Any] = {}

    def evaluate(self, model: DarknetModel) -> dict[str, float]:
        """Returns AP and AP@0.5 of every split and their mean AP as `ap` on the leader, else nothing."""
        row: dict[str, float] = {}
        for name, samples in self.samples.items():
            # The batches of every share are those of one process alone.
            share = self._team.block_of(samples, EVALUATION_BATCH)
            parts = self._team.gather(judged(model, share, self._size_hw, batch_size=EVALUATION_BATCH))
            if self._team.is_leader:
                whole = Judged(*([*chain(*column)] for column in zip(*parts, strict=True)))
                row |= self._score(name, whole, model.names)
        if self._team.is_leader:
            row["ap"] = sum(row[f"{name}_ap"] for name in self.samples) / len(self.samples)
        return row

    def _score(self, split: str, judged: Judged, names: Sequence[str]) -> dict[str, float]:
        """Returns AP and AP@0.5 of a split and stores its curves."""
        metrics = metrics_of({split: judged}, names)[split]
        curves = detection_curves(judged.truths, judged.found, len(names))
        assert curves is not None  # a validation split without labels was refused
        self.curves[split] = replace(curves, classes=class_results(metrics, judged)).to_dict()
        return {f"{split}_ap": metrics.ap, f"{split}_ap50": metrics.ap50}
