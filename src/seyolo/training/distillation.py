"""Distillation: besides the labels, a student learns what a trained teacher puts out for the same images.

The teacher's predictions stand in for the labels, one by one: its objectness says how much a prediction
counts (Mehta 2018), its boxes and class probabilities are what to reach there, and the objectness itself is
learnt everywhere. Terms, weights and normalisation are those of the detection loss: both live on one scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Float32
from torch import Tensor

from seyolo.checkpoint import default_names
from seyolo.darknet.graph import detection_layers, strides
from seyolo.errors import TrainingError, UsageError
from seyolo.options.training import LossWeights
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint
from seyolo.torchnet.folding import fold_batch_norm
from seyolo.torchnet.head import RegionHead
from seyolo.training.distributed import SINGLE_PROCESS, Team
from seyolo.training.loss import (
    DetectionLoss,
    LossModule,
    complete_iou,
    normaliser,
    predictions,
    weighted_sum,
)

CONFIDENT = 0.05
"""Objectness from which the teacher's box and classes count; fainter ones hold 3 % of it on real hands."""


@dataclass(frozen=True)
class Distillation:
    """Whom to learn from and how much.

    Args:
        teacher: a trained model of the same classes, strides and anchors per cell; it is not changed.
        weight: of the teacher's term; 1 counts it like the labels.
        source: where the teacher comes from, for messages and the run's settings.

    Raises:
        UsageError: the weight is negative or not a number.
    """

    teacher: DarknetModel
    weight: float = 1.0
    source: str = "teacher"

    def __post_init__(self) -> None:
        check_weight(self.weight)


def check_weight(weight: float) -> None:
    """Refuses a weight of the teacher that makes no sense.

    Raises:
        UsageError: it is negative or not a number.
    """
    if not 0 <= weight < math.inf:
        raise UsageError(f"--distill {weight:g}: the teacher's weight must be a number from 0 on")


def check_teacher(student: DarknetModel, distillation: Distillation) -> None:
    """Refuses a teacher whose predictions do not stand for the same as the student's, one by one.

    Anchors may differ, since decoded boxes are compared. Names that nobody gave fit any.

    Raises:
        TrainingError: says in what they differ.
    """
    teacher = distillation.teacher
    for (what, theirs), ours in zip(_outputs(teacher).items(), _outputs(student).values(), strict=True):
        if theirs != ours:
            raise TrainingError(
                f"{distillation.source}: this teacher has {what} {theirs} where the student has {ours}; "
                "distillation needs equal ones"
            )
    if default_names(len(student.names)) in (teacher.names, student.names):
        return
    for class_id, (theirs, ours) in enumerate(zip(teacher.names, student.names, strict=True)):
        if theirs != ours:
            raise TrainingError(
                f"{distillation.source}: class {class_id} is {theirs} to this teacher and {ours} to the "
                "student; distillation needs equal classes in equal order"
            )


def _outputs(model: DarknetModel) -> dict[str, str]:
    """What makes two models' predictions comparable, in words."""
    layers, spans = detection_layers(model.network), strides(model.network)
    return {
        "strides": ", ".join(str(spans[index]) for index in layers),
        "detection layers": ", ".join(f"[{model.network.layers[index].kind}]" for index in layers),
        "anchors per cell": ", ".join(str(len(head.anchors)) for head in model.heads),
        "number of classes": str(len(model.names)),
        "input channels": str(model.network.net.channels),
    }


