"""One dense network cut without training, by Torch-Pruning and by `seyolo prune --data`: AP on every split.

    pip install torch-pruning==1.6.1
    python benchmarks/peers.py runs/slim/slim/dense hands/data.yaml benchmarks/results/peers

Torch-Pruning ranks channels by group magnitude, by the scales of batch normalisation or by Taylor, with its
defaults and over all layers at once. It removes a little at a time until the MACs are those asked for; the
convolutions that detect stay whole. Then the statistics of batch normalisation are measured again on 256
training images of the kind that seyolo repairs with, plain and augmented ones. `seyolo prune` ranks and
repairs on 64 of them, as by default.

What is in RESULTS is not made again, so the script may be stopped and started. MACs are those of convolutions
and linear layers, counted in the module, for all alike.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import shlex
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seyolo.cli import exit_code
from seyolo.commands.output import remark
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import BudgetError, UsageError
from seyolo.evaluation.evaluate import judge_splits, split_metrics
from seyolo.files import write_json, write_text
from seyolo.json_files import read_json, to_json
from seyolo.letterbox import Fit
from seyolo.opening.network import input_size, open_model, resized
from seyolo.progress import Progress, console_progress
from seyolo.pruning.cutting.repair import recalibrate
from seyolo.report.tables.files import markdown
from seyolo.report.text import count_text, share_text
from seyolo.results import SplitMetrics
from seyolo.runtime.choice import installed_version
from seyolo.torchnet.build import DarknetModel
from seyolo.training.loss import DetectionLoss, LossModule, split_targets
from seyolo.verbs.calibration import RECALIBRATION_IMAGES, CalibrationSet
from seyolo.verbs.prune import prune_file

TORCH_PRUNING = "1.6.1"
IMPORTANCES = {
    "magnitude": "GroupMagnitudeImportance",
    "bn": "BNScaleImportance",
    "taylor": "GroupTaylorImportance",
}
METHODS = ("seyolo", *IMPORTANCES)
DENSE = "dense"
NUM_STEPS = 200
"""Steps of Torch-Pruning from the dense network to none: a two-hundredth of the channels each."""


@dataclass(frozen=True)
class Row:
    """A network: how it was cut, the share of the MACs asked for in percent, its cost and its AP by split."""

    method: str
    share: int
    macs: int
    params: int
    metrics: dict[str, SplitMetrics]

    @property
    def title(self) -> str:
        return DENSE if self.method == DENSE else f"{self.method}-{self.share}"


def macs_of(model: DarknetModel, size_hw: tuple[int, int]) -> int:
    """Multiply-accumulates of the convolutions and linear layers of a module as it is."""
    counts: list[int] = []

    def count(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.Linear)
        places = output.shape[2:].numel() if isinstance(module, nn.Conv2d) else 1
        counts.append(places * module.weight.numel())

    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [module.register_forward_hook(count) for module in layers]
    device = next(model.parameters()).device
    with torch.inference_mode():
        model.eval()(torch.zeros(1, model.network.net.channels, *size_hw, device=device))
    for hook in hooks:
        hook.remove()
    return sum(counts)


class Peers:
    """The dense network on its data, and the results in their folder."""

    def __init__(self, given: argparse.Namespace, progress: Progress) -> None:
        self.given, self.progress = given, progress
        self.results: Path = given.results
        self.weights: Path = given.run / "best.safetensors" if given.run.is_dir() else given.run
        self.dense = resized(open_model(self.weights), given.size).to(given.device)
        self.dataset: Dataset = load_dataset(given.data)
        self.size_hw = input_size(self.dense, None)
        self.images = CalibrationSet(self.dataset, Fit.of(self.dense.network.net), given.seed)
        self.dense_macs = macs_of(self.dense, self.size_hw)

    def check(self) -> None:
        """Raises UsageError where the folder holds results of another network, size, data set or seed."""
        splits = {name: self.dataset.split(name) for name in self.dataset.splits}
        setting = {
            "weights_sha256": hashlib.sha256(self.weights.read_bytes()).hexdigest(),
            "network": self.dense.network.source,
            "input_size": list(self.size_hw),
            "images": {name: len(found) for name, found in splits.items()},
            "boxes": {name: len(found.arrays["class_ids"]) for name, found in splits.items()},
            "seed": self.given.seed,
            "torch_pruning": TORCH_PRUNING,
        }
        path = self.results / "setting.json"
        if path.exists() and read_json(path, dict[str, Any]) != setting:
            raise UsageError(
                f"{self.results}: holds results of another network, size, data set or seed; "
                "give another folder"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, setting)

    def path(self, method: str, share: int) -> Path:
        """The file of a row."""
        return self.results / ("dense.json" if method == DENSE else f"{method}-{share}.json")

    def wanted(self) -> list[tuple[str, int]]:
        """Method and share of every row, in order."""
        return [
            (DENSE, 100),
            *((method, share) for share in self.given.shares for method in self.given.methods),
        ]

    def missing(self, method: str | None = None) -> list[tuple[str, int]]:
        """Those of the rows, of one method or all, that have no file."""
        rows = [row for row in self.wanted() if method in (None, row[0])]
        return [row for row in rows if not self.path(*row).exists()]

    def work(self) -> None:
        """Makes the rows that are missing, one file each."""
        if self.missing(DENSE):
            self.keep(DENSE, 100, self.dense)
        for method in self.given.methods:
            shares = [share for _, share in self.missing(method)]
            if not shares:
                continue
            made = self.by_seyolo(shares) if method == "seyolo" else self.by_torch_pruning(method, shares)
            try:
                for share, model in made:
                    self.keep(method, share, model)
            except BudgetError as error:  # its rows stay missing
                self.progress.message(f"warning: {error}")

    def keep(self, method: str, share: int, model: DarknetModel) -> None:
        """Measures a network and writes its row."""
        judgement = judge_splits(model, self.dataset, None, self.size_hw, self.progress, batch=32)
        row = Row(
            method,
            share,
            macs_of(model, self.size_hw),
            sum(parameter.numel() for parameter in model.parameters()),
            split_metrics(judgement, self.dataset.names),
        )
        write_json(self.path(method, share), to_json(row))
        found = ", ".join(f"{split} {share_text(of.ap)}" for split, of in row.metrics.items())
        self.progress.message(
            f"{row.title}: {100 * row.macs / self.dense_macs:.1f} % of the MACs, AP {found}"
        )

    def by_seyolo(self, shares: Sequence[int]) -> Iterator[tuple[int, DarknetModel]]:
        """Yields the networks of `seyolo prune --data --budget macs=SHARE%`."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "slim.safetensors"
            for share in shares:
                prune_file(
                    self.weights,
                    out,
                    budget=f"macs={share}%",
                    size=self.given.size,
                    dataset=self.dataset,
                    seed=self.given.seed,
                    device=self.given.device,
                    progress=self.progress,
                )
                yield share, open_model(out).to(self.given.device)

    def by_torch_pruning(self, method: str, shares: Sequence[int]) -> Iterator[tuple[int, DarknetModel]]:
        """Yields the networks of one importance, each a further step of the one before, recalibrated."""
        torch_pruning = import_module("torch_pruning")  # no dependency of seyolo
        model = copy.deepcopy(self.dense).eval()
        if method == "taylor":
            self.add_gradients(model)
        pruner = torch_pruning.BasePruner(
            model,
            torch.rand(1, model.network.net.channels, *self.size_hw, device=self.given.device),
            importance=getattr(torch_pruning.importance, IMPORTANCES[method])(),
            global_pruning=True,
            pruning_ratio=1.0,
            iterative_steps=NUM_STEPS,
            ignored_layers=[convolution for convolution, _ in model.head_convolutions()],
            forward_fn=lambda model, images: model.forward_heads(images),
        )
        for share in sorted(shares, reverse=True):
            with self.progress.task(f"{method} {share} %", None) as advance:
                while macs_of(model, self.size_hw) > share / 100 * self.dense_macs:
                    if pruner.current_step >= NUM_STEPS:
                        raise BudgetError(f"{method}: Torch-Pruning does not reach {share} % of the MACs")
                    pruner.step()
                    advance(1, "steps")
            slim = copy.deepcopy(model)
            total = self.images.num_images(RECALIBRATION_IMAGES)
            recalibrate(slim, self.images.batches(RECALIBRATION_IMAGES), self.progress, total)
            yield share, slim

    def add_gradients(self, model: DarknetModel) -> None:
        """Gives every weight the gradient of the loss over batches of labelled training images."""
        module = LossModule(model, DetectionLoss(model.heads))
        for images, targets in self.images.labelled_batches():
            parts = (part.to(self.given.device) for part in split_targets(targets))
            value, _ = module(images.to(self.given.device).float() / 255, *parts)
            value.backward()

    def table(self) -> str:
        """The rows that are there, as Markdown."""
        rows = [read_json(path, Row) for path in (self.path(*row) for row in self.wanted()) if path.exists()]
        if not rows:
            return ""
        splits = list(rows[0].metrics)
        header = ["MACs", "cut by", "of the MACs", "parameters"]
        header += [f"AP {split}" for split in splits]
        body = [
            [
                f"{row.share} %",
                row.method if row.method in (DENSE, "seyolo") else f"Torch-Pruning, {row.method}",
                f"{100 * row.macs / self.dense_macs:.1f} %",
                count_text(row.params),
                *(share_text(row.metrics[split].ap) for split in splits),
            ]
            for row in rows
        ]
        return markdown(header, body)

    def show(self, command: str) -> None:
        """Prints the table, what it lacks and the command that goes on; writes table.md."""
        text = self.table()
        if text:
            write_text(self.results / "table.md", text)
            print(text)
        lacking = [Row(method, share, 0, 0, {}).title for method, share in self.missing()]
        if lacking:
            remark(f"missing: {', '.join(lacking)}; go on with: {command}")


