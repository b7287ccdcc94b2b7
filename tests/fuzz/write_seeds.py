"""Writer of the seeds: small valid files of every kind, made by the writers that users have.

    PYTHONPATH=tests .venv/bin/python -m fuzz.write_seeds

Needed again only where a format changes; the seeds are committed.
"""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import seyolo
from helpers.foreign_models import columns_output, suppressed_output, ultralytics_metadata, write_constant
from helpers.onnx_models import write_model
from helpers.written_oxford import add, write_mat
from seyolo.commands.detect import Job
from seyolo.darknet.cfg import parse_cfg
from seyolo.darknet.cost import cost
from seyolo.darknet.weights import write_weights
from seyolo.darknet.zoo import network_from_name
from seyolo.data.oxford.convert import convert
from seyolo.detecting.tables import coco_chunks, write_chunks
from seyolo.evaluation.curves import Curves
from seyolo.files import write_json, write_text
from seyolo.json_files import to_json
from seyolo.options.slim import SlimOptions
from seyolo.options.stored import stored_slim
from seyolo.options.train import TrainOptions
from seyolo.report.record import Examples, Miss, MistakeCounts, SamplePair, write_curves
from seyolo.results import ControlRow, Difference, Readiness, SlimResults, SplitMetrics, StageResult
from seyolo.runtime.beside import write_beside
from seyolo.runtime.metadata import file_metadata
from seyolo.torchnet.build import build, to_checkpoint
from seyolo.training.run_folder import RunRecord, RunState, write_rows, write_run_state

SEEDS = Path(__file__).parent / "seeds"
SMALL = """[net]
width=32
height=32
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation=leaky
[shortcut]
from=-2
activation=linear
[convolutional]
filters=18
size=1
stride=1
activation=linear
[yolo]
mask=0,1,2
anchors=4,4, 8,8, 16,16
classes=1
num=3
"""
SPLITS = ("val", "test")


def write_seeds(folder: Path) -> None:
    """Writes all seeds anew."""
    shutil.rmtree(folder, ignore_errors=True)
    model = build(parse_cfg(SMALL), ["hand"], torch.Generator().manual_seed(0)).eval()
    slim, plan = seyolo.prune(model, budget="channels=30%", multiple=2)
    _write_models(folder, model)
    write_text(folder / "plan.json", plan.to_json())
    _write_options(folder)
    _write_slim_run(folder / "slim-run", model, slim, plan)
    _write_train_run(folder / "train-run", model)
    _write_data(folder)
    _write_pictures(folder / "pictures")
    _write_detect(folder)


def _write_models(folder: Path, model: Any) -> None:
    write_text(folder / "small.cfg", SMALL)
    write_text(folder / "se.cfg", network_from_name("se-yolov3-tiny@0.25", 2).to_cfg())
    checkpoint = to_checkpoint(model)
    write_weights(folder / "small.weights", checkpoint.network, checkpoint.state)
    seyolo.save(model, folder / "small.safetensors")
    row = {"epoch": 1, "box": 1.5, "objectness": 0.5, "classes": 0.1, "pictures_per_s": 80.0, "ap": 0.25}
    scales = [{"epoch": 1, "p0": 0.01, "p50": 0.1, "p100": 1.0}]
    record = RunRecord(2, 1, updates=3, best_ap=0.25, best_epoch=1, history=[row], scales=scales)
    tensors = {"model": {"w": torch.ones(2, 3)}, "optimizer": {"step": torch.tensor(1)}}
    write_run_state(folder / "state.safetensors", RunState(tensors, record))
    seyolo.export(model, folder / "small.onnx")
    for ending in (".param", ".bin"):
        write_text(folder / f"x.ncnn{ending}", "only its digest counts\n")
    names = json.dumps(["hand", "foot"])
    write_beside(
        folder / "x.ncnn.param",
        file_metadata(model.network, ("hand", "foot"), (32, 32)) | {"pad_value": "127.5"},
        model.network.net.channels,
    )
    write_constant(folder / "columns.onnx", columns_output(3, 24), ultralytics_metadata())
    write_constant(folder / "suppressed.onnx", suppressed_output(4), ultralytics_metadata(nms=True))
    write_model(folder / "means.onnx", metadata={"names": names, "letterbox": "stretch", "card": "a.md"})


def _write_options(folder: Path) -> None:
    train = TrainOptions(data=Path("hands/data.yaml"), model="yolov3-tiny", sparsity="l1", s=0.01)
    write_json(folder / "command.json", to_json(train))
    slim = SlimOptions(data=Path("hands/data.yaml"), model="yolov3-tiny", attention="se", at=("head",))
    write_json(folder / "slim-config.json", stored_slim(slim))
    stored = folder.parents[1] / "stored"
    shutil.copy(stored / "train-0.1.0/command.json", folder / "command-0.1.0.json")
    shutil.copy(stored / "slim-0.1.0/config.json", folder / "slim-config-0.1.0.json")


