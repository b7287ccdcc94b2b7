"""Calibration set: training images on which importance is measured and a cut is repaired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from seyolo.class_names import listed, same_classes
from seyolo.data.batches.evaluation import evaluation_batches
from seyolo.data.batches.training import TrainingLoader, to_planes
from seyolo.data.datasets import Dataset
from seyolo.data.samples import Sample
from seyolo.data.tiles import training_samples
from seyolo.errors import DataError, counted
from seyolo.exporting.onnx import describe_onnx
from seyolo.exporting.parity import found_again
from seyolo.exporting.quantize import Fitted, Image, calibration_images, find, on_onnxruntime
from seyolo.letterbox import Fit
from seyolo.opening.network import input_size
from seyolo.options.cut import CutOptions
from seyolo.options.slim import Repair, SlimOptions
from seyolo.options.training import Augmentation
from seyolo.progress import Progress
from seyolo.pruning.cutting.repair import recalibrate, reconstruct
from seyolo.pruning.importance.built_in import MEASURED, Material, named_importance
from seyolo.pruning.planning.plan import FoundAgain, Plan
from seyolo.pruning.planning.planner import Planner
from seyolo.torchnet.build import DarknetModel

RECALIBRATION_IMAGES = 256
RECONSTRUCTION_IMAGES = 64
CALIBRATION_BATCH = 16
FEW_IMAGES = 40  # fewer do not show a repair what the network sees
TAYLOR_BATCHES = 8


@dataclass(frozen=True)
class CalibrationSet:
    """Images of the `train` split of a dataset; `seed` decides on their choice and augmentation."""

    dataset: Dataset
    fit: Fit  # to the network's input
    seed: int = 0

    def batches(self, count: int = RECONSTRUCTION_IMAGES) -> Iterator[Float[Tensor, "N C H W"]]:
        """Yields `count` images in [0, 1], a quarter of them as evaluated, the others augmented.

        Kernels fitted to plain images alone lose what only mosaics show, small objects for instance.
        """
        yield from self.plain_batches(count // 4)
        left = count - count // 4
        for images, _ in self._augmented(-(-left // CALIBRATION_BATCH)):
            yield images[:left].float() / 255
            left -= len(images)

    def num_images(self, count: int = RECONSTRUCTION_IMAGES) -> int:
        """Returns how many images `batches` yields: fewer than `count` of a small data set."""
        plain, num_samples = count // 4, len(training_samples(self.dataset))
        epoch = -(-num_samples // CALIBRATION_BATCH) * CALIBRATION_BATCH  # augmented ones, in full batches
        return min(plain, num_samples) + min(count - plain, epoch)

    def plain_batches(self, count: int) -> Iterator[Float[Tensor, "N C H W"]]:
        """Yields `count` images in [0, 1] as they are evaluated."""
        for batch, _, _ in evaluation_batches(self.samples(count), self.fit, CALIBRATION_BATCH):
            yield to_planes(batch).float() / 255

    def labelled_batches(
        self, num_batches: int = TAYLOR_BATCHES
    ) -> Iterator[tuple[UInt8[Tensor, "N C H W"], Float[Tensor, "M 6"]]]:
        """Returns augmented images and targets, as training sees them; a `DataError` without any label."""
        if not any(len(sample.class_ids) for sample in training_samples(self.dataset)):
            said = f"{self.dataset.source}: has no labels, which --importance taylor needs"
            way = "label the images: seyolo data label MODEL IMAGES OUT"
            raise DataError(f"{said}; choose obs, bn, norm or group, which need none, or {way}")
        return self._augmented(num_batches)

    def _augmented(self, num_batches: int) -> Iterator[tuple[UInt8[Tensor, "N C H W"], Float[Tensor, "M 6"]]]:
        samples = training_samples(self.dataset)
        loader = TrainingLoader(samples, self.fit, CALIBRATION_BATCH, Augmentation(), self.seed)
        return islice(loader.epoch(0), num_batches)

    def samples(self, count: int) -> list[Sample]:
        """Returns `count` images of the train split, or all of them where it has fewer."""
        samples = training_samples(self.dataset)
        order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(self.seed))
        return [samples[int(i)] for i in order[:count]]


def few_images(dataset: Dataset) -> list[str]:
    """Returns a line where the images are too few for importance and repair."""
    count = len(dataset.images("train"))
    if count >= FEW_IMAGES:
        return []
    advice = f"give {FEW_IMAGES} or more, labelled or not"
    return [f"warning: {counted(count, 'image')} to prune and repair on, which is few; {advice}"]


def classes_not_shown(dataset: Dataset, names: Sequence[str]) -> list[str]:
    """Returns a line where the labels of the images show only some of a network's classes."""
    order = same_classes(dataset.names, names)
    shown = {order[label] for sample in dataset.split("train") for label in sample.class_ids} - {None}
    if not shown or len(shown) == len(names):
        return []
    others = listed([name for index, name in enumerate(names) if index not in shown])
    said = f"the images show {len(shown)} of the network's {counted(len(names), 'class')}, not {others}"
    return [f"warning: {said}; give images of these, too, or their AP may fall"]


