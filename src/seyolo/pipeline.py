"""`slim`: one command from photos to a smaller detector and the table that proves it.

Dense training, sparsity training steered to the budget, plan, cut, recalibration, fine-tuning, evaluation,
export. Each step leaves its result in the run's folder, and a run that was stopped goes on where it was:

    config.json environment.json       what was asked for, and on what it ran
    dense/ sparse/ finetuned/          one training run each: results.csv, best.safetensors, state to resume
    plan.json pruned.safetensors       what is cut, and the network right after the cut
    slim.safetensors .cfg .weights .onnx, dense.onnx
    results.json table.md channels.png curves.png scales.png samples.jpg
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from seyolo.darknet.cost import cost
from seyolo.data.augment import Augmentation
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.data.loader import EvaluationLoader, TrainingLoader
from seyolo.errors import ExportError, TrainingError
from seyolo.evaluation.evaluate import evaluate
from seyolo.exporting.formats import export
from seyolo.files import write_json, write_text
from seyolo.model_file import read_model_file, write_model_file
from seyolo.network.build import DarknetModel, from_file, to_file
from seyolo.progress import Progress, Silent
from seyolo.pruning.importance import FloatArray, Tied
from seyolo.pruning.options import PlanOptions, Scope
from seyolo.pruning.plan import Plan
from seyolo.pruning.prune import make_plan, prune_by
from seyolo.pruning.recalibrate import recalibrate
from seyolo.pruning.reconstruct import reconstruct
from seyolo.report.slim_report import write_pictures
from seyolo.report.table import markdown_table
from seyolo.runtime.backend import open_backend
from seyolo.runtime.benchmark import benchmark
from seyolo.training.environment import describe_environment
from seyolo.training.loop import TrainConfig, calibration_samples, can_resume, measure_step_seconds, train
from seyolo.training.prepare import Attention, starting_model
from seyolo.training.sparsity import Choice, Steered, sparse_scales
from seyolo.training.taylor import taylor_scores

RECALIBRATION_PICTURES = 256
RECONSTRUCTION_PICTURES = 64
CALIBRATION_BATCH = 16
TAYLOR_BATCHES = 8
Repair = Literal["reconstruct", "recalibrate", "none"]


@dataclass(frozen=True)
class SlimConfig:
    """What `slim` is asked for.

    `epochs` is the dense stage's; the sparse and the fine-tuning stage follow in proportion unless set.
    `strength` is the pressure of sparsity training before the budget's choice is made. `scope`, `multiple`,
    `blocks` and `tied` are those of `seyolo.prune`; `repair` follows the cut, see `repair_on`.
    """

    data: str
    model: str = "yolov3@0.25"
    weights: str | None = None
    attention: Attention | None = None
    budget: tuple[str, ...] = ("macs=30%",)
    size_px: int = 416
    epochs: int = 30
    sparse_epochs: int | None = None
    finetune_epochs: int | None = None
    finetune: bool = True
    batch_size: int = 16
    learning_rate: float = 1.5e-3
    strength: float = 0.2
    scope: Scope = "all"
    multiple: int | None = None
    blocks: bool = False
    tied: Tied | None = "max"
    repair: Repair = "recalibrate"
    seed: int = 0
    device: str = "cpu"
    train: dict[str, Any] = field(default_factory=dict)

    def stage_epochs(self) -> dict[str, int]:
        """Epochs of each training stage in order."""
        sparse = self.sparse_epochs if self.sparse_epochs is not None else max(1, round(self.epochs / 3))
        tune = self.finetune_epochs if self.finetune_epochs is not None else max(1, round(self.epochs * 1.4))
        return {"dense": self.epochs, "sparse": sparse, "finetuned": tune if self.finetune else 0}

    def train_config(self, stage: str) -> TrainConfig:
        """The settings of a stage; the later ones start from trained weights, so with a lower rate."""
        factor = {"dense": 1.0, "sparse": 0.67, "finetuned": 0.67}[stage]
        return TrainConfig(
            epochs=self.stage_epochs()[stage],
            batch_size=self.batch_size,
            size_px=self.size_px,
            learning_rate=self.learning_rate * factor,
            seed=self.seed + list(self.stage_epochs()).index(stage),
            device=self.device,
            **self.train,
        )


def slim(
    config: SlimConfig, folder: str | Path, resume: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Trains, cuts and fine-tunes; returns what `results.json` holds.

    Args:
        config: what is asked for.
        folder: the run's folder.
        resume: go on with the run in `folder`.
        progress: where to tell how far it is.

    Raises:
        TrainingError: the folder holds another run, or nothing to resume.
        BudgetError: the budget cannot be met; checked before the first hour is spent.
    """
    run = _SlimRun(config, Path(folder), progress or Silent())
    run.check_folder(resume)
    start = run.starting_model()
    run.check_budget(start)
    run.begin()
    run.announce(start)
    dense = run.dense(start)
    sparse = run.sparse(dense)
    pruned, plan = run.cut(sparse)
    slim_model = run.finetune(pruned)
    models = {"dense": dense, "sparse": sparse, "pruned": pruned, "finetuned": slim_model}
    if not config.finetune:
        del models["finetuned"]
    results = run.results(models, plan)
    run.report(models, plan, results)
    return results


