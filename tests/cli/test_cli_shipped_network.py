"""A shipped detector with a checkpoint as MODEL and as weights: trained, slimmed, pruned, exported, shown."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

import seyolo
from helpers.running import MODEL, Run, assert_refused
from seyolo.checkpoint import read_checkpoint, write_checkpoint
from seyolo.errors import UsageError
from seyolo.runtime.shipped import FOLDER, checkpoint_path, is_checkpoint, model_file


@pytest.fixture
def face(tmp_path: Path, checkpoint: Path, onnx: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The 16-bit checkpoint of another shipped detector, `face`, beside the detectors of the package."""
    folder = tmp_path / "package" / "shipped"
    shutil.copytree(FOLDER, folder)
    shutil.copy(onnx, folder / "face.onnx")
    write_checkpoint(folder / "face.safetensors", read_checkpoint(checkpoint), half=True)
    monkeypatch.setattr("seyolo.runtime.shipped.FOLDER", folder)
    return folder / "face.safetensors"


def test_what_is_a_checkpoint(face: Path, checkpoint: Path) -> None:
    assert (checkpoint_path("face"), checkpoint_path("face.onnx")) == (face, None)
    assert [is_checkpoint(model) for model in ("face", checkpoint, "x.cfg", None)] == [
        True,
        True,
        False,
        False,
    ]
    face.unlink()
    assert not is_checkpoint("face")
    for model, weights in (("face", None), (MODEL, "face")):
        with pytest.raises(UsageError, match=r"face: comes with seyolo as a finished \.onnx file"):
            seyolo.load(model, weights)


def test_load_and_open_model(face: Path, checkpoint: Path) -> None:
    whole = read_checkpoint(checkpoint).state
    for model in (seyolo.load("face"), seyolo.api.open_model("face"), seyolo.load(MODEL, "face", 1)):
        found = model.state_dict()
        for name, array in whole.items():
            rounded = array.astype(np.float16) if array.ndim > 1 else array
            np.testing.assert_array_equal(found[name].numpy(), rounded.astype(np.float32))
        assert model.network.net.width == 64


@pytest.mark.parametrize("option", ["--weights", "--model"])
def test_train(run: Run, face: Path, hands: Path, option: str) -> None:
    outcome = run("train", option, "face", "--data", hands, "--epochs", 1, "--threads", 1, "--name", "x")
    assert outcome.code == 0, outcome.err
    assert "weights from face-1" in outcome.err
    assert "input size 64, as in face-1" in outcome.err
    trained = read_checkpoint("runs/train/x/best.safetensors")
    assert trained.network == read_checkpoint(face).network


def test_slim_starts_where_the_weights_end(run: Run, face: Path, hands: Path) -> None:
    stages = ("--sparse-epochs", 1, "--finetune-epochs", 1, "--budget", "macs=80%", "--threads", 1)
    outcome = run("slim", "--weights", "face", "--data", hands, *stages, "--name", "x")
    assert outcome.code == 0, outcome.err
    assert "weights from face-1" in outcome.err
    assert json.loads(Path("runs/slim/x/config.json").read_text(encoding="utf-8"))["epochs"] == 0


def test_prune(run: Run, face: Path) -> None:
    outcome = run("prune", "face", "out.safetensors", "--budget", "macs=80%")
    assert outcome.code == 0, outcome.err
    assert seyolo.api.cost(read_checkpoint("out.safetensors").network).macs < 0.81 * _macs(face)
    assert_refused(run("prune", MODEL, "o.cfg", "--weights", "hands", "--budget", "macs=60%"), "hands")


def _macs(path: Path) -> int:
    return seyolo.api.cost(read_checkpoint(path).network).macs


def test_export(run: Run, face: Path) -> None:
    outcome = run("export", "face", "face.cfg", "copy.onnx")
    assert outcome.code == 0, outcome.err
    assert Path("face.weights").is_file()
    assert run("detect", "copy.onnx", "package", "--json", "-").code == 2  # no images there, the file opens


def test_info_names_the_checkpoint(run: Run, face: Path) -> None:
    value = json.loads(run("info", "face", "--json", "-").out)
    assert value["about"]["checkpoint"].startswith(str(face))
    assert f"checkpoint: {face}" in " ".join(run("info", "face").out.split())


def test_val_and_detect_run_the_onnx(
    run: Run, face: Path, hands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    face.write_bytes(b"never read")
    outcome = run("val", "face", "--data", hands, "--split", "test", "--json", "-")
    assert json.loads(outcome.out)["runtime"] == "onnxruntime", outcome.err
    assert seyolo.Detector("face").backend.name == "onnxruntime"
    assert model_file("face").suffix == ".onnx"


def test_a_folder_of_that_name_is_told_about(run: Run, face: Path) -> None:
    Path("face").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        outcome = run("export", "face", "face.cfg")
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("comes with seyolo, not the folder of that name here") == 1


def test_words_of_others(run: Run, face: Path) -> None:
    outcome = run("export", "model=face", "format=onnx")
    assert_refused(outcome, "seyolo export face face.onnx")
