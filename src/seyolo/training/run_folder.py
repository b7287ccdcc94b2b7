"""Folder of a training run.

It holds `config.json`, `environment.json`, `results.csv`, `state.safetensors` (to resume), and two averaged
models: `best.safetensors` (highest AP on the validation splits) and `last.safetensors`. `curves.json` holds
the precision and recall curves of the best one, `scales.csv` the percentiles of |γ| in sparsity training.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seyolo.checkpoint import write_checkpoint
from seyolo.errors import TrainingError
from seyolo.files import write_json
from seyolo.torchnet.build import to_checkpoint
from seyolo.training.config import TrainConfig
from seyolo.training.distillation import Distillation
from seyolo.training.environment import describe_environment
from seyolo.training.run_record import RunRecord, write_rows
from seyolo.training.run_state import RunState, read_run_state, write_run_state
from seyolo.training.step import TrainingStep

STATE_FILE, RESULTS_FILE = "state.safetensors", "results.csv"
CURVES_FILE, SCALES_FILE = "curves.json", "scales.csv"
BEST_FILE, LAST_FILE = "best.safetensors", "last.safetensors"


def can_resume(folder: Path) -> bool:
    """Returns whether a run's folder holds a finished epoch to resume from.

    Raises:
        TrainingError: epochs are finished, but the state file is missing.
    """
    if (folder / STATE_FILE).exists():
        return True
    if (folder / RESULTS_FILE).exists():
        raise TrainingError(f"{folder}: {STATE_FILE} is missing, so this run cannot resume; start a new one")
    return False


def snapshot(folder: Path, epoch: int) -> Path:
    """Returns the path of the averaged model of the `snapshot_epoch` (from 1)."""
    return folder / f"epoch-{epoch}.safetensors"


@dataclass(frozen=True)
class RunFolder:
    """Writes and reads the folder of a run; `title` names the run in `curves.json`."""

    path: Path
    config: TrainConfig
    title: str

    def begin(self, distillation: Distillation | None) -> None:
        """Makes the folder of a new run and writes its settings and environment."""
        self.path.mkdir(parents=True, exist_ok=True)
        values = asdict(self.config)
        if distillation is not None:
            values["distillation"] = {"teacher": distillation.source, "weight": distillation.weight}
        write_json(self.path / "config.json", values)
        write_json(self.path / "environment.json", describe_environment())

    def keep(self, step: TrainingStep, record: RunRecord, curves: dict[str, Any]) -> None:
        """Writes models, tables and state after an epoch; the state last, since a resumed run trusts it."""
        averaged = to_checkpoint(step.average.model)
        write_checkpoint(self.path / LAST_FILE, averaged)
        if record.epoch == self.config.snapshot_epoch:
            write_checkpoint(snapshot(self.path, record.epoch), averaged)
        if record.epoch == record.best_epoch:
            write_checkpoint(self.path / BEST_FILE, averaged)
            write_json(self.path / CURVES_FILE, {self.title: curves})
        write_rows(self.path / RESULTS_FILE, record.history)
        if record.scales:
            write_rows(self.path / SCALES_FILE, record.scales)
        record.updates = step.average.updates
        write_run_state(self.path / STATE_FILE, RunState(step.tensors(), record))

    def saved_state(self) -> RunState:
        """Reads the state of the run.

        Raises:
            TrainingError: there is no saved state, or one planned for another number of epochs.
        """
        state = read_run_state(self.path / STATE_FILE)
        if state.record.epochs != self.config.epochs:
            raise TrainingError(
                f"{self.path}: the run was planned for {state.record.epochs} epochs, "
                f"not {self.config.epochs}; resume it with the same settings or start a new one"
            )
        return state
