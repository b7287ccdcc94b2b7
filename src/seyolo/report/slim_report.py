"""The pictures of a slimming run: channels, curves, scales and sample detections."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import strides
from seyolo.darknet.sections import Convolutional
from seyolo.data.datasets import Dataset
from seyolo.evaluation.evaluate import predict
from seyolo.media.pictures import read_picture
from seyolo.network.build import DarknetModel
from seyolo.pruning.plan import Plan
from seyolo.report.plots import Channels, plot_channels, plot_curves, plot_scales
from seyolo.report.samples import plot_samples

NUM_SAMPLES = 8
STAGES = ("dense", "sparse", "finetuned")


def write_pictures(
    folder: Path, models: Mapping[str, DarknetModel], plan: Plan, dataset: Dataset, size_hw: tuple[int, int]
) -> None:
    """Writes channels.png, curves.png, scales.png and samples.jpg into a finished run's folder.

    Args:
        folder: holds the stages' folders with their `results.csv`.
        models: by stage, the last one is the result.
        plan: what was cut.
        dataset: sample pictures come from `test`, or `val` where there is none.
        size_hw: the networks' input in pixels.
    """
    before, after = channel_rows(models["sparse"].network, plan)
    plot_channels(before, after, folder / "channels.png")
    curves = {stage: _read_rows(folder / stage / "results.csv") for stage in STAGES}
    trained = {stage: rows for stage, rows in curves.items() if rows}
    if trained:
        plot_curves(trained, folder / "curves.png")
    plot_scales(scales(models["dense"]), scales(models["sparse"]), folder / "scales.png")
    split = "test" if "test" in dataset.splits else "val"
    samples = dataset.split(split)
    chosen = [
        samples[i] for i in np.linspace(0, len(samples) - 1, min(NUM_SAMPLES, len(samples))).astype(int)
    ]
    found = [predict(models[name], chosen, size_hw, confidence=0.25) for name in ("dense", list(models)[-1])]
    plot_samples(
        [read_picture(sample.image) for sample in chosen],
        found[0],
        found[1],
        dataset.names,
        folder / "samples.jpg",
    )


def channel_rows(network: Network, plan: Plan) -> tuple[list[Channels], list[Channels]]:
    """(layer, part, channels) of every convolution before and after; parts are named by their stride.

    The convolutions inside gates work on one value per channel and are left out.
    """
    widths = {width["layer"]: width for width in plan.widths}
    parts = {index: f"1/{stride}" for index, stride in enumerate(strides(network)) if stride is not None}
    rows = [index for index in parts if isinstance(network.layers[index], Convolutional)]
    before = [(index, parts[index], widths[index]["before"]) for index in rows]
    return before, [(index, parts[index], widths[index]["after"]) for index in rows]


def scales(model: DarknetModel) -> np.ndarray:
    """All batch-normalisation scales of a model as one vector."""
    values = [value.numpy() for name, value in model.state_dict().items() if name.endswith("bn.weight")]
    return np.concatenate(values)


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
