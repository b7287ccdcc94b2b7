"""Slimming against its controls over several seeds: the table of docs/controls.md.

For each budget and seed, `seyolo slim` and its controls are trained on equally many pictures, in
RUNS/BUDGET-SEED. What is there already is not trained again, so the script may be stopped and started, and
several may train different seeds side by side (`--train-only`). Then every detector is judged on every split,
and the differences are averaged over the seeds, with an interval over source photos: mosaics show the same
photos again and again, and pictures drawn anew would pretend to know more.

    python benchmarks/controls.py ../shared/data/hands/data.yaml RUNS --seeds 0 1 2 --budgets macs=30%
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hand_sources import sources_of_hands
from jaxtyping import Int

from seyolo.data.datasets import Dataset, load_dataset
from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth, average_precision
from seyolo.evaluation.bootstrap import bootstrap_mean_difference
from seyolo.evaluation.evaluate import judged
from seyolo.files import write_json
from seyolo.pipeline.config import SlimConfig
from seyolo.pipeline.controls import TRAINED_BY, Contender, Finished
from seyolo.pipeline.run import SlimRun
from seyolo.progress import console_progress
from seyolo.report.controls_table import lead_text
from seyolo.training.prepare import Attention

SPLITS = ("val", "val_small", "test", "test_small")


@dataclass(frozen=True)
class Judged:
    """A detector's labels and detections by split."""

    truths: Mapping[str, list[Truth]]
    found: Mapping[str, list[Detections]]

    def ap(self, split: str) -> float:
        return average_precision(self.truths[split], self.found[split], 1).ap


def contenders(config: SlimConfig, folder: Path, names: Sequence[str]) -> dict[str, Contender]:
    """Trains, or reads back, the dense and the slim network of a run and its controls."""
    run = SlimRun(config, folder, console_progress(), title=f"{folder.name} ")
    start = run.starting_model()
    run.begin()
    dense = run.dense(start)
    sparse = run.sparse(dense)
    slim = run.finetune(run.cut(sparse, run.plan(sparse)), dense)
    finished = Finished(run, dense, slim)
    controls = {name: TRAINED_BY[name](finished) for name in names}
    return {"dense": Contender(dense, config.size_px), "slim": Contender(slim, config.size_px), **controls}


def judge(contender: Contender, dataset: Dataset) -> Judged:
    size_hw = (contender.size_px, contender.size_px)
    pairs = {split: judged(contender.model, dataset.split(split), size_hw, batch_size=32) for split in SPLITS}
    return Judged(
        {split: pair[0] for split, pair in pairs.items()}, {split: pair[1] for split, pair in pairs.items()}
    )


def units_of(dataset: Dataset, split: str, folder: Path) -> list[Int[np.ndarray, " n"]] | None:
    """Per picture the photo of each object; None where each picture is a photo."""
    if not split.endswith("_small"):
        return None
    sources = sources_of_hands(folder, split)
    return [sources[sample.image.name] for sample in dataset.split(split)]


def table(
    judgements: Mapping[int, Mapping[str, Judged]], dataset: Dataset, folder: Path
) -> list[dict[str, Any]]:
    """One row per contender: AP of each seed and split, and the lead of the slim network over it."""
    names = list(next(iter(judgements.values())))
    units = {split: units_of(dataset, split, folder) for split in SPLITS}
    rows = []
    for name in names:
        row: dict[str, Any] = {"control": name, "ap": {}, "lead": {}}
        for split in SPLITS:
            seeds = list(judgements.values())
            row["ap"][split] = [round(seed[name].ap(split), 4) for seed in seeds]
            if name != "slim":
                pairs = [(seed["slim"].found[split], seed[name].found[split]) for seed in seeds]
                interval = bootstrap_mean_difference(
                    seeds[0][name].truths[split], pairs, 1, units=units[split]
                )
                row["lead"][split] = asdict(interval)
        rows.append(row)
    return rows


def markdown(budget: str, rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"| {budget} |" + "".join(f" {split} | slim leads by |" for split in SPLITS),
        "| --- |" + " ---: |" * 2 * len(SPLITS),
    ]
    for row in rows:
        cells = [row["control"]]
        for split in SPLITS:
            lead = row["lead"].get(split)
            cells += [f"{np.mean(row['ap'][split]):.3f}", lead_text(lead) if lead else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budgets", nargs="+", default=["macs=30%", "macs=10%"])
    parser.add_argument("--controls", nargs="+", default=["uniform", "scratch", "random"])
    parser.add_argument("--model", default="yolov3@0.25")
    parser.add_argument("--attention", choices=["se", "cbam"])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--train-only", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dataset = load_dataset(options.data)
    for budget in options.budgets:
        judgements = {}
        for seed in options.seeds:
            config = SlimConfig(
                data=str(options.data),
                model=options.model,
                attention=Attention(options.attention) if options.attention else None,
                size_px=options.size,
                budget=(budget,),
                epochs=options.epochs,
                seed=seed,
            )
            trained = contenders(config, options.runs / f"{budget}-{seed}", options.controls)
            if not options.train_only:
                judgements[seed] = {name: judge(contender, dataset) for name, contender in trained.items()}
        if not options.train_only:
            rows = table(judgements, dataset, options.data.parent)
            write_json(options.runs / f"{budget}.json", rows)
            print(markdown(budget, rows))


if __name__ == "__main__":
    main()
