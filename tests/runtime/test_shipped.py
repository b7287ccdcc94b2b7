"""Detectors that come with the package: their names, files, cards, and that a wheel carries them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import seyolo
from seyolo.boxes import cxcywh_to_xyxy, iou_matrix
from seyolo.darknet.zoo import is_zoo_name
from seyolo.data.datasets import load_dataset
from seyolo.data.synthetic.dataset import write_dataset
from seyolo.errors import BackendError, ModelError, UsageError
from seyolo.opening.description import describe
from seyolo.opening.detector import open_detector, split_model
from seyolo.runtime.choice import open_backend
from seyolo.runtime.onnx_reader import read_onnx_file
from seyolo.runtime.shipped import (
    FOLDER,
    card_path,
    checkpoint_path,
    is_shipped,
    model_path,
    shipped_names,
    with_version,
)

ROOT = Path(__file__).parents[2]
MOST_BYTES, MOST_WHEEL_BYTES = 3_000_000, 4_000_000


def figures_of(name: str) -> dict[str, Any]:
    value = json.loads(model_path(name).with_suffix(".json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def test_hand_ships_and_no_network_of_the_zoo_has_a_shipped_name() -> None:
    assert set(shipped_names()) >= {"hand", "hand-1"}
    assert model_path("hand-1").name == "hand-1.onnx"
    assert not any(map(is_zoo_name, shipped_names()))


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_file_is_small_whole_and_the_one_that_was_measured(name: str) -> None:
    data = model_path(name).read_bytes()
    told = figures_of(name)["file"]
    assert len(data) == told["size_bytes"]
    assert hashlib.sha256(data).hexdigest() == told["sha256"]
    files = [path for path in FOLDER.iterdir() if path.stem == model_path(name).stem]
    checkpoint = [] if checkpoint_path(name) is None else [".safetensors"]
    assert sorted(path.suffix for path in files) == [".json", ".md", ".onnx", *checkpoint]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_file_says_where_it_comes_from(name: str) -> None:
    metadata = read_onnx_file(model_path(name)).metadata
    assert metadata["model_license"].startswith("MIT")
    for part in ("SubhiH/HandsDataset (Apache-2.0)", "Lebanese University", "Roboflow", "CC BY 4.0"):
        assert part in metadata["training_data"]
    figures = figures_of(name)
    assert json.loads(metadata["ap"]) == figures["accuracy"][figures["file"]["precision"]]
    assert metadata["card"] == "hand.md"
    assert card_path(name).is_file()


def test_the_first_card_says_what_was_measured() -> None:
    figures, text = figures_of("hand-1"), card_path("hand-1").read_text(encoding="utf-8")
    for split, found in figures["accuracy"][figures["file"]["precision"]].items():
        counts = figures["data"][split]
        amount = f"{counts['pictures']:,} | {counts['hands']:,}"
        assert f"| {split} | {amount} | {found['ap']:.3f} | {found['ap50']:.3f} |" in text
    assert figures["file"]["sha256"] in text
    assert "version 1, the first" in text


@pytest.mark.parametrize("name", shipped_names())
def test_the_card_has_what_cards_have(name: str) -> None:
    text = card_path(name).read_text(encoding="utf-8")
    headings = {line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")}
    assert headings >= {
        "Model details", "Intended use", "Training data", "Evaluation data", "Metrics and results",
        "Ethical considerations", "How to reproduce it",
    }  # fmt: skip
    for part in ("Apache-2.0", "CC BY 4.0", "Lebanese University", "SubhiH/HandsDataset", "MIT", "few"):
        assert part in text


@pytest.mark.parametrize("name", shipped_names())
def test_the_shipped_file_was_chosen_by_the_numbers(name: str) -> None:
    """On every val split within .002 AP of float32, and the smallest that is."""
    figures = figures_of(name)
    accuracy, sizes = figures["accuracy"], figures["size_bytes"]
    splits = [split for split in accuracy["float32"] if "val" in split]
    near = [
        name
        for name in ("float32", "float16", "int8")
        if all(accuracy[name][s]["ap"] > accuracy["float32"][s]["ap"] - 0.002 for s in splits)
    ]
    assert min(near, key=lambda name: sizes[name]) == figures["file"]["precision"]


def test_hand_finds_drawn_hands(tmp_path: Path) -> None:
    """It has seen photographs only, so some are enough; a network of other weights finds none."""
    data = write_dataset(tmp_path / "drawn", num_train=1, num_val=1, num_test=24, seed=0)
    detector = seyolo.Detector("hand")
    assert detector.names == ("hand",)
    hits = 0
    for sample in load_dataset(data).split("test"):
        found = detector.detect(sample.image)
        truth = cxcywh_to_xyxy(sample.boxes_cxcywh * np.float32(320))
        hits += int((iou_matrix(found.boxes, truth).max(axis=0, initial=0) > 0.5).sum())
    assert hits >= 3


def test_the_raw_output_is_finite_and_of_the_shape_the_card_says() -> None:
    session = onnxruntime.InferenceSession(str(model_path("hand")), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).random((1, 3, 320, 320), np.float32)
    (raw,) = session.run(["raw"], {"images": images})
    assert raw.shape == (1, 3 * (10**2 + 20**2 + 40**2), 6)
    assert np.isfinite(raw).all()
    assert (raw[..., 2:] >= 0).all()
    assert (raw[..., 4:] <= 1).all()


def test_kernels_are_16_bits_wide_and_arithmetic_is_not() -> None:
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(str(model_path("hand"))).graph
    kinds = {tensor.data_type for tensor in graph.initializer if tensor.name.endswith(".weight.half")}
    assert kinds == {onnx.TensorProto.FLOAT16}
    assert {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)} == {
        onnx.TensorProto.FLOAT
    }


def test_a_name_stands_where_a_file_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_backend("hand").input_size == (320, 320)
    assert open_detector("hand", threads=1).name == "onnxruntime"
    assert split_model("hand@openvino:bf16") == ("hand", "openvino", "bf16")
    assert repr(seyolo.Detector("hand")) == "<Detector: hand on onnxruntime, 320x320 px, finds hand>"
    pytest.importorskip("openvino")
    image = (np.random.default_rng(0).random((240, 320, 3)) * 255).astype(np.uint8)
    one, other = (
        seyolo.Detector("hand", runtime=name, confidence=0.01) for name in ("onnxruntime", "openvino")
    )
    np.testing.assert_allclose(one.detect(image).scores, other.detect(image).scores, atol=1e-3)


@pytest.mark.parametrize(("kind", "make"), [("file", Path.touch), ("folder", Path.mkdir)])
def test_a_file_or_folder_of_that_name_is_neither_taken_nor_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, make: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("hand"))
    with pytest.warns(match=f"not the {kind} of that name here; .* as in hand.onnx") as seen:
        assert open_detector("hand", threads=1).names == ("hand",)
    assert len(seen) == 1
    for other in ("./hand", tmp_path / "hand"):
        assert not is_shipped(other)
        with pytest.raises(BackendError, match="no runtime reads 'a name without ending'"):
            open_backend(other)


def test_a_file_with_an_ending_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BackendError, match=r"hand\.onnx: there is no such model file"):
        open_backend("hand.onnx")


@pytest.mark.parametrize("name", [name for name in shipped_names() if checkpoint_path(name) is None])
def test_without_a_checkpoint_it_is_no_start_of_training(name: str) -> None:
    message = rf"{name}(-1)?: comes with seyolo as a finished \.onnx file.*zoo name"
    for refused in (lambda: describe(name), lambda: seyolo.load(name), lambda: seyolo.train("x", name)):
        with pytest.raises(UsageError, match=message):
            refused()


def test_a_near_name_is_named_whatever_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError, match="no model 'hands'; did you mean hand"):
        open_detector("hands")
    with pytest.raises(ModelError, match="there is no network 'zzz'"):
        open_detector("zzz")


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (["x"], {"x": "x", "x-1": "x"}),
        (["x-1"], {"x": "x-1", "x-1": "x-1"}),
        (["x-1", "x"], {"x": "x", "x-1": "x-1", "x-2": "x"}),
        (
            ["x-9", "x-10", "x", "a-b"],
            {"x": "x", "x-9": "x-9", "x-10": "x-10", "x-11": "x", "a-b": "a-b", "a-b-1": "a-b"},
        ),
    ],
)
def test_a_name_is_the_newest_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], named: dict[str, str]
) -> None:
    monkeypatch.setattr("seyolo.runtime.shipped.FOLDER", tmp_path)
    for stem in files:
        (tmp_path / f"{stem}.onnx").touch()
        (tmp_path / f"{stem}.safetensors").touch()
    assert shipped_names() == tuple(sorted(named))
    for name, stem in named.items():
        assert model_path(name) == tmp_path / f"{stem}.onnx"
        assert card_path(name) == tmp_path / f"{stem}.md"
        assert checkpoint_path(name) == tmp_path / f"{stem}.safetensors"
        assert named[with_version(name)] == stem
        assert with_version(name)[-1].isdecimal()
    assert with_version("y") == "y"
    assert not is_shipped("x-0")


def test_another_model_is_added_by_adding_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "shipped"
    shutil.copytree(FOLDER, folder)
    shutil.copy(model_path("hand"), folder / "face.onnx")
    monkeypatch.setattr("seyolo.runtime.shipped.FOLDER", folder)
    assert set(shipped_names()) >= {"face", "face-1", "hand"}
    assert seyolo.Detector("face").names == ("hand",)


def test_evaluate_takes_the_name(tiny_hands: Path) -> None:
    metrics = seyolo.evaluate("hand", tiny_hands, "test")["test"]
    assert metrics.num_images == 4


@pytest.mark.parametrize("name", sorted({model_path(name).stem for name in shipped_names()}))
def test_ap_on_val_is_what_the_card_says(shared_data: Path, name: str) -> None:
    measured = seyolo.evaluate(name, shared_data / "hands/data.yaml", "val")["val"]
    figures = figures_of(name)
    accuracy = figures["accuracy"][figures["file"]["precision"]]
    told = accuracy["val" if "val" in accuracy else "hands val"]
    assert measured.ap == pytest.approx(told["ap"], abs=0.002)
    assert measured.ap50 == pytest.approx(told["ap50"], abs=0.002)


def test_a_wheel_carries_what_ships_and_stays_small(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="builds a wheel as pip does")
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    script = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    line = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(line, cwd=tree, capture_output=True, text=True, timeout=300, check=True)
    wheel = tree / done.stdout.splitlines()[-1]
    names = zipfile.ZipFile(wheel).namelist()
    for path in FOLDER.iterdir():
        assert f"seyolo/shipped/{path.name}" in names
    assert wheel.stat().st_size < MOST_WHEEL_BYTES