class _SlimRun:
    """The folder and the steps of one run; every step reads its result back when it is there already."""

    def __init__(self, config: SlimConfig, folder: Path, progress: Progress) -> None:
        self.config, self.folder, self.progress = config, folder, progress
        self.dataset = load_dataset(config.data)
        self.size_hw = (config.size_px, config.size_px)

    def check_folder(self, resume: bool) -> None:
        """Refuses a folder that holds a run already, or, to resume, one that does not hold this very run."""
        path = self.folder / "config.json"
        if not resume:
            if path.exists():
                raise TrainingError(f"{self.folder}: holds a run already; resume it or choose another --name")
            return
        if not path.exists():
            raise TrainingError(f"{self.folder}: there is no run to resume here")
        if json.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(asdict(self.config))):
            raise TrainingError(f"{self.folder}: the run there was started with other settings")

    def begin(self) -> None:
        """Writes down what was asked for, unless the run goes on."""
        if not (self.folder / "config.json").exists():
            write_json(self.folder / "environment.json", describe_environment())
            write_json(self.folder / "config.json", asdict(self.config))

    def starting_model(self) -> DarknetModel:
        config = self.config
        return starting_model(
            config.model, self.dataset, config.train_config("dense"), config.weights, config.attention
        )

    def check_budget(self, model: DarknetModel) -> None:
        """Refuses an impossible budget before anything is trained."""
        self._plan(model)

    def announce(self, model: DarknetModel) -> None:
        """Prints how long the whole run will take, from a few measured training steps."""
        stages = self.config.stage_epochs()
        seconds = estimate_seconds(model, self.dataset, self.config)
        total = sum(seconds.values())
        parts = ", ".join(f"{name} {stages[name]} epochs {seconds[name] / 60:.0f} min" for name in stages)
        self.progress.message(f"estimated time: {total / 60:.0f} min ({parts}); stop any time and resume")

    def dense(self, model: DarknetModel) -> DarknetModel:
        if self.config.epochs == 0:
            write_model_file(self.folder / "dense" / "best.safetensors", to_file(model))
            return model.eval()
        return self._train("dense", model)

    def sparse(self, dense: DarknetModel) -> DarknetModel:
        if self.config.stage_epochs()["sparse"] == 0:
            return dense
        model = from_file(to_file(dense))
        return self._train("sparse", model, Steered(self.config.strength, self._left_out))

    def finetune(self, pruned: DarknetModel) -> DarknetModel:
        if not self.config.stage_epochs()["finetuned"]:
            return pruned
        return self._train("finetuned", from_file(to_file(pruned)))

    def _train(self, stage: str, model: DarknetModel, sparsity: Steered | None = None) -> DarknetModel:
        folder = self.folder / stage
        resume = can_resume(folder)
        config = self.config.train_config(stage)
        return train(
            model,
            self.dataset,
            config,
            folder,
            sparsity=sparsity,
            resume=resume,
            progress=self.progress,
            title=stage,
        ).model

    def _plan(self, model: DarknetModel) -> Plan:
        return plan_of(model, self.config)

    def _left_out(self, model: DarknetModel) -> Choice:
        """Per batch normalisation, the channels the budget leaves out: what sparsity training fades.

        The plan made here is the one that is cut later, so it is written down at once.
        """
        plan = self._plan(model)
        write_text(self.folder / "plan.json", plan.to_json())
        masks = {f"layers.{index}.bn": mask for index, mask in enumerate(plan.masks(model.network))}
        return {name: torch.from_numpy(~masks[name]) for name in sparse_scales(model)}

    def cut(self, sparse: DarknetModel) -> tuple[DarknetModel, Plan]:
        """Cuts by the plan and repairs; writes pruned.safetensors."""
        plan_path, model_path = self.folder / "plan.json", self.folder / "pruned.safetensors"
        if not plan_path.exists():
            write_text(plan_path, self._plan(sparse).to_json())
        plan = Plan.from_json(plan_path.read_text(encoding="utf-8"))
        if model_path.exists():
            return from_file(read_model_file(model_path)), plan
        pruned = prune_by(sparse, plan)
        how, seed = self.config.repair, self.config.seed
        repair_on(pruned, sparse, plan, self.dataset, self.size_hw, how=how, seed=seed)
        write_model_file(model_path, to_file(pruned))
        return pruned, plan

    def results(self, models: dict[str, DarknetModel], plan: Plan) -> dict[str, Any]:
        """Exports, measures and evaluates every stage; writes results.json."""
        self.progress.message("exporting, timing and evaluating every stage")
        slim_model = list(models.values())[-1]
        artefacts = self._export(models["dense"], slim_model)
        latency = measure_latency(models, self.folder)
        stages = [self._stage(name, model, latency[name]) for name, model in models.items()]
        results = {
            "stages": stages,
            "plan": json.loads(plan.to_json()),
            "budget": list(self.config.budget),
            "seed": self.config.seed,
            "data": self.config.data,
            "artefacts": artefacts,
        }
        write_json(self.folder / "results.json", results)
        return results

    def _export(self, dense: DarknetModel, slim_model: DarknetModel) -> dict[str, str]:
        write_model_file(self.folder / "slim.safetensors", to_file(slim_model))
        artefacts = {"slim.safetensors": "written"}
        export(dense, self.folder / "dense.onnx")
        export(slim_model, self.folder / "slim.onnx")
        artefacts |= {"dense.onnx": "written", "slim.onnx": "written"}
        try:
            export(slim_model, self.folder / "slim.cfg")
            artefacts["slim.cfg + slim.weights"] = "written"
        except ExportError as error:
            artefacts["slim.cfg + slim.weights"] = f"not applicable: {error}"
        return artefacts

    def _stage(self, name: str, model: DarknetModel, latency_ms: dict[str, float]) -> dict[str, Any]:
        counted = cost(model.network, *self.size_hw)
        splits = [split for split in self.dataset.splits if split != "train"]
        with self.progress.task(f"evaluating {name}", len(splits)) as advance:
            metrics = {}
            for split in splits:
                measured = evaluate(model, self.dataset.split(split), self.size_hw, batch_size=32)
                metrics[split] = {"ap": measured.ap, "ap50": measured.ap50}
                advance(1, split)
        return {
            "stage": name,
            "params": counted.params,
            "size_bytes": _file_size(self.folder, name),
            "macs": counted.macs,
            "input_size": list(self.size_hw),
            "metrics": metrics,
            "latency_ms": latency_ms,
        }

    def report(self, models: dict[str, DarknetModel], plan: Plan, results: dict[str, Any]) -> None:
        """Writes the table and the pictures."""
        write_text(self.folder / "table.md", markdown_table(results) + "\n")
        write_pictures(self.folder, models, plan, self.dataset, self.size_hw)


