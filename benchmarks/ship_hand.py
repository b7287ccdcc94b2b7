"""Ships the slim hand detector of a run: `src/seyolo/shipped/hand.*`, its figures and its model card.

    python benchmarks/hand_data.py hands hands_more bccd build/hand_data
    python benchmarks/ship_hand.py runs/slim/slim build/hand_data/data.yaml hands hands_more \\
        --version 2 --commit b9feece --command "seyolo slim ..."
    python benchmarks/ship_hand.py runs/slim/slim build/hand_data/data.yaml hands hands_more --only latency

Exports float32, float16 kernels and int8, measures them, the dense network and the version before on every
split of both data sets apart, writes the float16 file with what `seyolo info` shows, the checkpoint with
16-bit kernels, times the files, and fills in `hand_card.md`. Every figure lies in `hand.json`. Accuracy can
be measured on a busy machine, latency cannot: `--only latency` measures that anew and keeps the rest; `--only
card` only fills in the card. For a third version rename the files of the second to `hand-2.*` first. Why
float16: docs/decisions/0013-what-ships.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import onnx
from controls import Units, source_units
from detect_video import make_video, run_s
from hand_card import card
from hand_data import sources_of
from hand_failures import failures, judged_images
from hand_training import training_data

import seyolo
from seyolo.checkpoint import read_checkpoint, write_checkpoint
from seyolo.darknet.cost import cost
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth, average_precision
from seyolo.evaluation.bootstrap import ap_draws, interval_of
from seyolo.evaluation.curves import CONFIDENCES, Curves, detection_curves
from seyolo.evaluation.evaluate import judged
from seyolo.files import replacing, write_json, write_text
from seyolo.options.export import ExportOptions
from seyolo.runtime.benchmark import benchmark
from seyolo.runtime.choice import open_backend
from seyolo.runtime.shipped import FOLDER
from seyolo.verbs.benchmark import sample_images

NAME = "hand"
SHIPPED = "float16"
PRECISIONS = {
    "float32": ExportOptions(),
    "float16": ExportOptions(half=True),
    "int8": ExportOptions(int8=True),
}
LICENCE = "MIT; the data's attribution goes with it, see the card"
SPLITS = {"hands": ("val", "test", "val_small", "test_small"), "hands_more": ("val", "test")}
APART = {"nishantpravin/glove-detection": "gloves", "4-mina/SignLanguageDetectionWebApp": "signs"}
"""Repositories of the test images of hands_more, which are also measured apart."""
DEFAULT_CONFIDENCE = 0.25
THREADS = (1, 2)
ROUNDS = 60
STARTS = 5

Figures = dict[str, Any]
Judged = dict[str, tuple[list[Truth], list[Detections]]]
"""Ground truth and detections by split."""


def main() -> None:
    """Measures and writes; says where."""
    arguments = parsed()
    path = FOLDER / f"{NAME}.json"
    figures: Figures = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    before = f"{NAME}-{arguments.version - 1}"
    files = {"dense": arguments.run / "dense.onnx"}
    files |= {precision: arguments.exports / f"{precision}.onnx" for precision in PRECISIONS}
    if arguments.only in (None, "accuracy"):
        export_all(arguments.run, files, load_dataset(arguments.data))
        figures |= described(arguments, files)
        figures |= measured(files, before, arguments)
        figures |= ship(arguments.run, files[SHIPPED], figures)
    if arguments.only in (None, "latency"):
        dataset = load_dataset(arguments.hands / "data.yaml")
        figures["latency"] = timed(files, dataset, arguments.frames)
    write_json(path, figures)
    if "latency" in figures:
        write_text(FOLDER / f"{NAME}.md", card(figures))
    print(f"what ships lies in {FOLDER}")


def parsed() -> argparse.Namespace:
    """The command line; accuracy needs to know how the run was made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of a finished `seyolo slim`")
    parser.add_argument("data", type=Path, help="the training data, as hand_data.py writes them")
    parser.add_argument("hands", type=Path)
    parser.add_argument("hands_more", type=Path)
    parser.add_argument("--version", type=int, default=2)
    parser.add_argument("--commit", help="of seyolo, with which the run was trained; needed for accuracy")
    parser.add_argument(
        "--command", action="append", help="that trained it, as on the card; several in their order"
    )
    parser.add_argument(
        "--earlier", type=Path, nargs="*", default=[], help="runs before it, whose time counts"
    )
    parser.add_argument("--only", choices=("accuracy", "latency", "card"), help="keep the other figures")
    parser.add_argument("--exports", type=Path, default=Path("build/ship_hand"))
    parser.add_argument("--frames", type=int, default=240, help="of the video that is timed")
    arguments = parser.parse_args()
    if arguments.only in (None, "accuracy") and not (arguments.commit and arguments.command):
        parser.error("accuracy says how the run was trained: --commit and --command")
    return arguments


