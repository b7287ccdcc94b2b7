"""The steps of a slimming run, from dense training to the report.

Each leaves its result in the run's folder, and a run that was stopped goes on where it was:

    config.json environment.json       what was asked for, and on what it ran
    commands.txt                       the command line it was started with, and those it was resumed with
    dense/ sparse/ finetuned/          one training run each: results.csv, best.safetensors, state to resume;
                                       dense/epoch-N.safetensors is where slimming leaves dense training
    plan.json readiness.json           what is cut, and how ready the network was for it
    pruned.safetensors                 the network right after the cut
    slim.safetensors .cfg .weights .onnx, slim_int8.onnx, dense.onnx
    controls/NAME/                     what each control trained
    results.json table.md controls.md channels.png curves.png scales.png scales_over_time.png samples.jpg
    curves.json images/              precision and recall, and what the networks find, for the page
    report.html                        all of it on one page
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from seyolo.checkpoint import read_checkpoint, write_checkpoint
from seyolo.darknet.cost import cost
from seyolo.data.datasets import load_dataset
from seyolo.errors import ExportError, TrainingError
from seyolo.evaluation.ap import average_precision
from seyolo.evaluation.bootstrap import bootstrap_difference
from seyolo.evaluation.evaluate import Judgement, judged
from seyolo.exporting.formats import export
from seyolo.files import write_json, write_text
from seyolo.progress import Progress
from seyolo.pruning.groups.groups import tied_scales
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.prune import prune_by
from seyolo.report.figures.slim_run import write_images
from seyolo.report.pages.evidence import write_evidence
from seyolo.report.pages.write import PAGE_FILE, write_report
from seyolo.report.tables.controls import controls_markdown
from seyolo.report.tables.stages import markdown_table
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Backend
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint
from seyolo.training.distillation import Distillation
from seyolo.training.environment import describe_environment, keep_command
from seyolo.training.loop import train
from seyolo.training.prepare import starting_model
from seyolo.training.run_folder import can_resume, snapshot
from seyolo.training.sparsity import Choice, Sparsity, Steered, make_sparsity, sparse_scales
from seyolo.training.trackers import Monitor, NoTracker, OpenTracker
from seyolo.verbs.calibration import CalibrationSet, plan_of, repair_on
from seyolo.verbs.int8 import INT8_FILE, WRITTEN, write_int8
from seyolo.verbs.readiness import readiness, validation_images
from seyolo.verbs.slim_config import SlimConfig, stored
from seyolo.verbs.timing import estimate_seconds, measure_latency


class SlimRun:
    """The folder and the steps of one run; every step reads its result back when it is there already.

    Args:
        config: what is asked for.
        folder: the run's folder.
        progress: where to tell how far it is.
        title: stands in front of the stages' names there.
        tracker: opens what each stage tells its figures to.
    """

    def __init__(
        self,
        config: SlimConfig,
        folder: Path,
        progress: Progress,
        title: str = "",
        tracker: OpenTracker = NoTracker,
    ) -> None:
        self.config, self.folder, self.progress, self.title = config, folder, progress, title
        self.tracker = tracker
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
        if json.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(stored(self.config))):
            raise TrainingError(f"{self.folder}: the run there was started with other settings")

    def begin(self) -> None:
        """Writes down what was asked for, unless the run goes on, and by which command."""
        is_new = not (self.folder / "config.json").exists()
        keep_command(self.folder, is_new=is_new)
        if is_new:
            write_json(self.folder / "environment.json", describe_environment())
            write_json(self.folder / "config.json", stored(self.config))

    def starting_model(self) -> DarknetModel:
        config = self.config
        return starting_model(
            config.model, self.dataset, config.train_config("dense"), config.weights, config.attention
        )

    def announce(self, model: DarknetModel, rough: Plan) -> None:
        """Prints how long the whole run will take, from a few measured training steps."""
        stages = self.config.stage_epochs()
        seconds = estimate_seconds(model, self.dataset, self.config, rough.macs / rough.dense_macs)
        total = sum(seconds.values())
        parts = ", ".join(f"{name} {stages[name]} epochs {seconds[name] / 60:.0f} min" for name in stages)
        self.progress.message(f"estimated time: {total / 60:.0f} min ({parts}); stop any time and resume")

    def dense(self, model: DarknetModel) -> DarknetModel:
        if self.config.epochs == 0:
            self.progress.message("the weights are slimmed as they are; --epochs would train them first")
            write_checkpoint(self.folder / "dense" / "best.safetensors", to_checkpoint(model))
            return model.eval()
        return self._train("dense", model)

    def branch(self, dense: DarknetModel) -> DarknetModel:
        """The network that slimming starts from: the dense one as it was at the branch epoch."""
        if not self.config.is_early():
            return dense
        return from_checkpoint(read_checkpoint(snapshot(self.folder / "dense", self.config.branch())))

    def sparse(self, branch: DarknetModel) -> DarknetModel:
        if self.config.stage_epochs()["sparse"] == 0:
            return branch
        model = from_checkpoint(to_checkpoint(branch))
        return self._train("sparse", model, self._sparsity(model))

    def _sparsity(self, model: DarknetModel) -> Sparsity:
        config = self.config
        steps_per_epoch = len(config.train_config("sparse").make_loader(self.dataset.split("train")))
        strength = config.sparsity_strength(steps_per_epoch)
        if config.sparsity == "steered":
            return Steered(strength, self._left_out, rounds=config.rounds)
        return make_sparsity(config.sparsity, strength, config.schedule, tied_scales(model.network))

    def finetune(self, pruned: DarknetModel, dense: DarknetModel) -> DarknetModel:
        if not self.config.stage_epochs()["finetuned"]:
            return pruned
        weight = self.config.distill
        teacher = Distillation(dense, weight, "the dense network") if weight else None
        return self._train("finetuned", from_checkpoint(to_checkpoint(pruned)), distillation=teacher)

    def _train(
        self,
        stage: str,
        model: DarknetModel,
        sparsity: Sparsity | None = None,
        distillation: Distillation | None = None,
    ) -> DarknetModel:
        folder = self.folder / stage
        resume = can_resume(folder)
        config = self.config.train_config(stage)
        return train(
            model,
            self.dataset,
            config,
            folder,
            sparsity=sparsity,
            distillation=distillation,
            resume=resume,
            monitor=Monitor(self.progress, self.tracker, self.title + stage),
        ).model

    def _left_out(self, model: DarknetModel) -> Choice:
        """Per batch normalisation, the channels the budget leaves out: what sparsity training fades.

        The last plan made here is the one that is cut later, so each is written down at once.
        """
        plan = plan_of(model, self.config, self.dataset, self.progress)
        write_text(self.folder / "plan.json", plan.to_json())
        masks = {f"layers.{index}.bn": mask for index, mask in enumerate(plan.masks(model.network))}
        return {name: torch.from_numpy(~masks[name]) for name in sparse_scales(model)}

    def plan(self, sparse: DarknetModel) -> Plan:
        """The plan of the cut, and a look at how ready the network is for it; writes both down."""
        path = self.folder / "plan.json"
        if path.exists():
            plan = Plan.from_json(path.read_text(encoding="utf-8"))
        else:
            plan = plan_of(sparse, self.config, self.dataset, self.progress)
            write_text(path, plan.to_json())
        if not (self.folder / "readiness.json").exists():
            self._tell_readiness(sparse, plan)
        return plan

    def _tell_readiness(self, sparse: DarknetModel, plan: Plan) -> None:
        with on_device(self.config.device, sparse):
            found = readiness(sparse, plan, validation_images(self.dataset), self.size_hw)
        for line in found.lines() if found else ["no channel with a scale goes"]:
            self.progress.message(line)
        write_json(self.folder / "readiness.json", found.as_dict() if found else {})

    def cut(self, sparse: DarknetModel, plan: Plan) -> DarknetModel:
        """Cuts by the plan and repairs; writes pruned.safetensors."""
        path = self.folder / "pruned.safetensors"
        if path.exists():
            return from_checkpoint(read_checkpoint(path))
        pruned = prune_by(sparse, plan)
        how, seed = self.config.repair, self.config.seed
        with on_device(self.config.device, pruned, sparse):
            repair_on(pruned, sparse, plan, CalibrationSet(self.dataset, self.size_hw, seed), how)
        write_checkpoint(path, to_checkpoint(pruned))
        return pruned

    def judge(
        self, model: DarknetModel | Backend, size_px: int, batch_size: int = 32, title: str = "evaluating"
    ) -> Judgement:
        """What a network finds on every split but train, beside the labels."""
        splits = [split for split in self.dataset.splits if split != "train"]
        judgement: Judgement = {}
        models = [model] if isinstance(model, DarknetModel) else []
        with on_device(self.config.device, *models), self.progress.task(title, len(splits)) as advance:
            for split in splits:
                samples = self.dataset.split(split)
                judgement[split] = judged(model, samples, (size_px, size_px), batch_size=batch_size)
                advance(1, split)
        return judgement

    def judge_stages(self, models: dict[str, DarknetModel]) -> dict[str, Judgement]:
        """What the network of every stage finds."""
        size_px = self.config.size_px
        return {
            name: self.judge(model, size_px, title=f"evaluating {name}") for name, model in models.items()
        }

    def results(
        self, models: dict[str, DarknetModel], plan: Plan, judgements: dict[str, Judgement]
    ) -> dict[str, Any]:
        """Exports and measures every stage, and the slim network in int8 where that can be."""
        self.progress.message("exporting and timing every stage")
        slim_model = list(models.values())[-1]
        artefacts = self._export(models["dense"], slim_model)
        int8 = self.folder / INT8_FILE if artefacts[INT8_FILE] == WRITTEN else None
        latency = measure_latency(models, int8)
        stages = [self._stage(name, model, latency[name], judgements[name]) for name, model in models.items()]
        return {
            "stages": stages,
            **({"int8": self._int8_row(stages[-1], int8, latency["int8"])} if int8 else {}),
            "lead": self._lead(judgements["dense"], list(judgements.values())[-1]),
            "plan": json.loads(plan.to_json()),
            "readiness": json.loads((self.folder / "readiness.json").read_text(encoding="utf-8")),
            "budget": list(self.config.budget),
            "seed": self.config.seed,
            "data": self.config.data,
            "artefacts": artefacts,
        }

    def _lead(self, dense: Judgement, slim: Judgement) -> dict[str, Any]:
        """By how much AP the slim network is better, with a 95 % bootstrap interval over images."""
        num_classes = len(self.dataset.names)
        return {
            split: asdict(bootstrap_difference(truths, slim[split][1], found, num_classes))
            for split, (truths, found) in dense.items()
            if any(len(truth.class_ids) for truth in truths)
        }

    def _export(self, dense: DarknetModel, slim_model: DarknetModel) -> dict[str, str]:
        write_checkpoint(self.folder / "slim.safetensors", to_checkpoint(slim_model))
        artefacts = {"slim.safetensors": "written"}
        export(dense, self.folder / "dense.onnx")
        export(slim_model, self.folder / "slim.onnx")
        artefacts |= {"dense.onnx": "written", "slim.onnx": "written"}
        artefacts[INT8_FILE] = write_int8(slim_model, self.folder / INT8_FILE, self.dataset)
        try:
            export(slim_model, self.folder / "slim.cfg")
            artefacts["slim.cfg + slim.weights"] = "written"
        except ExportError as error:
            artefacts["slim.cfg + slim.weights"] = f"not applicable: {error}"
        return artefacts

    def _stage(
        self, name: str, model: DarknetModel, latency_ms: dict[str, float], judgement: Judgement
    ) -> dict[str, Any]:
        counted = cost(model.network, *self.size_hw)
        return {
            "stage": name,
            "epochs": self.config.epochs_seen()[name],
            "params": counted.params,
            "size_bytes": _file_size(self.folder, name),
            "macs": counted.macs,
            "input_size": list(self.size_hw),
            "metrics": self._metrics(judgement),
            "latency_ms": latency_ms,
        }

    def _int8_row(self, slim: dict[str, Any], path: Path, latency_ms: dict[str, float]) -> dict[str, Any]:
        """As of a stage: what changes beside the slim network in float32."""
        judgement = self.judge(open_backend(path), self.config.size_px, batch_size=1, title="evaluating int8")
        return {
            **slim,
            "stage": "int8",
            "size_bytes": path.stat().st_size,
            "metrics": self._metrics(judgement),
            "latency_ms": latency_ms,
        }

    def _metrics(self, judgement: Judgement) -> dict[str, dict[str, float]]:
        """AP and AP@0.5 by split."""
        metrics = {}
        for split, (truths, found) in judgement.items():
            measured = average_precision(truths, found, len(self.dataset.names))
            metrics[split] = {"ap": measured.ap, "ap50": measured.ap50}
        return metrics

    def report(
        self,
        models: dict[str, DarknetModel],
        plan: Plan,
        results: dict[str, Any],
        judgements: dict[str, Judgement],
    ) -> None:
        """Writes the results, the tables, the images and the page."""
        write_json(self.folder / "results.json", results)
        write_text(self.folder / "table.md", markdown_table(results) + "\n")
        if "controls" in results:
            write_text(self.folder / "controls.md", controls_markdown(results["controls"]))
        write_images(self.folder, models, plan, self.dataset, judgements)
        write_evidence(self.folder, self.dataset, judgements)
        write_report([self.folder], self.folder / PAGE_FILE)


@contextmanager
def on_device(device: str, *models: DarknetModel) -> Iterator[None]:
    """Models on that device for as long as it takes, then back on the CPU, where all else happens."""
    try:
        for model in models:
            model.to(device)
        yield
    finally:
        for model in models:
            model.cpu()


def _file_size(folder: Path, stage: str) -> int:
    if stage == "pruned":
        return (folder / "pruned.safetensors").stat().st_size
    path = folder / stage / "best.safetensors"
    if path.exists():
        return path.stat().st_size
    # A stage of no epochs is the one before it.
    return _file_size(folder, {"sparse": "dense", "finetuned": "pruned"}[stage])
