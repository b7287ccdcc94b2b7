"""The fuzz targets: of each reader of files the seeds, the mutator, and a function that reads one case.

A reader does what the user's command does with the file before it trains or draws. Only a `SeyoloError` may
come out of it, with the name of the file in its message.
"""

from __future__ import annotations

import atexit
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from fuzz.mutators import (
    Mutate,
    mutated_bytes,
    mutated_json,
    mutated_message,
    mutated_png,
    mutated_safetensors,
    mutated_table,
    mutated_text,
)
from seyolo.checkpoint import read_checkpoint
from seyolo.class_names import read_names
from seyolo.commands.detect import Job
from seyolo.commands.info import _onnx
from seyolo.darknet.cfg import parse_cfg, read_cfg
from seyolo.darknet.cost import cost
from seyolo.darknet.graph import detection_layers, num_classes
from seyolo.darknet.weights import read_weights, tensor_shapes
from seyolo.data.archives import extract
from seyolo.data.contents import Contents
from seyolo.data.datasets import load_dataset
from seyolo.data.formats.labelme import read_labelme
from seyolo.data.formats.voc import read_voc_beside
from seyolo.data.formats.yolo import read_labels
from seyolo.data.formats.yolo_rows import RowForm
from seyolo.data.oxford.annotations import AnnotationReader
from seyolo.data.oxford.convert import _is_wanted
from seyolo.data.tree import Tree
from seyolo.detecting.run import Tally
from seyolo.detecting.run_folder import RunFolder
from seyolo.detecting.tables import coco_chunks, csv_chunks, json_chunks, jsonl_chunks
from seyolo.errors import DataError, PlanError
from seyolo.evaluation.oxford import _read_images
from seyolo.media.images import image_size, read_image
from seyolo.options.stored import read_slim_options, read_train_options
from seyolo.pruning.planning.plan import recounted_plan
from seyolo.pruning.planning.prunable import PrunableNetwork
from seyolo.report.pages.write import write_report
from seyolo.report.record import read_run
from seyolo.report.tables.slim import controls_markdown, controls_table, markdown_table, stage_table
from seyolo.results import read_readiness, read_results
from seyolo.runtime.beside import BesideBackend
from seyolo.runtime.choice import open_backend
from seyolo.training.run_folder import read_run_state
from seyolo.verbs.prune import read_plan
from seyolo.verbs.readiness import readiness_lines

SEEDS = Path(__file__).parent / "seeds"
TEXT_CASES, BINARY_CASES, PAGE_CASES = 100_000, 20_000, 400


@dataclass(frozen=True)
class Target:
    """A reader, and what it is fed with.

    Attributes:
        seeds: valid files under `seeds/`.
        mutate: changes a seed.
        file: path of the case in the folder that is read.
        read: reads the folder.
        others: further files of the folder: name under `seeds/`, a file or folder, by path in the folder.
        cases, short: cases of the long run and of the tests.
        starts_processes: their time and memory count, too.
    """

    name: str
    seeds: tuple[str, ...]
    mutate: Mutate
    file: str
    read: Callable[[Path], object]
    others: Mapping[str, str] = field(default_factory=dict)
    cases: int = TEXT_CASES
    short: int = 100
    starts_processes: bool = False

    def seed_bytes(self) -> list[bytes]:
        """Returns the seeds."""
        return [(SEEDS / name).read_bytes() for name in self.seeds]

    def prepare(self, folder: Path) -> Path:
        """Copies the other files into an empty folder; returns the path of the cases."""
        for place, name in self.others.items():
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            if (SEEDS / name).is_dir():
                shutil.copytree(SEEDS / name, target, dirs_exist_ok=True)
            else:
                shutil.copy(SEEDS / name, target)
        (folder / self.file).parent.mkdir(parents=True, exist_ok=True)
        return folder / self.file


def _cfg(folder: Path) -> None:
    network = read_cfg(folder / "case.cfg")
    cost(network)
    detection_layers(network)
    num_classes(network)
    tensor_shapes(network)
    assert parse_cfg(network.to_cfg()) == network


@cache
def _network() -> Any:
    return read_cfg(SEEDS / "small.cfg")


def _weights(folder: Path) -> None:
    read_weights(folder / "case.weights", _network())


def _checkpoint(folder: Path) -> None:
    cost(read_checkpoint(folder / "case.safetensors").network)


def _run_state(folder: Path) -> None:
    read_run_state(folder / "state.safetensors")


def _train_options(folder: Path) -> None:
    read_train_options(folder)


def _slim_options(folder: Path) -> None:
    options = read_slim_options(folder)
    options.stage_epochs()
    options.epochs_seen()
    options.plan_options()


def _detect_options(folder: Path) -> None:
    Job.from_json(RunFolder(folder).config(), folder / "config.json")


def _journal(folder: Path) -> None:
    journal = RunFolder(folder).resume()
    try:
        Tally().add_past(journal.rows)
        for chunks in (
            json_chunks({"model": "hand"}, journal.rows),
            coco_chunks(["hand"], journal.rows),
            csv_chunks(journal.rows),
            jsonl_chunks(journal.rows),
        ):
            for _ in chunks:
                pass
    finally:
        journal.close()


