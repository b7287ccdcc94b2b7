"""The detection loss: CIoU for boxes, binary cross-entropy for objectness and classes.

The objectness target is the quality of the assignment (an IoU-aware target), so that scores rank boxes by
their fit. Classes are trained on positives only. Every term is divided by the sum of qualities of the whole
batch, over all processes. A prediction that is no positive and lies in an ignored region, at least by half of
its box, has no objectness term: it may be an object or background.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from seyolo.data.batches.augment import IGNORED
from seyolo.options.training import LossWeights, TrainingOptions, class_weight
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.head import RegionHead, YoloHead
from seyolo.training.assign import Assignment, Level, assign, candidates
from seyolo.training.distributed import SINGLE_PROCESS, Team


def complete_iou(a: Float[Tensor, "*n 4"], b: Float[Tensor, "*n 4"]) -> tuple[Tensor, Tensor]:
    """Returns IoU in [0, 1] and complete IoU (Zheng 2020) in [-1.5, 1] of pairs of boxes cx, cy, w, h."""
    a_low, a_high = a[..., :2] - a[..., 2:] / 2, a[..., :2] + a[..., 2:] / 2
    b_low, b_high = b[..., :2] - b[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2
    overlap = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0).prod(-1)
    union = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - overlap  # |A| + |B| - |A ∩ B|
    iou = overlap / union.clamp(min=1e-7)
    diagonal = (torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)).square().sum(-1)
    distance = (a[..., :2] - b[..., :2]).square().sum(-1) / diagonal.clamp(min=1e-7)  # ρ² / c²
    angle_a = torch.atan(a[..., 2] / a[..., 3].clamp(min=1e-7))
    angle_b = torch.atan(b[..., 2] / b[..., 3].clamp(min=1e-7))
    aspect = (4 / math.pi**2) * (angle_b - angle_a).square()  # v
    with torch.no_grad():
        weight = aspect / (1 - iou + aspect).clamp(min=1e-7)  # α
    return iou, iou - distance - weight * aspect  # CIoU = IoU - ρ²/c² - α·v


USUAL = TrainingOptions()
INSIDE = 0.5  # share of a predicted box in an ignored region from which on it is no background


class DetectionLoss:
    """Loss of the outputs of a model's detection layers; each process of the `team` passes its own targets.

    Its options are `loss`, the weights of the terms, and `top_k`, the most positives of an object. With
    `class_weights` (C,), an object counts as many times as its class weighs.
    """

    def __init__(
        self,
        heads: Sequence[YoloHead],
        options: TrainingOptions = USUAL,
        team: Team = SINGLE_PROCESS,
        class_weights: Float[Tensor, " c"] | None = None,
    ) -> None:
        self.team, self.heads, self.options, self.class_weights = team, heads, options, class_weights
        self.class_loss = softmax_cross_entropy if isinstance(heads[0], RegionHead) else binary_cross_entropy

    def __call__(
        self, logits: Sequence[Tensor], targets: Tensor, size_hw: Sequence[int], ignored: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns the scalar loss of a batch, and its detached parts (box, objectness, classes).

        Args:
            logits: per [yolo] layer (N, H, W, A, 5+C), undecoded.
            targets: (M, 6) image index, class id, cx, cy, w, h in input pixels.
            size_hw: height and width of the input in pixels.
            ignored: ignored regions as rows like those of `targets`, whose classes do not matter.
        """
        levels = [_level(head, x, size_hw) for head, x in zip(self.heads, logits, strict=True)]
        decoded, flat = predictions(self.heads, logits, size_hw)
        image, class_ids, boxes = targets[:, 0].long(), targets[:, 1].long(), targets[:, 2:6]
        indices, valid = candidates(boxes[:, :2], levels)
        candidate_boxes = decoded[image[:, None], indices, :4]
        iou, ciou = complete_iou(candidate_boxes, boxes[:, None, :].expand_as(candidate_boxes))
        with torch.no_grad():
            scores = decoded[..., 4:5] * decoded[..., 5:]
        assigned = assign(
            scores, iou.detach(), indices, valid, image=image, class_ids=class_ids, top_k=self.options.top_k
        )
        hidden = None if ignored is None or not len(ignored) else lie_inside(decoded[..., :4], ignored)
        weights = None if self.class_weights is None else self.class_weights[class_ids]
        how = _Settings(self.class_loss, hidden, weights)
        sums = _terms(flat, ciou, image, class_ids, assigned, how=how)
        quality = assigned.quality if weights is None else assigned.quality * weights[:, None]
        parts = sums / normaliser(quality.sum(), self.team)
        return weighted_sum(parts, self.options.loss), parts.detach()


Predictions = tuple[Float32[Tensor, "N P 5+C"], Float32[Tensor, "N P 5+C"]]  # decoded, and as logits
ClassLoss = Callable[[Tensor, Tensor], Tensor]  # (n, C) logits and (n,) class ids -> (n,) losses


