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
from seyolo.options.slim import SLIM_SHARE, SPARSE_SHARE, SlimOptions
from seyolo.options.train import TrainOptions
from seyolo.options.training import USUAL_LR, class_weight
from seyolo.sizes import USUAL_SIZE
from seyolo.training.distributed import current_team

Options = TypeVar("Options", SlimOptions, TrainOptions)
USUAL_BATCH, SMALLEST_BATCH = 16, 8
STEPS_WANTED = 600
"""Steps of training that a small data set gets at least, by smaller batches and more epochs."""
FEW_IMAGES_LR_SHARE = 0.3
"""Learning rate, by the usual one, at which a few images do not make given weights forget what they know."""


def chosen_device(name: str) -> str:
    """Returns the device that `auto` stands for here, or the name itself."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def with_effort(options: Options, usual_epochs: int) -> Options:
    """Returns the options with the batch, the epochs and the weights of classes that fit the data.

    `usual_epochs` are those of a data set that is not small.
    """
    weights = options.class_weights
    is_given = isinstance(options, SlimOptions) and options.epochs == 0
    is_lr_chosen = options.lr != "auto"
    lr = USUAL_LR if options.lr == "auto" else options.lr
    options = replace(options, lr=lr)
    if options.batch != "auto" and options.epochs is not None and not weights and not is_given:
        return options
    dataset = load_dataset(required(options.data, "--data"))
    if weights:
        options = replace(options, class_weights=_class_weights(dataset, weights))
    num_images = _num_images(options, dataset, USUAL_BATCH * STEPS_WANTED // usual_epochs)
    batch = chosen_batch(num_images, usual_epochs) if options.batch == "auto" else options.batch
    enough = max(usual_epochs, math.ceil(STEPS_WANTED / math.ceil(num_images / batch)))
    options = replace(options, batch=batch, epochs=enough if options.epochs is None else options.epochs)
    if isinstance(options, SlimOptions) and is_given and enough > usual_epochs:
        lr = lr if is_lr_chosen else FEW_IMAGES_LR_SHARE * lr
        return _with_slim_epochs(replace(options, lr=lr), round(SLIM_SHARE * enough))
    return options


def _with_slim_epochs(options: SlimOptions, number: int) -> SlimOptions:
    """Returns the options with this number of epochs from given weights to the slim network, on few images.

    Sparsity training is left out unless it was asked for: in few steps it takes away what the weights knew.
    """
    sparse, finetune = options.sparse_epochs, options.finetune_epochs
    if sparse is None:
        is_asked_for = options.s is not None or options.sparsity != SlimOptions.sparsity
        sparse = max(1, round(SPARSE_SHARE * number)) if is_asked_for else 0
    if finetune is None:
        finetune = max(1, number - sparse)
    return replace(options, sparse_epochs=sparse, finetune_epochs=finetune)


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
