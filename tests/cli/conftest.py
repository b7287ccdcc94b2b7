"""The command line in-process, on a few drawn hands and a network that is as small as they come."""

from __future__ import annotations

from pathlib import Path

import pytest

import seyolo
from helpers.running import MODEL, SIZE_PX, Outcome, Run
from seyolo.cli import main
from seyolo.data.synthetic.dataset import write_dataset


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `seyolo ARGUMENTS` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run_line(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return run_line


@pytest.fixture(scope="session")
def hands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data.yaml of twelve drawn images."""
    folder = tmp_path_factory.mktemp("data") / "hands"
    return write_dataset(folder, num_train=8, num_val=2, num_test=2, size_px=(SIZE_PX, SIZE_PX), seed=3)


@pytest.fixture(scope="session")
def image(hands: Path) -> Path:
    """One of them."""
    return hands.parent / "images" / "test" / "000000.jpg"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights for one class at 64 px."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    model = seyolo.load(MODEL, num_classes=1)
    seyolo.save(seyolo.api.resized(model, SIZE_PX), path)
    return path


@pytest.fixture(scope="session")
def onnx(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """The same as ONNX."""
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    seyolo.export(seyolo.load(checkpoint), path)
    return path
