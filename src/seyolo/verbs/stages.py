"""Configuration and estimated time of each training stage of `slim`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from seyolo.data.datasets import Dataset
from seyolo.exporting.quantize import USUAL_IMAGES
from seyolo.letterbox import Fit
from seyolo.options.slim import SlimOptions
from seyolo.options.training import USUAL_LR
from seyolo.progress import Progress
from seyolo.pruning.importance.obs import num_images
from seyolo.sizes import USUAL_SIZE
from seyolo.torchnet.build import DarknetModel
from seyolo.training.config import TrainConfig
from seyolo.training.run_folder import RESULTS_FILE, num_rows
from seyolo.training.sparsity import PUBLISHED_STRENGTH, strength_of_reach
from seyolo.training.step import measure_step_seconds
from seyolo.verbs.announce import EVALUATION_SHARE, training_seconds
from seyolo.verbs.calibration import CalibrationSet
from seyolo.verbs.readiness import validation_images

STEERED_STRENGTH = 0.2
FAST_SCALES = 10.0
ANEW_SHARE = 0.67  # of the learning rate, with which a schedule starts anew on a trained network
RESULTS_S = 20.0  # float files, intervals and report; 6 s of processor time, 18 s beside other work
# Processor time for an image, by that of a training step for it; measured on two small networks, see below.
PLANNED, REPAIRED = 1.8, 1.3  # importance `obs` with the plan (1.3 and 2.4), reconstruction (0.9 and 1.7)
QUANTIZED, TIMED = 3.4, 40.0  # int8, on each image; latency of a network in all (38 and 48)
TEACHER_SHARE = 0.25  # time of the teacher's forward pass / of a training step of the dense network


def stage_config(options: SlimOptions, stage: str) -> TrainConfig:
    """Returns the configuration of the stage `dense`, `sparse` or `finetuned`."""
    peak = USUAL_LR if options.lr == "auto" else options.lr
    is_anew = stage != "dense" and not options.is_early()
    return TrainConfig.of(
        options,
        epochs=options.stage_epochs()[stage],
        size=options.size or USUAL_SIZE,
        lr=peak * (ANEW_SHARE if is_anew else 1.0),
        scales_rate=_scales_rate(options) if stage == "sparse" else 1.0,
        span=(0.0, 1.0) if stage == "dense" else _span(options, stage),
        snapshot_epoch=options.branch() if stage == "dense" and options.is_early() else None,
        freeze=options.freeze if stage == "dense" else 0,
        start_counts=stage == "finetuned",
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
    model: DarknetModel, dataset: Dataset, options: SlimOptions, kept_share: float, progress: Progress
) -> dict[str, float]:
    """Estimates the seconds of each part of a run in order, from a few measured steps of the dense network.

    Parts are the training stages, `planning` (plan, cut and repair), `results`, and those of the controls. A
    step of a network pruned to `kept_share` of the MACs is estimated to take the square root of that share:
    memory traffic shrinks with the width, arithmetic with its square.
    """
    step_s = measure_step_seconds(model, dataset, stage_config(options, "dense"), progress)
    configs = {name: stage_config(options, name) for name in options.stage_epochs()}
    slim = kept_share**0.5
    # Seconds of a pruned step / of a dense one: sqrt(kept MACs / MACs), and the teacher's forward pass.
    factors = {"dense": 1.0, "sparse": 1.0, "finetuned": slim + (TEACHER_SHARE if options.distill else 0.0)}
    trained = {
        name: factors[name] * training_seconds(config, dataset, step_s) for name, config in configs.items()
    }
    finetuned, image_s = trained.pop("finetuned"), step_s / configs["dense"].batch
    planned_s = image_s * _planned_images(model, dataset, options)
    trained |= {"planning": planned_s, "finetuned": finetuned}
    tested = [dataset.split(name) for name in dataset.splits if name != "train"]
    judged = sum(map(len, tested)) * EVALUATION_SHARE + TIMED
    quantized = QUANTIZED * min(USUAL_IMAGES, len(dataset.split("train")))
    results = RESULTS_S + image_s * ((2 + 3 * slim) * judged + slim * quantized)  # 3: pruned, slim and int8
    whole = replace(configs["dense"], epochs=options.epochs_seen()["finetuned"])
    whole_s = training_seconds(whole, dataset, step_s)
    return trained | {"results": results} | _control_seconds(options, whole_s, trained, slim)


def _planned_images(model: DarknetModel, dataset: Dataset, options: SlimOptions) -> float:
    """Returns the images that plan, cut and repair are worth in training steps."""
    images = CalibrationSet(dataset, Fit.of(model.network.net), options.seed)
    is_steered = options.sparsity == "steered" and options.stage_epochs()["sparse"] > 0
    measures = options.plan_options().importance in (None, "obs")
    planned = PLANNED * images.num_images(num_images(model.network)) * (options.rounds if is_steered else 1)
    repaired = REPAIRED * images.num_images() * (options.repair == "reconstruct")
    return measures * planned + repaired + 2 * EVALUATION_SHARE * len(validation_images(dataset))


def _control_seconds(
    options: SlimOptions, whole_s: float, trained: Mapping[str, float], slim: float
) -> dict[str, float]:
    """Estimates the seconds of the controls; a dense network trains in `whole_s` on as many images."""
    found: dict[str, float] = {}
    for name in options.chosen_controls():
        if name in ("random", "plain"):
            found |= {f"{name} {stage}": trained[stage] for stage in ("sparse", "planning", "finetuned")}
        elif name in ("dense", "int8"):
            is_trained = options.dense_epochs() == options.epochs_seen()["finetuned"]
            found["dense control"] = 0.0 if is_trained else whole_s
        else:
            found[f"{name} control"] = whole_s * slim
    return found


def done_share(folder: Path, epochs: int) -> float:
    """Returns the share of the epochs that a training stage has finished, by its results.csv."""
    path = folder / RESULTS_FILE
    return min(1.0, max(0, num_rows(path)) / epochs) if epochs else 0.0
