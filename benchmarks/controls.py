"""Slimming against its controls over several seeds, as a table.

For each budget and seed, `seyolo slim` and its controls are trained on equally many images, in
RUNS/MODEL-BUDGET-SEED. Each network's AP on every split, on the images as they are and on a thousand draws
of the bootstrap, is kept in RESULTS. What is there already is neither trained nor judged again, so the script
may be stopped and started, and several may work on different seeds side by side. The differences are averaged
over the seeds, with an interval over images, or over source photos where a `manifest.csv` names those of
mosaics: these show the same photos again and again, and images drawn anew would pretend to know more.

    python benchmarks/controls.py hands/data.yaml RUNS RESULTS --seeds 0 1 2 --budgets macs=30%
    python benchmarks/controls.py bccd RUNS RESULTS --attention se --size 320 --epochs 60 --half

`half` is the dense network of a run in which it saw half as many images as the slim one: the usual run of
`seyolo slim`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import cast, get_args

import numpy as np
import torch
from hand_sources import sources_of_hands
from jaxtyping import Float, Int

from seyolo.darknet.placement import GateKind
from seyolo.data.datasets import load_dataset
from seyolo.evaluation.bootstrap import ap_draws, interval_of
from seyolo.files import replacing, write_json
from seyolo.options.slim import ControlName, SlimActivation, SlimOptions
from seyolo.options.stored import SLIM_FILE, stored_slim
from seyolo.progress import console_progress
from seyolo.report.text import lead_text
from seyolo.verbs.controls import TRAINED_BY, Contender, Finished, judge_contender
from seyolo.verbs.slim_run import SlimRun

BUDGETLESS = ("half", "dense", "int8")
"""What no budget acts on."""
Draws = Mapping[str, Float[np.ndarray, " draws"]]
"""What `ap_draws` gives, by split."""


Units = Sequence[Int[np.ndarray, " n"]]
"""Per image the photo of each of its objects."""


def trained(run: SlimRun, name: str) -> Contender:
    """The slim network of a run or one of its controls; read back where it is trained already."""
    start = run.starting_model()
    if name == "uniform":  # needs nothing of the run
        return TRAINED_BY["uniform"](Finished(run, start, start))
    dense = run.dense(start)
    if name == "half":
        return Contender(dense, run.size_hw)
    if name in BUDGETLESS:
        return TRAINED_BY[cast("ControlName", name)](Finished(run, dense, dense))
    sparse = run.sparse(run.branch(dense))
    slim = run.finetune(run.cut(sparse, run.plan(sparse)), dense)
    if name == "slim":
        return Contender(slim, run.size_hw)
    return TRAINED_BY[cast("ControlName", name)](Finished(run, dense, slim))


def title_of(config: SlimOptions, name: str) -> str:
    """The name of what a contender leaves."""
    budget = "" if name in BUDGETLESS else f"{config.budget[0]}-"
    return f"{config.model}-{budget}{config.seed}-{name}"


def begun(config: SlimOptions, folder: Path) -> SlimRun:
    """A run in its folder; those of one model and seed share dense training, on which no budget acts."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SLIM_FILE).exists():
        write_json(folder / SLIM_FILE, stored_slim(config))
    dense = folder.parent / title_of(config, "dense")
    return SlimRun(config, folder, console_progress(), title=f"{folder.name} ", dense_folder=dense)


def measured(config: SlimOptions, runs: Path, results: Path, name: str, units: Mapping[str, Units]) -> Draws:
    """AP of a network on every split, on the images as they are and on every draw; kept in `results`."""
    path = results / f"{title_of(config, name)}.npz"
    if not path.exists():
        run = begun(config, runs / f"{config.model}-{config.budget[0]}-{config.seed}")
        draws = {
            split: ap_draws(truths, found, len(run.dataset.names), units=units.get(split)).astype(np.float32)
            for split, (truths, found, _) in judge_contender(run, trained(run, name)).items()
        }
        results.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **draws)  # type: ignore[arg-type]  # numpy takes a name for `allow_pickle`
    with np.load(path) as stored:
        return {split: values.astype(np.float64) for split, values in stored.items()}


def source_units(data: Path) -> dict[str, Units]:
    """The photos that the objects of each split of mosaics were cut from; nothing without a manifest."""
    if not (data.parent / "manifest.csv").exists():
        return {}
    dataset = load_dataset(data)
    units: dict[str, Units] = {}
    for split in dataset.splits:
        if split.endswith("_small"):
            sources = sources_of_hands(data.parent, split)
            units[split] = [sources[sample.image.name] for sample in dataset.split(split)]
    return units


def table(title: str, draws: Mapping[str, Sequence[Draws]]) -> str:
    """AP of every contender as the mean over the seeds, and the lead of the slim network."""
    splits = list(next(iter(draws.values()))[0])
    lines = [f"| {title} |" + "".join(f" {split} | slim leads by |" for split in splits)]
    lines.append("| --- |" + " ---: |" * 2 * len(splits))
    for name, seeds in draws.items():
        cells = [name]
        for split in splits:
            cells.append(f"{np.mean([seed[split][0] for seed in seeds]):.3f}")
            pairs = zip(draws.get("slim", seeds), seeds, strict=True)
            lead = np.mean([ours[split] - theirs[split] for ours, theirs in pairs], axis=0)
            cells.append(lead_text(interval_of(lead)) if lead.any() else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budgets", nargs="+", default=["macs=30%", "macs=10%"])
    parser.add_argument("--names", nargs="+", default=["slim", "dense", "uniform", "scratch", "random"])
    parser.add_argument("--model", default="yolov3@0.25")
    parser.add_argument("--attention", choices=get_args(GateKind))
    parser.add_argument("--activation", choices=get_args(SlimActivation))
    parser.add_argument("--blocks", action="store_true", help="residual blocks may be cut, too")
    parser.add_argument("--optimizer", choices=("adamw", "muon"), default="muon")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=33)
    parser.add_argument("--half", action="store_true", help="dense training sees half as many images")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    units = source_units(options.data)
    for budget in options.budgets:
        draws: dict[str, list[Draws]] = {}
        for seed, name in product(options.seeds, options.names):
            config = SlimOptions(
                data=options.data,
                model=options.model,
                attention=options.attention,
                activation=options.activation,
                blocks=options.blocks,
                optimizer=options.optimizer,
                size=options.size,
                budget=(budget,),
                epochs=options.epochs,
                batch=16,
                seed=seed,
                device=options.device,
            ).equal_images()
            if options.half:
                config = replace(config, epochs=options.epochs // 2)
            draws.setdefault(name, []).append(measured(config, options.runs, options.results, name, units))
        print(table(f"{options.model}, {budget}, seeds {' '.join(map(str, options.seeds))}", draws))


if __name__ == "__main__":
    main()
