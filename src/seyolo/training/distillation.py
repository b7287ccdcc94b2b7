"""Distillation: a student learns the predictions of a trained teacher besides the labels.

Predictions are compared one by one. The teacher's boxes and class probabilities are targets, weighted by its
objectness (Mehta 2018); its objectness is a target everywhere. Terms, weights and normalisation are those of
the detection loss, so both have the same scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Float32
from torch import Tensor

from seyolo.checkpoint import reorder_classes
from seyolo.class_names import default_names, is_default, listed, same_classes
from seyolo.darknet.graph import detection_layers, strides
from seyolo.errors import TrainingError, UsageError
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint
from seyolo.torchnet.head import RegionHead
from seyolo.training.distributed import SINGLE_PROCESS, Team
from seyolo.training.loss import (
    DetectionLoss,
    LossModule,
    Predictions,
    complete_iou,
    normaliser,
    predictions,
    weighted_sum,
)
from seyolo.translation.folding import fold_batch_norm

CONFIDENT = (
    0.05  # least objectness of the teacher for its box and classes; 3 % of all lies below on real hands
)


@dataclass(frozen=True)
class Distillation:
    """Teacher and weight of the distillation loss; a UsageError refuses a weight below 0 or not finite."""

    teacher: DarknetModel  # trained on the same classes, with the same strides and anchors per cell
    weight: float = 1.0  # at 1 the distillation loss counts as much as the labels
    source: str = "teacher"  # its file, for messages and `config.json`

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise UsageError(f"--distill {self.weight:g}: the teacher's weight must be a number from 0 on")


def with_classes_of(distillation: Distillation, names: Sequence[str]) -> Distillation:
    """Returns the distillation with the teacher's classes in this order, if they are the same ones."""
    teacher = distillation.teacher
    order = [index for index in same_classes(names, teacher.names) if index is not None]
    is_unnamed = is_default(names) or is_default(teacher.names)
    if is_unnamed or sorted(order) != list(range(len(teacher.names))):
        return distillation
    ordered = replace(reorder_classes(to_checkpoint(teacher), order), names=tuple(names))
    device = next(teacher.parameters()).device
    return replace(distillation, teacher=from_checkpoint(ordered).eval().to(device))


def check_teacher(student: DarknetModel, distillation: Distillation) -> None:
    """Refuses a teacher whose predictions do not correspond to the student's one by one.

    Anchors may differ, since decoded boxes are compared; the order of the classes is that of
    `with_classes_of`. Default names (`class 0`, ...) match any names.

    Raises:
        TrainingError: strides, heads, anchors, classes or names differ; the message names the first.
    """
    teacher = distillation.teacher
    for (name, theirs), ours in zip(_outputs(teacher).items(), _outputs(student).values(), strict=True):
        if theirs != ours:
            raise TrainingError(
                f"{distillation.source}: {name}: {theirs} in the teacher, {ours} in the student; "
                "distillation needs equal values"
            )
    if default_names(len(student.names)) in (teacher.names, student.names):
        return
    for class_id, (theirs, ours) in enumerate(zip(teacher.names, student.names, strict=True)):
        if theirs != ours:
            raise TrainingError(
                f"{distillation.source}: class {class_id} is {theirs} in the teacher and {ours} in the "
                f"student; distillation needs the same classes ({listed(teacher.names)} there, "
                f"{listed(student.names)} here)"
            )


def _outputs(model: DarknetModel) -> dict[str, str]:
    """Returns the properties that must be equal for predictions to correspond, as text."""
    layers, spans = detection_layers(model.network), strides(model.network)
    return {
        "strides": ", ".join(str(spans[index]) for index in layers),
        "detection layers": ", ".join(f"[{model.network.layers[index].kind}]" for index in layers),
        "anchors per cell": ", ".join(str(len(head.anchors)) for head in model.heads),
        "number of classes": str(len(model.names)),
        "input channels": str(model.network.net.channels),
    }


