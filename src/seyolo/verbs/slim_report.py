"""Files that report a slimming run: results.json, tables, figures and the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seyolo.data.datasets import Dataset
from seyolo.evaluation.evaluate import Judgement, curves_by_split
from seyolo.files import write_json, write_text
from seyolo.pruning.planning.plan import Plan
from seyolo.report.figures.slim_run import write_example_images, write_slim_figures
from seyolo.report.pages.write import PAGE_FILE, write_report
from seyolo.report.record import write_curves
from seyolo.report.tables.slim import controls_markdown, markdown_table
from seyolo.results import RESULTS_FILE, SlimResults
from seyolo.torchnet.build import DarknetModel


def report_slim_run(
    folder: Path,
    dataset: Dataset,
    models: Mapping[str, DarknetModel],
    plan: Plan,
    judgements: Mapping[str, Judgement],
    *,
    results: SlimResults,
) -> None:
    """Writes results.json, table.md, controls.md, the figures, curves.json and report.html.

    Args:
        folder: of the run.
        dataset: that the networks were evaluated on.
        models: the network of every stage.
        plan: of the cut.
        judgements: labels and detections of every stage.
        results: of the run.
    """
    write_json(folder / RESULTS_FILE, results.to_json())
    write_text(folder / "table.md", markdown_table(results) + "\n")
    if results.controls:
        write_text(folder / "controls.md", controls_markdown(results.controls))
    write_slim_figures(folder, models, plan, dataset, judgements)
    num_classes = len(dataset.names)
    curves = {stage: curves_by_split(found, num_classes) for stage, found in judgements.items()}
    write_curves(folder, curves)
    write_example_images(folder, dataset, judgements)
    write_report([folder], folder / PAGE_FILE)
