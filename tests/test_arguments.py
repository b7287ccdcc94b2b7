"""Arguments of the wrong kind: a UsageError that says what was expected, from every public function."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import seyolo
from seyolo.arguments import checked
from seyolo.errors import ModelError, UsageError
from seyolo.torchnet.build import DarknetModel

TINY = "yolov3-tiny@0.125"


@pytest.fixture(scope="module")
def model() -> DarknetModel:
    return seyolo.load(TINY, num_classes=1)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("load", [3], "load: model must be a str or a Path, got 3 of type int"),
        ("load", [TINY, None, 1.5], "load: num_classes must be an int or None, got 1.5 of type float"),
        ("load", [TINY, None, True], "num_classes must be an int or None, got True of type bool"),
        ("load", [TINY, None, None, "hand"], "names must be a sequence of str or None, got 'hand'"),
        ("load", [TINY, None, None, ["hand", 3]], "names must be a sequence of str or None"),
        ("attach", [None, "se"], r"attach: model must be a DarknetModel \(seyolo.load opens one\), got None"),
        ("prune", ["x.cfg"], "prune: missing a required argument: 'budget'"),
        ("prune", ["x.cfg", "macs=30%"], "prune: model must be a DarknetModel .*, got 'x.cfg' of type str"),
        ("save", ["x.cfg", "y.cfg"], "save: model must be a DarknetModel"),
        ("export", ["x.cfg", "y.onnx"], "export: model must be a DarknetModel"),
        ("train", [None], "train: data must be a str or a Path, got None"),
        ("slim", [7], "slim: data must be a str or a Path, got 7"),
        ("evaluate", [TINY, 5], "evaluate: data must be a str, a Path or a Dataset, got 5"),
        ("benchmark", [3], "benchmark: models must be a str, a Path, a sequence of str or Path or a Mapping"),
        ("Detector", [None], "Detector: path must be a str, a Path or a Backend, got None"),
    ],
)
def test_every_public_function_says_what_it_expects(name: str, arguments: list[object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        getattr(seyolo, name)(*arguments)


def test_with_a_model(model: DarknetModel, tmp_path: Path) -> None:
    for call, message in (
        (lambda: seyolo.export(model, 3), "export: path must be a str or a Path, got 3 of type int"),
        (lambda: seyolo.export(model, tmp_path / "x.onnx", nms="yes"), "nms must be a bool, got 'yes'"),
        (lambda: seyolo.attach(model, 3), "kind must be 'se', 'cbam', 'eca', 'coordatt' or 'simam', got 3"),
        (
            lambda: seyolo.prune(model, "macs=30%", size=320),
            r"size must be 2 values \(int, int\) or None, got 320",
        ),
        (lambda: seyolo.load(TINY, weigths="x"), "load: got an unexpected keyword argument 'weigths'"),
    ):
        with pytest.raises(UsageError, match=message):
            call()
    with pytest.raises(ModelError, match="there is no attention 'bam'"):
        seyolo.attach(model, "bam")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("train", {"imgsz": 320}, "train: imgsz= is size= in seyolo"),
        ("train", {"batch_size": 8}, "train: batch_size= is batch= in seyolo"),
        ("slim", {"lr0": 0.01}, "slim: lr0= is lr= in seyolo"),
        ("slim", {"project": "mine"}, "slim: project= is folder= in seyolo"),
        ("train", {"name": "mine"}, "train: name= is folder= in seyolo"),
        ("slim", {"name": "mine"}, "slim: name= is folder= in seyolo"),
        ("study", {"name": "mine"}, "study: name= is folder= in seyolo"),
        ("study", {"shards": "1/2"}, r"'shards'; did you mean shard=\?"),
        ("study", {"gate": "se"}, r"'gate'; did you mean gates=\?"),
        ("slim", {"resume": "mine"}, r"'resume'; to go on with a run: seyolo\.api\.resume_slim\(FOLDER\)"),
        ("load", {"nc": 3}, "load: nc= is num_classes= in seyolo"),
        ("export", {"fp16": True}, "export: fp16= is half= in seyolo"),
        ("prune", {"percent": 0.5}, "prune: percent= is budget= in seyolo"),
        ("evaluate", {"imgsz": 320}, "evaluate: imgsz= is size= in seyolo"),
        ("Detector", {"conf": 0.3}, "Detector: conf= is confidence= in seyolo"),
        ("Detector", {"iou": 0.3}, "Detector: iou= is iou_threshold= in seyolo"),
        ("Detector", {"model": "hand"}, "Detector: model= is path= in seyolo"),
        ("Detector", {"imgsz": 320}, "'imgsz'; a model file has its own input size"),
        ("train", {"epoch": 3}, r"unexpected keyword argument 'epoch'; did you mean epochs=\?"),
        ("attach", {"xyz": 3}, "'xyz'; it takes at, generator, join, kind, model, reduction$"),
        ("train", {"xyz": 3}, r"'xyz'; help\(\) of train tells where its keyword arguments are listed"),
        (
            "export",
            {"overwrite": True},
            "'overwrite'; from Python, files that are there already are replaced",
        ),
    ],
)
def test_keywords_of_other_programs_are_answered_with_ours(
    name: str, keywords: dict[str, object], message: str
) -> None:
    arguments = [] if "model" in keywords else ["x.cfg"]
    with pytest.raises(TypeError, match=message) as caught:
        getattr(seyolo.api if name == "study" else seyolo, name)(*arguments, **keywords)
    assert isinstance(caught.value, UsageError)


def test_a_keyword_of_detector_is_not_one_of_detect(onnx_of: Path) -> None:
    detector, image = seyolo.Detector(onnx_of), np.zeros((20, 20, 3), np.uint8)
    for keyword, message in {
        "conf": r"conf= is confidence= of Detector: seyolo.Detector\(MODEL, confidence=...\)",
        "iou": "iou= is iou_threshold= of Detector",
        "classes": r"keep the classes you want: found.filter\(classes=",
        "save": "save what was found: found.save",
        "oder": r"did you mean order=\?",
    }.items():
        with pytest.raises(TypeError, match=message):
            detector.detect(image, **{keyword: 0.5})
    with pytest.raises(TypeError, match="batch= is batch_size= in seyolo"):
        detector.detect_many([image], batch=2)


def test_a_detector_takes_images(onnx_of: Path) -> None:
    detector = seyolo.Detector(onnx_of)
    with pytest.raises(UsageError, match=r"detect: image must be a str, a Path, a bytes, .*, got None"):
        detector.detect(None)
    with pytest.raises(UsageError, match="detect_many: images must be a str, a Path or a sequence of"):
        detector.detect_many(3)
    assert len(detector.detect(np.zeros((20, 20, 3), np.uint8)).scores) >= 0


@pytest.fixture(scope="module")
def onnx_of(model: DarknetModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "x.onnx"
    seyolo.export(seyolo.api.resized(model, 64), path)
    return path


def test_what_is_right_passes_and_is_handed_on() -> None:
    @checked
    def function(
        count: int, share: float = 1, kind: Literal["a", "b"] = "a", names: Sequence[str] | None = None
    ) -> object:
        """What it does."""
        return count, share, kind, names

    assert function(np.int64(3), 2, names=("x",)) == (3, 2, "a", ("x",))
    assert function(count=1, share=np.float32(0.5))[1] == 0.5
    assert inspect.getdoc(function) == "What it does."
    assert list(inspect.signature(function).parameters) == ["count", "share", "kind", "names"]
    with pytest.raises(ValueError, match="its own"):
        checked(_raises)(1)


def _raises(count: int) -> None:
    raise ValueError(f"its own, {count}")


def test_the_public_functions_keep_their_documentation() -> None:
    for name in ("load", "save", "attach", "prune", "export", "train", "slim", "evaluate", "benchmark"):
        assert "Args:" in (inspect.getdoc(getattr(seyolo, name)) or "") or name == "save"