def _stage(name: str, model: Any, ap: float, latency_ms: float) -> StageResult:
    counted = cost(model.network)
    return StageResult(
        stage=name,
        epochs=2,
        params=counted.params,
        size_bytes=4 * counted.params,
        macs=counted.macs,
        input_size=(32, 32),
        metrics={split: SplitMetrics(ap, 0.9) for split in SPLITS},
        latency_ms={"torch": 3 * latency_ms, "onnxruntime": latency_ms},
    )


def _write_slim_run(folder: Path, dense: Any, slim: Any, plan: Any) -> None:
    stages = [_stage(*row) for row in (("dense", dense, 0.8, 4.0), ("finetuned", slim, 0.79, 2.0))]
    lead = {"test": Difference(-0.01, -0.03, 0.01)}
    control = ControlRow(
        control="uniform",
        params=900,
        macs=9000,
        input_size=(32, 32),
        metrics=stages[1].metrics,
        latency_ms=2.5,
        lead=lead,
    )
    results = SlimResults(
        stages=tuple(stages),
        int8=_stage("int8", slim, 0.78, 1.5),
        lead=lead,
        plan=json.loads(plan.to_json()),
        readiness=Readiness(0.1, 0.3, 0.05, 0.01, 0.8, 0.7),
        budget=("channels=30%",),
        seed=7,
        data="hands/data.yaml",
        artefacts={"slim.onnx": "written", "slim_int8.onnx": "refused"},
        controls=(control, ControlRow(control="plain", not_possible="no blocks")),
    )
    write_json(folder / "results.json", results.to_json())
    assert results.readiness is not None
    write_json(folder / "readiness.json", results.readiness.to_json())
    write_json(
        folder / "config.json", stored_slim(SlimOptions(data=Path("hands/data.yaml"), model="small.cfg"))
    )
    write_json(folder / "environment.json", {"processor": "Z80", "packages": {"seyolo": "0.1.0"}})
    write_text(folder / "commands.txt", "seyolo slim --data hands.yaml\n")
    seyolo.save(dense, folder / "dense" / "best.safetensors")
    _write_rows(folder / "dense")
    percentiles = {f"p{percent}": 0.01 * (1 + percent) for percent in range(0, 101, 25)}
    (folder / "sparse").mkdir()
    write_rows(folder / "sparse" / "scales.csv", [{"epoch": n, **percentiles} for n in (1, 2)])
    curves = {split: _curves() for split in SPLITS}
    write_curves(folder, {"dense": curves, "finetuned": curves})
    index = Examples(
        confidence=0.25,
        mistakes={split: MistakeCounts(9, 1, 2, 0, 1, 1, 3) for split in SPLITS},
        samples=(SamplePair("a.jpg", "test", "sample.jpg", "sample.jpg"),),
        misses=(Miss("b.jpg", "test", "sample.jpg", 2, 1, 1, 0, 1),),
    )
    write_json(folder / "pictures" / "index.json", to_json(index))
    cv2.imwrite(str(folder / "pictures" / "sample.jpg"), np.full((8, 8, 3), 90, np.uint8))


def _curves() -> Curves:
    shares = np.linspace(1, 0, 101).round(1)
    return Curves(shares, shares, shares, shares, shares)


def _write_rows(folder: Path) -> None:
    rows = [
        {"epoch": n, "box": 2 / n, "objectness": 1.0, "classes": 0.5, "val_ap": n / 10, "ap": n / 10}
        for n in (1, 2)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "results.csv", rows)


def _write_train_run(folder: Path, model: Any) -> None:
    options = TrainOptions(data=Path("hands/data.yaml"), model="small.cfg", size=32, epochs=2)
    write_json(folder / "command.json", to_json(options))
    write_json(folder / "environment.json", {"processor": "Z80", "packages": {"seyolo": "0.1.0"}})
    write_text(folder / "commands.txt", "seyolo train --data hands.yaml\n")
    seyolo.save(model, folder / "best.safetensors")
    _write_rows(folder)
    write_curves(folder, {"train": {"val": _curves()}})


