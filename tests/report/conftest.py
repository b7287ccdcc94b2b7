"""The folder of a slimming run that nobody had to train: a cut network, its files, and drawn detections."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seyolo.darknet.cost import cost
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.detections import Detections
from seyolo.evaluation.evaluate import Judged, Judgement, curves_by_split, truth_of
from seyolo.files import write_json
from seyolo.media.images import read_image
from seyolo.opening.network import load, save
from seyolo.pruning.prune import prune
from seyolo.report.figures.slim_run import write_example_images
from seyolo.report.record import write_curves

STAGES = ("dense", "sparse", "pruned", "finetuned")


def judgement_of(dataset: Dataset, *, is_right: bool) -> Judgement:
    """Every label is found; or all but the first of each split, and on its last image a corner besides."""
    judgement: Judgement = {}
    corner = Detections(np.array([[0, 0, 8, 8]]), np.array([0.5]), np.array([0]))
    for split in ("val", "test"):
        samples = dataset.split(split)
        truths = [truth_of(sample, *read_image(sample.image).shape[:2]) for sample in samples]
        found = [
            Detections(truth.boxes_xyxy, np.full(len(truth.class_ids), 0.9), truth.class_ids)
            for truth in truths
        ]
        if not is_right:
            found[0] = found[0][1:]
            last = found[-1]
            found[-1] = Detections(
                np.concatenate([last.boxes, corner.boxes]),
                np.concatenate([last.scores, corner.scores]),
                np.concatenate([last.class_ids, corner.class_ids]),
            )
        judgement[split] = Judged(truths, found, found)
    return judgement


def stage_row(name: str, network: Any, ap: float, latency_ms: float) -> dict[str, Any]:
    counted = cost(network, 64, 64)
    return {
        "stage": name,
        "epochs": 2,
        "params": counted.params,
        "size_bytes": 4 * counted.params,
        "macs": counted.macs,
        "input_size": [64, 64],
        "metrics": {"val": {"ap": ap, "ap50": 0.9}, "test": {"ap": ap + 0.01, "ap50": 0.9}},
        "latency_ms": {"torch": 3 * latency_ms, "onnxruntime": latency_ms},
    }


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def slim_run(finished: Path, tmp_path: Path) -> Path:
    """A finished run of `slim` in the folder `hands`; its slim network makes two mistakes on each split."""
    return shutil.copytree(finished, tmp_path / "hands")


@pytest.fixture(scope="session")
def finished(tiny_hands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that each test gets a copy of."""
    folder = tmp_path_factory.mktemp("run") / "hands"
    dense = load("yolov3-tiny@0.125", names=["hand"])
    slim_model, plan = prune(dense, "macs=50%", multiple=2)
    save(dense, folder / "dense" / "best.safetensors")
    save(slim_model, folder / "slim.safetensors")
    networks = (dense.network, dense.network, slim_model.network, slim_model.network)
    scores = zip(STAGES, networks, (0.80, 0.75, 0.60, 0.79), (4.0, 4.0, 2.0, 2.0), strict=True)
    results = {
        "stages": [stage_row(*row) for row in scores],
        "lead": {"test": {"difference": -0.01, "low": -0.03, "high": 0.01}},
        "plan": json.loads(plan.to_json()),
        "budget": ["macs=50%"],
        "seed": 7,
        "data": str(tiny_hands),
        "artefacts": {"slim.cfg + slim.weights": "not applicable: <CBAM>"},
    }
    write_json(folder / "results.json", results)
    write_json(folder / "config.json", {"model": "yolov3-tiny@0.125", "attention": None, "seed": 7})
    write_json(folder / "environment.json", {"processor": "Z80", "packages": {"seyolo": "0.1.0"}})
    (folder / "commands.txt").write_text("seyolo slim --data 'my hands.yaml'\n")
    epochs = [{"epoch": n, "box": 2 / n, "objectness": 1, "classes": 0, "val_ap": n / 10} for n in (1, 2)]
    write_table(folder / "dense" / "results.csv", epochs)
    percentiles = {f"p{percent}": 0.01 * (1 + percent) for percent in range(0, 101, 5)}
    write_table(folder / "sparse" / "scales.csv", [{"epoch": n, **percentiles} for n in (0, 1, 2)])
    dataset = load_dataset(tiny_hands)
    judgements = {
        "dense": judgement_of(dataset, is_right=True),
        "finetuned": judgement_of(dataset, is_right=False),
    }
    write_curves(folder, {stage: curves_by_split(found, 1) for stage, found in judgements.items()})
    write_example_images(folder, dataset, judgements)
    return folder


@pytest.fixture
def train_run(tmp_path: Path) -> Path:
    """A finished run of `train` in the folder `baseline`."""
    folder = tmp_path / "baseline"
    save(load("yolov3-tiny@0.125", names=["hand"]), folder / "best.safetensors")
    write_json(folder / "command.json", {"model": "yolov3-tiny@0.125", "size_px": 64, "seed": 0, "epochs": 3})
    rows = [
        {"epoch": 1, "box": 2, "objectness": 1, "classes": 0, "val_ap": 0.7, "ap": 0.7},
        {"epoch": 2, "box": 1, "objectness": 1, "classes": 0, "val_ap": "", "ap": ""},
        {"epoch": 3, "box": 1, "objectness": 1, "classes": 0, "val_ap": 0.65, "ap": 0.65},
    ]
    write_table(folder / "results.csv", rows)
    return folder
