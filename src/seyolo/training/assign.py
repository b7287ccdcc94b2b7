"""Task-aligned assignment of objects to predictions for anchor heads.

The candidates of an object are the cells around its centre, on every level and with every anchor. They are
ranked by score^α · IoU^β (TOOD, Feng 2021), and the best `top_k` become positives, so an object trains
several predictions without anchor thresholds.

Letters: M objects of the batch, K candidates per object, P predictions per image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

SCORE_POWER = 0.5
IOU_POWER = 6.0


@dataclass(frozen=True)
class Level:
    """Grid of a [yolo] layer: cells, strides in pixels, anchors per cell, candidate cells per side."""

    height: int
    width: int
    stride_y: float
    stride_x: float
    num_anchors: int
    reach: int = 1

    @property
    def num_predictions(self) -> int:  # per image
        return self.height * self.width * self.num_anchors


@dataclass(frozen=True)
class Assignment:
    """The k predictions that each object trains; those of quality 0 are unused, so the shape is fixed."""

    prediction: Int[Tensor, "m k"]  # index among the P predictions of the image
    column: Int[Tensor, "m k"]  # index among the K candidates of the object
    quality: Float[Tensor, "m k"]  # target score of the prediction


def candidates(centers: Float[Tensor, "m 2"], levels: Sequence[Level]) -> tuple[Tensor, Tensor]:
    """Returns the candidates of objects with these centres (x, y) in input pixels.

    These are indices (M, K) into an image's P predictions, and a mask (M, K), False outside the grid.
    """
    indices, valid, start = [], [], 0
    for level in levels:
        steps = torch.arange(level.reach, device=centers.device)
        column = _first_cell(centers[:, 0], level.stride_x, level.reach)[:, None, None] + steps[None, None, :]
        row = _first_cell(centers[:, 1], level.stride_y, level.reach)[:, None, None] + steps[None, :, None]
        inside = (column >= 0) & (column < level.width) & (row >= 0) & (row < level.height)
        cells = (row * level.width + column).clamp(0, level.height * level.width - 1).flatten(1)
        anchors = torch.arange(level.num_anchors, device=centers.device)
        indices.append((start + cells[..., None] * level.num_anchors + anchors).flatten(1))
        valid.append(inside.flatten(1)[..., None].expand(-1, -1, level.num_anchors).flatten(1))
        start += level.num_predictions
    return torch.cat(indices, 1), torch.cat(valid, 1)


def _first_cell(centers: Float[Tensor, " m"], stride: float, reach: int) -> Int[Tensor, " m"]:
    """Returns the first of the `reach` columns or rows around each centre."""
    return torch.floor(centers / stride - (reach - 1) / 2).long()


@torch.no_grad()
def assign(
    scores: Float[Tensor, "n p c"],
    iou: Float[Tensor, "m k"],
    indices: Int[Tensor, "m k"],
    valid: Tensor,
    *,
    image: Int[Tensor, " m"],
    class_ids: Int[Tensor, " m"],
    top_k: int = 10,
) -> Assignment:
    """Chooses the positives among the candidates.

    A prediction that is a candidate of several objects is assigned to the one with the highest IoU. `quality`
    is the alignment metric, scaled so that its maximum per object is the object's best IoU.

    Args:
        scores: objectness · class probability of every prediction.
        iou: IoU of each candidate's predicted box with its object, in [0, 1].
        indices, valid: result of `candidates`.
        image, class_ids: image index and class of each object.
        top_k: maximum number of positives per object.
    """
    num_predictions = scores.shape[1]
    score = scores[image[:, None], indices, class_ids[:, None]]
    metric = score.pow(SCORE_POWER) * iou.pow(IOU_POWER) * valid  # alignment t = s^α · u^β (TOOD, eq. 1)
    best, column = metric.topk(min(top_k, metric.shape[1]), dim=1)
    prediction, chosen_iou = indices.gather(1, column), iou.gather(1, column) * (best > 0)

    slot = image[:, None] * num_predictions + prediction
    highest = scores.new_zeros(scores.shape[0] * num_predictions)
    highest.scatter_reduce_(0, slot.flatten(), chosen_iou.flatten(), "amax")
    winner = chosen_iou == highest[slot]
    best, chosen_iou = best * winner, chosen_iou * winner

    top_metric, top_iou = best.amax(1, keepdim=True), chosen_iou.amax(1, keepdim=True)
    quality = best / top_metric.where(top_metric > 0, 1.0) * top_iou  # normalised alignment t̂ of TOOD
    return Assignment(prediction, column, quality)
