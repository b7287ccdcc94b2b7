"""Verbs on a cfg with weights: they find what its exported file finds, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seyolo
from helpers.one_section import CONV, convolution, section, write_network
from helpers.running import Run
from helpers.spot_detector import spot_detector, write_spots

HARD = convolution(dilation=2, activation=None) + CONV + section("shortcut", from_="-2,-3")
WITHOUT_TORCH = (
    "import sys; sys.modules['torch'] = None\nfrom seyolo.cli import main\nsys.exit(main(sys.argv[1:]))"
)


@pytest.fixture
def cfg(tmp_path: Path) -> Path:
    """A network that finds spots."""
    seyolo.save(spot_detector(), tmp_path / "spot.cfg")
    return tmp_path / "spot.cfg"


def without_torch(folder: Path, *arguments: object) -> Any:
    """What `seyolo ARGUMENTS --json -` prints in a process without PyTorch."""
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments), "--json", "-"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_verbs_give_what_the_exported_file_gives(cfg: Path, tmp_path: Path, run: Run) -> None:
    data = write_spots(tmp_path / "data", val=4, test=4)
    seyolo.export(seyolo.load(cfg, cfg.with_suffix(".weights")), tmp_path / "spot.onnx")
    metrics = without_torch(tmp_path, "val", "spot.cfg", "--data", data)["metrics"]
    assert metrics == json.loads(run("val", "spot.onnx", "--data", data, "--json", "-").out)["metrics"]
    assert metrics["test"]["ap50"] > 0.9
    images = data.parent / "images/test"
    ours = without_torch(tmp_path, "detect", "spot.cfg", images, "--out", "a")["pictures"]
    theirs = json.loads(run("detect", "spot.onnx", images, "--out", "b", "--json", "-").out)["pictures"]
    assert all(row["detections"] for row in ours)
    for one, other in zip(ours, theirs, strict=True):
        for mine, expected in zip(one["detections"], other["detections"], strict=True):
            np.testing.assert_allclose(mine["box"], expected["box"], rtol=1e-5, atol=1e-3)
            np.testing.assert_allclose(mine["score"], expected["score"], rtol=1e-5)
    (row,) = without_torch(tmp_path, "benchmark", "spot.cfg", "--repeats", 1)["models"]
    assert row["runtime"] == "onnxruntime"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "slim.onnx", "x.mnn"), "slim.onnx: is a finished file, which cannot be trained"),
        (
            ("prune", "slim.tflite", "x.safetensors", "--budget", "macs=50%"),
            "slim.tflite: is a finished file",
        ),
        (("train", "--data", "d", "--model", "slim.mnn"), "slim.mnn: is a finished file"),
        (("train", "--data", "d", "--weights", "slim.onnx"), "slim.onnx: is a finished file"),
        (("slim", "--data", "d", "--model", "slim.xml"), "slim.xml: is a finished file"),
        (("study", "--data", "d", "--model", "slim.onnx"), "slim.onnx: is a finished file"),
        (("export", "best.pt", "x.mnn"), "best.pt: holds Python code of PyTorch"),
    ],
)
def test_a_file_that_is_no_network_is_refused_before_pytorch_is_asked_for(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {said}")


def test_val_at_another_size_needs_pytorch(cfg: Path, tmp_path: Path, run: Run) -> None:
    data = write_spots(tmp_path / "data", test=2)
    assert run("val", cfg, "--data", data, "--size", 96).code == 0
    assert run("val", cfg, "--data", data, "--size", 64).code == 0


def test_what_opencv_has_no_form_for_is_refused_by_every_verb(tmp_path: Path, run: Run) -> None:
    write_network(tmp_path, HARD)
    data = write_spots(tmp_path / "data", test=2)
    image = data.parent / "images/test/0.png"
    for arguments in (
        ("detect", "net.cfg@opencv", image, "--out", "out"),
        ("val", "net.cfg@opencv", "--data", data),
        ("benchmark", "net.cfg@opencv", "--repeats", 1),
    ):
        outcome = run(*arguments)
        assert outcome.code == 2
        assert "net.cfg:" in outcome.err
        assert "dilation=2" in outcome.err
        assert "seyolo export MODEL OUT.onnx" in outcome.err.replace("\n", " ")
    assert run("detect", "net.cfg", image, "--out", "found").code == 0
