"""`seyolo demo`: the main job in a few minutes, on drawn hands."""

from __future__ import annotations

from pathlib import Path

import seyolo
from seyolo.commands.output import Json, check_target, remark, show
from seyolo.data.synthetic.dataset import write_dataset
from seyolo.options.training import Augmentation
from seyolo.progress import console_progress
from seyolo.report.tables.slim import stage_table
from seyolo.results import SlimResults
from seyolo.runs import new_run, resumable

# Chosen for the best AP in three minutes on two cores: few layers, small images with hands that fill them,
# and none of the hard augmentation that only pays in long runs.
MODEL = "yolov3-tiny@0.5"
SIZE_PX, SMALLEST_PX = 128, 112
NUM_TRAIN, NUM_VAL, NUM_TEST = 1000, 60, 100
EPOCHS = 18
LEARNING_RATE = 6e-3
TRAIN_SETTINGS = {
    "augmentation": Augmentation(mosaic=0.0, scale_min=0.8, scale_max=1.4),
    "plain_share": 0.0,
    "average_ramp_updates": 150.0,
    "evaluations": 4,
}


def demo(*, out: Path | None = None, seed: int = 0, device: str = "cpu", json: Json = None) -> None:
    """The main job in a few minutes, on drawn hands.

    Draws a small data set of synthetic hands, trains a narrow SE-YOLOv3-tiny on it, cuts it to 30 % of its
    MACs, fine-tunes it and prints the table.

    Args:
        out: the folder for data and run; by default a new one under runs/demo.
        seed: of the drawn hands and of training.
        device: cpu, cuda or cuda:N.
        json: write results.json's content here, too; - is stdout.
    """
    check_target(json)
    seyolo.api.torch_device(device)  # refuses it before anything is drawn
    progress = console_progress()
    folder = new_run("demo") if out is None else out
    with progress.task("drawing hands", NUM_TRAIN + NUM_VAL + NUM_TEST) as advance:
        data = write_dataset(
            folder / "hands",
            num_train=NUM_TRAIN,
            num_val=NUM_VAL,
            num_test=NUM_TEST,
            size_px=(SMALLEST_PX, SIZE_PX),
            seed=seed,
            progress=lambda done, total: advance(1, ""),
        )
    run = folder / "slim"
    with resumable("slim", run):
        results = seyolo.slim(
            data,
            MODEL,
            attention="se",
            size=SIZE_PX,
            epochs=EPOCHS,
            lr=LEARNING_RATE,
            seed=seed,
            device=device,
            train_settings=TRAIN_SETTINGS,
            folder=run,
            progress=progress,
        )
    show(results, stage_table(SlimResults.from_json(results)), json)
    remark(f"hands that were drawn:   {folder / 'hands' / 'images'}")
    remark(f"hands that were found:   {run / 'samples.jpg'}")
    remark(f"channels before/after:   {run / 'channels.png'}")
    remark(f"all of it on one page:   {run / 'report.html'}")
    remark(f"models, table, curves:   {run}")