def export_all(run: Path, files: dict[str, Path], dataset: Dataset) -> None:
    """Writes the slim network in every precision."""
    for precision, options in PRECISIONS.items():
        images = dataset if precision == "int8" else None
        seyolo.api.export_file(run / "slim.safetensors", files[precision], options, dataset=images)


def described(arguments: argparse.Namespace, files: dict[str, Path]) -> Figures:
    """What the run was, what the network costs, and what it was trained on."""
    network = read_checkpoint(arguments.run / "slim.safetensors").network
    counted = cost(network)
    return {
        "version": arguments.version,
        "network": {
            "params": counted.params,
            "macs": counted.macs,
            "input_size": [network.net.height, network.net.width],
        },
        "training": training(arguments),
        "training_data": training_data(arguments.data, arguments.hands, arguments.hands_more),
        "size_bytes": {name: path.stat().st_size for name, path in files.items()},
    }


def training(arguments: argparse.Namespace) -> Figures:
    """The commands, what they were run with, and how long they took."""
    run: Path = arguments.run
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    stages = json.loads((run / "results.json").read_text(encoding="utf-8"))["stages"]
    tables = [table for folder in (*arguments.earlier, run) for table in sorted(folder.rglob("results.csv"))]
    return {
        "commands": arguments.command,
        "commit": arguments.commit,
        "seed": config["seed"],
        "dense_macs": stages[0]["macs"],
        "epochs": {stage["stage"]: stage["epochs"] for stage in stages},
        "minutes": round(sum(map(seconds_of, tables)) / 60),
    }


def seconds_of(table: Path) -> float:
    """What all epochs of a stage took."""
    with table.open(encoding="utf-8", newline="") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))


def measured(files: dict[str, Path], before: str, arguments: argparse.Namespace) -> Figures:
    """AP of every file and of the version before with its lead, confidences, and what is missed."""
    folders = {"hands": arguments.hands, "hands_more": arguments.hands_more}
    sources: dict[str, Path | str] = {**files, before: before}
    judgements = {name: judged_on(source, folders) for name, source in sources.items()}
    shipped = judgements[SHIPPED]
    photos = source_units(arguments.hands / "data.yaml")
    units = {f"hands {split}": found for split, found in photos.items()}
    images, size_px = judged_images(arguments.hands, arguments.hands_more, files[SHIPPED])
    return {
        "before": before,
        "data": {
            split: {"images": len(truths), "hands": sum(len(truth.class_ids) for truth in truths)}
            for split, (truths, _) in shipped.items()
        },
        "accuracy": {name: accuracy_of(found) for name, found in judgements.items()},
        **intervals(shipped, judgements["dense"], judgements[before], units),
        "confidence": confidences(shipped),
        "failures": failures(images, size_px),
        "false": sum(len(image.false().scores) for image in images),
        "failure_images": len(images),
    }


def judged_on(source: str | Path, folders: dict[str, Path]) -> Judged:
    """Labels and detections on every split of each data set, and on test images of some sources apart."""
    backend = open_backend(source, threads=1)
    found: Judged = {}
    for name, folder in folders.items():
        dataset = load_dataset(folder / "data.yaml")
        for split in SPLITS[name]:
            truths, detections, _ = judged(backend, dataset.split(split), backend.input_size)
            found[f"{name} {split}"] = truths, detections
    origins = sources_of(folders["hands_more"], "repository")
    samples = load_dataset(folders["hands_more"] / "data.yaml").split("test")
    pairs = list(zip(samples, *found["hands_more test"], strict=True))
    for repository, title in APART.items():
        rows = [row for row in pairs if origins[row[0].image.name] == repository]
        found[f"hands_more test, {title}"] = ([row[1] for row in rows], [row[2] for row in rows])
    return found


def accuracy_of(found: Judged) -> dict[str, dict[str, float]]:
    """AP and AP@0.5 by split."""
    metrics = {split: average_precision(*pair, 1) for split, pair in found.items()}
    return {split: {"ap": one.ap, "ap50": one.ap50} for split, one in metrics.items()}


def intervals(shipped: Judged, dense: Judged, before: Judged, units: dict[str, Sequence[Any]]) -> Figures:
    """Intervals by split of AP and of its lead over the dense network and over the version before."""
    rows: Figures = {"interval": {}, "lead": {}, "lead_over_before": {}}
    for split, (truths, found) in shipped.items():
        own: Units | None = units.get(split)
        ours, *others = (
            ap_draws(truths, each, 1, units=own) for each in (found, dense[split][1], before[split][1])
        )
        for name, draws in zip(rows, (ours, *(ours - other for other in others)), strict=True):
            rows[name][split] = asdict(interval_of(draws))
    return rows


