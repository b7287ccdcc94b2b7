"""Configuration and estimated time of each training stage of `slim`."""

from __future__ import annotations

from seyolo.data.datasets import Dataset
from seyolo.data.tiles import training_samples
from seyolo.options.slim import SlimOptions
from seyolo.sizes import USUAL_SIZE
from seyolo.torchnet.build import DarknetModel
from seyolo.training.config import TrainConfig
from seyolo.training.sparsity import PUBLISHED_STRENGTH, strength_of_reach
from seyolo.training.step import measure_step_seconds

STEERED_STRENGTH = 0.2
FAST_SCALES = 10.0
ANEW_SHARE = 0.67  # of the learning rate, with which a schedule starts anew on a trained network
TEACHER_SHARE = 0.25  # time of the teacher's forward pass / of a training step of the dense network


def stage_config(options: SlimOptions, stage: str) -> TrainConfig:
    """Returns the configuration of the stage `dense`, `sparse` or `finetuned`."""
    is_anew = stage != "dense" and not options.is_early()
    return TrainConfig.of(
        options,
        epochs=options.stage_epochs()[stage],
        size=options.size or USUAL_SIZE,
        lr=options.lr * (ANEW_SHARE if is_anew else 1.0),
        scales_rate=_scales_rate(options) if stage == "sparse" else 1.0,
        span=(0.0, 1.0) if stage == "dense" else _span(options, stage),
        snapshot_epoch=options.branch() if stage == "dense" and options.is_early() else None,
        seed=options.seed + list(options.stage_epochs()).index(stage),
    )


def strength(options: SlimOptions, steps_per_epoch: int) -> float:
    """Returns the strength of sparsity training, where an epoch has so many steps."""
    if options.s is not None:
        return options.s
    if options.sparsity in ("steered", "l1"):
        return STEERED_STRENGTH if options.sparsity == "steered" else PUBLISHED_STRENGTH
    config = stage_config(options, "sparse")
    steps = range(config.epochs * steps_per_epoch)
    return strength_of_reach(config.scales_rate * config.rate_at(step, steps_per_epoch) for step in steps)


def _scales_rate(options: SlimOptions) -> float:
    if options.scales_rate is not None:
        return options.scales_rate
    return FAST_SCALES if options.sparsity in ("group", "proximal") else 1.0


def _span(options: SlimOptions, stage: str) -> tuple[float, float]:
    """Returns the shares of the slim network's schedule at which a stage starts and ends."""
    stages = options.stage_epochs()
    before = options.branch() if options.is_early() else 0
    total = max(1, before + stages["sparse"] + stages["finetuned"])
    start = before + (stages["sparse"] if stage == "finetuned" else 0)
    return start / total, (start + stages[stage]) / total


def estimate_seconds(
    model: DarknetModel, dataset: Dataset, options: SlimOptions, kept_share: float
) -> dict[str, float]:
    """Estimates the seconds of each training stage from a few measured steps of the dense network.

    A step of a network pruned to `kept_share` of the MACs is estimated to take the square root of that share:
    memory traffic shrinks with the width, arithmetic with its square.
    """
    step = measure_step_seconds(model, dataset, stage_config(options, "dense"))
    epochs = options.stage_epochs()
    per_epoch = step * len(training_samples(dataset)) / options.batch
    teacher = TEACHER_SHARE if options.distill else 0.0
    # Seconds of a pruned step / of a dense one: sqrt(kept MACs / MACs), and the teacher's forward pass.
    factors = {"dense": 1.0, "sparse": 1.0, "finetuned": kept_share**0.5 + teacher}
    return {name: per_epoch * epochs[name] * factors[name] for name in epochs}
