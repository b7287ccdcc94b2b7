"""`seyolo benchmark`: latency, memory and AP of several models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from rich.console import Group

from seyolo.commands.output import Json, check_target, remark, show
from seyolo.errors import MissingError, UsageError
from seyolo.files import check_writable
from seyolo.opening.detector import options_for, split_model
from seyolo.options.evaluate import BenchmarkOptions
from seyolo.progress import console_progress
from seyolo.report.tables.benchmark import benchmark_tables, model_names, noise_lines
from seyolo.runtime.choice import needing
from seyolo.verbs.benchmark import Compared, Entrant, compare, unique_names

DEFAULTS = BenchmarkOptions()
CHART_ENDINGS = (".png", ".svg", ".pdf")


def benchmark(*models: str, options: BenchmarkOptions = DEFAULTS, json: Json = None) -> None:
    """Latency of several models side by side, interleaved in one run, their memory, and their AP.

    Args:
        models: hand, .onnx and .xml files, checkpoints, .cfg files with their weights; zoo names run with
            random weights. Weights and model options are for the zoo names and .cfg files among them. Behind
            a model may stand a runtime and a precision: slim.onnx@openvino, slim.onnx@openvino:bf16,
            slim.cfg@opencv, slim.cfg@torch.
        json: write the result here as JSON, too; - is stdout.
    """
    check_target(json)
    _check_chart(options.chart, options.data)
    if not models:
        raise MissingError("a model is missing")
    entrants = {}
    for name, model in unique_names(models).items():
        given = options_for(split_model(model).model, options)
        entrants[name] = Entrant(str(model), given, options.threads, options.device)
    results = compare(
        entrants, options.data, repeats=options.repeats, batch=options.batch, progress=console_progress()
    )
    values = [
        {**asdict(r), "metrics": {split: {"ap": m.ap, "ap50": m.ap50} for split, m in r.metrics.items()}}
        for r in results
    ]
    said = [f"timed on {results.timed_on}", *noise_lines(results)]
    show({"models": values, "timed_on": results.timed_on}, Group(*benchmark_tables(results), *said), json)
    if options.chart is not None:
        _draw(results, model_names(results), options.chart)


def _check_chart(chart: Path | None, data: Path | None) -> None:
    """Refuses a chart that cannot be drawn, before any work is done."""
    if chart is None:
        return
    if data is None:
        raise UsageError("--chart shows AP against latency; give the data with --data")
    if chart.suffix not in CHART_ENDINGS:
        raise UsageError(f"--chart {chart}: give a file that ends in {', '.join(CHART_ENDINGS)}")
    check_writable(chart)
    for package, install in (("matplotlib", "matplotlib"), ("faster_coco_eval", "faster-coco-eval")):
        with needing(package, "--chart", install, title=install):
            import_module(package)


def _draw(results: Sequence[Compared], names: Sequence[str], path: Path) -> None:
    # Needs matplotlib, which is no part of the base install.
    from seyolo.report.figures.cost import Point, plot_pareto  # noqa: PLC0415

    splits = [split for split, measured in results[0].metrics.items() if measured.num_objects]
    if not splits:
        raise UsageError(f"--chart {path}: no split but train shows any object, so there is no AP to draw")
    split = "test" if "test" in splits else splits[-1]
    pairs = zip(names, results, strict=True)
    points = [Point(name, result.total_p50_ms, result.metrics[split].ap) for name, result in pairs]
    plot_pareto(points, split, path)
    remark(f"the chart is {path}")
