"""`seyolo val`: average precision on a data set."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

import seyolo
from seyolo.commands.output import Json, check_target, remark, remark_on, show, table
from seyolo.data.datasets import Dataset, evaluated_splits, load_dataset
from seyolo.evaluation.backends import evaluate_backend
from seyolo.opening.detector import runs_as_file, split_model
from seyolo.opening.running import Work, open_running
from seyolo.options.evaluate import EvaluateOptions
from seyolo.progress import console_progress
from seyolo.report.tables.classes import class_parts
from seyolo.runtime.choice import is_exported
from seyolo.runtime.protocol import Backend
from seyolo.sizes import InputSize
from seyolo.verbs.trained_on import as_judged

if TYPE_CHECKING:
    from seyolo.evaluation.ap import Metrics
    from seyolo.torchnet.build import DarknetModel

DEFAULTS = EvaluateOptions()
Measured = tuple[list[RenderableType], dict[str, object]]
COLUMNS = ("ap", "ap50", "ap75", "ap_small", "recall", "num_images", "num_objects")


def val(model: str, *, data: Path, options: EvaluateOptions = DEFAULTS, json: Json = None) -> None:
    """Average precision of a model on a data set.

    Args:
        model: hand, a checkpoint, an .onnx or .xml file, or a .cfg or zoo name with --weights;
            @RUNTIME:PRECISION behind it as in seyolo benchmark.
        data: a data set as it is: folder, archive, data.yaml, Darknet .data or COCO .json.
        json: write the result here as JSON, too; - is stdout.
    """
    check_target(json)
    dataset = load_dataset(data)
    dataset, lines = as_judged(dataset, split_model(model, options.runtime).model, options.split)
    remark_on(dataset, evaluated_splits(dataset, options.split))
    for line in lines:
        remark(line)
    detector = _opened(model, dataset, options)
    dataset = dataset.tiled(options.tiling(_input_size(detector, options.size)))
    measure = _oxford if options.protocol == "oxford" else _coco
    parts, metrics = measure(detector, dataset, options)
    runtime = detector.name if isinstance(detector, Backend) else "torch"
    head = {"model": model, "runtime": runtime, "data": str(data), "protocol": options.protocol}
    show({**head, "metrics": metrics}, Group(*parts), json)


def _opened(model: str, dataset: Dataset, options: EvaluateOptions) -> Backend | DarknetModel:
    """Opens a model: a network of PyTorch for another size and model options, else on a runtime."""
    chosen = split_model(model, options.runtime)
    can_choose = options.device == "cpu" and runs_as_file(chosen.model, options)
    # A cfg runs as its exported file would, and so does a checkpoint where PyTorch is missing.
    runs_alone = can_choose or chosen.model.endswith(".cfg") or find_spec("torch") is None
    if chosen.runtime is None and not is_exported(chosen.model) and not (runs_alone and options.size is None):
        return seyolo.api.open_model(model, options, device=options.device, threads=options.threads)
    splits = evaluated_splits(dataset, options.split)
    images = {split: dataset.images(split) for split in splits}
    first = [dataset.sample(split, found[0]) for split, found in images.items()]
    work = Work(sum(map(len, images.values())), samples=lambda: [sample.read() for sample in first])
    return open_running(model, options, work, remark).backend


def _input_size(detector: Backend | DarknetModel, size: InputSize | None) -> InputSize:
    if size is not None:
        return size
    if isinstance(detector, Backend):
        return detector.input_size
    return detector.network.net.height, detector.network.net.width


def _coco(detector: Backend | DarknetModel, dataset: Dataset, options: EvaluateOptions) -> Measured:
    """Returns the tables and the JSON of each split."""
    progress, split, size = console_progress(), options.split, options.size
    # What runs without PyTorch is measured without it.
    if isinstance(detector, Backend) and options.out is None:
        measured = evaluate_backend(detector, dataset, split, size=size, progress=progress)
    else:
        measured = seyolo.evaluate(detector, dataset, split, size=size, out=options.out, progress=progress)
    rows = [{"split": name, **_columns(metrics)} for name, metrics in measured.items()]
    parts: list[RenderableType] = [table(rows), *class_parts(measured, "; --json FILE has all")]
    return parts, {split: found.to_dict() for split, found in measured.items()}


def _oxford(detector: Backend | DarknetModel, dataset: Dataset, options: EvaluateOptions) -> Measured:
    """Returns the table and the JSON of each split, for all hands and for the official ones."""
    measured = seyolo.api.evaluate_oxford(
        detector, dataset, options.split, size=options.size, out=options.out, progress=console_progress()
    )
    rows: list[dict[str, object]] = []
    values: dict[str, object] = {}
    for name, by_hands in measured.items():
        rows += [{"split": name, "hands": hands, **_columns(found)} for hands, found in by_hands.items()]
        values[name] = {hands: metrics.to_dict() for hands, metrics in by_hands.items()}
    return [table(rows)], values


def _columns(metrics: Metrics) -> dict[str, object]:
    return {name: getattr(metrics, name) for name in COLUMNS}
