"""What a cut needs images for: importance measured on the loss, and making up for what went."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from seyolo.data.batches.augment import Augmentation
from seyolo.data.batches.evaluation import evaluation_batches
from seyolo.data.batches.training import TrainingLoader, to_planes
from seyolo.data.datasets import Dataset, Sample
from seyolo.pruning.cutting.recalibrate import recalibrate
from seyolo.pruning.cutting.reconstruct import reconstruct
from seyolo.pruning.importance.obs import obs_scores
from seyolo.pruning.importance.scores import FloatArray
from seyolo.pruning.importance.taylor import taylor_scores
from seyolo.pruning.planning.plan import Plan
from seyolo.torchnet.build import DarknetModel
from seyolo.verbs.slim_config import Repair

RECALIBRATION_IMAGES = 256
RECONSTRUCTION_IMAGES = 64
CALIBRATION_BATCH = 16
TAYLOR_BATCHES = 8


def repair_on(
    slim_model: DarknetModel,
    dense: DarknetModel,
    plan: Plan,
    dataset: Dataset,
    size_hw: tuple[int, int],
    *,
    how: Repair = "reconstruct",
    seed: int = 0,
) -> None:
    """Makes up for a cut with training images, in place, before anything is trained.

    Args:
        slim_model: `prune_by(dense, plan)`.
        dense: the model before the cut.
        plan: what was cut.
        dataset: its `train` split gives the images.
        size_hw: at which they are seen.
        how: `reconstruct` fits kernels to what the dense network puts out, `recalibrate` measures the
            batch-normalisation statistics anew, `none` leaves the network as it is.
        seed: of the choice of images.
    """
    if how == "reconstruct":
        reconstruct(slim_model, dense, plan, repair_batches(dataset, size_hw, seed))
    elif how == "recalibrate":
        recalibrate(slim_model, calibration_batches(dataset, size_hw, RECALIBRATION_IMAGES, seed))


def taylor_on(
    model: DarknetModel, dataset: Dataset, size_hw: tuple[int, int], seed: int
) -> dict[int, FloatArray]:
    """Taylor importance of a model on augmented training images, per convolution (filters,)."""
    return taylor_scores(model, augmented_batches(dataset, max(size_hw), TAYLOR_BATCHES, seed))


def obs_on(
    model: DarknetModel, dataset: Dataset, size_hw: tuple[int, int], seed: int
) -> dict[int, FloatArray]:
    """How much the outputs of a model change without each channel, per convolution (filters,)."""
    return obs_scores(model, repair_batches(dataset, size_hw, seed), seed)


def augmented_batches(
    dataset: Dataset, size_px: int, count: int, seed: int
) -> Iterator[tuple[UInt8[Tensor, "N 3 S S"], Float[Tensor, "M 6"]]]:
    """`count` batches of training images and targets as training sees them."""
    loader = TrainingLoader(dataset.split("train"), size_px, CALIBRATION_BATCH, Augmentation(), seed)
    return islice(loader.epoch(0), count)


def repair_batches(
    dataset: Dataset, size_hw: tuple[int, int], seed: int
) -> Iterator[Float[Tensor, "N 3 H W"]]:
    """What importance is measured on and kernels are fitted to: 64 training images in [0, 1].

    A quarter of them are as they are evaluated, the others augmented.
    """
    plain = RECONSTRUCTION_IMAGES // 4
    return calibration_batches(dataset, size_hw, plain, seed, augmented=RECONSTRUCTION_IMAGES - plain)


def calibration_batches(
    dataset: Dataset, size_hw: tuple[int, int], count: int, seed: int, augmented: int = 0
) -> Iterator[Float[Tensor, "N 3 H W"]]:
    """Training images in [0, 1]: `count` as they are evaluated, then `augmented` as in training.

    Kernels that are fitted to plain images alone forget what only mosaics show, small objects for instance.
    """
    samples = calibration_samples(dataset, count, seed)
    for batch, _, _ in evaluation_batches(samples, size_hw, CALIBRATION_BATCH):
        yield to_planes(batch).float() / 255
    if augmented:
        for images, _ in augmented_batches(dataset, max(size_hw), augmented // CALIBRATION_BATCH, seed):
            yield images[..., : size_hw[0], : size_hw[1]].float() / 255


def calibration_samples(dataset: Dataset, count: int, seed: int) -> list[Sample]:
    """`count` images of the train split, drawn by seed."""
    samples = dataset.split("train")
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
    return [samples[int(i)] for i in order[:count]]
