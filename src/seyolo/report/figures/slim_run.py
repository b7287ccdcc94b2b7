"""The images of a slimming run: channels, curves, scales and sample detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import strides
from seyolo.darknet.sections import Convolutional
from seyolo.data.datasets import Dataset
from seyolo.evaluation.evaluate import Judgement
from seyolo.media.images import read_image
from seyolo.pruning.planning.plan import Plan, Width
from seyolo.report.figures.charts import plot_scales_over_time
from seyolo.report.figures.plots import Channels, plot_channels, plot_curves, plot_scales
from seyolo.report.figures.samples import plot_samples
from seyolo.report.pages.evidence import chosen_samples
from seyolo.report.record import read_rows
from seyolo.report.tables.stages import shown_split
from seyolo.torchnet.build import DarknetModel

STAGES = ("dense", "sparse", "finetuned")


def write_images(
    folder: Path,
    models: Mapping[str, DarknetModel],
    plan: Plan,
    dataset: Dataset,
    judgements: Mapping[str, Judgement],
) -> None:
    """Writes channels.png, curves.png, scales.png and samples.jpg, and scales_over_time.png of sparsity.

    Args:
        folder: holds the stages' folders with their `results.csv`; the images come here, too.
        models: by stage, the last one is the result.
        plan: what was cut.
        dataset: sample images come from `test`, else from `val`.
        judgements: what each stage finds, by its name.
    """
    plot_channels(*channel_rows(models["sparse"].network, plan.widths), folder / "channels.png")
    curves = {stage: read_rows(folder / stage / "results.csv") for stage in STAGES}
    trained = {stage: rows for stage, rows in curves.items() if rows}
    if trained:
        plot_curves(trained, folder / "curves.png")
    plot_scales(scales(models["dense"]), scales(models["sparse"]), folder / "scales.png")
    spread = read_rows(folder / "sparse" / "scales.csv")
    if spread:
        plot_scales_over_time(spread, folder / "scales_over_time.png")
    split = shown_split(judgements["dense"])
    samples, chosen = dataset.split(split), chosen_samples(dataset, split)
    dense, slim = (
        [judgement[split][1][index] for index in chosen]
        for judgement in (judgements["dense"], list(judgements.values())[-1])
    )
    images = [read_image(samples[index].image) for index in chosen]
    plot_samples(images, dense, slim, dataset.names, folder / "samples.jpg")


def channel_rows(network: Network, widths: Sequence[Width]) -> tuple[list[Channels], list[Channels]]:
    """(layer, part, channels) of every convolution before and after; parts are named by their stride.

    The convolutions inside gates work on one value per channel and are left out.
    """
    by_layer = {width["layer"]: width for width in widths}
    parts = {index: f"1/{stride}" for index, stride in enumerate(strides(network)) if stride is not None}
    rows = [index for index in parts if isinstance(network.layers[index], Convolutional)]
    before = [(index, parts[index], by_layer[index]["before"]) for index in rows]
    return before, [(index, parts[index], by_layer[index]["after"]) for index in rows]


def scales(model: DarknetModel) -> np.ndarray:
    """All batch-normalisation scales of a model as one vector."""
    values = [value.numpy() for name, value in model.state_dict().items() if name.endswith("bn.weight")]
    return np.concatenate(values)
