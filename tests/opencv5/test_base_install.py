"""The base install, by itself: no PyTorch, nothing of any extra; on OpenCV 5, as pip gives it now.

`make test-newest` runs this in an environment of its own, after `write_models.py`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import seyolo
from seyolo.installing import pip_install

EXTRAS = ("torch", "scipy", "matplotlib", "onnxscript", "openvino", "faster_coco_eval", "jinja2")
FOLDER = Path(os.environ.get("SEYOLO_OPENCV5_MODELS", "build/opencv5"))
NAME = "se-yolov3@0.25"

pytestmark = [
    pytest.mark.skipif(
        any(map(importlib.util.find_spec, EXTRAS)), reason="needs a base install: make test-newest"
    ),
    pytest.mark.skipif(not (FOLDER / f"{NAME}.onnx").is_file(), reason=f"needs the files in {FOLDER}"),
]


def seyolo_line(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "seyolo", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The file under a name of its own, so that what is said about it can be told apart."""
    path = tmp_path / "model.onnx"
    path.symlink_to((FOLDER / f"{NAME}.onnx").resolve())
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set of two images, and of as many classes as the network has."""
    folder = tmp_path / "data" / "images" / "test"
    folder.mkdir(parents=True)
    for number, planes in enumerate(np.load(FOLDER / "pictures.npy")[:2]):
        image = (planes.transpose(1, 2, 0)[..., ::-1] * 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    yaml = tmp_path / "data" / "data.yaml"
    yaml.write_text("path: .\ntest: images/test\nnames: [left, right]\n")
    return yaml


def least_score() -> float:
    """A confidence that the best of each image's boxes reach; the weights are random."""
    raw = np.load(FOLDER / f"{NAME}.npy")
    return float((raw[..., 5:] * raw[..., 4:5]).max(axis=(1, 2)).min() / 2)


def test_detect_annotates(model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ("detect", model, data.parent / "images/test", "--out", out, "--confidence", least_score())
    done = seyolo_line(*line)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "out/detections.json").read_text())["pictures"]
    assert all(row["detections"] for row in rows)
    assert cv2.imread(rows[0]["annotated"]) is not None


def test_the_detector_that_ships_needs_nothing_else(data: Path, tmp_path: Path) -> None:
    done = seyolo_line("detect", "hand", data.parent / "images/test", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out/detections.json").read_text())["model"] == "hand"
    told = seyolo_line("info", "hand").stdout
    assert "licence: MIT" in told
    assert "CC BY 4.0" in told


def test_a_darknet_network_runs_as_its_exported_file(data: Path, tmp_path: Path) -> None:
    """The cfg is of the network's own size, the files are for 320 px."""
    cfg = tmp_path / "net.cfg"
    text = (FOLDER / f"{NAME}.cfg").read_text().replace("width=416", "width=320")
    cfg.write_text(text.replace("height=416", "height=320"))
    cfg.with_suffix(".weights").symlink_to((FOLDER / f"{NAME}.weights").resolve())
    files = cfg, FOLDER / f"{NAME}.onnx"
    detectors = [seyolo.Detector(file, confidence=least_score()) for file in files]
    assert [detector.backend.name for detector in detectors] == ["onnxruntime", "onnxruntime"]
    for path in sorted((data.parent / "images/test").iterdir()):
        ours, theirs = (detector.detect(path) for detector in detectors)
        assert len(ours) == len(theirs) > 0
        np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-5)
        np.testing.assert_allclose(ours.boxes, theirs.boxes, rtol=1e-5, atol=1e-2)
    done = seyolo_line("benchmark", cfg, "--repeats", 1, "--json", "-")
    assert json.loads(done.stdout)["models"][0]["runtime"] == "onnxruntime"


@pytest.mark.skipif(hasattr(cv2.dnn, "readNetFromDarknet"), reason="needs OpenCV 5")
def test_opencv_5_says_what_to_do_with_a_cfg(data: Path, tmp_path: Path) -> None:
    model, images = f"{FOLDER / NAME}.cfg@opencv", data.parent / "images/test"
    done = seyolo_line("detect", model, images, "--out", tmp_path / "out")
    assert done.returncode == 2
    text = " ".join(done.stderr.split())
    assert "no longer reads Darknet files" in text
    assert "without @opencv, or export it: seyolo export MODEL OUT.onnx" in text


def test_batches_run_at_once(data: Path) -> None:
    detector = seyolo.Detector(FOLDER / f"{NAME}.dynamic.onnx", confidence=least_score())
    assert detector.backend.name == "onnxruntime"
    one_by_one, at_once = (
        list(detector.detect_many(data.parent / "images/test", batch_size=size)) for size in (1, 2)
    )
    assert all(map(len, one_by_one))
    for one, other in zip(one_by_one, at_once, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


def test_benchmark_measures_and_says_what_ap_needs(model: Path, data: Path, tmp_path: Path) -> None:
    line = ("benchmark", model, "--repeats", 2, "--data", data, "--json", tmp_path / "a.json")
    done = seyolo_line(*line)
    assert done.returncode == 0, done.stderr
    assert "AP is left out: it needs faster-coco-eval" in done.stderr
    assert "pip install faster-coco-eval" in done.stderr
    (row,) = json.loads((tmp_path / "a.json").read_text())["models"]
    assert row["total_p50_ms"] > row["p50_ms"] > 0
    assert row["metrics"] == {}


@pytest.mark.parametrize(
    ("arguments", "install"),
    [
        (("benchmark", "MODEL@openvino"), pip_install("seyolo[openvino]")),
        (("benchmark", "yolov3-tiny"), pip_install("seyolo[train]")),
        (("benchmark", "MODEL", "--data", "DATA", "--chart", "a.png"), "pip install matplotlib"),
        (("val", "MODEL", "--data", "DATA"), "pip install faster-coco-eval"),
    ],
)
def test_what_is_missing_is_named(model: Path, data: Path, arguments: tuple[str, ...], install: str) -> None:
    line = [each.replace("MODEL", str(model)).replace("DATA", str(data)) for each in arguments]
    done = seyolo_line(*line)
    assert done.returncode == 2, done.stderr
    assert install in done.stderr
    assert "Traceback" not in done.stderr


def test_data_verbs_but_oxford_need_no_extra(tmp_path: Path) -> None:
    folder = tmp_path / "hands"
    drawn = seyolo_line("data", "synth", folder, "--train", 4, "--val", 2, "--test", 2, "--size", 64)
    assert drawn.returncode == 0, drawn.stderr
    for verb in ("check", "anchors"):
        done = seyolo_line("data", verb, folder / "data.yaml", *(["--num", 2] if verb == "anchors" else []))
        assert done.returncode == 0, done.stderr
    done = seyolo_line("data", "oxford", folder, tmp_path / "out")
    assert done.returncode == 2
    command = pip_install("seyolo[train]")
    assert f"needs scipy, which is not installed; get it with: {command}" in done.stderr
