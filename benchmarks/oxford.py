"""Oxford Hand from the archive to the before/after table, under both protocols of the data set.

    python benchmarks/oxford.py hand_dataset.tar.gz runs/oxford --estimate
    python benchmarks/oxford.py hand_dataset.tar.gz runs/oxford

The first tells how long it will take, here and on a GPU. What is done is kept, so the same command goes on:

    RUNS/data/           the archive as YOLO labels, and the corners that the official protocol needs
    RUNS/archive.json    size and SHA-256 of the archive
    RUNS/slim/           the run of `seyolo slim`
    RUNS/results/        AP of dense.onnx, slim.onnx and slim_int8.onnx under both protocols
    RUNS/table.md        the table
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch

from seyolo.cli import exit_code
from seyolo.commands.output import print_readable, remark
from seyolo.darknet.placement import GateKind
from seyolo.data.datasets import load_dataset
from seyolo.data.oxford.convert import PUBLISHED_COUNTS, convert
from seyolo.errors import SeyoloError, UsageError, counted
from seyolo.files import write_json, write_text
from seyolo.json_files import read_json
from seyolo.options.budget import parse_budgets
from seyolo.options.slim import USUAL_EPOCHS, SlimOptions
from seyolo.options.stored import SLIM_FILE, read_slim_options
from seyolo.progress import Silent, console_progress, duration_text
from seyolo.report.tables.slim import markdown_table, stage_table
from seyolo.results import RESULTS_FILE, STAGE_TITLES, SlimResults, SplitMetrics, read_results
from seyolo.runtime.choice import open_backend
from seyolo.torchnet.device import limited_threads
from seyolo.verbs.announce import training_seconds
from seyolo.verbs.calibration import plan_of
from seyolo.verbs.effort import with_effort
from seyolo.verbs.evaluate import evaluate_oxford
from seyolo.verbs.slim import run_slim
from seyolo.verbs.slim_run import SlimRun
from seyolo.verbs.stages import RESULTS_S, done_share, estimate_seconds, stage_config
from seyolo.verbs.start import with_model

SPLITS = ("val", "test")
FILES = {"dense": "dense.onnx", "slim": "slim.onnx", "int8": "slim_int8.onnx"}
GPU_IMAGES_PER_S = 650
"""Images that a full-width YOLOv3 trains on at 416 pixels on an H100: docs/how-to/distributed.md."""
LAST_FILE = "report.html"  # of a run of slim
Found = Mapping[str, Mapping[str, SplitMetrics]]
"""AP by split and protocol."""


def identity(archive: Path) -> dict[str, Any]:
    """What tells an archive from another; of a folder its name."""
    if archive.is_dir():
        return {"folder": archive.resolve().name}
    with archive.open("rb") as file:
        return {"bytes": archive.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def converted(archive: Path, runs: Path) -> Path:
    """The data.yaml of the archive; converted once.

    Raises:
        SeyoloError: not an archive of Oxford Hand, or another one than that of the folder.
    """
    stored, data = runs / "archive.json", runs / "data"
    try:
        own = identity(archive)
    except OSError as error:
        raise UsageError(f"{archive}: cannot be read ({error.strerror}); give hand_dataset.tar.gz") from None
    if stored.exists() and read_json(stored, dict[str, Any]) != own:
        raise UsageError(f"{runs}: holds another archive's results; give another folder for {archive}")
    if not (data / "data.yaml").exists():
        is_new = not runs.exists()
        runs.mkdir(parents=True, exist_ok=True)
        try:
            for warning in convert(archive, data).warnings:
                remark(f"warning: {warning}")
        except SeyoloError:
            if is_new:
                runs.rmdir()
            raise
    write_json(stored, own)
    return data / "data.yaml"


def settled(data: Path, runs: Path, given: argparse.Namespace) -> SlimOptions:
    """The options of the run, as it was begun.

    Raises:
        UsageError: it was begun with others.
    """
    options = SlimOptions(
        data=data,
        model=given.model,
        attention=given.attention,
        size=given.size,
        budget=(given.budget,),
        epochs=given.epochs,
        seed=given.seed,
        device=given.device,
        threads=given.threads,
    )
    options = with_effort(with_model(options), USUAL_EPOCHS)
    if not (runs / "slim" / SLIM_FILE).exists():
        return options
    begun = read_slim_options(runs / "slim")
    if replace(options, device=begun.device, threads=begun.threads) != begun:
        raise UsageError(f"{runs}: was begun with other options; give those, or another folder")
    return begun


def estimates(options: SlimOptions, runs: Path) -> Iterator[str]:
    """Lines on what the whole run takes, here and on a GPU; less where parts are done."""
    with limited_threads(options.threads):
        run = SlimRun(options, runs / "slim", Silent())
        start = run.starting_model()
        plan = plan_of(start, options, None)
        parts = estimate_seconds(start, run.dataset, options, plan.macs / plan.dense_macs, Silent())
        threads = torch.get_num_threads()
    whole, epochs = sum(parts.values()), options.stage_epochs()
    left = whole - sum(parts[name] * done_share(runs / "slim" / name, epochs[name]) for name in epochs)
    place = run.config.device if run.config.device != "cpu" else f"cpu, {counted(threads, 'thread')}"
    yield f"time here ({place}): about {duration_text(whole)}" + (
        f", of which {duration_text(left)} are left" if left < whole else ""
    )
    config = stage_config(options, "dense")
    step_s = parts["dense"] / training_seconds(config, run.dataset, 1.0)
    gpu_s = RESULTS_S + (whole - RESULTS_S) * config.batch / GPU_IMAGES_PER_S / step_s
    if run.config.device == "cpu":
        yield f"time on a GPU (an H100, {GPU_IMAGES_PER_S} images/s): about {duration_text(gpu_s)}"


def judged(name: str, runs: Path, data: Path) -> Found:
    """AP of a file on val and test under both protocols; kept."""
    path = _result(runs, name)
    if not path.exists():
        backend = open_backend(runs / "slim" / FILES[name])
        found: dict[str, dict[str, dict[str, float]]] = {}
        for split in SPLITS:
            protocols = evaluate_oxford(backend, data, split)[split]
            found[split] = {key: {"ap": one.ap, "ap50": one.ap50} for key, one in protocols.items()}
        path.parent.mkdir(exist_ok=True)
        write_json(path, found)
    return read_json(path, dict[str, dict[str, SplitMetrics]])


def _result(runs: Path, name: str) -> Path:
    return runs / "results" / f"{name}.json"


def table_of(runs: Path) -> SlimResults | None:
    """Dense and slim with AP under both protocols, as far as it is known; None before the run has results."""
    if not (runs / "slim" / RESULTS_FILE).exists():
        return None
    results = read_results(runs / "slim" / RESULTS_FILE)

    def metrics(name: str) -> dict[str, SplitMetrics]:
        path = _result(runs, name)
        found = read_json(path, dict[str, dict[str, SplitMetrics]]) if path.exists() else {}
        return {f"{split}, {protocol}": of for split in found for protocol, of in found[split].items()}

    stages = (
        replace(results.dense, metrics=metrics("dense")),
        replace(results.slim, metrics=metrics("slim")),
    )
    int8 = results.int8 and replace(results.int8, metrics=metrics("int8"))
    return replace(results, stages=stages, int8=int8)


def missing(runs: Path, options: SlimOptions) -> list[str]:
    """What the table lacks."""
    names = {"dense": "dense", "slim": "slim"}
    if not (runs / "slim" / LAST_FILE).exists():
        shares = {
            stage: done_share(runs / "slim" / stage, of) for stage, of in options.stage_epochs().items()
        }
        lacking = [f"{stage} training ({share:.0%} done)" for stage, share in shares.items() if share < 1]
        return [*lacking, *(f"AP of {name}" for name in names)]
    if (runs / "slim" / FILES["int8"]).exists():
        names["int8"] = STAGE_TITLES["int8"]
    return [f"AP of {title}" for name, title in names.items() if not _result(runs, name).exists()]


def show(runs: Path, options: SlimOptions, command: str) -> None:
    """Prints the table, what it lacks and the command that goes on; writes table.md."""
    results = table_of(runs)
    if results is not None:
        print_readable(stage_table(results))
        dataset = load_dataset(runs / "data/data.yaml")
        counts = {name: len(dataset.split(name)) for name in PUBLISHED_COUNTS}
        note = ", ".join(f"{name} {number:,}" for name, number in counts.items())
        if counts != {name: published for name, (published, _) in PUBLISHED_COUNTS.items()}:
            note += "; not the published data set, whose numbers of images are others"
        text = f"Oxford Hand, images: {note}. `all` counts every hand, `official` those above 1,500 px²."
        write_text(runs / "table.md", f"{markdown_table(results)}\n{text}\n")
        remark(f"{text}\ntable: {runs / 'table.md'}; report: {runs / 'slim' / LAST_FILE}")
    lacking = missing(runs, options)
    if lacking:
        remark(f"missing: {', '.join(lacking)}; go on with: {command}")


def work(given: argparse.Namespace, command: str) -> None:
    """Converts, trains, slims and judges what is not there yet."""
    parse_budgets(given.budget)
    data = converted(given.archive, given.runs)
    options = settled(data, given.runs, given)
    if missing(given.runs, options):
        for line in estimates(options, given.runs):
            remark(line)
    if given.estimate:
        return
    folder = given.runs / "slim"
    try:
        if not (folder / LAST_FILE).exists():
            is_begun = (folder / SLIM_FILE).exists()
            run_slim(options, folder, resume=is_begun, progress=console_progress())
        for name, file in FILES.items():
            if (folder / file).exists():
                judged(name, given.runs, data)
    finally:
        with suppress(SeyoloError):
            show(given.runs, options, command)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("archive", type=Path, help="hand_dataset.tar.gz, or the folder unpacked from it")
    parser.add_argument("runs", type=Path, help="folder of everything that is made")
    parser.add_argument("--estimate", action="store_true", help="tell how long it takes, and stop")
    parser.add_argument("--model", default="yolov3@0.25")
    parser.add_argument("--attention", choices=get_args(GateKind), default="se")
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--budget", default="macs=30%")
    parser.add_argument("--epochs", type=int, help="of dense training; those of `seyolo slim` by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    words = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(words)
    return exit_code(lambda: work(given, f"python benchmarks/oxford.py {shlex.join(words)}"))


if __name__ == "__main__":
    sys.exit(main())
