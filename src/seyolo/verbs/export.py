"""`export_file`: a MODEL written for other programs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seyolo.darknet.zoo import is_zoo_name
from seyolo.data.datasets import Dataset, load_images
from seyolo.errors import BackendError, ExportError, UsageError
from seyolo.evaluation.ap import Metrics
from seyolo.exporting.formats import checked_format, export, fitting_options
from seyolo.exporting.parity import Written
from seyolo.exporting.quantize import LEAST_IMAGES, Image, fit_images
from seyolo.letterbox import Fit
from seyolo.opening.network import input_size, open_model, resized
from seyolo.options.export import ExportOptions, FileOptions
from seyolo.options.model import NO_OPTIONS, ModelOptions
from seyolo.options.stored import data_of_run
from seyolo.options.tile import check_tiled_data
from seyolo.progress import Progress, tell
from seyolo.runtime.choice import open_backend
from seyolo.torchnet.build import DarknetModel
from seyolo.verbs.calibration import int8_images
from seyolo.verbs.evaluate import evaluate
from seyolo.verbs.export_rows import ExportedRow, exported_rows

DEFAULTS = ExportOptions()


@dataclass(frozen=True)
class Exported:
    """Result of `export_file`.

    Attributes:
        files: written.
        metrics: AP on `val` before and after int8, by `float32` and `int8` (the first int8 file).
        rows: error, size and latency of each file that was asked for.
        refused: what the formats said that cannot hold the network, where several files were asked for.
    """

    files: tuple[Path, ...]
    metrics: Mapping[str, Metrics] = field(default_factory=dict)
    rows: tuple[ExportedRow, ...] = ()
    refused: tuple[str, ...] = ()


def export_file(
    model: str | Path,
    out: Path | Sequence[Path],
    options: ExportOptions = DEFAULTS,
    start: ModelOptions = NO_OPTIONS,
    *,
    dataset: Dataset | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Writes a MODEL in the format of a path's ending; a zoo name without weights gets random ones.

    Args:
        model: a zoo name, a `.cfg`, a checkpoint or a shipped detector.
        out: the file, or several: then int8 and 16-bit kernels are for the formats that have them. A network
            that one of them cannot hold is refused before any is written; one that gives another output
            than the model does not keep the others from being written.
        options: of the file and of its int8.
        start: weights, classes and gates.
        dataset: the loaded data set instead of `options.data`.

    Raises:
        UsageError: options that exclude each other or that the format does not have.
        BackendError: a package that one of the files needs is missing; nothing is written.
        ModelError, ExportError, DataError: as `open_model`, `export` and `evaluate`.

    Example:
        >>> from pathlib import Path
        >>> [path.name for path in seyolo.api.export_file("hand.safetensors", Path("hand.cfg")).files]
        ['hand.cfg', 'hand.weights', 'hand.names']
    """
    outs = [out] if isinstance(out, Path) else list(out)
    has_data = dataset is not None or options.data is not None
    fitting = _checked(model, outs, options, start, has_data=has_data)
    if dataset is None and (options.data is not None or options.int8):
        dataset = load_images(options.data or _data_of_run(model))
        tell(progress, dataset.introduction([name for name in ("train", "val") if name in dataset.splits]))
    random = is_zoo_name(str(model)) and start.weights is None
    opened = resized(open_model(model, start, device=options.device, random=random), options.size)
    if options.int8 or len(outs) > 1:
        _check_holds(opened, outs, fitting)
    if dataset is not None and options.tile:
        dataset = dataset.tiled(options.tiling(input_size(opened, None)))
    measured = dataset if dataset is not None and "val" in dataset.splits and not options.nms else None
    images = [] if dataset is None else int8_images(dataset, options.pictures)
    if options.int8:
        fit_images(images[:LEAST_IMAGES], Fit.of(opened.network.net))  # too few are refused
    before = _metrics_of_float(opened, measured, progress) if measured else None
    written, refused = _write(opened, outs, fitting, images, progress)
    files = tuple(path for each, _ in written for path in each.files)
    rows = exported_rows(opened, written)
    in_int8 = [each.files[0] for each, options_of in written if options_of.int8]
    if before is None or measured is None or not in_int8:
        return Exported(files, {}, rows, refused)
    after = evaluate(open_backend(in_int8[0]), measured, "val", progress=progress)["val"]
    return Exported(files, {"float32": before, "int8": after}, rows, refused)


def _data_of_run(model: str | Path) -> Path:
    """Returns the data that a model was trained on; a UsageError refuses a model of no run."""
    data, advice = data_of_run(Path(model)), "give images with --data DATA; a folder without labels will do"
    if data is None:
        raise UsageError(f"int8 is measured on images, and {model} lies in no folder of a run; {advice}")
    if not data.exists():
        raise UsageError(f"int8 is measured on images, and {data}, the data of the run, is gone; {advice}")
    return data


def _checked(
    model: str | Path, outs: Sequence[Path], options: ExportOptions, start: ModelOptions, *, has_data: bool
) -> list[FileOptions]:
    """Refuses options that exclude each other and packages that are missing; returns those of each file."""
    if has_data and not options.int8:
        raise UsageError("images are for int8 alone: --int8 --data DATA")
    if options.int8 and is_zoo_name(str(model)) and start.weights is None:
        raise UsageError(f"{model}: has no trained weights, so int8 has nothing to measure; give --weights")
    check_tiled_data(options, has_data or options.int8)
    fitting: list[FileOptions] = [options] if len(outs) == 1 else fitting_options(outs, options)
    missing = []
    for out, fits in zip(outs, fitting, strict=True):
        try:
            checked_format(out, fits).require_packages(out)
        except BackendError as error:
            missing.append(str(error))
    if missing:
        raise BackendError("\n".join(missing))
    return fitting


def _check_holds(model: DarknetModel, outs: Sequence[Path], fitting: Sequence[FileOptions]) -> None:
    """Refuses, before anything is computed, a network that a format cannot hold."""
    refused = []
    for out, options in zip(outs, fitting, strict=True):
        try:
            checked_format(out, options).check(model, out, options)
        except ExportError as error:
            refused.append(f"{out}: {error}; nothing was written")
    if refused:
        raise ExportError("\n".join(refused))


def _write(
    model: DarknetModel,
    outs: Sequence[Path],
    fitting: Sequence[FileOptions],
    images: Sequence[Image],
    progress: Progress | None,
) -> tuple[list[tuple[Written, FileOptions]], tuple[str, ...]]:
    """Writes the files; of several, those that a format can hold, and what the others said."""
    written, refused = [], []
    for out, options in zip(outs, fitting, strict=True):
        try:
            own = images if options.int8 else ()
            made = checked_format(out, options).write(model, out, options, own, progress)
        except (ExportError, BackendError) as error:
            if len(outs) == 1:
                raise
            refused.append(str(error) if str(out) in str(error) else f"{out}: {error}")
        else:
            written.append((made, options))
    return written, tuple(refused)


def _metrics_of_float(model: DarknetModel, dataset: Dataset, progress: Progress | None) -> Metrics:
    """Measures the float32 model on the runtime of the int8 file."""
    with tempfile.TemporaryDirectory() as folder:
        (path,) = export(model, Path(folder) / "float.onnx")
        return evaluate(open_backend(path), dataset, "val", progress=progress)["val"]
