"""`seyolo demo`: the main job in a few minutes, on drawn hands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import seyolo
from seyolo.commands.output import Json, check_target, remark, show
from seyolo.data.synthetic.dataset import write_dataset
from seyolo.errors import TrainingError
from seyolo.files import remove_leftovers, write_json
from seyolo.json_files import read_json
from seyolo.options.stored import SLIM_FILE
from seyolo.options.training import Augmentation
from seyolo.progress import Progress, console_progress
from seyolo.report.pages.write import PAGE_FILE
from seyolo.report.tables.slim import stage_table
from seyolo.results import SlimResults
from seyolo.runs import RUNS, NewRun, locked

# Chosen for the best AP in three minutes on two cores: few layers, small images with hands that fill them,
# and none of the hard augmentation that only pays in long runs.
MODEL = "yolov3-tiny@0.5"
DEMO_FILE = "demo.json"
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
    MACs, fine-tunes it and prints the table. After a stop, the same command goes on where it was.

    Args:
        out: the folder for data and run; by default a new one under runs/demo.
        seed: of the drawn hands and of training.
        device: cpu, cuda or cuda:N.
        json: write results.json's content here, too; - is stdout.
    """
    check_target(json)
    seyolo.api.torch_device(device)  # refuses it before anything is drawn
    progress = console_progress()
    with _folder(out, {"seed": seed, "device": device}) as folder:
        data, run = folder / "hands" / "data.yaml", folder / "slim"
        if not data.exists():
            _draw_hands(data.parent, seed, progress)
        if (run / SLIM_FILE).exists():
            results = seyolo.api.resume_slim(run, progress)
        else:
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


@contextmanager
def _folder(out: Path | None, settings: dict[str, object]) -> Iterator[Path]:
    """Locks and yields the folder of a demo that was stopped, else of a new one."""

    def write(folder: Path) -> None:
        write_json(folder / DEMO_FILE, settings)

    with ExitStack() as stack:
        for folder in sorted((RUNS / "demo").glob("*")) if out is None else [out]:
            if not _is_stopped(folder, settings):
                continue
            try:
                stack.enter_context(locked(folder))
            except TrainingError:
                continue
            remove_leftovers(folder)
            remark(f"going on with {folder}, which was stopped; --out starts another one")
            yield folder
            return
        if out is None:
            out = NewRun("demo").take(write)
        else:
            write(out)
        stack.enter_context(locked(out))
        yield out


def _is_stopped(folder: Path, settings: dict[str, object]) -> bool:
    path = folder / DEMO_FILE
    return path.exists() and not (folder / "slim" / PAGE_FILE).exists() and read_json(path, dict) == settings


def _draw_hands(folder: Path, seed: int, progress: Progress) -> None:
    with progress.task("drawing hands", NUM_TRAIN + NUM_VAL + NUM_TEST) as advance:
        write_dataset(
            folder,
            num_train=NUM_TRAIN,
            num_val=NUM_VAL,
            num_test=NUM_TEST,
            size_px=(SMALLEST_PX, SIZE_PX),
            seed=seed,
            progress=lambda done, total: advance(1, ""),
        )
