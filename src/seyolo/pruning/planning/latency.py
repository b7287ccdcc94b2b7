"""Latency as a function of the kept channels, learned from whole networks timed on one backend.

Some sixty cuts of the network, uniform and random, are built and timed on this machine, each in turns with
the dense network. A machine that slows down meanwhile slows both, so their ratio counts. A model with a
handful of non-negative coefficients explains the ratios: multiply-accumulates with channels rounded up to the
vector width (per kernel and resolution), values read and written, weights read, and a fixed price per
convolution. It never falls when a count rises, so allocation can bisect on it. Timing whole networks includes
what single layers miss: caches, fused operators and changes of memory layout.

Measured cuts are cached per machine, network, size and runtime (`$SEYOLO_CACHE`, by default
`~/.cache/seyolo`).
"""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import onnx
from scipy.optimize import nnls

from seyolo.checkpoint import Checkpoint
from seyolo.darknet.graph import shapes
from seyolo.darknet.sections import Convolutional
from seyolo.exporting.onnx import describe_onnx
from seyolo.files import cache_root, write_json
from seyolo.opening.network import save
from seyolo.processor import usable_cores
from seyolo.progress import Progress, Silent
from seyolo.pruning.cutting.cut import cut
from seyolo.pruning.groups.atoms import FloatArray, IntArray
from seyolo.pruning.groups.blocks import settled
from seyolo.pruning.groups.groups import keep_masks
from seyolo.pruning.planning.limits import steps_of
from seyolo.pruning.planning.prunable import PrunableNetwork
from seyolo.runtime.benchmark import Timing, benchmark
from seyolo.runtime.choice import installed_version, open_backend
from seyolo.runtime.protocol import Backend, Runtime
from seyolo.torchnet.build import DarknetModel, from_checkpoint

NUM_CUTS = 57
REPEATS = 7
VECTOR_WIDTHS = (1, 4, 8, 16)
NOISY = 0.2
"""Noise of a latency, as a share, that is warned of, and too much for a table to be kept."""
ENDINGS = {"onnxruntime": ".onnx", "opencv": ".cfg", "torch": ".safetensors"}
PACKAGES = {"onnxruntime": "onnxruntime", "opencv": "opencv-python-headless", "torch": "torch"}


@dataclass(frozen=True)
class Cut:
    """One measured network: kept channels per group, and median milliseconds of an image."""

    counts: tuple[int, ...]
    ms: float


class LatencyTable:
    """Measured cuts of a network on one backend, the dense network first, and the model fitted to them.

    The fit minimizes the squares of relative errors, at the vector width that explains the cuts best.
    """

    def __init__(self, prunable: PrunableNetwork, cuts: list[Cut]) -> None:
        self.prunable, self.cuts = prunable, cuts
        self._features = _Features(prunable)
        ms = np.array([cut.ms for cut in cuts])
        best = np.inf
        for vector in VECTOR_WIDTHS:
            rows = np.array([self._features(np.array(cut.counts), vector) for cut in cuts])
            # min |(X / t) w - 1|², w >= 0: the relative error of X w against milliseconds t
            coefficients, residual = nnls(rows / ms[:, None], np.ones(len(ms)))
            if residual < best:
                best, self._coefficients, self._vector = residual, coefficients, vector

    def predict(self, counts: IntArray) -> float:
        """Returns the milliseconds of one image with (groups,) kept channels."""
        return float(self._features(counts, self._vector) @ self._coefficients)


class _Features:
    """Amounts of work of a cut as a vector; every entry is monotone in the counts."""

    def __init__(self, prunable: PrunableNetwork) -> None:
        network = prunable.network
        self._costs = prunable.costs
        self._cells = np.array([output.height * output.width for output in shapes(network)])
        sections = [(i, layer) for i, layer in enumerate(network.layers) if isinstance(layer, Convolutional)]
        self._convolutions = np.array([index for index, _ in sections])
        read = self._costs.dense_read[self._convolutions].tolist()
        self._depthwise = np.array([s.is_depthwise(n) for (_, s), n in zip(sections, read, strict=True)])
        self._divisor = np.array([section.groups for _, section in sections])
        self._area = np.array([section.size**2 for _, section in sections])
        # Kernels of one size at one resolution are computed alike.
        alike = list(zip(self._cells[self._convolutions], self._area, self._depthwise, strict=True))
        kinds = {kind: number for number, kind in enumerate(dict.fromkeys(alike))}
        self._kind = np.array([kinds[kind] for kind in alike])
        self._num_kinds = len(kinds)

    def __call__(self, counts: IntArray, vector: int) -> FloatArray:
        alive, written = self._costs.alive(counts), self._costs.written(counts)
        here = self._convolutions
        read = _rounded(self._costs.read(counts)[here] / self._divisor, vector)
        read = np.where(self._depthwise, 1, read)
        padded = read * _rounded(written[here], vector) * self._area * alive[here]  # weights read
        values = written * self._cells * alive
        macs = np.bincount(self._kind, padded * self._cells[here], minlength=self._num_kinds)
        layers = 1.0, alive[here].sum(), alive.sum()
        return np.array([*layers, values.sum() / 1e6, padded.sum() / 1e6, *macs / 1e6])


