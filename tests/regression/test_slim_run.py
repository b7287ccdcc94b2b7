"""Whole runs of `seyolo slim` on drawn hands: what they train, cut and measure."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pins import Recording, digest, seyolo_line

NEWER_LINE = b"pad_value=114\n"  # of slim.cfg
NEWER = {"data.json", "start.json", "slim.names", "state-before.safetensors", "warnings.txt"}  # than the pins
TIMED = ("seconds", "pictures_per_s")
MEASURED = ("latency_ms", "measured_ms", "dense_ms")
SYNTH = "data synth hands --train 16 --val 6 --test 6 --size 96 --seed 0"
COMMON = """slim --data hands/data.yaml --size 64 --batch 8 --epochs 2 --branch-epoch 1 --finetune-epochs 2
    --name x"""
RUNS = {
    "default": "--model yolov3@0.25 --attention se --budget macs=30% --sparse-epochs 1",
    "steered": """--model yolov4-tiny@0.25 --budget params=50% --sparse-epochs 2 --sparsity steered
        --optimizer adamw --repair recalibrate --distill 0.5 --seed 1 --controls uniform --controls plain""",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with the data set `hands`."""
    folder = tmp_path_factory.mktemp("slim")
    seyolo_line(SYNTH.split(), folder)
    return folder


def test_the_drawn_hands_are_as_they_were(folder: Path) -> None:
    found = Recording("synth")
    for kind in ("images", "labels"):
        files = sorted((folder / "hands" / kind).rglob("*.*"))
        found.exact[f"number of {kind}"] = len(files)
        found.digests[kind] = digest(b"".join(path.read_bytes() for path in files))
    found.exact["yaml"] = digest((folder / "hands" / "data.yaml").read_text(encoding="utf-8"))
    found.hold()


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_slim_run_is_as_it_was(name: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "hands").symlink_to(folder / "hands")
    seyolo_line([*COMMON.split(), *RUNS[name].split()], tmp_path)
    run = tmp_path / "runs" / "slim" / "x"
    found = Recording(f"slim-{name}")
    paths = [path for path in sorted(run.rglob("*")) if path.is_file() and path.parent.name != "pictures"]
    paths = [path for path in paths if path.name not in NEWER]
    found.exact["files"] = [path.relative_to(run).as_posix() for path in paths]
    found.exact["settings"] = json.loads((run / "config.json").read_text(encoding="utf-8"))
    found.exact["settings"].pop("controls", None)  # newer than the pins
    for path in paths:
        title = path.relative_to(run).as_posix()
        if path.name == "results.csv":
            add_curves(found, path, title)
        elif path.suffix == ".safetensors" and path.name != "state.safetensors":
            # Which channels it kept, and so its shapes, hangs on floats here.
            found.add_checkpoint(path, title)
            found.digests[f"{title} shapes"] = found.exact.pop(f"{title} shapes")
        elif path.suffix in (".onnx", ".cfg", ".weights") or path.name in ("scales.csv", "curves.json"):
            found.digests[title] = digest(path.read_bytes().replace(NEWER_LINE, b""))
        elif path.name == "plan.json":
            add_plan(found, json.loads(path.read_text(encoding="utf-8")), title)
    add_results(found, json.loads((run / "results.json").read_text(encoding="utf-8")))
    add_val(found, run / "slim.onnx", tmp_path)
    found.hold()


def add_curves(found: Recording, path: Path, title: str) -> None:
    """Pins the losses and averages of every epoch."""
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    found.exact[f"{title} columns"] = list(rows[0])
    for row in rows:
        values = [float(value or -1) for key, value in row.items() if key not in TIMED]
        found.numbers[f"{title} epoch {row['epoch']}"] = values


def add_plan(found: Recording, plan: dict[str, Any], title: str) -> None:
    """Pins the plan; it hangs on floats, since importance is measured on a trained network."""
    found.exact[f"{title} keys"] = list(plan)
    found.digests[title] = digest(json.dumps({key: plan[key] for key in plan if key not in MEASURED}))
    found.digests[f"{title} widths"] = " ".join(str(width["after"]) for width in plan["widths"])
    add_cost(found, plan, title)


def add_cost(found: Recording, row: dict[str, Any], title: str) -> None:
    """Pins parameters and MACs; elsewhere only a budget holds either, and not where a control is cut."""
    found.digests[f"{title} params, macs"] = f"{row['params']}, {row['macs']}"
    budgeted = found.exact["settings"]["budget"][0].split("=")[0]
    if "control" not in title:
        found.numbers[f"{title} {budgeted}"] = row[budgeted]


def add_results(found: Recording, results: dict[str, Any]) -> None:
    """Pins `results.json` but for times and the plan in it."""
    found.exact["result keys"] = sorted(results)
    found.exact["artefacts"] = sorted(results["artefacts"])
    # The reason of one that does not apply is prose, not a result.
    kinds = {name: text.partition(":")[0] for name, text in results["artefacts"].items()}
    found.digests["artefacts"] = json.dumps(kinds)
    found.digests["readiness"] = json.dumps(results["readiness"])
    found.digests["lead"] = json.dumps(results["lead"])
    for row in (*results["stages"], *results.get("controls", ())):
        title = row.get("stage") or f"control {row['control']}"
        found.exact[f"{title} keys"] = sorted(row.keys() - {"latency_noise"})
        found.exact[f"{title} input size, epochs"] = [*row["input_size"], row.get("epochs")]
        add_cost(found, row, title)
        found.numbers[f"{title} metrics"] = [list(values.values()) for values in row["metrics"].values()]
        found.digests[f"{title} lead"] = json.dumps(row.get("lead"))


def add_val(found: Recording, model: Path, folder: Path) -> None:
    """Pins what `seyolo val` says of a model."""
    seyolo_line(["val", model, "--data", "hands/data.yaml", "--json", "val.json"], folder)
    for split, values in json.loads((folder / "val.json").read_text(encoding="utf-8"))["metrics"].items():
        found.exact[f"val {split} keys"] = list(values)
        found.digests[f"val {split}"] = json.dumps(values)
        # The rest leaps from object to object, of which there are few.
        found.numbers[f"val {split} ap, ap50"] = [values["ap"], values["ap50"]]
