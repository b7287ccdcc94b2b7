"""Opening any MODEL with the runtime that fits it, and `benchmark`: several of them side by side.

PyTorch is imported only for a model that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

import seyolo
from seyolo.darknet.placement import GateKind
from seyolo.darknet.sections import Join
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import UsageError
from seyolo.media.pictures import read_picture
from seyolo.runtime.backend import EXPORTED_ENDINGS, MODEL_ENDINGS, Backend, open_backend
from seyolo.runtime.benchmark import Timing
from seyolo.runtime.benchmark import benchmark as time_backends

NUM_PICTURES = 16


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
        model: an `.onnx` or `.xml` file, a checkpoint, a `.cfg` or a zoo name.
        weights: of a `.cfg` or zoo network.
        num_classes, attention, at, reduction, join: as in `seyolo.api.open_model`; they need PyTorch.
        threads: of the CPU.
        device: `cpu` or `cuda`.
        random: random weights are welcome where none are given.

    Raises:
        BackendError: no such file, or a runtime that is missing or refuses it.
        ModelError: a network without weights.
    """
    path = Path(model)
    is_exported = path.suffix in EXPORTED_ENDINGS
    if is_exported and (weights, num_classes, attention, tuple(at)) != (None, None, None, ()):
        raise UsageError(
            f"{path}: an {path.suffix} file is run as it is; leave --weights and the model options out"
        )
    is_darknet = weights is None or (path.suffix == ".cfg" and Path(weights).suffix != ".safetensors")
    as_it_is = num_classes is None and attention is None and not at and is_darknet
    has_weights = path.suffix != ".cfg" or weights is not None or path.with_suffix(".weights").is_file()
    if is_exported or (as_it_is and path.suffix in MODEL_ENDINGS and (has_weights or not random)):
        return open_backend(path, weights, threads=threads, device=device)
    return seyolo.api.open_on_torch(
        model,
        weights=weights,
        num_classes=num_classes,
        attention=attention,
        at=at,
        reduction=reduction,
        join=join,
        threads=threads,
        device=device,
        random=random,
    )


def benchmark(
    models: str | Path | Sequence[str | Path] | Mapping[str, Backend],
    data: str | Path | Dataset | None = None,
    *,
    repeats: int = 50,
    threads: int | None = None,
    device: str = "cpu",
) -> list[Timing]:
    """Latency of models measured against each other in one run, at batch 1.

    Args:
        models: one or several `.onnx` or `.xml` files, checkpoints, `.cfg` with weights beside, or zoo names,
            which run with random weights; or open backends by name.
        data: its pictures are used when given, else one drawn 1280x720 picture.
        repeats: timed rounds.
        threads: of the CPU.
        device: `cpu` or `cuda`.

    Raises:
        UsageError: no models.
        BackendError, ModelError: one that cannot be opened.
    """
    if isinstance(models, str | Path):
        models = [models]
    if not isinstance(models, Mapping):
        models = {
            name: open_detector(path, threads=threads, device=device, random=True)
            for name, path in unique_names(models).items()
        }
    return time_backends(models, repeats, images=None if data is None else sample_pictures(data))


def unique_names(models: Sequence[str | Path]) -> dict[str, str | Path]:
    """The models by what they are called in a table; the same one twice gets a number."""
    named: dict[str, str | Path] = {}
    for model in models:
        count = sum(str(model) == str(other) for other in named.values())
        named[str(model) if count == 0 else f"{model} #{count + 1}"] = model
    return named


def sample_pictures(data: str | Path | Dataset) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Some decoded pictures of a data set, spread over its `test` split or the last one there is."""
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    split = "test" if "test" in dataset.splits else list(dataset.splits)[-1]
    images = dataset.images(split)
    chosen = np.linspace(0, len(images) - 1, min(NUM_PICTURES, len(images))).astype(int)
    return [read_picture(images[index]) for index in chosen]
