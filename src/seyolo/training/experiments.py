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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32

from seyolo.errors import UsageError, shortened
from seyolo.files import write_text

PROJECT = "seyolo"
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


class _Experiment(ABC):
    """A run on a server; `name` is that of the option."""

    name: ClassVar[str]
    advice: ClassVar[str]

    def __init__(self, folder: Path, _: int) -> None:
        self._package, self.errors = self._packages()
        self.is_lost = False
        path = folder / f"{self.name}.txt"
        self._known = path.read_text(encoding="utf-8").strip() if path.is_file() else None
        with self._refused():
            run_id = self._open(f"{folder.parent.name}/{folder.name}", folder, self._known)
        write_text(path, run_id + "\n")

    @classmethod
    def check(cls) -> None:
        """Raises UsageError where no run can be opened, before anything is trained."""
        with cls._refused():
            cls._reach()

    @classmethod
    @contextmanager
    def _refused(cls) -> Iterator[None]:
        """Turns an error of the package into one line."""
        try:
            yield
        except cls._packages()[1] as error:
            reason = shortened(str(error).strip().partition("\n")[0])
            raise UsageError(f"--tracker {cls.name}: {reason}; {cls.advice}") from None

    @classmethod
    @abstractmethod
    def _packages(cls) -> tuple[Any, type[Exception]]:
        """Returns the package and the base of its errors."""

    @classmethod
    @abstractmethod
    def _reach(cls) -> None:
        """Asks the server, or for the login."""

    @abstractmethod
    def _open(self, title: str, folder: Path, known: str | None) -> str:
        """Opens a run, the known one where there is one; returns its id."""

    @abstractmethod
    def _send(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Sends the figures of an epoch."""

    @abstractmethod
    def _send_settings(self, values: Mapping[str, Any]) -> None:
        """Sends the settings of the run."""

    def settings(self, values: Mapping[str, Any]) -> None:
        """Sends the settings where the run begins; one that goes on has them."""
        if self._known is None:
            self._attempt(partial(self._send_settings, values))

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
        known = {name: value for name, value in numbers.items() if np.isfinite(value)}
        self._attempt(partial(self._send, epoch, known))

    def _attempt(self, send: Callable[[], None]) -> None:
        if self.is_lost:
            return
        try:
            send()
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

    @classmethod
    def _packages(cls) -> tuple[Any, type[Exception]]:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        return import_module("mlflow"), import_module("mlflow.exceptions").MlflowException

    @classmethod
    def _reach(cls) -> None:
        usual = os.environ.get(RETRIES)
        os.environ[RETRIES] = usual or "1"  # else minutes pass before a wrong address is refused
        try:
            cls._packages()[0].MlflowClient().get_experiment_by_name(PROJECT)
        finally:
            if usual is None:
                del os.environ[RETRIES]

    def _send_settings(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self._client.log_param(self._run_id, name, shortened(str(value)))

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

    @classmethod
    def _packages(cls) -> tuple[Any, type[Exception]]:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        return import_module("wandb"), import_module("wandb.errors").Error

    @classmethod
    def _reach(cls) -> None:
        package, error = cls._packages()
        if package.setup().settings.mode == "online" and not package.login(prompt=False):
            raise error("there is no login on this machine")

    def _send_settings(self, values: Mapping[str, Any]) -> None:
        self._run.config.update(dict(values))

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
