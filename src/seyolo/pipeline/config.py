"""What a slimming run is asked for, and what each of its training stages makes of that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from seyolo.pruning.options import PlanOptions
from seyolo.training.loop import TrainConfig
from seyolo.training.prepare import Attention
from seyolo.training.sparsity import PUBLISHED_STRENGTH, Schedule

DENSE_EPOCHS = 30
STEERED_STRENGTH = 0.2
SLIM_CUT = PlanOptions(blocks=False, tied="max")
Repair = Literal["reconstruct", "recalibrate", "none"]
SparsityMethod = Literal["steered", "proximal", "l1", "group"]


@dataclass(frozen=True)
class SlimConfig:
    """What `slim` is asked for.

    Attributes:
        epochs: of the dense stage; the sparse and the fine-tuning stage follow in proportion unless set, and
            without a dense stage they are what they are beside the usual one.
        one_schedule: the learning rate falls once over all stages instead of anew in each.
        sparsity: how sparsity training pushes, of strength `strength` (0.2 steered, else 0.01) and, unless
            steered, by `schedule`.
        scales_rate: learning rate of the scales in sparsity training, as a multiple of that of kernels.
        rounds: in how many steps steered sparsity training tightens the budget.
        cut: what decides which channels go.
        repair: follows the cut, see `pipeline.repair.repair_on`.
        distill: how much the dense network counts as a teacher in fine-tuning, beside labels that count 1.
        train: further fields of `TrainConfig` for every stage.
    """

    data: str
    model: str = "yolov3@0.25"
    weights: str | None = None
    attention: Attention | None = None
    budget: tuple[str, ...] = ("macs=30%",)
    size_px: int = 416
    epochs: int = DENSE_EPOCHS
    sparse_epochs: int | None = None
    finetune_epochs: int | None = None
    finetune: bool = True
    one_schedule: bool = False
    batch_size: int = 16
    learning_rate: float = 1.5e-3
    sparsity: SparsityMethod = "steered"
    strength: float | None = None
    schedule: Schedule = "constant"
    scales_rate: float = 1.0
    rounds: int = 1
    cut: PlanOptions = SLIM_CUT
    repair: Repair = "recalibrate"
    distill: float = 0.0
    seed: int = 0
    device: str = "cpu"
    train: dict[str, Any] = field(default_factory=dict)

    def stage_epochs(self) -> dict[str, int]:
        """Epochs of each training stage in order."""
        usual = self.epochs or DENSE_EPOCHS
        sparse = self.sparse_epochs if self.sparse_epochs is not None else max(1, round(usual / 3))
        tune = self.finetune_epochs if self.finetune_epochs is not None else max(1, round(usual * 1.4))
        return {"dense": self.epochs, "sparse": sparse, "finetuned": tune if self.finetune else 0}

    def train_config(self, stage: str) -> TrainConfig:
        """The settings of a stage; the later ones start from trained weights, so with a lower rate."""
        factor = 1.0 if self.one_schedule or stage == "dense" else 0.67
        return TrainConfig(
            epochs=self.stage_epochs()[stage],
            batch_size=self.batch_size,
            size_px=self.size_px,
            learning_rate=self.learning_rate * factor,
            scales_rate=self.scales_rate if stage == "sparse" else 1.0,
            span=self._span(stage) if self.one_schedule else (0.0, 1.0),
            seed=self.seed + list(self.stage_epochs()).index(stage),
            device=self.device,
            **self.train,
        )

    def sparsity_strength(self) -> float:
        """The strength of sparsity training."""
        if self.strength is not None:
            return self.strength
        return STEERED_STRENGTH if self.sparsity == "steered" else PUBLISHED_STRENGTH

    def _span(self, stage: str) -> tuple[float, float]:
        """The share of all epochs before a stage and after it."""
        epochs = self.stage_epochs()
        before = sum(list(epochs.values())[: list(epochs).index(stage)])
        total = max(1, sum(epochs.values()))
        return before / total, (before + epochs[stage]) / total
