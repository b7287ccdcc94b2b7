"""Time of planning by importance `obs`, apart from the training around it.

    python benchmarks/planning.py --data hands/data.yaml --model yolov3 --size 416 --budget macs=30%

The weights are random, which changes nothing about the time. Prints seconds of clock and processor time,
and the largest memory; `--threads 1` for figures that another program on the machine does not change much.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import torch

import seyolo
from seyolo.data.datasets import load_dataset
from seyolo.opening.network import resized
from seyolo.options.budget import parse_budgets
from seyolo.options.cut import CutOptions
from seyolo.pruning.importance import obs
from seyolo.verbs.calibration import planner_on


def main() -> None:
    """Makes one plan and prints what its parts take."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="yolov3")
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--budget", default="macs=30%")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    dataset = load_dataset(arguments.data)
    model = seyolo.load(arguments.model, num_classes=len(dataset.names))
    model = resized(model, (arguments.size, arguments.size))
    for name in ("_watch", "_readers", "_scores"):
        setattr(obs, name, timed(getattr(obs, name)))
    plan = timed(planner_on(model, CutOptions(), dataset, 0).plan)
    plan(parse_budgets(arguments.budget))
    for name, (clock_s, processor_s) in SECONDS.items():
        print(f"{name:10} {clock_s:7.1f} s, {processor_s:7.1f} s of processor time")
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


SECONDS: dict[str, tuple[float, float]] = {}


def timed(function: Callable[..., object]) -> Callable[..., object]:
    """The function, which adds up what it takes."""

    def call(*arguments: object) -> object:
        clock, processor = time.perf_counter(), time.process_time()
        result = function(*arguments)
        name, taken = function.__name__, (time.perf_counter() - clock, time.process_time() - processor)
        before = SECONDS.get(name, (0.0, 0.0))
        SECONDS[name] = (before[0] + taken[0], before[1] + taken[1])
        return result

    return call


if __name__ == "__main__":
    main()
