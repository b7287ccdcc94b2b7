"""A program of a user that takes every public name; `test_typing.py` has mypy read it, nobody runs it."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import numpy as np
import torch

import seyolo
from seyolo.detections import Detection
from seyolo.evaluation.ap import Metrics
from seyolo.report.outcomes import Evaluation, SlimOutcome
from seyolo.torchnet.build import DarknetModel
from seyolo.training.loop import TrainResult
from seyolo.verbs.benchmark import Compared, Comparison

assert_type(seyolo.__version__, str)


def slim_by_hand(cfg: Path) -> seyolo.Plan:
    model = seyolo.load(cfg, num_classes=1)
    assert_type(model, DarknetModel)
    assert_type(model(torch.zeros(1, 3, 64, 64)), torch.Tensor)
    gated = seyolo.attach(model, "se", at=["residual", "head"])
    assert_type(gated, DarknetModel)
    slim, plan = seyolo.prune(gated, budget="macs=30%")
    assert_type(slim, DarknetModel)
    assert_type(plan, seyolo.Plan)
    assert_type(plan.macs, int)
    seyolo.save(slim, "slim.safetensors")
    assert_type(seyolo.export(slim, "slim.onnx", nms=True), tuple[Path, ...])
    return plan


def train_and_measure(data: Path) -> None:
    trained = seyolo.train(data, "yolov3@0.25", epochs=2, size=320)
    assert_type(trained, TrainResult)
    assert_type(seyolo.evaluate(trained.model, data), Evaluation)
    assert_type(seyolo.evaluate(trained.model, data)["val"], Metrics)
    assert_type(seyolo.slim(data, "yolov3@0.25", attention="cbam", cut=seyolo.api.PlanOptions()), SlimOutcome)
    assert_type(seyolo.benchmark(["a.onnx", "b.onnx"], data), Comparison)
    assert_type(seyolo.benchmark("a.onnx")[0], Compared)
    assert_type(seyolo.api.resume_slim("runs/slim/slim"), SlimOutcome)


def detect(photo: str) -> seyolo.Detections:
    try:
        found = seyolo.Detector("slim.onnx", confidence=0.5).detect(photo)
    except seyolo.SeyoloError as error:
        raise SystemExit(str(error)) from None
    assert_type(found, seyolo.Detections)
    assert_type(found[0], Detection)
    assert_type(found[:3], seyolo.Detections)
    assert_type(found[found.scores > 0.5], seyolo.Detections)
    for name, class_id, score, (left, _, _, _) in found:
        assert_type((name, class_id, score, left), tuple[str, int, float, float])
    image: np.ndarray = found.draw(photo)
    print(image.shape)
    several = seyolo.Detector("slim.onnx")([photo, image], order="rgb")
    assert_type(several, list[seyolo.Detections])
    assert_type(several[0].save("found.jpg"), Path)
    return found.filter(0.5, classes=["hand", 3])


def track(frames: list[np.ndarray]) -> list[seyolo.Detections]:
    tracker = seyolo.Tracker(confidence=0.5, fps=25)
    detector = seyolo.Detector("slim.onnx", confidence=tracker.weak_confidence)
    return [tracker.update(detector.detect(frame), time_s=1.5) for frame in frames]


# What is wrong must be told: mypy reports each of these `ignore`s that it did not need.
print(seyolo.trian)  # type: ignore[attr-defined]
seyolo.load(3)  # type: ignore[arg-type]
seyolo.attach(seyolo.load("yolov3"), "gate")  # type: ignore[arg-type]
seyolo.prune(seyolo.load("yolov3"), macs=0.3)  # type: ignore[call-arg]
seyolo.train("data.yaml", epochs="2")  # type: ignore[arg-type]
seyolo.slim("data.yaml", budgets="macs=30%")  # type: ignore[call-arg]
seyolo.evaluate("slim.onnx")  # type: ignore[call-arg]
seyolo.benchmark(models=1)  # type: ignore[arg-type]
seyolo.export(seyolo.load("yolov3"), "x.onnx", nms="yes")  # type: ignore[arg-type]
seyolo.save("yolov3", "x.cfg")  # type: ignore[arg-type]
seyolo.Detector("slim.onnx", runtime="vino")  # type: ignore[arg-type]
