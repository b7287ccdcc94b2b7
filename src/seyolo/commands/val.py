"""`seyolo val`: average precision on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import seyolo
from seyolo.commands.options import MODEL_DEFAULTS, Json
from seyolo.commands.output import check_target, show, table
from seyolo.data.datasets import load_dataset
from seyolo.evaluation.backends import evaluate_backend
from seyolo.opening.detector import open_detector, split_model
from seyolo.options.model import ModelOptions
from seyolo.progress import console_progress
from seyolo.runtime.choice import is_exported
from seyolo.runtime.protocol import Backend

if TYPE_CHECKING:
    from seyolo.evaluation.ap import Metrics
    from seyolo.torchnet.build import DarknetModel

COLUMNS = ("ap", "ap50", "ap75", "ap_small", "recall", "num_images", "num_objects")


def val(
    model: str,
    *,
    data: Path,
    split: str | None = None,
    protocol: Literal["coco", "oxford"] = "coco",
    size: int | None = None,
    out: Path | None = None,
    device: str = "cpu",
    start: ModelOptions = MODEL_DEFAULTS,
    json: Json = None,
) -> None:
    """Average precision of a model on a data set.

    Args:
        model: hand, a checkpoint, an .onnx or .xml file, or a .cfg or zoo name with --weights;
            @RUNTIME:PRECISION behind it as in seyolo benchmark.
        data: a data.yaml, Darknet .data, COCO .json or VOC folder.
        split: by default every split but train.
        protocol: coco, or oxford for all hands and the official ones (over 1,500 px²).
        size: side of the square input in pixels; by default the model's.
        out: a folder for the curves of precision, recall and F1, and for images with what is labelled and
            found.
        device: cpu, cuda or cuda:N.
        json: write the result here as JSON, too; - is stdout.
    """
    check_target(json)
    progress = console_progress()
    dataset = load_dataset(data)
    chosen = split_model(model)
    if chosen.runtime is not None or is_exported(chosen.model):
        detector: Backend | DarknetModel = open_detector(model, start, device=device)
    else:
        detector = seyolo.api.open_model(model, start, device=device)
    if protocol == "coco":
        # What runs without PyTorch is measured without it.
        if isinstance(detector, Backend) and out is None:
            coco = evaluate_backend(detector, dataset, split, size=size, progress=progress)
        else:
            coco = seyolo.evaluate(detector, dataset, split, size=size, out=out, progress=progress)
        rows = [{"split": name, **_columns(metrics)} for name, metrics in coco.items()]
        values: dict[str, object] = {name: metrics.to_dict() for name, metrics in coco.items()}
    else:
        measured = seyolo.api.evaluate_oxford(detector, dataset, split, size=size, out=out, progress=progress)
        rows = [
            {"split": name, "hands": hands, **_columns(metrics)}
            for name, by_hands in measured.items()
            for hands, metrics in by_hands.items()
        ]
        values = {
            name: {hands: metrics.to_dict() for hands, metrics in by_hands.items()}
            for name, by_hands in measured.items()
        }
    value = {"model": model, "data": str(data), "protocol": protocol, "metrics": values}
    show(value, table(rows), json)


def _columns(metrics: Metrics) -> dict[str, object]:
    return {name: getattr(metrics, name) for name in COLUMNS}
