"""`evaluate` and the Oxford protocols: a MODEL on the splits of a data set."""

from __future__ import annotations

from pathlib import Path

from seyolo.data.datasets import Dataset, load_dataset
from seyolo.evaluation.ap import Metrics
from seyolo.evaluation.evaluate import Judgement, judge_splits, metrics_of
from seyolo.evaluation.oxford import BOXES_FILE, oxford_metrics
from seyolo.opening.network import input_size, open_model
from seyolo.progress import Progress, shown_progress, tell
from seyolo.report.figures.train_run import write_validation_figures
from seyolo.report.outcomes import Evaluation
from seyolo.runtime.choice import is_exported, open_backend
from seyolo.runtime.protocol import Backend
from seyolo.sizes import InputSize
from seyolo.torchnet.build import DarknetModel
from seyolo.verbs.trained_on import as_judged


def evaluate(
    model: str | Path | DarknetModel | Backend,
    data: str | Path | Dataset,
    split: str | None = None,
    *,
    size: InputSize | None = None,
    out: str | Path | None = None,
    progress: Progress | bool | None = True,
) -> Evaluation:
    """Measures COCO AP of a model on the named split, or on every split but `train`.

    Args:
        model: a MODEL with weights, or an open model.
        data: a data set as it is: a folder, an archive, or the file that describes it.
        split: its name; None for all but `train`. A data set with a single split that the run of the model
            divided is divided as there; images that it was trained on are told.
        size: of the input in pixels, the side of a square or (height, width); by default the model's own.
        out: a folder for curves, and for images with ground truth and detections.
        progress: True shows it as the command line does, or in a notebook; False does not; or a receiver.

    Returns:
        Metrics by split; a notebook shows them as a table, with curves and images.

    Example:
        >>> seyolo.evaluate("hand", "hands/data.yaml", "val")
        {'val': Metrics(ap=..., ap50=...)}
    """
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    if isinstance(model, str | Path):
        dataset, lines = as_judged(dataset, model, split)
        tell(shown_progress(progress), lines)
        is_file = is_exported(model) or (str(model).endswith(".cfg") and size is None)
        model = open_backend(model) if is_file else open_model(model)
    judgement = _judge(model, dataset, split, size=size, out=out, progress=progress)
    return Evaluation(metrics_of(judgement, dataset.names), dataset, judgement)


def evaluate_oxford(
    model: DarknetModel | Backend,
    data: str | Path | Dataset,
    split: str | None = None,
    *,
    size: InputSize | None = None,
    out: str | Path | None = None,
    progress: Progress | bool | None = True,
) -> dict[str, dict[str, Metrics]]:
    """Measures AP per split by the Oxford protocols `all` and `official`; arguments as in `evaluate`.

    Example:
        >>> seyolo.api.evaluate_oxford(seyolo.load("hand.safetensors"), "oxford/data.yaml", "test")
        {'test': {'all': Metrics(ap=..., ap50=...), 'official': Metrics(ap=..., ap50=...)}}
    """
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    judgement = _judge(model, dataset, split, size=size, out=out, progress=progress)
    table = dataset.source.parent / BOXES_FILE
    return {name: oxford_metrics(dataset.split(name), one.found, table) for name, one in judgement.items()}


def _judge(
    model: DarknetModel | Backend,
    dataset: Dataset,
    split: str | None,
    *,
    size: InputSize | None,
    out: str | Path | None,
    progress: Progress | bool | None,
) -> Judgement:
    shown = shown_progress(progress)
    judgement = judge_splits(model, dataset, split, input_size(model, size), shown)
    if out is not None:
        write_validation_figures(Path(out), dataset, judgement)
    return judgement
