"""Which predictions learn which objects: task-aligned assignment for anchor heads.

Each object offers itself to the cells around its centre, on every level and with every anchor. The candidates
are ranked by score^α · IoU^β (Feng 2021, TOOD) and the best `top_k` become positives, so one object trains
several predictions and the levels sort themselves out without anchor thresholds.

Letters: M objects of the batch, K candidates per object, P predictions per picture.
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
    """One [yolo] layer's grid: cells, strides in pixels, anchors per cell, cells an object reaches a side."""

    height: int
    width: int
    stride_y: float
    stride_x: float
    num_anchors: int
    reach: int = 1

    @property
    def num_predictions(self) -> int:
        """Predictions of this level for one picture."""
        return self.height * self.width * self.num_anchors


@dataclass(frozen=True)
class Assignment:
    """The positives of a batch.

    Which prediction of which picture learns which object, the object's candidate column that this is, and the
    score it should reach.
    """

    picture: Int[Tensor, " n"]
    prediction: Int[Tensor, " n"]
    target: Int[Tensor, " n"]
    column: Int[Tensor, " n"]
    quality: Float[Tensor, " n"]


def candidates(centers: Float[Tensor, "m 2"], levels: Sequence[Level]) -> tuple[Tensor, Tensor]:
    """The predictions an object may train: the cells around its centre, all levels, all anchors.

    Args:
        centers: object centres (x, y) in input pixels.
        levels: the grids in the order of the predictions.

    Returns:
        Prediction indices (M, K) into a picture's P predictions, and a mask (M, K) that is False for cells
        outside the grid.
    """
    indices, valid, start = [], [], 0
    for level in levels:
        cell = centers / centers.new_tensor([level.stride_x, level.stride_y])
        first = torch.floor(cell - (level.reach - 1) / 2).long()
        steps = torch.arange(level.reach, device=centers.device)
        column = first[:, 0, None, None] + steps[None, None, :]
        row = first[:, 1, None, None] + steps[None, :, None]
        inside = (column >= 0) & (column < level.width) & (row >= 0) & (row < level.height)
        cells = (row * level.width + column).clamp(0, level.height * level.width - 1).flatten(1)
        anchors = torch.arange(level.num_anchors, device=centers.device)
        indices.append((start + cells[..., None] * level.num_anchors + anchors).flatten(1))
        valid.append(inside.flatten(1)[..., None].expand(-1, -1, level.num_anchors).flatten(1))
        start += level.num_predictions
    return torch.cat(indices, 1), torch.cat(valid, 1)


@torch.no_grad()
def assign(
    scores: Float[Tensor, "n p c"],
    iou: Float[Tensor, "m k"],
    indices: Int[Tensor, "m k"],
    valid: Tensor,
    *,
    picture: Int[Tensor, " m"],
    class_ids: Int[Tensor, " m"],
    top_k: int = 10,
) -> Assignment:
    """Chooses the positives among the candidates.

    A prediction that several objects want goes to the one it overlaps most. `quality` is the alignment metric
    scaled so that each object's best prediction is asked for its own IoU.

    Args:
        scores: objectness · class probability of every prediction.
        iou: IoU of each candidate's predicted box with its object, in [0, 1].
        indices: candidates from `candidates`.
        valid: which of them exist.
        picture: the picture of each object.
        class_ids: the class of each object.
        top_k: positives per object at most.
    """
    num_predictions = scores.shape[1]
    score = scores[picture[:, None], indices, class_ids[:, None]]
    metric = score.pow(SCORE_POWER) * iou.pow(IOU_POWER) * valid
    best, column = metric.topk(min(top_k, metric.shape[1]), dim=1)
    target, rank = (best > 0).nonzero(as_tuple=True)
    column, best = column[target, rank], best[target, rank]

    chosen_iou = iou[target, column]
    slot = picture[target] * num_predictions + indices[target, column]
    highest = scores.new_zeros(scores.shape[0] * num_predictions).scatter_reduce_(0, slot, chosen_iou, "amax")
    winner = chosen_iou == highest[slot]
    target, column, best, chosen_iou = target[winner], column[winner], best[winner], chosen_iou[winner]

    zeros = scores.new_zeros(len(picture))
    top_metric = zeros.scatter_reduce(0, target, best, "amax")
    top_iou = zeros.scatter_reduce(0, target, chosen_iou, "amax")
    quality = best / top_metric[target] * top_iou[target]
    return Assignment(picture[target], indices[target, column], target, column, quality)