def confidences(judgement: Judged) -> Figures:
    """Precision, recall and F1 at the default confidence, and the one at which F1 is highest, by split."""
    rows = {}
    for split, (truths, found) in judgement.items():
        curves = detection_curves(truths, found, 1)
        assert curves is not None, "every split shows hands"
        best = curves.best_confidence
        rows[split] = {"default": point(curves, DEFAULT_CONFIDENCE), "best": point(curves, best)}
    return rows


def point(curves: Curves, confidence: float) -> dict[str, float]:
    """The curves at a confidence."""
    index = int(abs(CONFIDENCES - confidence).argmin())
    values = {name: float(getattr(curves, name)[index]) for name in ("precision", "recall", "f1")}
    return {"confidence": confidence, **values}


def ship(run: Path, path: Path, figures: Figures) -> Figures:
    """Writes the shipped file, with facts for people, and the checkpoint; returns their sizes and digests."""
    rows = figures["training_data"]
    sources = "; ".join(
        f"{row['source']} ({row['licence']}), {row['author']}" for row in rows if row["licence"]
    )
    proto = onnx.load(str(path))
    known = {entry.key: entry.value for entry in proto.metadata_props}
    told = {
        "model_license": LICENCE,
        "training_data": sources,
        "ap": json.dumps(figures["accuracy"][SHIPPED]),
        "card": f"{NAME}.md",
    }
    onnx.helper.set_model_props(proto, known | told)
    with replacing(FOLDER / f"{NAME}.onnx") as temporary:
        onnx.save(proto, str(temporary))
    checkpoint = read_checkpoint(run / "slim.safetensors")
    pruned = {key: value for key, value in checkpoint.provenance.items() if key == "pruned"}
    provenance = {"weights": "random", **pruned, "licence": LICENCE, "training_data": sources}
    write_checkpoint(FOLDER / f"{NAME}.safetensors", replace(checkpoint, provenance=provenance), half=True)
    return {
        "file": {"precision": SHIPPED, **digest(FOLDER / f"{NAME}.onnx")},
        "checkpoint": digest(FOLDER / f"{NAME}.safetensors"),
    }


def digest(path: Path) -> Figures:
    """Size and SHA-256 of a file."""
    data = path.read_bytes()
    return {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def timed(files: dict[str, Path], dataset: Dataset, num_frames: int) -> Figures:
    """Latency of every file in turns, seconds from the shell to the first result, and frames per second."""
    images = sample_images(dataset)
    backends = {
        f"{name} {count}": open_backend(path, threads=count)
        for name, path in files.items()
        for count in THREADS
    }
    threads: dict[str, Figures] = {str(count): {} for count in THREADS}
    for timing in benchmark(backends, ROUNDS, images=images):
        name, count = timing.name.split()
        threads[count][name] = {"network_ms": timing.p50_ms, "total_ms": timing.total_p50_ms}
    image = dataset.images("test")[0]
    starts = [run_s([NAME, str(image), "--json", "-"])[0] for _ in range(STARTS)]
    return {
        "machine": machine(),
        "rounds": ROUNDS,
        "num_pictures": len(images),
        "threads": threads,
        "first_result_s": median(starts),
        "video": frames_per_second(image.parent, num_frames),
    }


def frames_per_second(images: Path, num_frames: int) -> dict[str, float]:
    """Of `seyolo detect` on a 1280x720 video made of real photographs, start included, in turns."""
    variants = {"boxes": ["--jsonl", "-"], "drawn": ["--save", "video", "--out"]}
    rates: dict[str, list[float]] = {name: [] for name in variants}
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video.mp4"
        make_video(video, images, num_frames)
        for number in range(3):
            for name, options in variants.items():
                out = [str(Path(folder) / str(number))] if options[-1] == "--out" else []
                rates[name].append(num_frames / run_s([NAME, str(video), *options, *out])[0])
    return {"num_frames": num_frames, **{name: median(values) for name, values in rates.items()}}


def machine() -> dict[str, Any]:
    """The machine in words that say what it can do."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    known = {"avx512_vnni": "AVX-512 VNNI", "avx512f": "AVX-512", "avx2": "AVX2"}
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine().replace("_", "-"),
        "instructions": next(
            (name for flag, name in known.items() if flag in text), "none of AVX2 and AVX-512"
        ),
        "onnxruntime": metadata.version("onnxruntime"),
    }


if __name__ == "__main__":
    main()