def _file_size(folder: Path, stage: str) -> int:
    if stage == "pruned":
        return (folder / "pruned.safetensors").stat().st_size
    path = folder / stage / "best.safetensors"
    if path.exists():
        return path.stat().st_size
    # A stage of no epochs is the one before it.
    return _file_size(folder, {"sparse": "dense", "finetuned": "pruned"}[stage])


def plan_of(model: DarknetModel, config: SlimConfig) -> Plan:
    """What a run cuts out of a model."""
    options = PlanOptions(
        scope=config.scope, multiple=config.multiple, blocks=config.blocks, tied=config.tied
    )
    return make_plan(model, config.budget, options)


def repair_on(
    slim_model: DarknetModel,
    dense: DarknetModel,
    plan: Plan,
    dataset: Dataset,
    size_hw: tuple[int, int],
    *,
    how: Repair = "reconstruct",
    seed: int = 0,
) -> None:
    """Makes up for a cut with training pictures, in place, before anything is trained.

    Args:
        slim_model: `prune_by(dense, plan)`.
        dense: the model before the cut.
        plan: what was cut.
        dataset: its `train` split gives the pictures.
        size_hw: at which they are seen.
        how: `reconstruct` fits kernels to what the dense network puts out, `recalibrate` measures the
            batch-normalisation statistics anew, `none` leaves the network as it is.
        seed: of the choice of pictures.
    """
    if how == "reconstruct":
        half = RECONSTRUCTION_PICTURES // 2
        reconstruct(
            slim_model, dense, plan, calibration_batches(dataset, size_hw, half, seed, augmented=half)
        )
    elif how == "recalibrate":
        recalibrate(slim_model, calibration_batches(dataset, size_hw, RECALIBRATION_PICTURES, seed))


