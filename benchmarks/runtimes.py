"""Table of network, runtime and precision: error against the model in PyTorch, latency, size of the files.

    python benchmarks/runtimes.py [NETWORK ...] [--data DATA] [--size 320] [--threads 1]
        [--json benchmarks/results/runtimes.json] [--out docs/evidence/runtimes.md]

Every runtime of `runtime/choice.py` runs the file that is its own, in every precision that the file and the
runtime have. A zoo name gets random weights that behave like trained ones, and no int8, which is measured on
images: for int8 give a checkpoint and --data. The runtimes of a network are interleaved, batch 1. What was
measured with the same versions on the same machine is kept in the JSON file and not measured again; --again
measures all.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from precisions import open_model

import seyolo
from seyolo.data.datasets import load_dataset
from seyolo.errors import SeyoloError
from seyolo.exporting.formats import FORMATS
from seyolo.exporting.parity import sample_image
from seyolo.exporting.quantize import Image
from seyolo.letterbox import Fit
from seyolo.media.images import read_image
from seyolo.runtime.benchmark import benchmark
from seyolo.runtime.choice import RUNTIMES, installed_version, open_backend
from seyolo.runtime.protocol import Backend, Precision, Runtime
from seyolo.torchnet.build import DarknetModel
from seyolo.verbs.calibration import int8_images

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [kind.package for kind in RUNTIMES.values()]

NETWORKS = (
    "yolov3@0.25", "yolov4@0.25", "yolov4-tiny@0.5", "yolov7-tiny@0.5", "se-yolov3@0.25", "cbam-yolov3@0.25",
    "yolo-fastest-1.1", "enetb0-coco",
)  # fmt: skip
FILE_FORMS = {"float32": "", "16-bit kernels": "half", "int8": "int8"}  # precisions by options of the export
NUM_BEST = 50  # boxes of an image whose error counts
NUM_IMAGES = 4
MARKS = "<!-- table -->", "<!-- end of table -->"


@dataclass(frozen=True)
class Variant:
    """One row: a runtime, the ending of its file, and a precision of the file or of the runtime."""

    runtime: Runtime
    ending: str
    label: str
    option: str = ""  # of the export
    precision: Precision = "f32"  # of the session


def variants(with_int8: bool) -> Iterator[Variant]:
    """Every runtime with the file that the fewest others read, in each precision."""
    for runtime, kind in RUNTIMES.items():
        readers = {
            ending: sum(ending.endswith(other.endings) for other in RUNTIMES.values())
            for ending in FORMATS
            if ending.endswith(kind.endings)
        }
        ending = min(readers, key=lambda ending: readers[ending])
        for label, option in FILE_FORMS.items():
            if not option or (option in FORMATS[ending].options and (option != "int8" or with_int8)):
                yield Variant(runtime, ending, label, option)
        for precision in kind.precisions[1:]:
            yield Variant(runtime, ending, {"bf16": "bfloat16", "f16": "float16"}[precision], "", precision)


def measured(
    model: DarknetModel, images: Sequence[Image], calibration: Sequence[Image], settings: argparse.Namespace
) -> list[dict[str, Any]]:
    """The rows of a network."""
    batch, _ = Fit.of(model.network.net, (settings.size, settings.size)).batch([_pixels(i) for i in images])
    with torch.inference_mode():
        expected = model.eval()(torch.from_numpy(batch)).numpy()
    rows: list[dict[str, Any]] = []
    backends: dict[str, Backend] = {}
    with tempfile.TemporaryDirectory() as folder:
        for variant in variants(bool(calibration)):
            row: dict[str, Any] = {"runtime": variant.runtime, "precision": variant.label}
            rows.append(row)
            try:
                files, backend = _written(model, variant, Path(folder), calibration, settings.threads)
                raw = np.concatenate([backend.infer(batch[i : i + 1]) for i in range(len(batch))])
            except SeyoloError as error:
                row["refused"] = re.sub(r"\S*[/\\]model\.", "model.", str(error))
                continue
            row |= {"file": variant.ending, "bytes": sum(file.stat().st_size for file in files)}
            row |= errors(raw, expected)
            backends[str(len(rows) - 1)] = backend
        pixels = [_pixels(image) for image in images]
        for timing in benchmark(backends, settings.repeats, warmup=2, images=pixels):
            rows[int(timing.name)] |= {"p50_ms": timing.p50_ms, "p95_ms": timing.p95_ms}
    return rows


def _pixels(image: Image) -> np.ndarray:
    return read_image(image) if isinstance(image, str | Path) else image


def _written(
    model: DarknetModel, variant: Variant, folder: Path, calibration: Sequence[Image], threads: int
) -> tuple[Sequence[Path], Backend]:
    """Writes the file of a row through the gate of the export, unless another row has it, and opens it."""
    path = folder / f"{variant.option or 'float32'}{variant.ending}" / f"model{variant.ending}"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        options: dict[str, Any] = {variant.option: True} if variant.option else {}
        seyolo.export(model, path, pictures=calibration if variant.option == "int8" else (), **options)
    opened = open_backend(path, runtime=variant.runtime, precision=variant.precision, threads=threads)
    return list(path.parent.iterdir()), opened


def errors(raw: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """The largest error of a score, and of a side of one of the best boxes by the box's longer side."""
    scores = [rows[..., 4:5] * rows[..., 5:] for rows in (raw, expected)]
    best = np.argsort(-scores[1].max(axis=-1), axis=1)[:, :NUM_BEST, None]
    off = np.abs(raw[..., :4] - expected[..., :4]) / expected[..., 2:4].max(axis=-1, keepdims=True)
    box_error = float(np.take_along_axis(off, best, axis=1).max())
    return {"score_error": float(np.abs(scores[0] - scores[1]).max()), "box_error": box_error}


