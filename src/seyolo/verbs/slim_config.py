"""What a slimming run is asked for, and what each of its training stages makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from seyolo.opening.description import Attention
from seyolo.options.cut import CutOptions as PlanOptions
from seyolo.training.config import TrainConfig
from seyolo.training.sparsity import PUBLISHED_STRENGTH, Schedule, strength_of_reach

RENAMED_IN_CUT: Mapping[str, str] = MappingProxyType({"importance": "method", "size_hw": "size"})
"""Options of the cut, and their names in the folder of a run."""
USUAL_EPOCHS = 30
SLIM_SHARE = 2.0
"""Epochs of the slim network for one of the dense one: at 30 % of the MACs that takes about as long."""
BRANCH_SHARE, SPARSE_SHARE = 0.06, 0.18
"""Of all epochs of the slim network: those of dense training, and those of sparsity training."""
STEERED_STRENGTH = 0.2
FAST_SCALES = 10.0
SLIM_CUT = PlanOptions(blocks=False)
Repair = Literal["reconstruct", "recalibrate", "none"]
SparsityMethod = Literal["group", "steered", "proximal", "l1"]


@dataclass(frozen=True)
class SlimConfig:
    """What `slim` is asked for.

    A slim network starts from the dense one as it was at `branch_epoch`, and sees twice as many epochs in
    all as that sees, in about the same time. Its learning rate goes on where dense training was, and falls
    once over what is left (decision 0009). A branch where dense training ends, or given weights (`epochs` 0),
    start that schedule anew, at two thirds of the rate.

    Attributes:
        epochs: of dense training; those of the slim network follow in proportion unless set.
        branch_epoch: of dense training after which slimming goes its own way.
        sparse_epochs: of sparsity training.
        finetune_epochs: after the cut.
        sparsity: how sparsity training pushes.
        strength: of it. Unless set, `group` and `proximal` take the one that moves scales by half of where
            they start from, `steered` takes 0.2 and `l1` the published 0.01.
        schedule: of the strength unless steered.
        scales_rate: learning rate of the scales in sparsity training, as a multiple of that of kernels;
            unless set, 10 for `group` and `proximal`, else 1.
        rounds: in how many steps steered sparsity training tightens the budget.
        cut: what decides which channels go. Unless set, `obs` does, or where what goes fades the scales,
            tied ones by their maximum.
        repair: follows the cut, see `verbs.calibration.repair_on`.
        distill: how much the dense network counts as a teacher in fine-tuning, beside labels that count 1.
        train: further fields of `TrainConfig` for every stage.
    """

    data: str
    model: str = "yolov3@0.25"
    weights: str | None = None
    attention: Attention | None = None
    budget: tuple[str, ...] = ("macs=30%",)
    size_px: int = 416
    epochs: int = USUAL_EPOCHS
    branch_epoch: int | None = None
    sparse_epochs: int | None = None
    finetune_epochs: int | None = None
    finetune: bool = True
    batch_size: int = 16
    learning_rate: float = 1.5e-3
    sparsity: SparsityMethod = "group"
    strength: float | None = None
    schedule: Schedule = "constant"
    scales_rate: float | None = None
    rounds: int = 1
    cut: PlanOptions = SLIM_CUT
    repair: Repair = "reconstruct"
    distill: float = 0.0
    seed: int = 0
    device: str = "cpu"
    train: dict[str, Any] = field(default_factory=dict)

    def stage_epochs(self) -> dict[str, int]:
        """Epochs of each training stage in order."""
        usual = SLIM_SHARE * (self.epochs or USUAL_EPOCHS)
        sparse = self.sparse_epochs
        if sparse is None:
            sparse = max(1, round(SPARSE_SHARE * usual))
        tune = self.finetune_epochs
        if tune is None:
            tune = max(1, round(usual) - sparse - (self.branch() if self.is_early() else 0))
        return {"dense": self.epochs, "sparse": sparse, "finetuned": tune if self.finetune else 0}

    def branch(self) -> int:
        """The epoch of dense training that slimming starts from; 0 for given weights."""
        if self.branch_epoch is not None:
            return min(self.branch_epoch, self.epochs)
        if not self.finetune or self.finetune_epochs == 0:
            return self.epochs  # what is not trained after the cut needs a network that is trained before it
        return min(self.epochs, max(1, round(BRANCH_SHARE * SLIM_SHARE * self.epochs)))

    def is_early(self) -> bool:
        """Whether slimming starts before dense training ends."""
        return self.branch() < self.epochs

    def epochs_seen(self) -> dict[str, int]:
        """How many epochs of training the network has behind it, by stage."""
        stages = self.stage_epochs()
        cut = self.branch() + stages["sparse"]
        return {"dense": self.epochs, "sparse": cut, "pruned": cut, "finetuned": cut + stages["finetuned"]}

    def train_config(self, stage: str) -> TrainConfig:
        """The settings of a stage."""
        is_anew = stage != "dense" and not self.is_early()
        return TrainConfig(
            epochs=self.stage_epochs()[stage],
            batch_size=self.batch_size,
            size_px=self.size_px,
            learning_rate=self.learning_rate * (0.67 if is_anew else 1.0),
            scales_rate=self._scales_rate() if stage == "sparse" else 1.0,
            span=(0.0, 1.0) if stage == "dense" else self._span(stage),
            snapshot_epoch=self.branch() if stage == "dense" and self.is_early() else None,
            seed=self.seed + list(self.stage_epochs()).index(stage),
            device=self.device,
            **self.train,
        )

    def sparsity_strength(self, steps_per_epoch: int) -> float:
        """The strength of sparsity training, of so many steps in an epoch."""
        if self.strength is not None:
            return self.strength
        if self.sparsity in ("steered", "l1"):
            return STEERED_STRENGTH if self.sparsity == "steered" else PUBLISHED_STRENGTH
        config = self.train_config("sparse")
        steps = range(config.epochs * steps_per_epoch)
        return strength_of_reach(config.scales_rate * config.rate_at(step, steps_per_epoch) for step in steps)

    def plan_options(self) -> PlanOptions:
        """What decides the cut, with what follows from sparsity training.

        What fades is chosen by the scales that were pressed, while training goes on.
        """
        fades = self.sparsity == "steered" and self.stage_epochs()["sparse"] > 0
        if fades and self.cut.importance in (None, "bn"):
            return replace(self.cut, importance="bn", tied=self.cut.tied or "max")
        return self.cut

    def _scales_rate(self) -> float:
        if self.scales_rate is not None:
            return self.scales_rate
        return FAST_SCALES if self.sparsity in ("group", "proximal") else 1.0

    def _span(self, stage: str) -> tuple[float, float]:
        """The share of the slim network's schedule before a stage and after it."""
        stages = self.stage_epochs()
        before = self.branch() if self.is_early() else 0
        total = max(1, before + stages["sparse"] + stages["finetuned"])
        start = before + (stages["sparse"] if stage == "finetuned" else 0)
        return start / total, (start + stages[stage]) / total


def stored(config: SlimConfig) -> dict[str, Any]:
    """Returns the settings as config.json holds them."""
    values = asdict(config)
    cut = {RENAMED_IN_CUT.get(name, name): value for name, value in values["cut"].items()}
    return values | {"cut": cut}
