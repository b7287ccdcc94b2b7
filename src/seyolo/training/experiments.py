"""Experiment trackers: MLflow and Weights & Biases.

Each training stage is a run of its own there, which goes on when the stage is resumed: a file in the folder
of the stage keeps its id. Server, project and login are those of the packages' own environment variables. A
server that is lost during training is a warning, once, and training goes on. What the packages would report
to their makers is switched off unless their variables say otherwise.
"""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32

from seyolo.errors import UsageError, shortened
from seyolo.files import write_text

PROJECT = "seyolo"


class _Experiment(ABC):
    """A run on a server; `name` is that of the option."""

    name: ClassVar[str]
    advice: ClassVar[str]
    errors: type[Exception]

    def __init__(self, folder: Path, _: int) -> None:
        self.is_lost = False
        path = folder / f"{self.name}.txt"
        known = path.read_text(encoding="utf-8").strip() if path.is_file() else None
        try:
            run_id = self._open(f"{folder.parent.name}/{folder.name}", folder, known)
        except self.errors as error:
            reason = shortened(str(error).strip().partition("\n")[0])
            raise UsageError(f"--tracker {self.name}: {reason}; {self.advice}") from None
        write_text(path, run_id + "\n")

    @abstractmethod
    def _open(self, title: str, folder: Path, known: str | None) -> str:
        """Opens a run, the known one where there is one; returns its id."""

    @abstractmethod
    def _send(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Sends the figures of an epoch."""

    def figures(self, epoch: int, row: Mapping[str, Any]) -> None:
        """Sends the numbers of an epoch."""
        self._try_to_send(epoch, {name: float(value) for name, value in row.items() if name != "epoch"})

    def scales(self, epoch: int, sizes: Float32[np.ndarray, " n"]) -> None:
        """Sends the quartiles of the scales."""
        quartiles = np.quantile(sizes, (0.25, 0.5, 0.75)).tolist()
        self._try_to_send(
            epoch, dict(zip(("scales_q1", "scales_median", "scales_q3"), quartiles, strict=True))
        )

    def _try_to_send(self, epoch: int, numbers: Mapping[str, float]) -> None:
        if self.is_lost:
            return
        known = {name: value for name, value in numbers.items() if np.isfinite(value)}
        try:
            self._send(epoch, known)
        except self.errors as error:
            self.is_lost = True
            warnings.warn(f"--tracker {self.name}: {error}; it gets no more figures", stacklevel=2)


class MlflowTracker(_Experiment):
    """Runs in the experiment `MLFLOW_EXPERIMENT_NAME`, by default seyolo, at `MLFLOW_TRACKING_URI`."""

    name = "mlflow"
    advice = "set MLFLOW_TRACKING_URI to a server, or pip install mlflow to keep runs on this machine"

    def _open(self, title: str, folder: Path, known: str | None) -> str:
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        self._client = self._package.MlflowClient()
        found = self._client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else self._client.create_experiment(experiment)
        if known is None:
            known = str(self._client.create_run(number, run_name=title).info.run_id)
        else:
            self._client.update_run(known, status="RUNNING")
        self._run_id = known
        return known

    def __init__(self, folder: Path, epochs_done: int) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        self._package: Any = import_module("mlflow")
        self.errors = import_module("mlflow.exceptions").MlflowException
        super().__init__(folder, epochs_done)

    def _send(self, epoch: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._client.log_metric(self._run_id, name, value, step=epoch)

    def close(self) -> None:
        """Ends the run."""
        if not self.is_lost:
            self._client.set_terminated(self._run_id)


class WandbTracker(_Experiment):
    """Runs in the project `WANDB_PROJECT`, by default seyolo; `WANDB_MODE=offline` needs no login."""

    name = "wandb"
    advice = "log in with: wandb login, or set WANDB_MODE=offline"

    def __init__(self, folder: Path, epochs_done: int) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        self._package: Any = import_module("wandb")
        self.errors = import_module("wandb.errors").Error
        super().__init__(folder, epochs_done)

    def _open(self, title: str, folder: Path, known: str | None) -> str:
        project = os.environ.get("WANDB_PROJECT", PROJECT)
        places = {"project": project, "dir": str(folder), "name": title, "id": known}
        self._run = self._package.init(**places, resume="allow", reinit="create_new")
        self._run.define_metric("*", step_metric="epoch")
        return str(self._run.id)

    def _send(self, epoch: int, numbers: Mapping[str, float]) -> None:
        self._run.log({**numbers, "epoch": epoch})

    def close(self) -> None:
        """Ends the run and sends what is left."""
        self._run.finish()
