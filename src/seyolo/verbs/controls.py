"""Controls: what else the same number of training images would have bought.

A slim detector is worth its trouble only where it beats the simple ways to a network of its cost. Each of
them sees as many training images as the slim network does over all its stages:

    dense      the dense network itself, from scratch: what slimming costs in AP
    uniform    the dense network made narrower everywhere alike, from scratch
    scratch    the slim network's own architecture, from scratch
    random     the run itself, with channels drawn by lot
    lowres     the dense network from scratch, at the input size whose latency is nearest the slim network's
    int8       the dense network from scratch, its convolutions in eight bits
    plain      the published cut: 85 % of the channels no shortcut touches, after L1 with s = 0.01 for half of
               the images
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import torch

from seyolo.darknet.cfg import Network
from seyolo.darknet.cost import cost
from seyolo.darknet.edit import set_size
from seyolo.errors import BudgetError, ExportError, UsageError
from seyolo.evaluation.ap import average_precision
from seyolo.evaluation.bootstrap import bootstrap_difference
from seyolo.evaluation.evaluate import Judgement
from seyolo.exporting.formats import export
from seyolo.exporting.quantize import calibration_images
from seyolo.options.cut import CutOptions as PlanOptions
from seyolo.pruning.prune import prune_by
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Backend
from seyolo.torchnet.build import DarknetModel, build, from_checkpoint, to_checkpoint
from seyolo.training.loop import train
from seyolo.training.run_folder import can_resume
from seyolo.training.sparsity import PUBLISHED_STRENGTH
from seyolo.training.trackers import Monitor
from seyolo.verbs.calibration import plan_of
from seyolo.verbs.slim_config import SlimConfig
from seyolo.verbs.slim_run import SlimRun
from seyolo.verbs.timing import median_ms

ControlName = Literal["dense", "uniform", "scratch", "random", "lowres", "int8", "plain"]
CONTROL_NAMES: tuple[ControlName, ...] = get_args(ControlName)
SIZE_STEP_PX = 32
SMALLEST_SIZE_SHARE = 0.3


@dataclass(frozen=True)
class Contender:
    """A trained network that is judged beside the slim one, at a square input of `size_px`.

    Where there is a `file` it is judged instead, a quantised one for instance.
    """

    model: DarknetModel
    size_px: int
    file: Path | None = None


@dataclass(frozen=True)
class Finished:
    """A run whose training is done: what controls are controls of.

    Attributes:
        run, dense, slim: the run and its two networks.
        judgement: what the slim one finds, where it has been judged already.
    """

    run: SlimRun
    dense: DarknetModel
    slim: DarknetModel
    judgement: Judgement | None = None

    @property
    def epochs(self) -> int:
        """How many the slim network has seen."""
        return self.run.config.epochs_seen()["finetuned"]


def chosen_controls(names: Sequence[str]) -> tuple[ControlName, ...]:
    """The controls of these names in the order of the table; `all` stands for every one.

    Raises:
        UsageError: an unknown name.
    """
    for name in names:
        if name not in (*CONTROL_NAMES, "all"):
            raise UsageError(f"--controls {name}: there are {', '.join(CONTROL_NAMES)}, and all")
    return tuple(name for name in CONTROL_NAMES if name in names or "all" in names)


def control_results(finished: Finished, names: Sequence[ControlName]) -> list[dict[str, Any]]:
    """Trains the controls and judges them beside the slim network, which comes first.

    Returns:
        One row each: control, params, macs, input_size, metrics by split, latency_ms on ONNX Runtime (all
        timed in one run) and, but for the slim network, by how much AP the slim one is better on each split
        with a 95 % bootstrap interval over images. A control that cannot be is a row with `not_possible`.
    """
    run = finished.run
    contenders = {"slim": Contender(finished.slim, run.config.size_px)}
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        try:
            contenders[name] = TRAINED_BY[name](finished)
        except (BudgetError, ExportError) as error:
            rows[name] = {"control": name, "not_possible": str(error)}
    latency = latency_of(contenders)
    judgements = {} if finished.judgement is None else {"slim": finished.judgement}
    judgements |= {key: judge(run, contenders[key]) for key in contenders if key not in judgements}
    for key, contender in contenders.items():
        rows[key] = _row(key, contender, latency[key], judgements[key], judgements["slim"])
    return [rows[key] for key in ("slim", *names)]


def kept_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows that an earlier call left in the results of a run."""
    path = folder / "results.json"
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")).get("controls", [])
    return rows


