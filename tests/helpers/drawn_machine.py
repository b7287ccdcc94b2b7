"""A machine whose latency is a formula, and the table learned from it."""

from __future__ import annotations

import numpy as np

from seyolo.darknet.edit import set_size
from seyolo.darknet.zoo import network_from_name
from seyolo.pruning.groups.groups import find_groups
from seyolo.pruning.planning.latency import Cut, LatencyTable
from seyolo.pruning.planning.prunable import PrunableNetwork

NETWORK = set_size(network_from_name("yolov3-tiny@0.5", num_classes=1), 96, 96)


WIDTHS = np.array([group.num_channels for group in find_groups(NETWORK).groups])


FREE = np.array([not group.fixed for group in find_groups(NETWORK).groups])


def machine(counts: np.ndarray) -> float:
    """A machine that computes in sixteens and needs a while for every convolution."""
    padded = np.ceil(counts / 16) * 16
    return 1.0 + float(padded[1:-1] @ padded[2:]) / 2e4


def random_counts(rng: np.random.Generator) -> np.ndarray:
    return np.where(FREE, np.maximum(1, (WIDTHS * rng.uniform(0.1, 1, len(WIDTHS))).astype(int)), WIDTHS)


def table_of(num_cuts: int = 60) -> LatencyTable:
    rng = np.random.default_rng(0)
    choices = [WIDTHS, *(random_counts(rng) for _ in range(num_cuts))]
    cuts = [Cut(tuple(counts.tolist()), machine(counts)) for counts in choices]
    return LatencyTable(PrunableNetwork(NETWORK), cuts)


TABLE = table_of()
