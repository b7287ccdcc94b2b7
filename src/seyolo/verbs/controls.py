"""Controls of a slimming run: other ways to spend the same number of training images.

Every control sees as many training images as the slim network does over all its stages:

    dense      the dense network, trained from scratch: the baseline
    uniform    the dense network with all layers narrowed alike, trained from scratch
    scratch    the slim network's architecture, trained from scratch
    random     the run itself, with randomly chosen channels
    lowres     the dense network, trained from scratch at the input size of about the slim one's latency
    int8       the dense network, trained from scratch, exported to int8
    plain      Network Slimming as published: 85 % of the channels that no shortcut ties are pruned, after L1
               sparsity training with s = 0.01 for half of the images
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from seyolo.darknet.cfg import Network
from seyolo.darknet.cost import cost
from seyolo.darknet.edit import set_size
from seyolo.darknet.graph import max_stride
from seyolo.errors import BudgetError, ExportError
from seyolo.evaluation.evaluate import Judgement, ap_lead, split_metrics
from seyolo.exporting.formats import export
from seyolo.opening.network import resized
from seyolo.options.cut import CutOptions
from seyolo.options.slim import CONTROL_NAMES, ControlName, SlimOptions
from seyolo.pruning.prune import prune_by
from seyolo.results import ControlRow
from seyolo.runtime.benchmark import Timing
from seyolo.runtime.choice import open_backend
from seyolo.sizes import checked_size, input_text, scaled_size
from seyolo.torchnet.build import DarknetModel, build
from seyolo.training.loop import train
from seyolo.training.run_folder import saved_state
from seyolo.training.sparsity import PUBLISHED_STRENGTH
from seyolo.training.trackers import Monitor
from seyolo.verbs.calibration import int8_images, plan_of
from seyolo.verbs.slim_results import timed
from seyolo.verbs.slim_run import SlimRun
from seyolo.verbs.stages import stage_config

SIZE_STEP_PX = 32
SMALLEST_SIZE_SHARE = 0.3


@dataclass(frozen=True)
class Contender:
    """A trained network that is evaluated beside the slim one, or its `file`, an int8 one for instance."""

    model: DarknetModel
    size: tuple[int, int]  # (height, width) in pixels
    file: Path | None = None


@dataclass(frozen=True)
class Finished:
    """A run whose stages are done; `judgement` is that of the slim network, None to evaluate it here."""

    run: SlimRun
    dense: DarknetModel
    slim: DarknetModel
    judgement: Judgement | None = None

    @property
    def epochs(self) -> int:
        """Epochs of training that the slim network has seen in all."""
        return self.run.config.epochs_seen()["finetuned"]


def control_results(finished: Finished, names: Sequence[ControlName]) -> list[ControlRow]:
    """Trains the controls and evaluates them beside the slim network, whose row comes first.

    All networks are timed in one run. A control that is impossible gets a row with the reason.
    """
    contenders = {"slim": Contender(finished.slim, finished.run.size_hw)}
    rows: dict[str, ControlRow] = {}
    for name in names:
        try:
            contenders[name] = TRAINED_BY[name](finished)
        except (BudgetError, ExportError) as error:
            rows[name] = ControlRow(control=name, not_possible=str(error))
    latency = latency_of(contenders)
    slim = finished.judgement or judge_contender(finished.run, contenders["slim"])
    for key, contender in contenders.items():
        judgement = slim if key == "slim" else judge_contender(finished.run, contender)
        rows[key] = _row(key, contender, latency[key], judgement, slim)
    return [rows[name] for name in ("slim", *names)]


def joined_rows(before: Sequence[ControlRow], new: Sequence[ControlRow]) -> tuple[ControlRow, ...]:
    """Returns the rows of both in the order of the table; a new row replaces one of the same name."""
    rows = {row.control: row for row in (*before, *new)}
    return tuple(rows[name] for name in ("slim", *CONTROL_NAMES) if name in rows)


def _dense(finished: Finished) -> Contender:
    if finished.run.config.epochs == finished.epochs:
        return Contender(finished.dense, finished.run.size_hw)
    return _from_scratch(finished, "dense", finished.dense.network)


def _uniform(finished: Finished) -> Contender:
    start = finished.run.starting_model()
    cut = replace(finished.run.config.cut, importance="uniform")
    config = replace(finished.run.config, cut=cut, blocks=False)
    narrow = prune_by(start, plan_of(start, config, finished.run.dataset))
    return _from_scratch(finished, "uniform", narrow.network)


def _scratch(finished: Finished) -> Contender:
    return _from_scratch(finished, "scratch", finished.slim.network)


def _lowres(finished: Finished) -> Contender:
    size = _size_of_equal_latency(finished)
    return _from_scratch(finished, "lowres", set_size(finished.dense.network, *size), size)


def _int8(finished: Finished) -> Contender:
    run, dense = finished.run, _dense(finished)
    path = _folder(finished, "int8") / "int8.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        images = int8_images(run.dataset)
        export(resized(dense.model, dense.size), path, int8=True, pictures=images)
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
        cut=CutOptions(scope="plain", multiple=1, importance="bn"),
        blocks=False,
        sparsity="l1",
        s=PUBLISHED_STRENGTH,
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


def _from_scratch(
    finished: Finished, name: str, network: Network, size: tuple[int, int] | None = None
) -> Contender:
    run, size = finished.run, size or finished.run.size_hw
    model = build(network, run.dataset.names, torch.Generator().manual_seed(run.config.seed))
    dense = stage_config(run.config, "dense")
    at_size = replace(dense, size=checked_size(size), snapshot_epoch=None, freeze=0)
    config = replace(at_size, epochs=finished.epochs)
    folder, monitor = _folder(finished, name), Monitor(run.progress, title=f"{name} control", clock=run.clock)
    trained = train(
        model, run.dataset, config, folder, state=saved_state(folder, config.epochs), monitor=monitor
    )
    return Contender(trained.model, size)


def _whole_run(finished: Finished, name: str, config: SlimOptions) -> Contender:
    """Runs the stages after dense training again, with other options."""
    run = SlimRun(
        config, _folder(finished, name), finished.run.progress, title=f"{name} ", dataset=finished.run.dataset
    )
    run.clock = finished.run.clock
    sparse = run.sparse(finished.run.branch(finished.dense))
    pruned = run.cut(sparse, run.plan(sparse))
    return Contender(run.finetune(pruned, finished.dense), run.size_hw)


def _folder(finished: Finished, name: str) -> Path:
    return finished.run.folder / "controls" / name


def _size_of_equal_latency(finished: Finished) -> tuple[int, int]:
    """Returns the input size at which the latency of the dense network is nearest that of the slim one.

    Raises BudgetError where the network takes no smaller images.
    """
    size, longest = finished.run.size_hw, max(finished.run.size_hw)
    step = max(SIZE_STEP_PX, max_stride(finished.dense.network))
    sides = range(longest - step, int(longest * SMALLEST_SIZE_SHARE), -step)
    sizes = [scaled_size(size, side, step) for side in sides]
    smaller = {input_text(one): Contender(finished.dense, one) for one in sizes}
    if not smaller:
        raise BudgetError(f"there is no smaller input than {input_text(size)} px to compare with")
    latency = latency_of({"slim": Contender(finished.slim, size), **smaller})
    return min(smaller.values(), key=lambda one: abs(latency[input_text(one.size)] - latency["slim"])).size


def latency_of(contenders: dict[str, Contender]) -> dict[str, float]:
    """Measures median milliseconds as `timings_of` does."""
    return {name: timing.p50_ms for name, timing in timings_of(contenders).items()}


def timings_of(contenders: dict[str, Contender]) -> dict[str, Timing]:
    """Times networks on ONNX Runtime at batch 1, interleaved in one run."""
    with TemporaryDirectory() as folder:
        files = {
            name: one.file or export(resized(one.model, one.size), Path(folder) / f"{name}.onnx")[0]
            for name, one in contenders.items()
        }
        timings = timed({name: open_backend(path) for name, path in files.items()})
        return {timing.name: timing for timing in timings}


def judge_contender(run: SlimRun, contender: Contender) -> Judgement:
    """Returns labels and detections of a contender on every split but train."""
    model = contender.model if contender.file is None else open_backend(contender.file)
    return run.judge(model, contender.size)


def _row(
    name: str, contender: Contender, latency_ms: float, judgement: Judgement, slim: Judgement
) -> ControlRow:
    names = contender.model.names
    counted = cost(contender.model.network, *contender.size)
    return ControlRow(
        control=name,
        params=counted.params,
        macs=counted.macs,
        input_size=contender.size,
        metrics=split_metrics(judgement, names),
        latency_ms=round(latency_ms, 3),
        lead={} if name == "slim" else ap_lead(slim, judgement, len(names)),
    )
