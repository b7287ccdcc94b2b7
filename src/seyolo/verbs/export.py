"""`export_file`: a MODEL written for other programs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from seyolo.darknet.zoo import is_zoo_name
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import UsageError
from seyolo.evaluation.ap import Metrics
from seyolo.exporting.formats import checked_format, export
from seyolo.opening.network import input_size, open_model, resized
from seyolo.options.export import ExportOptions
from seyolo.options.model import NO_OPTIONS, ModelOptions
from seyolo.options.tile import check_tiled_data
from seyolo.progress import Progress, tell
from seyolo.runtime.choice import open_backend
from seyolo.torchnet.build import DarknetModel
from seyolo.verbs.calibration import int8_images
from seyolo.verbs.evaluate import evaluate

DEFAULTS = ExportOptions()


@dataclass(frozen=True)
class Exported:
    """Files written by `export_file`, and AP on `val` before and after int8, by `float32` and `int8`."""

    files: tuple[Path, ...]
    metrics: Mapping[str, Metrics] = field(default_factory=dict)


def export_file(
    model: str | Path,
    out: Path,
    options: ExportOptions = DEFAULTS,
    start: ModelOptions = NO_OPTIONS,
    *,
    dataset: Dataset | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Writes a MODEL in the format of a path's ending; a zoo name without weights gets random ones.

    Args:
        model: a zoo name, a `.cfg` or a checkpoint.
        options: of the file and of its int8.
        start: weights, classes and gates.
        dataset: the loaded data set instead of `options.data`.

    Raises:
        UsageError: options that exclude each other or that the format does not have.
        ModelError, ExportError, DataError: as `open_model`, `export` and `evaluate`.

    Example:
        >>> from pathlib import Path
        >>> [path.name for path in seyolo.api.export_file("hand.safetensors", Path("hand.cfg")).files]
        ['hand.cfg', 'hand.weights', 'hand.names']
    """
    random = is_zoo_name(str(model)) and start.weights is None
    has_data = dataset is not None or options.data is not None
    if options.int8 != has_data:
        raise UsageError("int8 is measured on images, and they are for nothing else: --int8 --data DATA")
    if options.int8 and random:
        raise UsageError(f"{model}: has no trained weights, so int8 has nothing to measure; give --weights")
    check_tiled_data(options, has_data)
    chosen = checked_format(out, options)
    if dataset is None and options.data is not None:
        dataset = load_dataset(options.data)
        tell(progress, dataset.introduction([name for name in ("train", "val") if name in dataset.splits]))
    opened = resized(open_model(model, start, device=options.device, random=random), options.size)
    if dataset is None:
        return Exported(chosen.write(opened, out, options, ()))
    if options.tile:
        dataset = dataset.tiled(options.tiling(input_size(opened, None)))
    is_measured = "val" in dataset.splits and not options.nms
    before = _metrics_of_float(opened, dataset, progress) if is_measured else None
    images = int8_images(dataset, options.pictures)
    files = chosen.write(opened, out, options, images)
    if before is None:
        return Exported(files)
    after = evaluate(open_backend(out), dataset, "val", progress=progress)["val"]
    return Exported(files, {"float32": before, "int8": after})


def _metrics_of_float(model: DarknetModel, dataset: Dataset, progress: Progress | None) -> Metrics:
    """Measures the float32 model on the runtime of the int8 file."""
    with tempfile.TemporaryDirectory() as folder:
        (path,) = export(model, Path(folder) / "float.onnx")
        return evaluate(open_backend(path), dataset, "val", progress=progress)["val"]
