"""The verbs that take a finished model: detect, val, export, benchmark."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import seyolo
from helpers.running import MODEL, Run, assert_refused
from seyolo.checkpoint import read_checkpoint
from seyolo.cli import VERBS
from seyolo.darknet.cfg import read_cfg
from seyolo.darknet.edit import set_anchors
from seyolo.exporting import onnx as exporting
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint


def test_detect_writes_images_and_json(run: Run, onnx: Path, image: Path, tmp_path: Path) -> None:
    outcome = run("detect", onnx, image.parent, "--out", "found", "--confidence", 0.001)
    assert outcome.code == 0, outcome.err
    value = json.loads((tmp_path / "found" / "detections.json").read_text())
    assert value["runtime"] == "onnxruntime"
    assert [Path(row["picture"]).name for row in value["pictures"]] == ["000000.jpg", "000001.jpg"]
    assert all(row["detections"] for row in value["pictures"])
    for row in value["pictures"]:
        annotated = cv2.imread(row["annotated"])
        assert annotated is not None
        assert annotated.shape == (row["height"], row["width"], 3)
        for found in row["detections"]:
            assert found["name"] == "class 0"
            assert 0.001 <= found["score"] <= 1
            left, top, right, bottom = found["box"]
            assert 0 <= left < right <= row["width"]
            assert 0 <= top < bottom <= row["height"]


def test_detect_agrees_across_runtimes(run: Run, checkpoint: Path, onnx: Path, image: Path) -> None:
    found = []
    for model in (checkpoint, onnx):
        value = json.loads(run("detect", model, image, "--confidence", 0.001, "--json", "-").out)
        found.append([item["score"] for item in value["pictures"][0]["detections"]])
    assert found[0]
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


def test_detect_without_out_makes_a_run_folder(run: Run, onnx: Path, image: Path, tmp_path: Path) -> None:
    assert run("detect", onnx, image).code == 0
    assert run("detect", onnx, image).code == 0
    assert (tmp_path / "runs/detect/detect/detections.json").is_file()
    assert (tmp_path / "runs/detect/detect-2" / image.name).is_file()


def test_detect_with_json_alone_draws_nothing(run: Run, onnx: Path, image: Path, tmp_path: Path) -> None:
    outcome = run("detect", onnx, image, "--json", "-")
    assert json.loads(outcome.out)["pictures"][0]["annotated"] is None
    assert not (tmp_path / "runs").exists()


def test_detect_takes_names_from_a_file(run: Run, onnx: Path, image: Path, tmp_path: Path) -> None:
    (tmp_path / "hand.names").write_text("hand\n\n")
    outcome = run("detect", onnx, image, "--names", "hand.names", "--confidence", 0.001, "--json", "-")
    assert {item["name"] for item in json.loads(outcome.out)["pictures"][0]["detections"]} == {"hand"}
    (tmp_path / "hand.names").write_text("left\nright\n")
    assert_refused(run("detect", onnx, image, "--names", "hand.names"), "1 class", "2 names")


def test_images_of_equal_names_do_not_overwrite_each_other(
    run: Run, onnx: Path, image: Path, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(image, tmp_path / folder / "same.jpg")
    assert run("detect", onnx, "a", "b", "--out", "found").code == 0
    assert (tmp_path / "found/same.jpg").is_file()
    assert (tmp_path / "found/same-2.jpg").is_file()


def test_a_truncated_image_is_named_and_the_others_are_done(
    run: Run, onnx: Path, image: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(image, tmp_path / "in/good.jpg")
    (tmp_path / "in/bad.jpg").write_bytes(image.read_bytes()[:-400])
    outcome = run("detect", onnx, "in", "--out", "found")
    assert outcome.code == 2
    assert "1 of 2 images" in outcome.err
    assert "bad.jpg" in outcome.err
    assert (tmp_path / "found/good.jpg").is_file()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["none.onnx", "."], "none.onnx"),
        (["yolov3-tiny", "."], "--weights"),
        (["model.txt", "."], "model.txt"),
    ],
)
def test_detect_refuses_a_model_that_is_none(
    run: Run, tmp_path: Path, image: Path, arguments: list[str], part: str
) -> None:
    shutil.copy(image, tmp_path)
    (tmp_path / "model.txt").write_text("no")
    assert_refused(run("detect", *arguments), part)


def test_detect_refuses_sources_without_images(run: Run, onnx: Path, tmp_path: Path) -> None:
    assert_refused(run("detect", onnx), "images are missing")
    assert_refused(run("detect", onnx, tmp_path), "no images")
    assert_refused(run("detect", onnx, "gone.jpg"), "gone.jpg")


def test_every_verb_that_runs_something_takes_a_device(run: Run) -> None:
    for verb in set(VERBS) - {"info", "report"}:
        assert "--device" in run(verb, "--help").out, verb


def test_export_compares_on_the_device(
    run: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    infer = exporting.raw_output

    def remember(model: DarknetModel, *rest: Any) -> Any:
        seen.append(next(model.parameters()).device)
        return infer(model, *rest)

    monkeypatch.setattr(exporting, "raw_output", remember)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    assert run("export", checkpoint, "a.onnx", "--device", device).code == 0
    assert {str(device) for device in seen} == {device + ":0" if device == "cuda" else device}
    for out in ("b.onnx", "b.cfg", "b.safetensors"):
        assert_refused(run("export", checkpoint, out, "--device", "tpu"), "tpu")
    assert_refused(run("export", MODEL, "b.cfg", "--device", "cuda"), "nothing runs")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_demo_hands_its_device_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slim(*_: object, device: str, **__: object) -> None:
        raise RuntimeError(device)

    monkeypatch.setattr("seyolo.commands.demo.write_dataset", lambda folder, **_: folder / "data.yaml")
    monkeypatch.setattr(seyolo, "slim", slim, raising=False)
    with pytest.raises(RuntimeError, match="cpu"):
        run("demo", "--out", "demo", "--device", "cpu")
    assert_refused(run("demo", "--out", "other", "--device", "tpu"), "tpu")
    assert not (tmp_path / "other").exists()


def test_a_gpu_that_is_not_there_is_refused(run: Run, checkpoint: Path, hands: Path, image: Path) -> None:
    assert_refused(run("detect", checkpoint, image, "--device", "tpu"), "tpu")
    assert_refused(run("val", checkpoint, "--data", hands, "--device", "tpu"), "tpu")
    assert_refused(run("train", "--data", hands, "--model", MODEL, "--device", "tpu"), "tpu")


def test_val_measures_all_but_train(run: Run, checkpoint: Path, onnx: Path, hands: Path) -> None:
    by_model = {}
    for model in (checkpoint, onnx):
        outcome = run("val", model, "--data", hands, "--json", "-")
        assert outcome.code == 0, outcome.err
        by_model[model] = json.loads(outcome.out)["metrics"]
    assert list(by_model[checkpoint]) == ["val", "test"]
    for split, metrics in by_model[checkpoint].items():
        assert metrics["ap"] == pytest.approx(by_model[onnx][split]["ap"], abs=1e-3)
        assert 0 <= metrics["ap"] <= metrics["ap50"] <= 1


def test_val_of_one_split_at_another_size(run: Run, checkpoint: Path, onnx: Path, hands: Path) -> None:
    outcome = run("val", checkpoint, "--data", hands, "--split", "test", "--size", 96)
    assert outcome.code == 0, outcome.err
    assert "test" in outcome.out
    assert_refused(run("val", onnx, "--data", hands, "--size", 96), "--size 96", "64x64")
    assert_refused(run("val", onnx, "--data", hands, "--split", "tset"), "tset", "train, val, test")


def test_val_leaves_curves_and_images(run: Run, checkpoint: Path, hands: Path, tmp_path: Path) -> None:
    assert run("val", checkpoint, "--data", hands, "--out", "judged").code == 0
    files = "confidence.png curves.json precision_recall.png test_predictions.jpg val_predictions.jpg"
    assert sorted(path.name for path in (tmp_path / "judged").iterdir()) == files.split()
    curves = json.loads((tmp_path / "judged/curves.json").read_text())["val"]
    assert {split: len(found["precision50"]) for split, found in curves.items()} == {"val": 101, "test": 101}


def test_val_by_the_oxford_protocol_needs_its_table(run: Run, onnx: Path, hands: Path) -> None:
    assert_refused(run("val", onnx, "--data", hands, "--protocol", "oxford"), "oxford_boxes.csv")


def test_export_writes_each_format(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    for name in ("a.onnx", "nms.onnx", "a.cfg", "copy.safetensors"):
        flags = ["--nms"] if name == "nms.onnx" else []
        outcome = run("export", checkpoint, name, *flags)
        assert outcome.code == 0, outcome.err
        assert (tmp_path / name).is_file()
    assert (tmp_path / "a.weights").is_file()
    back = run("export", "a.cfg", "back.safetensors")  # takes the weights beside the cfg
    assert back.code == 0, back.err
    before, after = (read_checkpoint(path).state for path in (checkpoint, tmp_path / "back.safetensors"))
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])


def test_export_of_a_zoo_name_writes_its_cfg(run: Run, tmp_path: Path) -> None:
    outcome = run("export", "yolov3-tiny@0.25", "net.cfg", "--num-classes", 3, "--size", 96)
    assert outcome.code == 0, outcome.err
    network = read_cfg(tmp_path / "net.cfg")
    assert (network.net.height, network.net.width) == (96, 96)
    assert [path.name for path in tmp_path.iterdir()] == ["net.cfg"]
    assert_refused(run("export", "net.cfg", "net.onnx"), "no trained weights")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["CHECKPOINT", "a.engine"], "a.engine"),
        (["CHECKPOINT", "a.cfg", "--nms"], "non-maximum"),
        (["CHECKPOINT", "a.safetensors", "--nms"], "non-maximum"),
        (["cbam-yolov3-tiny@0.125", "a.onnx", "--size", "50"], "32"),
    ],
)
def test_export_refuses_what_a_format_cannot_hold(
    run: Run, checkpoint: Path, tmp_path: Path, arguments: list[str], part: str
) -> None:
    line = [checkpoint if argument == "CHECKPOINT" else argument for argument in arguments]
    assert_refused(run("export", *line), part)
    assert not list(tmp_path.iterdir())


def test_cbam_to_darknet_names_onnx(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    outcome = run("export", checkpoint, "a.cfg", "--attention", "cbam")
    assert_refused(outcome, "CBAM", "ONNX")
    assert not list(tmp_path.iterdir())


def test_benchmark_compares_models_in_one_run(run: Run, checkpoint: Path, onnx: Path, hands: Path) -> None:
    outcome = run(
        "benchmark", checkpoint, onnx, onnx, MODEL, "--repeats", 2, "--num-classes", 1, "--json", "-"
    )
    assert outcome.code == 0, outcome.err
    models = json.loads(outcome.out)["models"]
    assert [model["runtime"] for model in models] == ["torch", "onnxruntime", "onnxruntime", "torch"]
    assert len({model["name"] for model in models}) == 4
    assert all(0 < model["p50_ms"] <= model["p95_ms"] <= model["total_p95_ms"] for model in models)
    with_ap = run("benchmark", onnx, "--repeats", 1, "--data", hands, "--json", "-")
    metrics = json.loads(with_ap.out)["models"][0]["metrics"]
    assert set(metrics) == {"val", "test"}


def test_benchmark_needs_a_model(run: Run) -> None:
    assert_refused(run("benchmark"), "a model is missing")


def test_annotated_images_never_replace_photos(run: Run, onnx: Path, image: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photos" / "a.jpg"
    photo.parent.mkdir()
    shutil.copy(image, photo)
    before = photo.read_bytes()
    assert_refused(run("detect", onnx, photo, "--out", "photos"), "would overwrite photos/a.jpg")
    assert photo.read_bytes() == before
    assert list(photo.parent.iterdir()) == [photo]


def test_a_checkpoint_given_as_weights_brings_its_anchors_and_names(
    run: Run, checkpoint: Path, hands: Path, tmp_path: Path
) -> None:
    model = seyolo.load(checkpoint, names=["hand"])
    model = from_checkpoint(
        replace(to_checkpoint(model), network=set_anchors(model.network, [(4.0, 5.0)] * 6))
    )
    seyolo.save(model, tmp_path / "own.safetensors")
    loaded = seyolo.load(MODEL, tmp_path / "own.safetensors", num_classes=1)
    assert loaded.names == ("hand",)
    assert loaded.network.layers == model.network.layers
    line = ["--data", hands, "--split", "test", "--json", "-"]
    outcomes = [
        run("val", MODEL, "--weights", "own.safetensors", "--num-classes", 1, *line),
        run("val", "own.safetensors", *line),
    ]
    metrics = [json.loads(outcome.out)["metrics"] for outcome in outcomes]
    assert metrics[0] == metrics[1]


def test_half_random_models_are_refused(run: Run, checkpoint: Path, hands: Path, tmp_path: Path) -> None:
    data = ["--data", hands]
    assert_refused(run("val", checkpoint, "--num-classes", 3, *data), "no trained weights", "train it first")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        other = run("export", "yolov3@0.125", "--weights", checkpoint, "x.onnx")
    assert_refused(other, "tensors fit", "no trained weights")
    assert not (tmp_path / "x.onnx").exists()


def test_data_of_other_classes_are_refused(run: Run, checkpoint: Path, hands: Path, tmp_path: Path) -> None:
    yaml = f"path: {hands.parent}\ntest: images/test\nnames: [left, right]\n"
    (tmp_path / "two.yaml").write_text(yaml)
    assert_refused(run("val", checkpoint, "--data", "two.yaml"), "2 classes (left, right)", "the model 1")


def test_options_a_file_cannot_follow(run: Run, onnx: Path, checkpoint: Path, image: Path) -> None:
    assert_refused(run("detect", onnx, image, "--attention", "se"), "run as it is")
    assert_refused(run("export", checkpoint, "x.cfg", "--dynamic-batch"), "no dynamic batch")
    assert_refused(run("info", MODEL, "--reduction", 4), "--attention")
    assert_refused(run("prune", checkpoint, checkpoint, "--budget", "macs=80%"), "is the model to be pruned")


def test_several_values_stand_behind_one_flag(run: Run) -> None:
    outcome = run("info", "yolov3@0.125", "--attention", "se", "--at", "neck", "head", "--json", "-")
    assert outcome.code == 0, outcome.err
    assert sum(row["kind"] == "scale_channels" for row in json.loads(outcome.out)["layers"]) == 5
