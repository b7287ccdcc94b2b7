"""Announcement of a training run: five lines on what it will do, and what it has too little of.

Four of them are known at once; the time waits for a few measured training steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from seyolo.darknet.cost import cost
from seyolo.data.datasets import Dataset
from seyolo.data.near_duplicates import training_lines
from seyolo.data.tiles import training_samples
from seyolo.errors import counted
from seyolo.files import write_json
from seyolo.json_files import to_json
from seyolo.options.slim import USUAL_EPOCHS, SlimOptions
from seyolo.options.train import TrainOptions
from seyolo.processor import usable_cores
from seyolo.progress import Progress, duration_text, tell
from seyolo.report.tables.slim import shown_split
from seyolo.report.text import count_text
from seyolo.report.verdict import ENOUGH_VAL_BOXES, shortages, too_few
from seyolo.results import START_FILE, RunStart
from seyolo.runtime.shipped import is_checkpoint
from seyolo.sizes import USUAL_SIZE, input_text, size_hw
from seyolo.torchnet.build import DarknetModel
from seyolo.training.config import TrainConfig
from seyolo.training.distributed import current_team
from seyolo.training.validation import validation_splits
from seyolo.verbs.effort import STEPS_WANTED

EVALUATION_SHARE = 0.6
"""Time of evaluating an image, with suppression and AP, by that of a training step for it (0.4 to 0.8)."""


def training_seconds(config: TrainConfig, dataset: Dataset, step_s: float) -> float:
    """Estimates the seconds of a training with its evaluations on val, where a step takes `step_s`."""
    num_images = sum(len(dataset.split(name)) for name in validation_splits(dataset))
    at_start = config.start_counts and config.epochs > 0
    evaluated = (at_start + min(config.epochs, config.evaluations)) * num_images
    steps = config.epochs * -(-len(training_samples(dataset)) // config.batch)
    return step_s * (steps + EVALUATION_SHARE * evaluated / config.batch)


def run_start(
    options: SlimOptions | TrainOptions,
    dataset: Dataset,
    model: DarknetModel,
    configs: Mapping[str, TrainConfig],
) -> RunStart:
    """Returns the task of a run, its time not estimated yet (0 s); `configs` are its training stages."""
    num_samples = len(training_samples(dataset))
    first = next(iter(configs.values()))
    samples = {name: dataset.split(name) for name in dataset.splits}
    return RunStart(
        network=str(options.model),
        origin=_origin(options, model),
        images={name: len(found) for name, found in samples.items()},
        boxes={name: len(found.arrays["class_ids"]) for name, found in samples.items()},
        num_classes=len(dataset.names),
        device=first.device,
        threads=torch.get_num_threads(),
        batch=first.batch,
        input_size=size_hw(options.size or USUAL_SIZE),
        epochs={name: config.epochs for name, config in configs.items()},
        steps={name: config.epochs * -(-num_samples // config.batch) for name, config in configs.items()},
        seconds=0.0,
        budget=options.budget if isinstance(options, SlimOptions) else (),
    )


class Place(NamedTuple):
    """Folder and verb of a run, and the estimated seconds of what is not done yet."""

    folder: Path
    verb: str
    left_s: float


def announce_task(start: RunStart, dataset: Dataset, model: DarknetModel, progress: Progress) -> None:
    """Tells in four lines what a run will do, and in another where images are stretched."""
    counted_cost = cost(model.network, *start.input_size)
    size = f"{count_text(counted_cost.params)} parameters, {count_text(counted_cost.macs)} MACs"
    images = ", ".join(
        f"{name} {counted(number, 'image')} with {counted(start.boxes[name], 'box')}"
        for name, number in start.images.items()
    )
    classes = counted(start.num_classes, "class")
    stretched = model.network.net.letterbox_mode == "stretch"
    images += ", stretched to the input as before" if stretched else ""
    pruned = f", pruned to {' and '.join(start.budget)}" if start.budget else ""
    for line in (
        f"network: {start.network}, {start.origin}; {size}",
        f"data: {dataset.layout}; {images}; {classes}",
        f"device: {_machine(start)}",
        f"training: {_steps(start)} at {input_text(start.input_size)} px{pruned}",
    ):
        progress.message(line)


def announce_time(start: RunStart, dataset: Dataset, place: Place, progress: Progress) -> None:
    """Tells how long a run will take, warns of what it has too little of, and writes start.json."""
    resume = f"stop any time, seyolo {place.verb} --resume {place.folder} continues"
    progress.message(f"time: about {_time(start.seconds, place.left_s)}, into {place.folder}; {resume}")
    tell(progress, [*shortage_lines(start), *training_lines(dataset)])
    write_json(place.folder / START_FILE, to_json(start))


def shortage_lines(start: RunStart) -> list[str]:
    """Returns the warnings of a run: what it has too little of to learn, and to tell a difference in AP."""
    found = shortages(start)
    steps, epochs = (counts.get("sparse", 0) for counts in (start.steps, start.epochs))
    if not start.steps.get("dense") and 0 < USUAL_EPOCHS * steps < STEPS_WANTED * epochs:
        images = counted(start.images.get("train", 0), "image")
        found.append(f"sparsity training on {images} destroys what given weights know: --sparse-epochs 0")
    judged = "val" if "train" in start.steps else ""  # slim has a table of all splits
    labelled = [name for name, boxes in start.boxes.items() if boxes and name != "train"]
    splits = [name for name in labelled if name.startswith(judged)]
    split = shown_split(splits) if splits else ""
    is_told = split == "val" and start.boxes[split] < ENOUGH_VAL_BOXES  # by `shortages`
    few = too_few(split, start) if split and not is_told else ""
    if few:
        found.append(f"{few} are too few to tell a difference in AP: label more")
    return [f"warning: {line}" for line in found]


def _origin(options: SlimOptions | TrainOptions, model: DarknetModel) -> str:
    """Returns where the weights come from."""
    transfer = model.provenance.get("transfer")
    source = options.weights or (options.model if is_checkpoint(options.model) else None)
    gates = f" with new {options.attention} gates" if options.attention else ""
    if source is None:
        return f"new weights{gates}"
    if isinstance(transfer, dict) and transfer.get("random"):
        taken, total = transfer["taken"], transfer["taken"] + transfer["random"]
        return f"{taken} of {counted(total, 'tensor')} from {source}, the others new{gates}"
    return f"weights from {source}{gates}"


def _machine(start: RunStart) -> str:
    threads = f"{counted(start.threads, 'thread')} on {counted(usable_cores(), 'core')}"
    processes = current_team().size
    team = f", {processes} processes" if processes > 1 else ""
    if start.device.startswith("cuda"):
        return f"{start.device} ({torch.cuda.get_device_name(start.device)}){team}"
    found = "" if torch.cuda.is_available() else ", no GPU found"
    return f"cpu{found}; {threads}{team}"


def _time(seconds: float, left_s: float) -> str:
    whole, left = duration_text(seconds), duration_text(left_s)
    return whole if left_s >= seconds else f"{left} are left of {whole}"


def _steps(start: RunStart) -> str:
    if not any(start.epochs.values()):
        return "none"
    total = counted(sum(start.steps.values()), "step")
    parts = [
        f"{'' if stage == 'train' else f'{stage} '}{counted(epochs, 'epoch')}"
        for stage, epochs in start.epochs.items()
        if epochs
    ]
    return f"{total} ({', '.join(parts)}) of {counted(start.batch, 'image')}"