def check_peer() -> None:
    """Raises UsageError without the version of Torch-Pruning whose figures are compared."""
    found = installed_version("torch-pruning")
    if found != TORCH_PRUNING:
        there = f"{found} is installed" if found else "it is not installed"
        raise UsageError(
            f"needs Torch-Pruning {TORCH_PRUNING}, {there}: pip install torch-pruning=={TORCH_PRUNING}"
        )


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "run", type=Path, help="a checkpoint, or the folder of a training with best.safetensors"
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--shares", type=int, nargs="+", default=[90, 70, 50, 30], help="of the MACs, in percent"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--size", type=int, help="of the square input; by default the network's own")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args(words)


def work(given: argparse.Namespace, command: str) -> None:
    """Cuts and measures what is not there yet, and prints the table."""
    if set(given.methods) & set(IMPORTANCES):
        check_peer()
    peers = Peers(given, console_progress())
    peers.check()
    try:
        peers.work()
    finally:
        peers.show(command)


def main(arguments: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    given = parsed(words)
    if given.threads:
        torch.set_num_threads(given.threads)
    warnings.filterwarnings("ignore", module="torch_pruning")
    return exit_code(lambda: work(given, f"python benchmarks/peers.py {shlex.join(words)}"))


if __name__ == "__main__":
    sys.exit(main())