def _rounded(channels: FloatArray | IntArray, vector: int) -> FloatArray:
    rounded: FloatArray = np.ceil(channels / vector) * vector
    return rounded


def latency_table(
    dense: Checkpoint,
    backend: str,
    prunable: PrunableNetwork | None = None,
    *,
    multiple: int | None = None,
    progress: Progress | None = None,
) -> LatencyTable:
    """Returns the table of a network on a backend: from the cache, or measured now.

    Args:
        dense: the dense network, at the size at which it is timed.
        backend: `onnxruntime`, `opencv` or `torch`.
        multiple: of the channels of the cuts to measure, as in `CutOptions`.

    Raises:
        BackendError: the backend is not installed or does not run this network.
    """
    prunable = prunable or PrunableNetwork(dense.network)
    path = _cache_file(prunable, backend, multiple)
    cuts = _read_cuts(path, len(prunable.groups.groups))
    if cuts is None:
        cuts, noise = _measure_cuts(dense, prunable, backend, multiple, progress or Silent())
        if noise <= NOISY:  # else it is measured anew the next time
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, [[cut.counts, cut.ms] for cut in cuts])
    return LatencyTable(prunable, cuts)


def _read_cuts(path: Path, num_groups: int) -> list[Cut] | None:
    """Returns the measurements of a cache file; None where the file is missing or damaged."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        cuts = [Cut(tuple(int(count) for count in counts), float(ms)) for counts, ms in rows]
    except (OSError, ValueError, TypeError):
        return None
    sound = all(len(cut.counts) == num_groups and 0 < cut.ms < np.inf for cut in cuts)
    return cuts if cuts and sound else None


def _measure_cuts(
    file: Checkpoint, prunable: PrunableNetwork, backend: str, multiple: int | None, progress: Progress
) -> tuple[list[Cut], float]:
    """Returns the cuts with their latencies, and the median noise of those, a share."""
    dense, *choices = _trial_cuts(prunable, multiple)
    pairs: list[list[Timing]] = []
    with progress.task(f"measuring latency on {backend}", len(choices)) as advance:
        for counts in choices:
            masks = keep_masks(prunable.groups, [np.arange(count) for count in counts])
            removed = [block.shortcut for block in prunable.blocks if block.is_gone(counts)]
            pairs.append(measure([file, cut(file, masks, removed)], backend, REPEATS))
            advance(1, "")
    usual = float(np.median([beside.p50_ms for beside, _ in pairs]))
    shares = [1.0, *(own.p50_ms / beside.p50_ms for beside, own in pairs)]
    timed = zip([dense, *choices], shares, strict=True)
    cuts = [Cut(tuple(counts.tolist()), share * usual) for counts, share in timed]
    return cuts, float(np.median([timing.noise for pair in pairs for timing in pair]))


def _trial_cuts(prunable: PrunableNetwork, multiple: int | None) -> list[IntArray]:
    """Returns the dense network, uniform cuts, and random cuts around every share of width, seeded."""
    groups, blocks = prunable.groups, prunable.blocks
    widths = np.array([group.num_channels for group in groups.groups])
    rng = np.random.default_rng(0)

    def near(shares: FloatArray) -> IntArray:
        counts = widths.copy()
        for index, group in enumerate(groups.groups):
            if not group.fixed:
                steps = steps_of(group, multiple)
                counts[index] = steps[np.abs(steps - shares[index] * widths[index]).argmin()]
        return counts

    cuts = [widths, *(near(np.full(len(widths), share)) for share in (0.75, 0.5, 0.35, 0.2))]
    while len(cuts) < NUM_CUTS:
        middle = rng.uniform(0.05, 0.9)
        counts = near(np.clip(middle * np.exp(rng.normal(0, 0.6, len(widths))), 0.01, 1))
        if rng.random() < 0.5:
            for block in blocks:
                if rng.random() < 0.4:
                    counts[block.inner[0]] = 0
        cuts.append(settled(counts, blocks))
    return cuts


def measure(files: Sequence[Checkpoint], backend: str, repeats: int) -> list[Timing]:
    """Returns the latency of one image for each network, side by side on a backend."""
    with tempfile.TemporaryDirectory() as folder:
        opened = {
            str(number): _open(from_checkpoint(file), backend, Path(folder) / f"{number}")
            for number, file in enumerate(files)
        }
        # As in use, an image is prepared between two runs, which cools caches and lets threads sleep.
        return benchmark(opened, repeats, warmup=2, confidence=1.0)


def _open(model: DarknetModel, backend: str, stem: Path) -> Backend:
    """Opens a model on a backend, from a file of its format; `stem` is the path without an ending."""
    path = stem.with_suffix(ENDINGS[backend])
    if backend == "onnxruntime":
        net = model.network.net
        onnx.save(describe_onnx(model, (net.height, net.width)), str(path))
    else:
        save(model, path)
    return open_backend(path, runtime=cast(Runtime, backend))


def _cache_file(prunable: PrunableNetwork, backend: str, multiple: int | None) -> Path:
    release = installed_version(PACKAGES[backend]) or ""
    machine = [platform.machine(), platform.node(), usable_cores()]
    key = [prunable.fingerprint, backend, release, *prunable.size_hw, multiple, *machine]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
    return cache_root() / "latency" / f"{backend}-{name}.json"