def environment(threads: int) -> dict[str, Any]:
    """The machine, and the version of every package that seyolo names and that is installed here."""
    names = {re.split(r"[^\w.-]", line)[0].lower() for line in metadata.requires("seyolo") or []}
    versions = {name: installed_version(name) for name in sorted(names | {*PACKAGES, "pnnx"})}
    cpu = Path("/proc/cpuinfo")
    text = cpu.read_text(encoding="utf-8") if cpu.is_file() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return {
        "processor": model[1] if model else "unknown",
        "cores": os.cpu_count(),
        "threads": threads,
        "packages": {name: version for name, version in versions.items() if version},
    }


def table(result: Mapping[str, Any]) -> str:
    """The page's part between the marks, in Markdown."""
    machine = result["environment"]
    used = ("torch", *PACKAGES, "pnnx")
    versions = [f"{name} {machine['packages'][name]}" for name in used if name in machine["packages"]]
    lines = [
        f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores, "
        f"{result['size']}x{result['size']} px; {', '.join(dict.fromkeys(versions))}. Load average while it "
        f"ran: {result['load']:.1f}.",
        "",
    ]
    for name, rows in result["networks"].items():
        lines += [
            f"## {name}",
            "",
            "| runtime | precision | file | MB | ms (p50) | box error | score error |",
        ]
        lines += ["|---|---|---|---|---|---|---|", *map(_line, rows), ""]
    return "\n".join(lines).rstrip()


def _line(row: Mapping[str, Any]) -> str:
    title = RUNTIMES[row["runtime"]].title if row["runtime"] in RUNTIMES else row["runtime"]
    start = f"| {title} | {row['precision']} | "
    if "refused" in row:
        return f"{start}refused: {row['refused']} | | | | |"
    errors = f"{row['box_error']:.1g} | {row['score_error']:.1g}"
    return f"{start}`{row['file']}` | {row['bytes'] / 1e6:.2f} | {row['p50_ms']:.1f} | {errors} |"


def with_table(page: str, text: str) -> str:
    """The page with another table."""
    before, rest = page.split(MARKS[0])
    return f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{rest.split(MARKS[1])[1]}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what the JSON file lacks, and writes both files after every network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS, help="zoo names, or NAME=CHECKPOINT")
    parser.add_argument("--data", help="data set of the checkpoints: int8 is measured on its train images")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/results/runtimes.json")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/evidence/runtimes.md")
    parser.add_argument("--again", action="store_true")
    settings = parser.parse_args(arguments)
    torch.set_num_threads(settings.threads)
    result = _kept(settings)
    dataset = load_dataset(settings.data) if settings.data else None
    for given in settings.networks:
        name, _, path = given.partition("=")
        if name in result["networks"]:
            continue
        begun = time.perf_counter()
        model, calibration = open_model(path or name, settings.size), []
        images: Sequence[Image] = _drawn(settings.size)
        if path and dataset is not None:
            calibration = int8_images(dataset)
            images = calibration[:NUM_IMAGES]
        result["networks"][name] = measured(model, images, calibration, settings)
        result["load"] = max(result["load"], os.getloadavg()[0])
        _write(result, settings)
        print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)


def _drawn(size_px: int) -> list[Image]:
    planes = sample_image(size_px, size_px, np.random.default_rng(1), NUM_IMAGES)
    return [
        np.ascontiguousarray((image.transpose(1, 2, 0)[..., ::-1] * 255).astype(np.uint8)) for image in planes
    ]


def _kept(settings: argparse.Namespace) -> dict[str, Any]:
    """What the JSON file holds, where nothing else has changed."""
    fresh = {"environment": environment(settings.threads), "size": settings.size, "load": 0.0, "networks": {}}
    if settings.again or not settings.json.is_file():
        return fresh
    before: dict[str, Any] = json.loads(settings.json.read_text(encoding="utf-8"))
    same = all(before.get(key) == fresh[key] for key in ("environment", "size"))
    return before if same else fresh


def _write(result: Mapping[str, Any], settings: argparse.Namespace) -> None:
    settings.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    page = settings.out.read_text(encoding="utf-8") if settings.out.is_file() else "\n".join(MARKS)
    settings.out.write_text(with_table(page, table(result)), encoding="utf-8")


if __name__ == "__main__":
    main()