def joined_rows(before: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of both in the order of the table; a new one stands for one of before."""
    rows = {row["control"]: row for row in (*before, *new)}
    return [rows[name] for name in ("slim", *CONTROL_NAMES) if name in rows]


def _dense(finished: Finished) -> Contender:
    if finished.run.config.epochs == finished.epochs:
        return Contender(finished.dense, finished.run.config.size_px)
    return _from_scratch(finished, "dense", finished.dense.network, finished.run.config.size_px)


def _uniform(finished: Finished) -> Contender:
    start = finished.run.starting_model()
    cut = replace(finished.run.config.cut, importance="uniform", blocks=False)
    config = replace(finished.run.config, cut=cut)
    narrow = prune_by(start, plan_of(start, config, finished.run.dataset))
    return _from_scratch(finished, "uniform", narrow.network, finished.run.config.size_px)


def _scratch(finished: Finished) -> Contender:
    return _from_scratch(finished, "scratch", finished.slim.network, finished.run.config.size_px)


def _lowres(finished: Finished) -> Contender:
    size_px = _size_of_equal_latency(finished)
    network = set_size(finished.dense.network, size_px, size_px)
    return _from_scratch(finished, "lowres", network, size_px)


def _int8(finished: Finished) -> Contender:
    run, dense = finished.run, _dense(finished)
    path = _folder(finished, "int8") / "int8.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        images = calibration_images(run.dataset.images("train"))
        export(_resized(dense), path, int8=True, pictures=images)
    return replace(dense, file=path)


def _random(finished: Finished) -> Contender:
    config = finished.run.config
    return _whole_run(finished, "random", replace(config, cut=replace(config.cut, importance="random")))


def _plain(finished: Finished) -> Contender:
    config = finished.run.config
    sparse = max(1, finished.epochs // 2 - config.branch())
    published = replace(
        config,
        budget=("channels=85%",),
        cut=PlanOptions(scope="plain", multiple=1, blocks=False, importance="bn"),
        sparsity="l1",
        strength=PUBLISHED_STRENGTH,
        schedule="constant",
        scales_rate=1.0,
        sparse_epochs=sparse,
        finetune_epochs=finished.epochs - config.branch() - sparse,
        repair="recalibrate",
    )
    return _whole_run(finished, "plain", published)


TRAINED_BY: dict[ControlName, Callable[[Finished], Contender]] = {
    "dense": _dense,
    "uniform": _uniform,
    "scratch": _scratch,
    "random": _random,
    "lowres": _lowres,
    "int8": _int8,
    "plain": _plain,
}


def _from_scratch(finished: Finished, name: str, network: Network, size_px: int) -> Contender:
    run = finished.run
    generator = torch.Generator().manual_seed(run.config.seed)
    model = build(network, run.dataset.names, generator)
    config = replace(
        run.config.train_config("dense"), epochs=finished.epochs, size_px=size_px, snapshot_epoch=None
    )
    folder = _folder(finished, name)
    resume = can_resume(folder)
    monitor = Monitor(run.progress, title=name)
    trained = train(model, run.dataset, config, folder, resume=resume, monitor=monitor)
    return Contender(trained.model, size_px)


def _whole_run(finished: Finished, name: str, config: SlimConfig) -> Contender:
    """The steps after dense training once more, with another configuration."""
    run = SlimRun(config, _folder(finished, name), finished.run.progress, title=f"{name} ")
    sparse = run.sparse(finished.run.branch(finished.dense))
    pruned = run.cut(sparse, run.plan(sparse))
    return Contender(run.finetune(pruned, finished.dense), config.size_px)


def _folder(finished: Finished, name: str) -> Path:
    return finished.run.folder / "controls" / name


def _size_of_equal_latency(finished: Finished) -> int:
    """The input side at which the dense network takes about as long as the slim one at its own."""
    size_px = finished.run.config.size_px
    sides = range(size_px - SIZE_STEP_PX, int(size_px * SMALLEST_SIZE_SHARE), -SIZE_STEP_PX)
    smaller = {str(side): Contender(finished.dense, side) for side in sides}
    latency = latency_of({"slim": Contender(finished.slim, size_px), **smaller})
    return int(min(smaller, key=lambda side: abs(latency[side] - latency["slim"])))


def latency_of(contenders: dict[str, Contender]) -> dict[str, float]:
    """Median milliseconds of each on ONNX Runtime at batch 1, interleaved in one run."""
    with TemporaryDirectory() as folder:
        backends: dict[str, Backend] = {}
        for number, (name, contender) in enumerate(contenders.items()):
            path = contender.file or Path(folder) / f"{number}.onnx"
            if contender.file is None:
                export(_resized(contender), path)
            backends[name] = open_backend(path)
        return median_ms(backends)


def _resized(contender: Contender) -> DarknetModel:
    file = to_checkpoint(contender.model)
    return from_checkpoint(
        replace(file, network=set_size(file.network, contender.size_px, contender.size_px))
    )


def judge(run: SlimRun, contender: Contender) -> Judgement:
    """What a contender finds on every split but train, beside the labels."""
    if contender.file is None:
        return run.judge(contender.model, contender.size_px)
    return run.judge(open_backend(contender.file), contender.size_px, batch_size=1)


def _row(
    name: str, contender: Contender, latency_ms: float, judgement: Judgement, slim: Judgement
) -> dict[str, Any]:
    num_classes = len(contender.model.names)
    metrics, lead = {}, {}
    for split, (truths, found) in judgement.items():
        measured = average_precision(truths, found, num_classes)
        metrics[split] = {"ap": measured.ap, "ap50": measured.ap50}
        if name != "slim" and any(len(truth.class_ids) for truth in truths):
            lead[split] = asdict(bootstrap_difference(truths, slim[split][1], found, num_classes))
    counted = cost(contender.model.network, contender.size_px, contender.size_px)
    return {
        "control": name,
        "params": counted.params,
        "macs": counted.macs,
        "input_size": [contender.size_px, contender.size_px],
        "metrics": metrics,
        "latency_ms": round(latency_ms, 3),
        "lead": lead,
    }
