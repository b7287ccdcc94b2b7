"""`benchmark`: latency, memory and AP of several models, measured in one run.

PyTorch is imported only for a model that needs it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from seyolo.data.datasets import Dataset, evaluated_splits, load_dataset
from seyolo.errors import counted
from seyolo.evaluation.backends import evaluate_backend
from seyolo.json_files import from_json, to_json
from seyolo.opening.detector import open_detector, split_model
from seyolo.options.model import ModelOptions
from seyolo.progress import Progress, tell
from seyolo.report.tables.benchmark import benchmark_tables, runtime_text
from seyolo.report.text import latency_text
from seyolo.runtime.benchmark import Timing, detect_timed, gradient_image
from seyolo.runtime.benchmark import benchmark as time_backends
from seyolo.runtime.memory import measure_alone
from seyolo.runtime.protocol import Backend, Precision
from seyolo.verbs.trained_on import run_data, trained_lines

if TYPE_CHECKING:
    from seyolo.evaluation.ap import Metrics

NUM_IMAGES = 16
DRAWN_PX = 720, 1280  # height and width of the image that is timed without data
NUM_ALONE = 3  # runs of a model whose memory is measured; some runtimes allocate memory in the second


@dataclass(frozen=True)
class Entrant:
    """A model to benchmark, not open yet; `model` may end in another runtime than the usual."""

    model: str
    options: ModelOptions
    threads: int | None
    device: str

    def open(self) -> Backend:
        """Opens the model, with random weights where it has none."""
        return open_detector(self.model, self.options, threads=self.threads, device=self.device, random=True)

    def peak_memory_mb(self, batch: int) -> float | None:
        """Returns the peak memory of a process that only detects, `batch` images at once."""
        return measure_alone(__name__, "detect_alone", {"entrant": to_json(self), "batch": batch})


@dataclass(frozen=True, repr=False)
class Compared(Timing):
    """Result of `benchmark` for one model: timing, memory and AP.

    Attributes:
        runtime: `onnxruntime`, `openvino`, `ncnn`, `mnn`, `litert`, `opencv` or `torch`.
        precision: of the layers that the file holds in float32.
        input_size: height and width in pixels.
        peak_memory_mb: of a process that only detects; None for a backend that the caller opened, and where
            the system does not report it.
        metrics: AP by split, where a data set is given.
    """

    runtime: str
    precision: Precision
    input_size: tuple[int, int]
    peak_memory_mb: float | None
    metrics: dict[str, Metrics] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"<Compared: {self.name} on {runtime_text(self)}, p50 {latency_text(self.total_p50_ms)} an image>"
        )


class Comparison(list[Compared]):
    """Results of `benchmark`, one per model; a notebook shows them as tables.

    `timed_on` names the images that latency was measured on: 16 images of test, 640x480 to 1280x720 px.
    """

    def __init__(self, rows: Iterable[Compared] = (), timed_on: str = "") -> None:
        super().__init__(rows)
        self.timed_on = timed_on

    def _repr_html_(self) -> str:
        return "".join(table.html() for table in benchmark_tables(self))


def benchmark(
    models: str | Path | Sequence[str | Path] | Mapping[str, Backend],
    data: str | Path | Dataset | None = None,
    *,
    repeats: int = 50,
    batch: int = 1,
    threads: int | None = None,
    device: str = "cpu",
) -> Comparison:
    """Measures latency, memory and AP of several models, interleaved in one run.

    Args:
        models: one or several `.onnx` or `.xml` files, checkpoints, `.cfg` with weights beside, or zoo names,
            which run with random weights; each may end in `@RUNTIME:PRECISION`, as in
            `slim.onnx@openvino:bf16`; or open backends by name.
        data: gives the images, and the splits but `train` for AP, which needs the package faster-coco-eval;
            without it one drawn 1280x720 image is used.
        repeats: timed rounds.
        batch: also time this many images at once.
        threads: of the CPU.
        device: `cpu` or `cuda`.

    Raises:
        UsageError: no models.
        BackendError, ModelError: a model that cannot be opened.

    Example:
        >>> (row,) = seyolo.benchmark("hand", repeats=3)
        >>> row.runtime, row.input_size
        ('onnxruntime', (320, 320))
    """
    if isinstance(models, Mapping):
        return compare(models, data, repeats=repeats, batch=batch)
    named = unique_names([models] if isinstance(models, str | Path) else models)
    entrants = {name: Entrant(str(one), ModelOptions(), threads, device) for name, one in named.items()}
    return compare(entrants, data, repeats=repeats, batch=batch)


def compare(
    entrants: Mapping[str, Backend | Entrant],
    data: str | Path | Dataset | None = None,
    *,
    repeats: int = 50,
    batch: int = 1,
    progress: Progress | None = None,
) -> Comparison:
    """Benchmarks models that each have their own options; `progress` reports the evaluation."""
    dataset = data if isinstance(data, Dataset) or data is None else load_dataset(data)
    if dataset is not None:
        tell(progress, dataset.introduction(evaluated_splits(dataset, None)))
        named = [entrant for entrant in entrants.values() if isinstance(entrant, Entrant)]
        found = (run_data(split_model(entrant.model).model) for entrant in named)
        runs = {run.folder: run for run in found if run is not None}
        tell(progress, [line for run in runs.values() for line in trained_lines(dataset, run, None)])
    backends = {
        name: entrant.open() if isinstance(entrant, Entrant) else entrant
        for name, entrant in entrants.items()
    }
    images = [gradient_image(*DRAWN_PX)] if dataset is None else sample_images(dataset)
    timings = time_backends(backends, repeats, images=images, batch=batch)
    judged = None if dataset is None or not _can_measure_ap() else dataset
    rows = (
        Compared(
            **asdict(timing),
            runtime=backend.name,
            precision=split_model(entrant.model).precision if isinstance(entrant, Entrant) else "f32",
            input_size=backend.input_size,
            peak_memory_mb=entrant.peak_memory_mb(batch) if isinstance(entrant, Entrant) else None,
            metrics={} if judged is None else evaluate_backend(backend, judged, progress=progress),
        )
        for timing, backend, entrant in zip(timings, backends.values(), entrants.values(), strict=True)
    )
    what = (
        "a drawn image" if dataset is None else f"{counted(len(images), 'image')} of {timed_split(dataset)}"
    )
    return Comparison(rows, f"{what}, {sizes_text(images)} px")


def sizes_text(images: Sequence[UInt8[np.ndarray, "H W 3"]]) -> str:
    """Returns the size of images as WIDTHxHEIGHT, or the smallest and the largest by area."""
    sizes = sorted((image.shape[:2] for image in images), key=math.prod)
    smallest, largest = (f"{width}x{height}" for height, width in (sizes[0], sizes[-1]))
    return smallest if smallest == largest else f"{smallest} to {largest}"


def timed_split(dataset: Dataset) -> str:
    """Returns the split whose images are timed: `test`, or the last one."""
    return "test" if "test" in dataset.splits else list(dataset.splits)[-1]


def detect_alone(entrant: object, batch: int) -> None:
    """Opens an entrant, given as JSON, and detects in a drawn image: the process whose memory is measured."""
    backend = from_json(entrant, Entrant).open()
    for number in range(NUM_ALONE):
        detect_timed(backend, [gradient_image(*DRAWN_PX)], number, lambda: 0, count=batch)


def _can_measure_ap() -> bool:
    """Tells whether faster-coco-eval is installed; warns if it is not, since latency needs no AP."""
    if find_spec("faster_coco_eval") is not None:
        return True
    missing = "faster-coco-eval, which is not installed; get it with: pip install faster-coco-eval"
    warnings.warn(f"AP is left out: it needs {missing}", stacklevel=4)
    return False


def unique_names(models: Sequence[str | Path]) -> dict[str, str | Path]:
    """Returns the models by their names in tables; a repeated model gets a number."""
    named: dict[str, str | Path] = {}
    for model in models:
        count = sum(str(model) == str(other) for other in named.values())
        named[str(model) if count == 0 else f"{model} #{count + 1}"] = model
    return named


def sample_images(dataset: Dataset) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Returns decoded images of a data set, spread over its `timed_split`."""
    split = timed_split(dataset)
    images = dataset.images(split)
    chosen = np.linspace(0, len(images) - 1, min(NUM_IMAGES, len(images))).astype(int)
    return [dataset.sample(split, images[index]).read() for index in chosen]
