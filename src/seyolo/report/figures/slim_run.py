"""Figures of a slimming run: channels, training curves, BN scales and sample detections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from seyolo.data.datasets import Dataset
from seyolo.evaluation.evaluate import Judgement
from seyolo.media.images import read_image
from seyolo.pruning.planning.plan import Plan
from seyolo.report.figures.bn_scales import plot_scales, plot_scales_over_time
from seyolo.report.figures.channels import channel_rows, plot_channels
from seyolo.report.figures.examples import chosen_samples
from seyolo.report.figures.samples import plot_samples
from seyolo.report.figures.training_curves import plot_training_curves
from seyolo.report.record import read_rows
from seyolo.report.tables.stages import shown_split
from seyolo.results import TRAINED_STAGES
from seyolo.torchnet.build import DarknetModel


def write_slim_figures(
    folder: Path,
    models: Mapping[str, DarknetModel],
    plan: Plan,
    dataset: Dataset,
    judgements: Mapping[str, Judgement],
) -> None:
    """Writes channels.png, curves.png, scales.png, scales_over_time.png and samples.jpg.

    Args:
        folder: of the run; curves.png and scales_over_time.png need the CSV files of its stages.
        models: the network of every stage, the slim one last.
        plan: of the cut.
        dataset: sample images come from `test`, else from `val`.
        judgements: labels and detections of every stage.
    """
    plot_channels(*channel_rows(models["sparse"].network, plan.widths), folder / "channels.png")
    curves = {stage: read_rows(folder / stage / "results.csv") for stage in TRAINED_STAGES}
    trained = {stage: rows for stage, rows in curves.items() if rows}
    if trained:
        plot_training_curves(trained, folder / "curves.png")
    plot_scales(bn_scales(models["dense"]), bn_scales(models["sparse"]), folder / "scales.png")
    percentiles = read_rows(folder / "sparse" / "scales.csv")
    if percentiles:
        plot_scales_over_time(percentiles, folder / "scales_over_time.png")
    _plot_samples(folder / "samples.jpg", dataset, judgements)


def _plot_samples(path: Path, dataset: Dataset, judgements: Mapping[str, Judgement]) -> None:
    split = shown_split(judgements["dense"])
    samples, chosen = dataset.split(split), chosen_samples(dataset, split)
    dense, slim = (
        [judgement[split][1][index] for index in chosen]
        for judgement in (judgements["dense"], list(judgements.values())[-1])
    )
    images = [read_image(samples[index].image) for index in chosen]
    plot_samples(images, dense, slim, dataset.names, path)


def bn_scales(model: DarknetModel) -> np.ndarray:
    """Returns all BN scales of a model as one vector."""
    values = [value.numpy() for name, value in model.state_dict().items() if name.endswith("bn.weight")]
    return np.concatenate(values)