def boxes_found_again(dense: DarknetModel, slim_model: DarknetModel, images: CalibrationSet) -> FoundAgain:
    """Counts on images of the repair the boxes of the dense network that the pruned one finds."""
    fitted = [Fitted(*images.fit.image(sample.read())) for sample in images.samples(RECONSTRUCTION_IMAGES)]
    size = input_size(dense, None)
    before, after = (
        find(on_onnxruntime(describe_onnx(model, size)), fitted) for model in (dense, slim_model)
    )
    found, boxes = found_again(before, after)
    return FoundAgain(images=len(fitted), boxes=boxes, found=found)


def int8_images(dataset: Dataset, count: int | None = None) -> list[Image]:
    """Returns images of the train split as `calibration_images`, whose sizes are those that labels state.

    Of a data set in tiles they are tiles.
    """
    if dataset.tiling is not None:
        return [sample.read() for sample in calibration_images(training_samples(dataset), count)]
    chosen = calibration_images(dataset.images("train"), count)
    for image in chosen:
        dataset.sample("train", image).size()
    return list(chosen)


def planner_on(
    model: DarknetModel,
    options: CutOptions,
    dataset: Dataset | None,
    seed: int,
    progress: Progress | None = None,
) -> Planner:
    """Returns a planner whose importance is measured on training images where it needs any.

    The default importance is `obs` with a dataset, else `bn`. `seed` decides on `random` importance and on
    the choice of images.
    """
    images = None if dataset is None else CalibrationSet(dataset, Fit.of(model.network.net), seed)
    material = Material(options.tied, np.random.default_rng(seed), images, progress=progress)
    importance = named_importance(options.importance, material)
    return Planner(model, options, importance=importance, progress=progress)


def plan_of(
    model: DarknetModel, config: SlimOptions, dataset: Dataset | None, progress: Progress | None = None
) -> Plan:
    """Returns the plan of a `slim` run; a latency holds as measured.

    Without a dataset the plan is a rough one of about the right cost, before anything is trained: `bn` stands
    in for an importance that needs images.
    """
    options = config.plan_options()
    if dataset is None and options.importance in MEASURED:
        options = replace(options, importance=None)
    return planner_on(model, options, dataset, config.seed, progress).plan(config.budgets)


def repair_on(
    slim_model: DarknetModel,
    dense: DarknetModel,
    plan: Plan,
    images: CalibrationSet,
    how: Repair,
    *,
    progress: Progress | None = None,
) -> None:
    """Repairs a pruned model with training images, in place, before it is fine-tuned.

    `reconstruct` fits kernels to the outputs of the dense network, `recalibrate` measures the
    batch-normalisation statistics again, `none` does nothing.
    """
    if how == "reconstruct":
        reconstruct(slim_model, dense, plan, images.batches(), progress)
    elif how == "recalibrate":
        total = min(RECALIBRATION_IMAGES, len(training_samples(images.dataset)))
        recalibrate(slim_model, images.plain_batches(RECALIBRATION_IMAGES), progress, total)
