"""Ships the slim hand detector of a run: `src/seyolo/shipped/hand.onnx`, its figures and its model card.

    python benchmarks/ship_hand.py runs/slim/slim hands/data.yaml --commit b9feece
    python benchmarks/ship_hand.py runs/slim/slim hands/data.yaml --only latency

Exports float32, float16 kernels and int8, measures all of them and the dense network on every split but
train, writes the float16 file with what `seyolo info` shows, times them, and fills in `hand_card.md`. Every
figure lies in `hand.json`. Accuracy can be measured on a busy machine, latency cannot: `--only latency`
measures that anew and keeps the rest. Why float16: docs/decisions/0013-what-ships.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import tempfile
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from statistics import median
from string import Template
from typing import Any

import onnx
from controls import source_units
from detect_video import make_video, run_s

import seyolo
from seyolo.checkpoint import read_checkpoint
from seyolo.darknet.cost import cost
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.evaluation.bootstrap import bootstrap_difference
from seyolo.evaluation.curves import CONFIDENCES, Curves, detection_curves
from seyolo.evaluation.evaluate import Judgement, judge_splits, metrics_of
from seyolo.files import replacing, write_json, write_text
from seyolo.options.export import ExportOptions
from seyolo.report.text import lead_text
from seyolo.results import Difference
from seyolo.runtime.benchmark import benchmark
from seyolo.runtime.choice import open_backend
from seyolo.runtime.shipped import FOLDER, card_path, model_path
from seyolo.verbs.benchmark import sample_images

NAME = "hand"
SHIPPED = "float16"
PRECISIONS = {
    "float32": ExportOptions(),
    "float16": ExportOptions(half=True),
    "int8": ExportOptions(int8=True),
}
LICENCE = "MIT; the data's attribution goes with it, see the card"
SOURCES = (
    "SubhiH/HandsDataset (Apache-2.0); Hand Gesture Recognition v6, Lebanese University, via Roboflow "
    "Universe (CC BY 4.0)"
)
DEFAULT_CONFIDENCE = 0.25
THREADS = (1, 2)
ROUNDS = 60
STARTS = 5
TEMPLATE = Path(__file__).with_name("hand_card.md")

Figures = dict[str, Any]


def main() -> None:
    """Measures and writes; says where."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of a finished `seyolo slim`")
    parser.add_argument("data", type=Path, help="the data set of the run")
    parser.add_argument("--commit", help="of seyolo, with which the run was trained; needed for accuracy")
    parser.add_argument("--only", choices=("accuracy", "latency"), help="keep the other figures and files")
    parser.add_argument("--exports", type=Path, default=Path("build/ship_hand"))
    parser.add_argument("--frames", type=int, default=240, help="of the video that is timed")
    arguments = parser.parse_args()
    path = FOLDER / f"{NAME}.json"
    figures: Figures = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    dataset = load_dataset(arguments.data)
    files = {"dense": arguments.run / "dense.onnx"}
    files |= {precision: arguments.exports / f"{precision}.onnx" for precision in PRECISIONS}
    if arguments.only != "latency":
        export_all(arguments.run, files, dataset)
        if arguments.commit is None:
            parser.error("accuracy says which commit trained the run: --commit")
        figures |= described(arguments.run, arguments.commit, dataset, files)
        figures |= measured(files, dataset)
        figures["file"] = ship(files[SHIPPED], figures)
    if arguments.only != "accuracy":
        figures["latency"] = timed(files, dataset, arguments.frames)
    write_json(path, figures)
    if arguments.only is None or "latency" in figures:
        write_text(card_path(NAME), card(figures))
    print(f"what ships lies in {FOLDER}")


def export_all(run: Path, files: dict[str, Path], dataset: Dataset) -> None:
    """Writes the slim network in every precision."""
    for precision, options in PRECISIONS.items():
        images = dataset if precision == "int8" else None
        seyolo.api.export_file(run / "slim.safetensors", files[precision], options, dataset=images)


def described(run: Path, commit: str, dataset: Dataset, files: dict[str, Path]) -> Figures:
    """What the run was, what the network costs, and how much data there is."""
    network = read_checkpoint(run / "slim.safetensors").network
    counted = cost(network)
    return {
        "network": {
            "params": counted.params,
            "macs": counted.macs,
            "input_size": [network.net.height, network.net.width],
        },
        "training": training(run, commit),
        "data": {
            split: {"pictures": len(samples), "hands": sum(len(sample.class_ids) for sample in samples)}
            for split in dataset.splits
            for samples in [dataset.split(split)]
        },
        "size_bytes": {name: path.stat().st_size for name, path in files.items()},
    }


def training(run: Path, commit: str) -> Figures:
    """The command, what it was run with, and how long it took."""
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    stages = json.loads((run / "results.json").read_text(encoding="utf-8"))["stages"]
    command = (
        f"seyolo slim --data hands/data.yaml --model {config['model']} "
        f"--attention {config['attention']['kind']} --size {config['size_px']} "
        f"--budget {' '.join(config['budget'])} --seed {config['seed']}"
    )
    return {
        "command": command,
        "commit": commit,
        "seed": config["seed"],
        "dense_macs": stages[0]["macs"],
        "epochs": {stage["stage"]: stage["epochs"] for stage in stages},
        "minutes": round(sum(map(seconds_of, sorted(run.glob("*/results.csv")))) / 60),
    }


def seconds_of(table: Path) -> float:
    """What all epochs of a stage took."""
    with table.open(encoding="utf-8", newline="") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))


