"""Stages of a slimming run, and the files in its folder.

Every stage writes its result into the folder; a resumed run reads it back instead of computing it again.

    config.json environment.json       options, machine and versions
    data.json start.json               fingerprint of the data set, and what the run will do
    commands.txt warnings.txt          the command line of the start and of every resume, and all warnings
    dense/ sparse/ finetuned/          one training run each: results.csv, best.safetensors, state to resume;
                                       sparsity training starts from dense/epoch-N.safetensors
    plan.json readiness.json           the pruned channels, and BN scales and AP before pruning
    pruned.safetensors                 the network after pruning and repair
    slim.safetensors .cfg .weights .onnx, slim_int8.onnx, dense.onnx
    controls/NAME/                     training runs of each control
    results.json table.md controls.md channels.png curves.png scales.png scales_over_time.png samples.jpg
    curves.json pictures/              precision and recall, and example detections, for report.html
    report.html                        the whole run on one page
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from seyolo.checkpoint import read_checkpoint, write_checkpoint
from seyolo.darknet.edit import set_activation
from seyolo.data.datasets import Dataset
from seyolo.data.small_boxes import warn_of_small_boxes
from seyolo.data.tiles import training_samples
from seyolo.errors import ModelError
from seyolo.evaluation.evaluate import Judgement, judge_splits
from seyolo.files import write_json, write_text
from seyolo.json_files import to_json
from seyolo.letterbox import Fit
from seyolo.options.slim import SlimOptions
from seyolo.progress import Advance, Progress, RunClock
from seyolo.pruning.groups.groups import tied_scales
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.prune import prune_by
from seyolo.runs import BEST_FILE
from seyolo.runtime.protocol import Backend
from seyolo.sizes import USUAL_SIZE, size_hw
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint
from seyolo.training.distillation import Distillation
from seyolo.training.loop import train
from seyolo.training.run_folder import RESULTS_FILE, num_rows, saved_state, snapshot
from seyolo.training.sparsity import Choice, Sparsity, Steered, make_sparsity, sparse_scales
from seyolo.training.trackers import Monitor, NoTracker, OpenTracker
from seyolo.verbs.announce import Place, announce_task, announce_time, run_start
from seyolo.verbs.calibration import CalibrationSet, plan_of, repair_on
from seyolo.verbs.effort import chosen_device
from seyolo.verbs.prune import read_plan
from seyolo.verbs.readiness import readiness, readiness_lines, validation_images
from seyolo.verbs.stages import done_share, estimate_seconds, stage_config, strength
from seyolo.verbs.start import model_to_train, open_data

EVALUATION_BATCH = 32


class SlimRun:
    """One run of `slim`: its folder and its stages. A stage whose result exists reads it back.

    `title` is the prefix of the tasks' titles; `tracker` opens a tracker per training stage. A control
    has the `dataset` of its run; runs that differ in what follows share a `dense_folder`.
    """

    def __init__(
        self,
        config: SlimOptions,
        folder: Path,
        progress: Progress,
        title: str = "",
        tracker: OpenTracker = NoTracker,
        *,
        dataset: Dataset | None = None,
        dense_folder: Path | None = None,
    ) -> None:
        config = replace(config, device=chosen_device(config.device))
        self.config, self.folder, self.progress, self.title = config, folder, progress, title
        self.tracker = tracker
        self.dense_folder = dense_folder or folder / "dense"
        self.clock: RunClock | None = None  # of the whole run
        self.dataset = open_data(config, folder, progress) if dataset is None else dataset
        self.size_hw = size_hw(config.size or USUAL_SIZE)

    def starting_model(self) -> DarknetModel:
        """Returns the network that dense training starts from."""
        model = model_to_train(self.config, self.dataset, stage_config(self.config, "dense"))
        warn_of_small_boxes(self.dataset.split("train"), self.size_hw, model.network.net.letterbox_mode)
        return model

    def announce(self, model: DarknetModel, rough: Plan, done: Collection[str] = ()) -> None:
        """Tells what the run will do; its time is estimated from a few measured training steps.

        The controls in `done` have results.
        """
        stages = self.config.stage_epochs()
        configs = {name: stage_config(self.config, name) for name in stages}
        start = run_start(self.config, self.dataset, model, configs)
        announce_task(start, self.dataset, model, self.progress)
        if missing := [name for name in self.config.chosen_controls() if name not in done]:
            self.progress.message(f"controls: {', '.join(missing)}, trained on as many images as slim")
        kept_share = rough.macs / rough.dense_macs
        seconds = estimate_seconds(model, self.dataset, self.config, kept_share, self.progress)
        self.clock = RunClock(seconds)
        start = replace(start, seconds=sum(seconds.values()))
        left_s = sum(part_s * (1 - self._done_share(part, done)) for part, part_s in seconds.items())
        announce_time(start, self.dataset, Place(self.folder, "slim", left_s), self.progress)

    def _done_share(self, part: str, done: Collection[str]) -> float:
        """Returns the finished share of a part of `estimate_seconds`: "sparse", "scratch control", ..."""
        *control, stage = part.split()
        folder = self.folder / "controls" / control[0] if control else self.folder
        if stage == "results":
            return 0.0
        if control and control[0] in done:
            return 1.0
        if stage == "planning":
            return float((folder / "pruned.safetensors").exists())
        if stage == "control":
            return done_share(folder, self.config.epochs_seen()["finetuned"])
        place = folder / stage if control else self._stage_folder(stage)
        return done_share(place, self.config.stage_epochs()[stage])

    def _stage_folder(self, stage: str) -> Path:
        return self.dense_folder if stage == "dense" else self.folder / stage

    def epochs_seen(self) -> dict[str, int]:
        """Returns the epochs behind the network of each stage, fewer where `patience` ended one."""
        seen, planned = self.config.epochs_seen(), self.config.stage_epochs()
        for stage in ("dense", "finetuned"):
            done = num_rows(self._stage_folder(stage) / RESULTS_FILE)
            if self.config.patience is not None and done > 0:
                seen[stage] -= planned[stage] - done
        return seen

    def dense(self, model: DarknetModel) -> DarknetModel:
        """Trains the dense network; with 0 epochs returns it as it is."""
        if self.config.epochs == 0:
            self.progress.message(
                "no dense training: slimming starts from the given weights; --epochs N trains them first"
            )
            write_checkpoint(self.dense_folder / BEST_FILE, to_checkpoint(model))
            return model.eval()
        return self._train("dense", model)

    def branch(self, dense: DarknetModel) -> DarknetModel:
        """Returns the network that slimming starts from: the dense one at the branch epoch."""
        if not self.config.is_early():
            return dense
        return from_checkpoint(read_checkpoint(snapshot(self.dense_folder, self.config.branch())))

    def sparse(self, branch: DarknetModel) -> DarknetModel:
        """Runs sparsity training; with 0 epochs returns the network as it is."""
        if self.config.stage_epochs()["sparse"] == 0:
            return branch
        model = from_checkpoint(to_checkpoint(branch))
        return self._train("sparse", model, self._sparsity(model))

    def _sparsity(self, model: DarknetModel) -> Sparsity:
        config = self.config
        steps_per_epoch = len(stage_config(config, "sparse").make_loader(training_samples(self.dataset)))
        pressure = strength(config, steps_per_epoch)
        if config.sparsity == "steered":
            return Steered(pressure, self._left_out, rounds=config.rounds)
        return make_sparsity(config.sparsity, pressure, config.schedule, tied_scales(model.network))

    def finetune(self, pruned: DarknetModel, dense: DarknetModel) -> DarknetModel:
        """Fine-tunes the pruned network, with `activation`, and a teacher where `distill` is set."""
        if not self.config.stage_epochs()["finetuned"]:
            return pruned
        start = to_checkpoint(pruned)
        if (activation := self.config.activation) is not None:
            start = replace(start, network=set_activation(start.network, activation))
        weight = self.config.distill
        teacher = Distillation(dense, weight, "the dense network") if weight else None
        return self._train("finetuned", from_checkpoint(start), distillation=teacher)

    def _train(
        self,
        stage: str,
        model: DarknetModel,
        sparsity: Sparsity | None = None,
        distillation: Distillation | None = None,
    ) -> DarknetModel:
        folder, config = self._stage_folder(stage), stage_config(self.config, stage)
        settings = to_json(self.config) | {"stage": stage, "stage_epochs": config.epochs}
        return train(
            model,
            self.dataset,
            config,
            folder,
            sparsity=sparsity,
            distillation=distillation,
            state=saved_state(folder, config.epochs),
            monitor=Monitor(self.progress, self.tracker, self.title + stage, self.clock, settings),
        ).model

    def _left_out(self, model: DarknetModel) -> Choice:
        """Returns per BN layer the channels to prune, which steered sparsity training fades.

        The cut follows the last plan made here, so each plan is written to plan.json.
        """
        plan = plan_of(model, self.config, self.dataset, self.progress)
        write_text(self.folder / "plan.json", plan.to_json())
        masks = {f"layers.{index}.bn": mask for index, mask in enumerate(plan.masks(model.network))}
        return {name: torch.from_numpy(~masks[name]) for name in sparse_scales(model)}

    def plan(self, sparse: DarknetModel) -> Plan:
        """Makes the plan of the cut and measures readiness; writes plan.json and readiness.json."""
        path = self.folder / "plan.json"
        if path.exists():
            plan = read_plan(path)
        else:
            plan = plan_of(sparse, self.config, self.dataset, self.progress)
            write_text(path, plan.to_json())
        if not (self.folder / "readiness.json").exists():
            with _on_device(self.config.device, sparse):
                found = readiness(sparse, plan, validation_images(self.dataset), self.size_hw)
            is_given = self.config.epochs == 0 and self.config.stage_epochs()["sparse"] > 0
            for line in readiness_lines(found, is_given=is_given):
                self.progress.message(line)
            write_json(self.folder / "readiness.json", found.to_json() if found else {})
        return plan

    def cut(self, sparse: DarknetModel, plan: Plan) -> DarknetModel:
        """Prunes by the plan and repairs; writes pruned.safetensors."""
        path = self.folder / "pruned.safetensors"
        if path.exists():
            try:
                return from_checkpoint(read_checkpoint(path))
            except ModelError as error:
                warnings.warn(f"{error}. It is made again", stacklevel=2)
        pruned = prune_by(sparse, plan)
        images = CalibrationSet(self.dataset, Fit.of(pruned.network.net, self.size_hw), self.config.seed)
        with _on_device(self.config.device, pruned, sparse):
            repair_on(pruned, sparse, plan, images, self.config.repair, progress=self.progress)
        write_checkpoint(path, to_checkpoint(pruned))
        return pruned

    def judge(
        self, model: DarknetModel | Backend, size: tuple[int, int] | None = None, title: str = "evaluating"
    ) -> Judgement:
        """Returns labels and detections of a network, or of an open backend, on every split but `train`."""
        networks = [model] if isinstance(model, DarknetModel) else []
        batch = EVALUATION_BATCH if networks else 1
        with _on_device(self.config.device, *networks):
            progress = _Titled(self.progress, title)
            return judge_splits(model, self.dataset, None, size or self.size_hw, progress, batch=batch)


@dataclass(frozen=True)
class _Titled:
    """Progress whose tasks all have one title."""

    progress: Progress
    title: str

    def message(self, text: str) -> None:
        self.progress.message(text)

    def task(self, title: str, total: int | None) -> AbstractContextManager[Advance]:
        return self.progress.task(self.title, total)


@contextmanager
def _on_device(device: str, *models: DarknetModel) -> Iterator[None]:
    """Moves models to a device for the block, and back to the CPU after it."""
    try:
        for model in models:
            model.to(device)
        yield
    finally:
        for model in models:
            model.cpu()