class DistillationLoss:
    """Computes how far a student's head outputs are from its teacher's, on the scale of the detection loss.

    The teacher is a copy in evaluation mode with batch normalisation folded: it stays as it is.

    Args:
        student: the model that learns, already on its device.
        distillation: whom it learns from.
        weights: how much each term counts.
        team: the processes that share the batch.

    Raises:
        TrainingError: the teacher does not fit, see `check_teacher`.
    """

    def __init__(
        self,
        student: DarknetModel,
        distillation: Distillation,
        weights: LossWeights,
        team: Team = SINGLE_PROCESS,
    ) -> None:
        check_teacher(student, distillation)
        teacher = from_checkpoint(fold_batch_norm(to_checkpoint(distillation.teacher))).requires_grad_(False)
        device = next(student.parameters()).device
        self.teacher = teacher.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.heads = student.heads
        self.weights = weights
        self.team = team
        is_region = isinstance(self.heads[0], RegionHead)
        self.class_divergence = exclusive_classes if is_region else independent_classes

    def __call__(self, logits: Sequence[Tensor], images: Tensor) -> Tensor:
        """The scalar for the student's logits, as in `DetectionLoss`, of images (N, 3, S, S) in [0, 1]."""
        size_px = images.shape[-1]
        with torch.no_grad():
            wanted = predictions(self.teacher.heads, self.teacher.forward_heads(images), size_px)
        found = predictions(self.heads, logits, size_px)
        terms = distillation_terms(found, wanted, self.class_divergence, self.team)
        return weighted_sum(terms, self.weights)


class DistillationModule(LossModule):
    """Student, loss and distillation loss as one module; the teacher is no part of it."""

    def __init__(self, model: DarknetModel, loss: DetectionLoss, distillation: Distillation) -> None:
        super().__init__(model, loss)
        self.teacher_loss = DistillationLoss(model, distillation, loss.weights, loss.team)
        self.weight = distillation.weight

    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and its parts as of `LossModule`; the last part is the distillation loss before its weight."""
        logits = self.forward_heads(images)
        loss, parts = self.loss(logits, targets, images.shape[-1])
        distance = self.teacher_loss(logits, images)
        return loss + self.weight * distance, torch.cat([parts, distance.detach()[None]])


Divergence = Callable[[Tensor, Tensor], Tensor]
"""Student's and teacher's class logits (n, C) -> how far apart they are (n,)."""


def independent_classes(student: Float[Tensor, "n c"], teacher: Float[Tensor, "n c"]) -> Float[Tensor, " n"]:
    """Divergence of probabilities of their own, summed over the classes."""
    return binary_divergence(student, teacher).sum(-1)


def exclusive_classes(student: Float[Tensor, "n c"], teacher: Float[Tensor, "n c"]) -> Float[Tensor, " n"]:
    """Divergence over classes that share one probability, as in `[region]`."""
    wanted = teacher.softmax(-1)
    cost, least = (F.cross_entropy(logits, wanted, reduction="none") for logits in (student, teacher))
    return cost - least


def binary_divergence(student: Float[Tensor, "*n"], teacher: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Kullback-Leibler divergence of the student's probability from the teacher's, given as logits.

    This is binary cross-entropy less what the teacher's own doubt costs, so it is 0 where both agree.
    """
    wanted = torch.sigmoid(teacher)
    cost, least = (
        F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") for logits in (student, teacher)
    )
    return cost - least


def distillation_terms(
    student: tuple[Float32[Tensor, "N P 5+C"], Float32[Tensor, "N P 5+C"]],
    teacher: tuple[Float32[Tensor, "N P 5+C"], Float32[Tensor, "N P 5+C"]],
    class_divergence: Divergence,
    team: Team = SINGLE_PROCESS,
) -> Float32[Tensor, "3"]:
    """Box, objectness and class terms of a student, each divided by the teacher's total objectness.

    Args:
        student: decoded predictions and their logits, see `predictions`.
        teacher: the same of the teacher.
        class_divergence: how far apart class logits are.
        team: the processes that share the batch.
    """
    (boxes, logits), (wanted_boxes, wanted_logits) = student, teacher
    confident = wanted_boxes[..., 4] > CONFIDENT
    quality = wanted_boxes[..., 4][confident]
    _, ciou = complete_iou(boxes[confident][:, :4], wanted_boxes[confident][:, :4])
    objectness = binary_divergence(logits[..., 4], wanted_logits[..., 4]).sum()
    classes = class_divergence(logits[confident][:, 5:], wanted_logits[confident][:, 5:])
    terms = torch.stack([((1 - ciou) * quality).sum(), objectness, (classes * quality).sum()])
    return terms / normaliser(quality.sum(), team)