def measured(files: dict[str, Path], dataset: Dataset) -> Figures:
    """AP of every file, how far the shipped one stands from the dense network, and its confidences."""
    judgements = {name: judged(path, dataset) for name, path in files.items()}
    units = source_units(dataset.source)
    shipped, dense = judgements[SHIPPED], judgements["dense"]
    return {
        "accuracy": {
            name: {split: {"ap": m.ap, "ap50": m.ap50} for split, m in metrics_of(found, [NAME]).items()}
            for name, found in judgements.items()
        },
        "lead": {
            split: asdict(bootstrap_difference(truths, found, dense[split][1], 1, units=units.get(split)))
            for split, (truths, found) in shipped.items()
        },
        "confidence": confidences(shipped),
    }


def judged(path: Path, dataset: Dataset) -> Judgement:
    """Labels and detections on every split but train."""
    backend = open_backend(path, threads=1)
    return judge_splits(backend, dataset, None, backend.input_size)


def confidences(judgement: Judgement) -> Figures:
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


def ship(path: Path, figures: Figures) -> Figures:
    """Writes the shipped file, with what it says for people; returns its size and digest."""
    proto = onnx.load(str(path))
    known = {entry.key: entry.value for entry in proto.metadata_props}
    told = {
        "model_license": LICENCE,
        "training_data": SOURCES,
        "ap": json.dumps(figures["accuracy"][SHIPPED]),
        "card": f"{NAME}.md",
    }
    onnx.helper.set_model_props(proto, known | told)
    with replacing(FOLDER / f"{NAME}.onnx") as temporary:
        onnx.save(proto, str(temporary))
    data = model_path(NAME).read_bytes()
    return {"precision": SHIPPED, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


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


def card(figures: Figures) -> str:
    """The model card with its figures filled in."""
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(values(figures))


def values(figures: Figures) -> dict[str, str]:
    """Every figure of the card as it is printed there."""
    network, training_, data = figures["network"], figures["training"], figures["data"]
    latency, confidence = figures["latency"], figures["confidence"]
    default, best = confidence["val"]["default"], confidence["val"]["best"]
    tested = confidence["test"]["default"]
    height, width = network["input_size"]
    texts = {
        "params": f"{network['params']:,}",
        "mmacs": f"{network['macs'] / 1e6:.0f}",
        "macs_share": f"{100 * network['macs'] / training_['dense_macs']:.0f}",
        "input_size": f"{width}x{height}",
        "size_mb": f"{figures['file']['size_bytes'] / 1e6:.2f}",
        "sha256": figures["file"]["sha256"],
        "command": training_["command"],
        "commit": training_["commit"],
        "seed": str(training_["seed"]),
        "dense_epochs": str(training_["epochs"]["dense"]),
        "slim_epochs": str(training_["epochs"]["finetuned"]),
        "minutes": str(training_["minutes"]),
        "accuracy_table": accuracy_table(figures),
        "precision_table": precision_table(figures),
        "latency_table": latency_table(latency),
        "best_confidence": f"{best['confidence']:.2f}",
        "best_f1": f"{best['f1']:.3f}",
        "default_f1": f"{default['f1']:.3f}",
        "test_precision": f"{tested['precision']:.3f}",
        "test_recall": f"{tested['recall']:.3f}",
        "rounds": str(latency["rounds"]),
        "num_pictures": str(latency["num_pictures"]),
        "cores": str(latency["machine"]["cores"]),
        "architecture": latency["machine"]["architecture"],
        "instructions": latency["machine"]["instructions"],
        "onnxruntime": latency["machine"]["onnxruntime"],
        "first_result_s": f"{latency['first_result_s']:.2f}",
        "frames_boxes": f"{latency['video']['boxes']:.0f}",
        "frames_drawn": f"{latency['video']['drawn']:.0f}",
        "num_frames": str(latency["video"]["num_frames"]),
    }
    for split, counts in data.items():
        texts |= {f"{split}_{kind}": f"{count:,}" for kind, count in counts.items()}
    return texts


def accuracy_table(figures: Figures) -> str:
    """The shipped file on every split, beside the dense network."""
    rows = [
        "| split | images | hands | AP | AP@0.5 | dense network's AP | lead over it (95 % of draws) |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for split, found in figures["accuracy"][SHIPPED].items():
        counts, lead = figures["data"][split], figures["lead"][split]
        rows.append(
            f"| {split} | {counts['pictures']:,} | {counts['hands']:,} | {found['ap']:.3f} "
            f"| {found['ap50']:.3f} | {figures['accuracy']['dense'][split]['ap']:.3f} "
            f"| {lead_text(Difference(**lead))} |"
        )
    return "\n".join(rows)


def precision_table(figures: Figures) -> str:
    """The same network stored in three ways, and the dense one."""
    splits = list(figures["accuracy"][SHIPPED])
    rows = [
        f"| file | MB | {' | '.join(f'AP {split}' for split in splits)} |",
        "| --- | ---: |" + " ---: |" * len(splits),
    ]
    for name, found in figures["accuracy"].items():
        cells = [f"{found[split]['ap']:.3f}" for split in splits]
        size_mb = figures["size_bytes"][name] / 1e6
        rows.append(f"| {name} | {size_mb:.2f} | {' | '.join(cells)} |")
    return "\n".join(rows)


def latency_table(latency: Figures) -> str:
    """Milliseconds by threads: the network alone, and a decoded image to its boxes."""
    counts = list(latency["threads"])
    head = [f"network, {count} thr. | image to boxes, {count} thr." for count in counts]
    rows = [f"| p50 in ms | {' | '.join(head)} |", "| --- |" + " ---: | ---: |" * len(counts)]
    for name in latency["threads"][counts[0]]:
        both = [latency["threads"][count][name] for count in counts]
        cells = [f"{row['network_ms']:.1f} | {row['total_ms']:.1f}" for row in both]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
