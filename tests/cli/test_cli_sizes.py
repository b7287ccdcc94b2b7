"""`--size` on the command line: a square or WIDTHxHEIGHT, in every verb that has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import seyolo
from helpers.running import MODEL, Run, assert_refused


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A checkpoint for images of 96x64 pixels."""
    path = tmp_path / "wide.safetensors"
    seyolo.save(seyolo.api.resized(seyolo.load(MODEL, names=["hand"]), (64, 96)), path)
    return path


def json_of(run: Run, *words: object) -> Any:
    outcome = run(*words, "--json", "-")
    assert outcome.code == 0, outcome
    return json.loads(outcome.out)


def test_every_verb_takes_width_and_height(run: Run, wide: Path, hands: Path, tmp_path: Path) -> None:
    assert json_of(run, "info", wide)["input_size"] == [64, 96]
    assert json_of(run, "info", wide, "--size", "128x64")["input_size"] == [64, 128]
    assert json_of(run, "info", wide, "--size", 64)["input_size"] == [64, 64]
    onnx = tmp_path / "wide.onnx"
    assert run("export", wide, onnx, "--size", "128X64").code == 0
    assert json_of(run, "info", onnx)["input_size"] == [64, 128]
    assert run("export", MODEL, tmp_path / "x.cfg", "--size", "64×128").code == 0
    assert "width=64\nheight=128\n" in (tmp_path / "x.cfg").read_text()
    plan = json_of(run, "prune", wide, tmp_path / "p.safetensors", "--budget", "macs=80%", "--size", "128x96")
    assert plan["input_size"] == [96, 128]
    assert json_of(run, "val", wide, "--data", hands, "--split", "val", "--size", "64x96")["metrics"]
    assert json_of(run, "data", "anchors", hands, "--size", "96x64", "--num", 2)["size"] == [64, 96]
    assert json_of(run, "benchmark", wide, "--repeats", 1)["models"][0]["input_size"] == [64, 96]


def test_a_file_for_one_size_refuses_another(run: Run, wide: Path, hands: Path, tmp_path: Path) -> None:
    onnx = tmp_path / "wide.onnx"
    assert run("export", wide, onnx).code == 0
    refusal = run("val", onnx, "--data", hands, "--size", "64x96")
    assert_refused(refusal, "--size 64x96: this file is made for 96x64 pixels; leave --size out")
    assert_refused(run("info", onnx, "--size", 96), "--size 96", "made for 96x64 pixels")


@pytest.mark.parametrize("size", ["0", "96x", "big", "96x64x3", "-32", "32.5"])
def test_what_is_no_size_is_refused_by_its_flag(run: Run, wide: Path, size: str) -> None:
    assert_refused(run("info", wide, f"--size={size}"), f"--size {size}: ")


@pytest.mark.filterwarnings("default")
def test_an_unknown_key_of_a_cfg_is_told_once(run: Run, hands: Path, tmp_path: Path) -> None:
    cfg = tmp_path / "x.cfg"
    assert run("export", MODEL, cfg, "--size", "96x64", "--num-classes", 1).code == 0
    cfg.write_text(cfg.read_text().replace("channels=3", "channels=3\nmosiac=1"))
    outcome = run("train", "--data", hands, "--model", cfg, "--epochs", 1, "--batch", 4)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("[net] has no key 'mosiac'; did you mean 'mosaic'?") == 1
    assert f"input size 96x64, as in {cfg}; --size sets another" in outcome.err


def test_a_side_beside_the_stride_is_refused(run: Run, hands: Path) -> None:
    refusal = run("train", "--data", hands, "--model", MODEL, "--size", "64x90", "--epochs", 1)
    assert_refused(refusal, "an image height of 90 is no multiple of 32", "take 64 or 96")
