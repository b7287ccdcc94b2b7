"""Opening any MODEL with the runtime that fits it, and `benchmark`: several of them side by side.

PyTorch is imported only for a model that needs it.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict, cast

import numpy as np
from jaxtyping import UInt8

import seyolo
from seyolo.darknet.placement import GateKind
from seyolo.darknet.sections import Join
from seyolo.darknet.zoo import is_zoo_name
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import BackendError, ModelError, UsageError
from seyolo.media.images import read_image
from seyolo.opening.description import describe
from seyolo.progress import Progress
from seyolo.runtime.benchmark import Timing, detect_timed, gradient_image
from seyolo.runtime.benchmark import benchmark as time_backends
from seyolo.runtime.choice import MODEL_ENDINGS, check_choice, is_exported, open_backend
from seyolo.runtime.installed import needing
from seyolo.runtime.memory import measure_alone
from seyolo.runtime.protocol import Backend, Precision, Runtime, require_size
from seyolo.runtime.shipped import is_shipped, shipped_names

if TYPE_CHECKING:
    from seyolo.evaluation.ap import Metrics

NUM_IMAGES = 16
NUM_ALONE = 3
"""Turns of a model whose memory is measured: some runtimes plan their memory in the second."""


class Choice(NamedTuple):
    """A MODEL without what may stand behind it: `slim.onnx@openvino:bf16`."""

    model: str
    runtime: Runtime | None
    precision: Precision


class OpenKeywords(TypedDict, total=False):
    """What `open_detector` takes besides the model."""

    weights: str | Path | None
    num_classes: int | None
    attention: GateKind | None
    at: Sequence[str]
    reduction: int
    join: Join
    threads: int | None
    device: str
    random: bool


@dataclass(frozen=True)
class Entrant:
    """A model of a comparison that is not open yet, and how to open it."""

    model: str
    keywords: OpenKeywords

    def open(self) -> Backend:
        """The model ready to run; raises as `open_detector` does."""
        return open_detector(self.model, **self.keywords)

    def peak_memory_mb(self, batch: int) -> float | None:
        """Of a process that does nothing but detect with it, `batch` photos at once: `runtime.memory`."""
        keywords = {
            key: str(value) if isinstance(value, Path) else value for key, value in self.keywords.items()
        }
        arguments = {"model": self.model, "keywords": keywords, "batch": batch}
        return measure_alone(__name__, "detect_alone", arguments)


@dataclass(frozen=True)
class Compared(Timing):
    """What `benchmark` tells of a model: its timing, and the following.

    Attributes:
        runtime: `onnxruntime`, `openvino`, `opencv` or `torch`.
        precision: of what the file has in float32.
        input_size: height and width in pixels.
        peak_memory_mb: of a process that only detects with it; None for a backend that was open already, and
            where the system does not tell.
        metrics: AP by split, when data were given.
    """

    runtime: str
    precision: Precision
    input_size: tuple[int, int]
    peak_memory_mb: float | None
    metrics: dict[str, Metrics] = field(default_factory=dict)


def split_model(model: str | Path) -> Choice:
    """What stands behind the last `@` of a MODEL file: a runtime, and behind `:` a precision.

    Raises:
        BackendError: a runtime or precision that does not exist.
    """
    text = str(model)
    name, at, wanted = text.rpartition("@")
    if not at or Path(text).exists() or not (_is_file(name) or _is_zoo_with_runtime(wanted)):
        return Choice(text, None, "f32")
    runtime, colon, precision = wanted.partition(":")
    check_choice(runtime, precision if colon else "f32", text)
    return Choice(name, cast(Runtime, runtime), cast(Precision, precision if colon else "f32"))


def _is_file(name: str) -> bool:
    return name.endswith(MODEL_ENDINGS) or is_shipped(name)


def _is_zoo_with_runtime(wanted: str) -> bool:
    """Whether this is a runtime and not the width of a zoo name; only PyTorch runs those."""
    return wanted.partition(":")[0] == "torch"


def open_detector(
    model: str | Path,
    weights: str | Path | None = None,
    *,
    num_classes: int | None = None,
    attention: GateKind | None = None,
    at: Sequence[str] = (),
    reduction: int = 16,
    join: Join = "scale",
    threads: int | None = None,
    device: str = "cpu",
    random: bool = False,
) -> Backend:
    """A MODEL ready to run: a file as it is on its own runtime, anything else on PyTorch.

    Args:
        model: a shipped detector, an `.onnx` or `.xml` file, a checkpoint, a `.cfg` or a zoo name;
            `@RUNTIME` or `@RUNTIME:PRECISION` behind it asks for another than the usual, as in
            `slim.onnx@openvino:bf16`.
        weights: of a `.cfg` or zoo network.
        num_classes, attention, at, reduction, join: as in `seyolo.api.open_model`; they need PyTorch.
        threads: of the CPU.
        device: `cpu` or `cuda`.
        random: random weights are welcome where none are given.

    Raises:
        BackendError: no such file, or a runtime that is missing or refuses it.
        ModelError: a network without weights.
    """
    name, runtime, precision = split_model(model)
    path = Path(name)
    runs_as_it_is = is_exported(name)
    if runs_as_it_is and (weights, num_classes, attention, tuple(at)) != (None, None, None, ()):
        raise UsageError(
            f"{name}: an exported file is run as it is; leave --weights and the model options out"
        )
    is_darknet = weights is None or (path.suffix == ".cfg" and Path(weights).suffix != ".safetensors")
    as_it_is = num_classes is None and attention is None and not at and is_darknet
    has_weights = path.suffix != ".cfg" or weights is not None or path.with_suffix(".weights").is_file()
    if runs_as_it_is or (as_it_is and path.suffix in MODEL_ENDINGS and (has_weights or not random)):
        return open_backend(
            name, weights, runtime=runtime, precision=precision, threads=threads, device=device
        )
    if runtime not in (None, "torch"):
        raise BackendError(f"{model}: {runtime} runs files as they are; with model options torch does")
    if path.suffix not in MODEL_ENDINGS:
        _require_known(name, num_classes)
    with needing("torch", name, '"seyolo[train]"'):
        api = seyolo.api
    return api.open_on_torch(
        name,
        weights=weights,
        num_classes=num_classes,
        attention=attention,
        at=at,
        reduction=reduction,
        join=join,
        threads=threads,
        device=device,
        precision=precision,
        random=random,
    )


def _require_known(name: str, num_classes: int | None) -> None:
    """Refuses what is no MODEL at all, whatever is installed; names the shipped detector that is near."""
    near = difflib.get_close_matches(name, shipped_names(), 1)
    if near and not is_zoo_name(name):
        raise ModelError(f"there is no model {name!r}; did you mean {near[0]}, which comes with seyolo?")
    describe(name, num_classes)


def benchmark(
    models: str | Path | Sequence[str | Path] | Mapping[str, Backend],
    data: str | Path | Dataset | None = None,
    *,
    repeats: int = 50,
    batch: int = 1,
    threads: int | None = None,
    device: str = "cpu",
) -> list[Compared]:
    """Latency of models measured against each other in one run, their memory, and their AP.

    Args:
        models: one or several `.onnx` or `.xml` files, checkpoints, `.cfg` with weights beside, or zoo names,
            which run with random weights; each may end in `@RUNTIME:PRECISION` as in `open_detector`; or open
            backends by name.
        data: its images are used when given, else one drawn 1280x720 image; and AP is measured on every
            split but `train`, which needs the package faster-coco-eval.
        repeats: timed rounds.
        batch: so many images at once are timed, too.
        threads: of the CPU.
        device: `cpu` or `cuda`.

    Raises:
        UsageError: no models.
        BackendError, ModelError: one that cannot be opened.
    """
    if isinstance(models, str | Path):
        models = [models]
    entrants: Mapping[str, Backend | Entrant]
    if isinstance(models, Mapping):
        entrants = models
    else:
        keywords = OpenKeywords(threads=threads, device=device, random=True)
        entrants = {name: Entrant(str(model), keywords) for name, model in unique_names(models).items()}
    return compare(entrants, data, repeats=repeats, batch=batch)


def compare(
    entrants: Mapping[str, Backend | Entrant],
    data: str | Path | Dataset | None = None,
    *,
    repeats: int = 50,
    batch: int = 1,
    progress: Progress | None = None,
) -> list[Compared]:
    """As `benchmark`, of models that are each opened in their own way; `progress` is told of the AP."""
    dataset = data if isinstance(data, Dataset) or data is None else load_dataset(data)
    backends = {
        name: entrant.open() if isinstance(entrant, Entrant) else entrant
        for name, entrant in entrants.items()
    }
    images = None if dataset is None else sample_images(dataset)
    timings = time_backends(backends, repeats, images=images, batch=batch)
    judged = None if dataset is None or not _can_measure_ap() else dataset
    return [
        Compared(
            **asdict(timing),
            runtime=backend.name,
            precision=split_model(entrant.model).precision if isinstance(entrant, Entrant) else "f32",
            input_size=backend.input_size,
            peak_memory_mb=entrant.peak_memory_mb(batch) if isinstance(entrant, Entrant) else None,
            metrics={} if judged is None else evaluate_backend(backend, judged, progress=progress),
        )
        for timing, backend, entrant in zip(timings, backends.values(), entrants.values(), strict=True)
    ]


def detect_alone(model: str, keywords: OpenKeywords, batch: int) -> None:
    """Opens a model and detects in a drawn image: what a process does whose memory is measured."""
    backend = open_detector(model, **keywords)
    for number in range(NUM_ALONE):
        detect_timed(backend, [gradient_image(720, 1280)], number, lambda: 0, count=batch)


def evaluate_backend(
    backend: Backend,
    data: str | Path | Dataset,
    split: str | None = None,
    *,
    size: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Metrics]:
    """As `seyolo.evaluate`, of what runs already; needs the package faster-coco-eval and no PyTorch.

    Raises:
        BackendError: the package is missing.
        UsageError: another size than the model's own.
        DataError: another number of classes, or no such split.
    """
    with needing("faster_coco_eval", "AP", "faster-coco-eval"):
        # No part of the base install.
        from seyolo.evaluation.splits import judge_splits, metrics_of  # noqa: PLC0415
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    judgement = judge_splits(backend, dataset, split, require_size(backend, size), progress)
    return metrics_of(judgement, len(backend.names))


def _can_measure_ap() -> bool:
    """Whether the package for it is there; warns where not, since latency can be had without."""
    if find_spec("faster_coco_eval") is not None:
        return True
    missing = "faster-coco-eval, which is not installed; get it with: pip install faster-coco-eval"
    warnings.warn(f"AP is left out: it needs {missing}", stacklevel=4)
    return False


def unique_names(models: Sequence[str | Path]) -> dict[str, str | Path]:
    """The models by what they are called in a table; the same one twice gets a number."""
    named: dict[str, str | Path] = {}
    for model in models:
        count = sum(str(model) == str(other) for other in named.values())
        named[str(model) if count == 0 else f"{model} #{count + 1}"] = model
    return named


def sample_images(data: str | Path | Dataset) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Some decoded images of a data set, spread over its `test` split or the last one there is."""
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    split = "test" if "test" in dataset.splits else list(dataset.splits)[-1]
    images = dataset.images(split)
    chosen = np.linspace(0, len(images) - 1, min(NUM_IMAGES, len(images))).astype(int)
    return [read_image(images[index]) for index in chosen]
