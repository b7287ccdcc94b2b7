"""Scores of the channels of a network, as a plan ranks them, and the scales of its batch normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from seyolo.data.datasets import Dataset, load_images
from seyolo.errors import UsageError, counted
from seyolo.letterbox import Fit
from seyolo.opening.network import open_model
from seyolo.options.cut import Importance as ImportanceName
from seyolo.options.cut import Tied
from seyolo.progress import Progress, shown_progress
from seyolo.pruning.groups.atoms import FloatArray, IntArray
from seyolo.pruning.groups.groups import find_groups
from seyolo.pruning.importance.built_in import Material, named_importance
from seyolo.pruning.importance.importance import Importance
from seyolo.torchnet.build import DarknetModel
from seyolo.training.sparsity import sparse_scales
from seyolo.verbs.calibration import CalibrationSet


@dataclass(frozen=True, eq=False)
class GroupScores:
    """Scores of one group: channels that are pruned together.

    Attributes:
        layers: its convolutions, by their numbers in `seyolo info`.
        channels: (num_channels,) the output channel of the first of them in each slot.
        scores: (num_channels,) the larger, the more important; infinite where the channel is always kept.
    """

    layers: tuple[int, ...]
    channels: IntArray
    scores: FloatArray


@dataclass(frozen=True, eq=False, repr=False)
class ImportanceScores:
    """Scores of all channels that can be pruned.

    Attributes:
        importance: name of the importance.
        per_cost: True where a plan divides the scores by the cost of a channel, as it does for `obs`.
        groups: one for each group, as `Plan.groups` has them in the same order.
        layers: per convolution (filters,) the same scores; infinite for channels that are always kept.
    """

    importance: str
    per_cost: bool
    groups: tuple[GroupScores, ...]
    layers: dict[int, FloatArray]

    def __repr__(self) -> str:
        channels = sum(len(group.scores) for group in self.groups)
        return (
            f"<ImportanceScores: {self.importance}; {counted(channels, 'channel')} in "
            f"{counted(len(self.groups), 'group')}>"
        )


def importance_scores(
    model: DarknetModel | str | Path,
    importance: ImportanceName | Importance = "bn",
    *,
    data: str | Path | Dataset | None = None,
    tied: Tied | None = None,
    seed: int = 0,
    progress: Progress | bool | None = None,
) -> ImportanceScores:
    """Returns the scores by which a plan ranks the channels of a network.

    Args:
        model: the dense network, or a checkpoint or `.cfg` with weights; it stays as it is.
        importance: name of a built-in one, `obs` for the second-order scores; or an object as in `prune`.
        data: images that `obs` and `taylor` (needs labels) are measured on: the `train` split, or a folder.
        tied: how the scores of tied convolutions become one, as in `PlanOptions`.
        seed: of the choice of images, and of `random`.
        progress: as in `train`; silent by default.

    Raises:
        UsageError: an unknown name, or `obs` and `taylor` without `data`.
        DataError: `taylor` without labels.

    Example:
        >>> model = seyolo.load("yolov3-tiny@0.25", num_classes=1)
        >>> found = seyolo.api.importance_scores(model, "norm")
        >>> found
        <ImportanceScores: norm; 800 channels in 11 groups>
        >>> found.layers[0].shape, found.groups[0].layers
        ((8,), (0,))
    """
    opened = model if isinstance(model, DarknetModel) else open_model(model)
    if isinstance(importance, str):
        dataset = load_images(data) if isinstance(data, str | Path) else data
        images = None if dataset is None else CalibrationSet(dataset, Fit.of(opened.network.net), seed)
        material = Material(tied, np.random.default_rng(seed), images, progress=shown_progress(progress))
        importance = named_importance(importance, material)
    elif data is not None or tied is not None:
        raise UsageError("importance_scores: data and tied are for built-in importances; leave them out")
    was_training, groups = opened.training, find_groups(opened.network)
    scores = importance.scores(opened, groups)
    opened.train(was_training)
    found, layers = [], dict[int, FloatArray]()
    for group, score in zip(groups.groups, scores, strict=True):
        if group.fixed:
            continue
        found.append(GroupScores(group.layers, group.members[0], np.asarray(score, dtype=np.float64)))
        for layer, members in zip(group.layers, group.members, strict=True):
            layers.setdefault(layer, np.full(len(groups.slots[layer]), np.inf))[members] = score
    return ImportanceScores(importance.name, importance.per_cost, tuple(found), layers)


def bn_scales(model: DarknetModel) -> dict[int, Float32[np.ndarray, " filters"]]:
    """Returns the scales γ of the batch normalisation of every convolution that has one, with their signs.

    Example:
        >>> scales = seyolo.api.bn_scales(seyolo.load("yolov3-tiny@0.25", num_classes=1))
        >>> len(scales), scales[0].shape
        (11, (8,))
    """
    return {
        int(name.split(".")[1]): bn.weight.detach().float().cpu().numpy().copy()
        for name, bn in sparse_scales(model).items()
    }
