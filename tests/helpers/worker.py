"""One of several processes that train together, as the tests start them.

python worker.py train DATA FOLDER OPTIMIZER   one run with all there is to keep in step
python worker.py seyolo DIES_AT ARGUMENTS      the command line; process 1 dies at that step of training
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from seyolo.cli import command
from seyolo.darknet import zoo
from seyolo.data.datasets import load_dataset
from seyolo.torchnet.build import DarknetModel, build
from seyolo.training import loop, validation
from seyolo.training.config import TrainConfig
from seyolo.training.distillation import Distillation
from seyolo.training.distributed import run_on_leader
from seyolo.training.loop import TrainResult
from seyolo.training.sparsity import Choice, Steered, sparse_scales
from seyolo.training.step import TrainingStep
from seyolo.training.trackers import Monitor

CONFIG = TrainConfig(
    epochs=3,
    batch=4,
    size=64,
    evaluations=1,
    warmup_epochs=0.5,
    mixed_precision=False,
    gradient_clip=1.0,
    sync_bn=True,
    optimizer="adamw",  # Muon rounds to 16 bits inside, so that sums in another order differ more
)
EVALUATION_BATCH = 2


class Notes:
    """A tracker that writes down what it is told of; every process would add to the same file."""

    def __init__(self, folder: Path, epochs_done: int) -> None:
        self.path = folder / "notes.txt"
        self._add(f"opened after {epochs_done}")

    def figures(self, epoch: int, row: Mapping[str, Any]) -> None:
        self._add(f"figures of {row['epoch']} at {epoch}")

    def scales(self, epoch: int, sizes: Float32[np.ndarray, " n"]) -> None:
        self._add(f"{len(sizes)} scales at {epoch}")

    def close(self) -> None:
        self._add("closed")

    def _add(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def fresh_model(seed: int = 0) -> DarknetModel:
    """A narrow yolov3-tiny."""
    network = zoo.yolov3_tiny(num_classes=1, width=0.125, scale_x_y=2.0)
    return build(network, ("hand",), torch.Generator().manual_seed(seed))


def train_all(data: Path, folder: Path, config: TrainConfig = CONFIG) -> TrainResult:
    """A run with steered sparsity, which asks process 0, and a teacher, whose loss is normalised, too."""

    def every_second_channel(model: DarknetModel) -> Choice:
        return {name: torch.arange(bn.num_features) % 2 == 0 for name, bn in sparse_scales(model).items()}

    sparsity = Steered(0.1, every_second_channel, choose_at=0.4, faded_at=0.8)
    teacher = Distillation(fresh_model(seed=1), 0.5)
    dataset = load_dataset(data)
    return loop.train(
        fresh_model(),
        dataset,
        config,
        folder,
        sparsity=sparsity,
        distillation=teacher,
        monitor=Monitor(tracker=Notes),
    )


def write_down(run: loop._Run, folder: Path) -> None:
    """What a process holds after a run; exact, since JSON keeps every digit of a number."""
    tensors = {
        **run.step.model.state_dict(),
        **{f"average {k}": v for k, v in run.step.average.model.state_dict().items()},
    }
    sums = {name: value.double().abs().sum().item() for name, value in tensors.items()}
    (folder / f"process-{run.team.rank}.json").write_text(json.dumps(sums))


def main() -> None:
    """What the command line asks for."""
    torch.set_num_threads(1)
    if sys.argv[1] == "train":
        data, folder, optimizer = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
        validation.EVALUATION_BATCH = EVALUATION_BATCH
        train = loop._Run.train

        def recorded(run: loop._Run) -> None:
            train(run)
            write_down(run, folder)

        loop._Run.train = recorded
        result = run_on_leader(partial(train_all, data, folder / "run", replace(CONFIG, optimizer=optimizer)))
        assert result.history[-1]["epoch"] == CONFIG.epochs
        return
    dies_at, take = int(sys.argv[2]), TrainingStep.take

    def mortal(step: TrainingStep, number: int, *batch: torch.Tensor) -> torch.Tensor:
        if number == dies_at and os.environ["RANK"] == "1":
            os._exit(9)
        return take(step, number, *batch)

    TrainingStep.take = mortal
    loop.STEPS_AGREED = 2
    sys.argv[1:] = sys.argv[3:]
    command()


if __name__ == "__main__":
    main()