def _dataset(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        dataset = load_dataset(folder / name)
        for split in dataset.splits:
            dataset.split(split)

    return read


def _split_of(contents: Contents) -> None:
    for image in contents.listed("train").images:
        for problem in contents.read("train", Path(image), lambda: (24, 32)).problems:
            raise DataError(str(problem))


def _voc_beside(folder: Path) -> None:
    _split_of(read_voc_beside(folder, {"train": (folder,)}, Tree(folder), [str(folder / "a.xml")]))


def _labelme(folder: Path) -> None:
    _split_of(read_labelme(folder, {"train": (folder,)}, Tree(folder), [str(folder / "a.json")]))


def _labels(folder: Path) -> None:
    for problem in read_labels(folder / "label.txt", RowForm(("hand", "foot")), lambda: (24, 32)).problems:
        raise DataError(str(problem))


@cache
def _mat_reader() -> AnnotationReader:
    reader = AnnotationReader().__enter__()
    atexit.register(reader.__exit__)
    return reader


def _mat(folder: Path) -> None:
    for hand in _mat_reader().read(folder / "case.mat"):
        hand.box_xyxy()


def _archive(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        shutil.rmtree(folder / "out", ignore_errors=True)
        extract(folder / name, folder / "out", _is_wanted)

    return read


def _oxford_boxes(folder: Path) -> None:
    for image in _read_images(folder / "oxford_boxes.csv").values():
        image.truth(official=True)


@cache
def _prunable() -> Any:
    return PrunableNetwork(_network())


def _plan(folder: Path) -> None:
    plan = read_plan(folder / "plan.json")
    try:
        plan.masks(_network())
        recounted_plan(_prunable(), plan)
    except PlanError as error:  # names the network or the group, since a plan need not come from a file
        raise PlanError(f"{folder}: {error}") from None


def _results(folder: Path) -> None:
    results = read_results(folder / "results.json")
    stage_table(results)
    markdown_table(results)
    if results.controls:
        controls_table(results.controls)
        controls_markdown(results.controls)
    results.to_json()


def _readiness(folder: Path) -> None:
    readiness_lines(read_readiness(folder / "readiness.json"))


def _run(folder: Path) -> None:
    record = read_run(folder)
    record.settings()
    record.artefacts()


def _page(folder: Path) -> None:
    write_report([folder])


def _onnx_info(folder: Path) -> None:
    value, *_ = _onnx("case.onnx", folder / "case.onnx", None)
    json.dumps(value)


def _onnx_opened(folder: Path) -> None:
    open_backend(folder / "case.onnx", threads=1)


def _picture(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        assert read_image(folder / name).shape[:2] == image_size(folder / name)

    return read


def _names(folder: Path) -> None:
    read_names(folder / "names.txt")


class _Opened(BesideBackend):
    name = title = "ncnn"

    def open(self, threads: int) -> None:
        pass

    def run(self, image: np.ndarray) -> np.ndarray:
        return np.zeros((4, 7), np.float32)


def _beside(folder: Path) -> None:
    _Opened(folder / "x.ncnn.param")


LABELLED = {"images/train/a.png": "pictures/a.png", "images/train/b.png": "pictures/a.png"}
YOLO = {
    **LABELLED,
    "images/val/c.png": "pictures/a.png",
    "labels/train/a.txt": "label.txt",
    "obj.names": "obj.names",
    "train.txt": "train.txt",
    "obj.data": "obj.data",
}
VOC = {
    "JPEGImages/a.png": "pictures/a.png",
    "Annotations/a.xml": "annotation.xml",
    "ImageSets/Main/train.txt": "voc.txt",
}
LABELIMG = {"a.png": "pictures/a.png", "a.txt": "label.txt"}
BESIDE = {"x.ncnn.param": "x.ncnn.param", "x.ncnn.bin": "x.ncnn.bin"}
TRAIN_RUN = {".": "train-run"}
SLIM_RUN = {
    name: f"slim-run/{name}"
    for name in ("results.json", "config.json", "dense/best.safetensors", "pictures/sample.jpg")
}
"""The least that a page needs; a case adds one file."""

TARGETS = (
    Target("cfg", ("small.cfg", "se.cfg"), mutated_text, "case.cfg", _cfg),
    Target("weights", ("small.weights",), mutated_bytes, "case.weights", _weights, cases=BINARY_CASES),
    Target("checkpoint", ("small.safetensors",), mutated_safetensors, "case.safetensors", _checkpoint),
    Target("run state", ("state.safetensors",), mutated_safetensors, "state.safetensors", _run_state),
    Target(
        "options of train",
        ("command.json", "command-0.1.0.json"),
        mutated_json,
        "command.json",
        _train_options,
    ),
    Target(
        "options of slim",
        ("slim-config.json", "slim-config-0.1.0.json"),
        mutated_json,
        "config.json",
        _slim_options,
    ),
    Target("options of detect", ("detect-config.json",), mutated_json, "config.json", _detect_options),
    Target("journal of detect", ("journal.jsonl",), mutated_text, "detections.partial.jsonl", _journal),
    Target("data.yaml", ("data.yaml",), mutated_text, "data.yaml", _dataset("data.yaml"), YOLO),
    Target("Darknet .data", ("obj.data",), mutated_text, "obj.data", _dataset("obj.data"), YOLO),
    Target("Darknet names", ("obj.names",), mutated_text, "obj.names", _dataset("obj.data"), YOLO),
    Target("image list", ("train.txt",), mutated_text, "train.txt", _dataset("obj.data"), YOLO),
    Target("YOLO label", ("label.txt", "label-outlines.txt"), mutated_text, "label.txt", _labels),
    Target(
        "COCO json",
        ("coco.json", "coco-outlines.json", "detections.coco.json"),
        mutated_json,
        "coco.json",
        _dataset("coco.json"),
        {"a.png": "pictures/a.png", "b.png": "pictures/a.png"},
    ),
    Target("VOC xml", ("annotation.xml",), mutated_text, "Annotations/a.xml", _dataset("."), VOC),
    Target(
        "VOC xml beside", ("annotation.xml",), mutated_text, "a.xml", _voc_beside, {"a.png": "pictures/a.png"}
    ),
    Target("CVAT's labelmap.txt", ("labelmap.txt",), mutated_text, "labelmap.txt", _dataset("."), VOC),
    Target("labelme json", ("labelme.json",), mutated_json, "a.json", _labelme, {"a.png": "pictures/a.png"}),
    Target("classes.txt", ("obj.names",), mutated_text, "classes.txt", _dataset("classes.txt"), LABELIMG),
    Target("VOC list", ("voc.txt",), mutated_text, "ImageSets/Main/train.txt", _dataset("."), VOC),
    Target(
        "Oxford .mat",
        ("hands.mat",),
        mutated_bytes,
        "case.mat",
        _mat,
        cases=BINARY_CASES,
        starts_processes=True,
    ),
    Target("Oxford .zip", ("oxford.zip",), mutated_bytes, "a.zip", _archive("a.zip"), cases=BINARY_CASES),
    Target("Oxford .tar", ("oxford.tar",), mutated_bytes, "a.tar", _archive("a.tar"), cases=BINARY_CASES),
    Target("oxford_boxes.csv", ("oxford_boxes.csv",), mutated_table, "oxford_boxes.csv", _oxford_boxes),
    Target("plan.json", ("plan.json",), mutated_json, "plan.json", _plan),
    Target("results.json", ("slim-run/results.json",), mutated_json, "results.json", _results),
    Target("readiness.json", ("slim-run/readiness.json",), mutated_json, "readiness.json", _readiness),
    *(
        Target(f"report: {name}", (f"slim-run/{name}",), mutate, name, _run, SLIM_RUN)
        for name, mutate in (
            ("results.json", mutated_json),
            ("config.json", mutated_json),
            ("environment.json", mutated_json),
            ("commands.txt", mutated_text),
            ("curves.json", mutated_json),
            ("pictures/index.json", mutated_json),
            ("dense/results.csv", mutated_table),
            ("sparse/scales.csv", mutated_table),
        )
    ),
    Target(
        "report: command.json", ("train-run/command.json",), mutated_json, "command.json", _run, TRAIN_RUN
    ),
    Target(
        "ONNX, info",
        ("small.onnx", "means.onnx", "columns.onnx", "suppressed.onnx"),
        mutated_message(onnx.ModelProto),
        "case.onnx",
        _onnx_info,
        cases=BINARY_CASES,
    ),
    Target(
        "ONNX, opened",
        ("small.onnx", "means.onnx", "columns.onnx", "suppressed.onnx"),
        mutated_message(onnx.ModelProto),
        "case.onnx",
        _onnx_opened,
        cases=BINARY_CASES,
    ),
    Target("JSON beside a file", ("x.ncnn.json",), mutated_json, "x.ncnn.json", _beside, BESIDE),
    *(
        Target(
            f"picture {ending}",
            (f"pictures/a.{ending}",),
            mutated_png if ending == "png" else mutated_bytes,
            f"case.{ending}",
            _picture(f"case.{ending}"),
            cases=BINARY_CASES,
        )
        for ending in ("jpg", "png", "bmp", "tiff", "webp", "avif", "ppm", "pgm", "pbm")
    ),
    Target("names file", ("obj.names",), mutated_text, "names.txt", _names),
)
DRAWN = ("report: results.json", "report: sparse/scales.csv", "report: pictures/index.json")
"""Files whose pages the tests draw, too; the others are drawn by the long run only."""
PAGES = tuple(
    replace(
        target,
        name=target.name.replace("report", "page"),
        read=_page,
        cases=PAGE_CASES,
        short=3 if target.name in DRAWN else 0,
    )
    for target in TARGETS
    if target.name.startswith("report")
)
BY_NAME = {target.name: target for target in (*TARGETS, *PAGES)}