class DistillationLoss:
    """Distance of a student's head outputs from its teacher's, on the scale of the detection loss `loss`.

    Uses a copy of the teacher in evaluation mode with folded batch normalisation, on the student's device.
    """

    def __init__(self, student: DarknetModel, distillation: Distillation, loss: DetectionLoss) -> None:
        check_teacher(student, distillation)
        teacher = from_checkpoint(fold_batch_norm(to_checkpoint(distillation.teacher))).requires_grad_(False)
        device = next(student.parameters()).device
        self.teacher = teacher.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.heads, self.weights, self.team = student.heads, loss.options.loss, loss.team
        is_region = isinstance(self.heads[0], RegionHead)
        self.class_divergence = softmax_divergence if is_region else independent_divergence

    def __call__(self, logits: Sequence[Tensor], images: Tensor) -> Tensor:
        """Returns the loss of logits, as in `DetectionLoss`, for images (N, 3, H, W) in [0, 1]."""
        size_hw = images.shape[-2:]
        with torch.no_grad():
            targets = predictions(self.teacher.heads, self.teacher.forward_heads(images), size_hw)
        found = predictions(self.heads, logits, size_hw)
        terms = distillation_terms(found, targets, self.class_divergence, self.team)
        return weighted_sum(terms, self.weights)


class DistillationModule(LossModule):
    """Student, loss and distillation loss as one module without the teacher's parameters."""

    def __init__(self, model: DarknetModel, loss: DetectionLoss, distillation: Distillation) -> None:
        super().__init__(model, loss)
        self.teacher_loss = DistillationLoss(model, distillation, loss)
        self.weight = distillation.weight

    def forward(
        self, images: Tensor, targets: Tensor, ignored: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns loss and parts as `LossModule`; the last part is the unweighted distillation loss."""
        logits = self.forward_heads(images)
        loss, parts = self.loss(logits, targets, images.shape[-2:], ignored)
        distance = self.teacher_loss(logits, images)
        return loss + self.weight * distance, torch.cat([parts, distance.detach()[None]])


Divergence = Callable[[Tensor, Tensor], Tensor]  # logits (n, C) of student and teacher -> divergence (n,)


def independent_divergence(
    student: Float[Tensor, "n c"], teacher: Float[Tensor, "n c"]
) -> Float[Tensor, " n"]:
    """Returns the divergence of independent class probabilities, summed over the classes."""
    return binary_divergence(student, teacher).sum(-1)


def softmax_divergence(student: Float[Tensor, "n c"], teacher: Float[Tensor, "n c"]) -> Float[Tensor, " n"]:
    """Returns the divergence of softmax probabilities, as in `[region]`."""
    wanted = teacher.softmax(-1)
    cost, least = (F.cross_entropy(logits, wanted, reduction="none") for logits in (student, teacher))
    return cost - least  # KL(p ‖ q) = H(p, q) - H(p)


def binary_divergence(student: Float[Tensor, "*n"], teacher: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Returns the Kullback-Leibler divergence of the student's probability from the teacher's."""
    wanted = torch.sigmoid(teacher)
    cost, least = (
        F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") for logits in (student, teacher)
    )
    return cost - least  # cross-entropy minus the teacher's entropy: 0 where both agree


def distillation_terms(
    student: Predictions, teacher: Predictions, class_divergence: Divergence, team: Team = SINGLE_PROCESS
) -> Float32[Tensor, "3"]:
    """Returns box, objectness and class terms, each divided by the teacher's total objectness."""
    (boxes, logits), (teacher_boxes, teacher_logits) = student, teacher
    confident = teacher_boxes[..., 4] > CONFIDENT
    quality = teacher_boxes[..., 4][confident]  # objectness scales the terms (Mehta 2018)
    _, ciou = complete_iou(boxes[confident][:, :4], teacher_boxes[confident][:, :4])
    objectness = binary_divergence(logits[..., 4], teacher_logits[..., 4]).sum()
    classes = class_divergence(logits[confident][:, 5:], teacher_logits[confident][:, 5:])
    terms = torch.stack([((1 - ciou) * quality).sum(), objectness, (classes * quality).sum()])
    return terms / normaliser(quality.sum(), team)