def binary_cross_entropy(logits: Float[Tensor, "n c"], class_ids: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Returns binary cross-entropy, summed over the classes."""
    wanted = F.one_hot(class_ids, logits.shape[-1]).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(-1)


def softmax_cross_entropy(logits: Float[Tensor, "n c"], class_ids: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Returns softmax cross-entropy, as in `[region]`."""
    return F.cross_entropy(logits, class_ids, reduction="none")


class _Settings(NamedTuple):
    """Settings of the terms: `hidden` predictions are no background, an object counts `weights` times."""

    class_loss: ClassLoss
    hidden: Bool[Tensor, "N P"] | None
    weights: Float[Tensor, " M"] | None


def _terms(
    flat: Float32[Tensor, "N P 5+C"],
    ciou: Float32[Tensor, "M K"],
    image: Int[Tensor, " M"],
    class_ids: Int[Tensor, " M"],
    assigned: Assignment,
    *,
    how: _Settings,
) -> Float32[Tensor, "3"]:
    """Returns box, objectness and class terms, summed over the batch."""
    quality, per_object = assigned.quality.flatten(), assigned.quality.shape[1]
    slot = (image[:, None] * flat.shape[1] + assigned.prediction).flatten()
    rows = flat.flatten(0, 1)
    wanted = torch.zeros_like(rows[:, 4]).scatter_reduce_(0, slot, quality, "amax")
    weight = None if how.hidden is None else ((wanted > 0) | ~how.hidden.flatten()).to(rows.dtype)
    if how.weights is not None:
        counts = how.weights.to(quality.dtype).repeat_interleave(per_object)
        largest = torch.ones_like(wanted).scatter_reduce_(0, slot, counts, "amax", include_self=False)
        weighed = torch.where(wanted > 0, largest, torch.ones_like(largest))
        weight = weighed if weight is None else weight * weighed
        quality = quality * counts
    # The target is aware of IoU.
    objectness = F.binary_cross_entropy_with_logits(rows[:, 4], wanted, weight, reduction="sum")
    box = ((1 - ciou.gather(1, assigned.column).flatten()) * quality).sum()
    classes = how.class_loss(rows[slot, 5:], class_ids.repeat_interleave(per_object))
    return torch.stack([box, objectness, (classes * quality).sum()])


def class_weights(names: Sequence[str], texts: Sequence[str]) -> Float32[Tensor, " c"] | None:
    """Returns the weight of each class from texts such as hand=2; None where there are none."""
    if not texts:
        return None
    given = dict(filter(None, map(class_weight, texts)))
    return torch.tensor([given.get(name, 1.0) for name in names])


def split_targets(targets: Float[Tensor, "m 6"]) -> tuple[Float[Tensor, "n 6"], Float[Tensor, "r 6"]]:
    """Returns the rows of objects and those of ignored regions; on a GPU it waits for the targets."""
    num_ignored = int((targets[:, 1] == IGNORED).sum())
    return targets[: len(targets) - num_ignored], targets[len(targets) - num_ignored :]


@torch.no_grad()
def lie_inside(boxes: Float32[Tensor, "N P 4"], regions: Float[Tensor, "R 6"]) -> Bool[Tensor, "N P"]:
    """Returns which boxes cx, cy, w, h lie in a region of their image by at least half of their area."""
    image = regions[:, 0].long()
    low, high = boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2
    start, end = (regions[:, None, 2:4] + sign * regions[:, None, 4:6] / 2 for sign in (-1, 1))
    sides = (torch.minimum(high[image], end) - torch.maximum(low[image], start)).clamp(min=0)
    is_inside = sides.prod(-1) >= INSIDE * boxes[image][..., 2:].prod(-1)  # (R, P)
    counts = torch.zeros(boxes.shape[:2], device=boxes.device)
    return counts.index_add_(0, image, is_inside.to(counts.dtype)) > 0


def weighted_sum(parts: Float[Tensor, "3"], weights: LossWeights) -> Float[Tensor, ""]:
    """Returns the weighted sum; the weights are Python numbers, so a GPU waits for no copy."""
    return torch.stack([part * weight for part, weight in zip(parts, weights.as_tuple(), strict=True)]).sum()


def normaliser(quality: Float[Tensor, ""], team: Team) -> Float[Tensor, ""]:
    """Returns the divisor of a process's sums: the mean quality per process, at least 1 in total.

    Gradients are averaged over the processes, so their mean is the gradient of the whole batch's loss.
    """
    return team.sum(quality).clamp(min=1) / team.size


def predictions(heads: Sequence[YoloHead], logits: Sequence[Tensor], size_hw: Sequence[int]) -> Predictions:
    """Returns all predictions of a batch, decoded by `YoloHead.decode`, and their logits.

    `size_hw` is height and width of the images in pixels. `logits` are undecoded, per detection layer
    (N, H, W, A, 5+C), of any precision.
    """
    grids = [(head, x.float(), _level(head, x, size_hw)) for head, x in zip(heads, logits, strict=True)]
    decoded = [head.decode(x, (level.stride_y, level.stride_x)) for head, x, level in grids]
    # With `new_coords` the convolution in front ends in a sigmoid.
    undone = [torch.logit(x, eps=1e-6) if head.new_coords else x for head, x, _ in grids]
    return torch.cat(decoded, 1), torch.cat([x.flatten(1, 3) for x in undone], 1)


def _level(head: YoloHead, logits: Tensor, size_hw: Sequence[int]) -> Level:
    _, height, width, num_anchors, _ = logits.shape
    stride_y, stride_x = size_hw[0] / height, size_hw[1] / width
    return Level(height, width, stride_y, stride_x, num_anchors, max(1, int(head.scale_x_y)))


class LossModule(torch.nn.Module):
    """Model and loss as one module, since DistributedDataParallel needs a single forward pass."""

    def __init__(self, model: DarknetModel, loss: DetectionLoss) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        # A recorded graph may replace the model's own method.
        self.forward_heads: Callable[[Tensor], list[Tensor]] = model.forward_heads

    def forward(
        self, images: Tensor, targets: Tensor, ignored: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns loss and parts for images (N, 3, H, W) in [0, 1], targets (M, 6) and ignored regions."""
        logits = self.forward_heads(images)
        return self.loss(logits, targets, images.shape[-2:], ignored)