def taylor_on(model: DarknetModel, dataset: Dataset, size_px: int, seed: int) -> dict[int, FloatArray]:
    """Taylor importance of a model on augmented training pictures, per convolution (filters,)."""
    return taylor_scores(model, augmented_batches(dataset, size_px, TAYLOR_BATCHES, seed))


def augmented_batches(
    dataset: Dataset, size_px: int, count: int, seed: int
) -> Iterator[tuple[UInt8[Tensor, "N 3 S S"], Float[Tensor, "M 6"]]]:
    """`count` batches of training pictures and targets as training sees them."""
    loader = TrainingLoader(dataset.split("train"), size_px, CALIBRATION_BATCH, Augmentation(), seed)
    return islice(loader.epoch(0), count)


def calibration_batches(
    dataset: Dataset, size_hw: tuple[int, int], count: int, seed: int, augmented: int = 0
) -> Iterator[Float[Tensor, "N 3 H W"]]:
    """Training pictures in [0, 1]: `count` as they are evaluated, then `augmented` as in training.

    Kernels that are fitted to plain pictures alone forget what only mosaics show, small objects for instance.
    """
    samples = calibration_samples(dataset, count, seed)
    for images, _, _ in EvaluationLoader(samples, size_hw, CALIBRATION_BATCH):
        yield images.float() / 255
    if augmented:
        for images, _ in augmented_batches(dataset, max(size_hw), augmented // CALIBRATION_BATCH, seed):
            yield images[..., : size_hw[0], : size_hw[1]].float() / 255


def measure_latency(models: dict[str, DarknetModel], folder: Path) -> dict[str, dict[str, float]]:
    """Median milliseconds of each stage on torch and ONNX Runtime at batch 1, interleaved in one run."""
    backends = {}
    paths = []
    for name, model in models.items():
        checkpoint = folder / f".{name}.safetensors"
        onnx = folder / f".{name}.onnx"
        write_model_file(checkpoint, to_file(model))
        export(model, onnx)
        paths += [checkpoint, onnx]
        backends[f"{name} torch"] = open_backend(checkpoint)
        backends[f"{name} onnxruntime"] = open_backend(onnx)
    timings = {timing.name: timing.p50_ms for timing in benchmark(backends, repeats=30, warmup=5)}
    for path in paths:
        path.unlink()
    return {
        name: {kind: round(timings[f"{name} {kind}"], 3) for kind in ("torch", "onnxruntime")}
        for name in models
    }


def estimate_seconds(model: DarknetModel, dataset: Dataset, config: SlimConfig) -> dict[str, float]:
    """How long each training stage will take, from a few measured steps of the dense network.

    A cut network is taken to train faster by the square root of its share of the MACs: memory traffic
    shrinks with the width, arithmetic with its square.
    """
    step = measure_step_seconds(model, dataset, config.train_config("dense"))
    pictures = len(dataset.split("train"))
    epochs = config.stage_epochs()
    per_epoch = step * pictures / config.batch_size
    plan = plan_of(model, config)
    share = plan.macs / cost(model.network, config.size_px, config.size_px).macs
    factors = {"dense": 1.0, "sparse": 1.0, "finetuned": share**0.5}
    return {name: per_epoch * epochs[name] * factors[name] for name in epochs}
