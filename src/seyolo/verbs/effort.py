"""Choices of a training run that follow from machine and data: device, batch, epochs, class weights.

Where images are few, the usual batch and epochs would make too few steps for a network to learn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch

from seyolo.class_names import listed
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.data.splitting import for_training
from seyolo.data.tiles import training_samples
from seyolo.errors import UsageError
from seyolo.options.parameters import required
from seyolo.options.slim import SLIM_SHARE, SlimOptions
from seyolo.options.train import TrainOptions
from seyolo.options.training import class_weight
from seyolo.sizes import USUAL_SIZE
from seyolo.training.distributed import current_team

Options = TypeVar("Options", SlimOptions, TrainOptions)
USUAL_BATCH, SMALLEST_BATCH = 16, 8
STEPS_WANTED = 600
"""Steps of training that a small data set gets at least, by smaller batches and more epochs."""


def chosen_device(name: str) -> str:
    """Returns the device that `auto` stands for here, or the name itself."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def with_effort(options: Options, usual_epochs: int) -> Options:
    """Returns the options with the batch, the epochs and the weights of classes that fit the data.

    `usual_epochs` are those of a data set that is not small.
    """
    weights, is_anew = options.class_weights, _begins_with_sparsity(options)
    if options.batch != "auto" and options.epochs is not None and not weights and not is_anew:
        return options
    dataset = load_dataset(required(options.data, "--data"))
    if weights:
        options = replace(options, class_weights=_class_weights(dataset, weights))
    num_images = _num_images(options, dataset, USUAL_BATCH * STEPS_WANTED // usual_epochs)
    batch = chosen_batch(num_images, usual_epochs) if options.batch == "auto" else options.batch
    enough = max(usual_epochs, math.ceil(STEPS_WANTED / math.ceil(num_images / batch)))
    options = replace(options, batch=batch, epochs=enough if options.epochs is None else options.epochs)
    if isinstance(options, SlimOptions) and is_anew and enough > usual_epochs:
        return options.with_slim_epochs(round(SLIM_SHARE * enough))
    return options


def _begins_with_sparsity(options: Options) -> bool:
    """Tells whether given weights are slimmed as they are, in epochs that nobody has chosen."""
    return (
        isinstance(options, SlimOptions)
        and options.epochs == 0
        and options.finetune
        and options.sparse_epochs is None
        and options.finetune_epochs is None
    )


def chosen_batch(num_images: int, usual_epochs: int) -> int:
    """Returns the images of a step: the usual number, or fewer where that makes few steps."""
    is_small = usual_epochs * math.ceil(num_images / USUAL_BATCH) < STEPS_WANTED
    team_size = current_team().size
    return math.ceil((SMALLEST_BATCH if is_small else USUAL_BATCH) / team_size) * team_size


def _num_images(options: SlimOptions | TrainOptions, dataset: Dataset, enough: int) -> int:
    """Counts the images, or tiles, that are trained on; of many images, it counts the files."""
    count = max(len(dataset.listed(split).images) for split in dataset.splits)
    if "train" in dataset.splits:
        count = len(dataset.listed("train").images)
    if count * 0.8 > enough:
        return count
    dataset, _ = for_training(dataset, options.seed, {})
    return len(training_samples(dataset.tiled(options.tiling(options.size or USUAL_SIZE))))


def _class_weights(dataset: Dataset, texts: Sequence[str]) -> tuple[str, ...]:
    """Returns a weight per class as text; raises UsageError for a class that the data set lacks."""
    given = dict(filter(None, map(class_weight, texts)))
    for name in given:
        if name not in dataset.names:
            raise UsageError(
                f"--class-weights {name}: no class of the data; there are {listed(dataset.names)}"
            )
    if len(dataset.names) == 1:
        raise UsageError("--class-weights: the data has one class; leave them out")
    weights = _balanced(dataset) if "auto" in texts else {}
    return tuple(f"{name}={weight:.4g}" for name, weight in (weights | given).items())


def _balanced(dataset: Dataset) -> dict[str, float]:
    """Returns weights by the inverse square root of the boxes of each class; their mean over boxes is 1."""
    split = "train" if "train" in dataset.splits else next(iter(dataset.splits))
    ids = dataset.split(split).arrays["class_ids"]
    counts = np.bincount(ids, minlength=len(dataset.names)).astype(float)
    weights = 1 / np.sqrt(np.maximum(counts, 1))
    weights /= (weights * counts).sum() / max(1.0, counts.sum())
    return dict(zip(dataset.names, weights.tolist(), strict=True))