def _outlined(coco: dict[str, Any]) -> dict[str, Any]:
    """Replaces boxes by outlines, and adds a crowd and a category that groups the others."""
    group = {"id": 9, "name": "limbs", "supercategory": "none"}
    runs = {"size": [24, 32], "counts": [50, 4, 20, 4, 690]}
    packed = {"size": [24, 32], "counts": "b14d00nd0"}
    outlines = ([[1, 2.5, 9, 2.5, 9, 11.5]], runs, packed)
    rows = [
        {"id": n, "image_id": n % 2, "category_id": n % 2, "segmentation": outline, "iscrowd": n // 2}
        for n, outline in enumerate(outlines)
    ]
    classes = [{**category, "supercategory": "limbs"} for category in coco["categories"]]
    return {**coco, "annotations": rows, "categories": [*classes, group]}


def _write_data(folder: Path) -> None:
    write_text(
        folder / "data.yaml",
        "# hands\npath: .\ntrain: images/train\nval: [images/val]\nnc: 2\nnames:\n  0: hand\n  1: foot\n",
    )
    write_text(folder / "obj.data", "classes = 2\ntrain = train.txt\nvalid = train.txt\nnames = obj.names\n")
    write_text(folder / "obj.names", "hand\nfoot\n")
    write_text(folder / "train.txt", "images/train/a.png\nimages/train/b.png\n")
    write_text(folder / "voc.txt", "a\n")
    write_text(folder / "label.txt", "0 0.5 0.5 0.25 0.5\n1 0.25 0.25 0.125 0.0625\n")
    corners = "0 0.125 0.25 0.375 0.25 0.375 0.75 0.125 0.75"
    write_text(
        folder / "label-outlines.txt", f"{corners}\n1 0.5 0.5 0.75 0.5 0.625 0.75\n{corners} 1 1 0.5 0.5\n"
    )
    write_text(
        folder / "annotation.xml",
        "<annotation><size><width>32</width><height>24</height><depth>3</depth></size>\n"
        "<object><name>hand</name><difficult>0</difficult>\n<bndbox><xmin>1</xmin><ymin>2</ymin>"
        "<xmax>9.5</xmax><ymax>12</ymax></bndbox></object>\n"
        "<object><name>foot</name><difficult>1</difficult>\n<bndbox><xmin>3</xmin><ymin>2</ymin>"
        "<xmax>9</xmax><ymax>22</ymax></bndbox></object></annotation>\n",
    )
    write_text(
        folder / "labelmap.txt",
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nhand:250,50,83::\nfoot:1,2,3::\n",
    )
    common = {"group_id": None, "flags": {}}
    shapes = [
        {"label": "hand", "points": [[2, 3], [12, 13]], "shape_type": "rectangle", **common},
        {"label": "foot", "points": [[2, 3], [12, 3], [12, 13]], "shape_type": "polygon", **common},
    ]
    image = {"imagePath": "a.png", "imageData": None, "imageHeight": 24, "imageWidth": 32}
    write_json(folder / "labelme.json", {"version": "5.4.1", "flags": {}, "shapes": shapes, **image})
    rows = {"images": ["a.png", "b.png"], "categories": ["hand", "foot"]}
    coco = {
        "images": [
            {"id": n, "file_name": f, "width": 32, "height": 24} for n, f in enumerate(rows["images"])
        ],
        "annotations": [
            {"id": n, "image_id": n, "category_id": n, "bbox": [1, 2.5, 8, 9], "area": 72, "iscrowd": 0}
            for n in (0, 1)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(rows["categories"])],
    }
    write_json(folder / "coco.json", coco)
    write_json(folder / "coco-outlines.json", _outlined(coco))
    hands = [[(10.0, 10.0), (30.0, 12.0), (28.0, 30.0), (9.0, 28.0)]]
    write_mat(folder / "hands.mat", hands, {"L": "L"})
    root = folder / "oxford"
    for source in ("training", "validation", "test"):
        add(root, source, "a", 0, hands)
        cv2.imwrite(
            str(root / f"{source}_dataset/{source}_data/images/a.jpg"), np.full((60, 100, 3), 90, np.uint8)
        )
    with tarfile.open(folder / "oxford.tar", "w") as archive:
        archive.add(root, "hand_dataset")
    with zipfile.ZipFile(folder / "oxford.zip", "w") as archive:
        for path in sorted(root.rglob("*.*")):
            archive.write(path, path.relative_to(root))
    convert(root, folder / "converted")
    shutil.copy(folder / "converted" / "oxford_boxes.csv", folder)
    shutil.rmtree(folder / "converted")
    shutil.rmtree(root)


def _write_pictures(folder: Path) -> None:
    folder.mkdir()
    y, x = np.mgrid[:24, :32]
    image = np.stack([x * 8, y * 10, (x + y) * 4], axis=2).astype(np.uint8)
    for ending in (".jpg", ".png", ".bmp", ".tiff", ".webp", ".avif", ".ppm", ".pgm", ".pbm"):
        shown = image if ending not in (".pgm", ".pbm") else image[:, :, 0]
        assert cv2.imwrite(str(folder / f"a{ending}"), shown)


def _write_detect(folder: Path) -> None:
    job = Job("hand", ("photos", "clip.mp4"))
    write_json(folder / "detect-config.json", {**job.to_json(), "num_shards": 1})
    box = {"class_id": 0, "name": "hand", "score": 0.75, "box": [1.5, 2.0, 9.5, 12.25]}
    rows: list[dict[str, Any]] = [
        {"picture": "a.jpg", "width": 32, "height": 24, "annotated": "a.jpg", "detections": [box]},
        {"picture": "b.jpg", "error": "b.jpg: not an image"},
    ]
    rows += [
        {"picture": "c.mp4", "frame": n, "time_s": n / 25, "width": 32, "height": 24, "annotated": None}
        | {"detections": [box]}
        for n in (0, 1)
    ]
    write_text(folder / "journal.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write_chunks(
        folder / "detections.coco.json", coco_chunks(["hand"], lambda: iter([rows[0] | {"picture": "a.png"}]))
    )


if __name__ == "__main__":
    write_seeds(SEEDS)
