"""The `Example:` of every public object runs and shows what it says, in a folder with what it names.

The examples start after `import seyolo`; `...` stands for any text.
"""

from __future__ import annotations

import ast
import doctest
import inspect
import shutil
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import helpers.doc_workspace as make
import seyolo
from helpers.stopping import StopIn
from seyolo.data.oxford.convert import convert
from seyolo.data.synthetic.dataset import write_dataset
from seyolo.pruning.importance.importance import Importance

SMALLER = {
    "epochs=20, size=320)": "epochs=1, size=64, batch=4)",
    '"yolov3-tiny@0.25", budget="macs=30%", epochs=20)': '"yolov3-tiny@0.5", epochs=1, size=64, batch=4)',
    '"yolov3-tiny", gates="none", seeds=[0, 1])': (
        '"yolov3-tiny@0.5", gates="none", seeds=[0], epochs=1, size=64, batch=4)'
    ),
}
"""Arguments of the examples, and the quick ones that the test runs instead."""

WITHOUT_EXAMPLE = {"seyolo.SeyoloError": "an exception: callers catch it and call nothing of it"}
IN_CLASS_EXAMPLE = {"seyolo.Plan", "seyolo.api.PlanOptions"}
"""Classes whose own example shows the methods that need one."""


def public_objects() -> dict[str, object]:
    """Returns the classes and functions of `seyolo` and `seyolo.api` by name."""
    named = {f"seyolo.{name}": getattr(seyolo, name) for name in seyolo.__all__}
    named |= {f"seyolo.api.{name}": getattr(seyolo.api, name) for name in seyolo.api.__all__}
    objects = {name: value for name, value in named.items() if isinstance(value, type | FunctionType)}
    # `seyolo.evaluate` and `seyolo.api.evaluate` are one function: the first name stands for both.
    names = {inspect.unwrap(value): name for name, value in reversed(objects.items())}
    return {name: objects[name] for name in reversed(names.values())}


def docstrings() -> dict[str, str]:
    """Returns the docstring of every public object, and of the public methods that need an example."""
    found = {}
    for name, value in public_objects().items():
        if name in WITHOUT_EXAMPLE:
            continue
        found[name] = inspect.getdoc(value) or ""
        if isinstance(value, type) and name not in IN_CLASS_EXAMPLE:
            methods = {key: getattr(value, key) for key in vars(value) if not key.startswith("_")}
            found |= {f"{name}.{key}": inspect.getdoc(m) or "" for key, m in methods.items() if callable(m)}
    return found | {"seyolo.pruning.Importance": inspect.getdoc(Importance) or ""}


DOCSTRINGS = docstrings()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples name: data sets, a trained model, its plan, a run of train, a stopped run of slim."""
    folder = tmp_path_factory.mktemp("examples")
    data = write_dataset(
        folder / "hands", num_train=8, num_val=2, num_test=2, size_px=(make.SIZE_PX, make.SIZE_PX), seed=3
    )
    small: dict[str, Any] = {"size": make.SIZE_PX, "epochs": 1, "batch": 4}
    seyolo.train(data, make.MODEL, folder=folder / "runs/train/train", **small)
    with pytest.raises(KeyboardInterrupt):
        seyolo.slim(
            data, make.MODEL, folder=folder / "runs/slim/slim", progress=StopIn("sparse epoch 1/1"), **small
        )
    axes: dict[str, Any] = {"gates": "none", "seeds": 0, "budgets": "macs=50%"}
    seyolo.api.study(data, make.MODEL, folder=folder / "runs/study/study", **axes, **small)
    model = seyolo.load(folder / "runs/train/train/best.safetensors")
    seyolo.save(model, folder / "hand.safetensors")
    (folder / "slim.plan.json").write_text(seyolo.prune(model, "macs=50%")[1].to_json())
    make.archive(folder, folder)
    convert(folder / "hand_dataset.tar.gz", folder / "oxford")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the current folder, and latency measured on a few cuts into a cache of its own."""
    monkeypatch.setattr("seyolo.pruning.planning.latency.NUM_CUTS", 8)
    monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path / "cache"))
    shutil.copytree(made, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.parametrize("name", DOCSTRINGS)
def test_an_example_shows_what_it_says(name: str, folder: Path) -> None:
    for word, package in {"supervision": "supervision", "Tracker": "trackers"}.items():
        if word in name:
            pytest.importorskip(package)
    text = DOCSTRINGS[name]
    for printed, run in SMALLER.items():
        text = text.replace(printed, run)
    test = doctest.DocTestParser().get_doctest(text, {"seyolo": seyolo}, name, None, 0)
    assert "\nExample:\n" in text, name
    assert test.examples, name
    assert test.examples[-1].want, f"{name}: the last line shows no result"
    assert "+SKIP" not in text, name
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    told: list[str] = []
    result = runner.run(test, out=told.append)
    assert result.failed == 0, "".join(told)


def test_no_example_of_the_sources_is_left_out() -> None:
    """An example elsewhere in src would run nowhere."""
    source = Path(inspect.getfile(seyolo)).parent
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    written = [
        ast.get_docstring(node) or ""
        for path in sorted(source.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, kinds)
    ]
    shown = {text for text in written if ">>> " in text}
    assert shown == {text for text in DOCSTRINGS.values() if ">>> " in text}


def test_what_is_made_smaller_stands_in_an_example() -> None:
    for printed in SMALLER:
        assert sum(printed in text for text in DOCSTRINGS.values()) == 1, printed
