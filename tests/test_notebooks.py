"""The notebooks of examples/ run, made small, and show what they are about.

They run cell by cell in this process: a kernel would need six packages more and test them, not the notebooks.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
SMALLER = {
    "EPOCHS, SIZE, IMAGES = 30, 160, 200": "EPOCHS, SIZE, IMAGES = 1, 64, 12",
    "EPOCHS, SIZE, IMAGES = 15, 128, 100": "EPOCHS, SIZE, IMAGES = 1, 64, 12",
    'GATES, SEEDS = ["none", "se", "eca"], [0, 1]': 'GATES, SEEDS = ["none", "eca"], [0]',
    "val=40, test=40": "val=2, test=3",
}
SHOWN = {
    "attention_study": ["dict", "list", "Outcome", "dict"],
    "slim_a_darknet_network": [
        "TrainResult",
        "DarknetModel",
        "Plan",
        "Evaluation",
        "Evaluation",
        "Comparison",
    ],
    "your_photos": ["Report", "SlimOutcome", "Detections", "list", "dict"],
}
"""Types of what the cells of a notebook show, in order."""


def cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def run(path: Path) -> tuple[dict[str, Any], list[object]]:
    """Runs the cells in the current folder; returns the names they leave and the values they show."""
    names: dict[str, Any] = {"__name__": "__main__"}
    shown: list[object] = []
    for cell in cells(path):
        source = "".join(cell["source"])
        for printed, small in SMALLER.items():
            source = source.replace(printed, small)
        tree = ast.parse(source if cell["cell_type"] == "code" else "")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, str(path), "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), str(path), "eval"), names)
        if value is not None:
            shown.append(value)
    return names, shown


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_a_notebook_runs_and_shows_its_results(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names, shown = run(FOLDER / f"{name}.ipynb")
    # A call whose result is not kept, as the drawing of a data set, shows its path.
    assert [type(value).__name__ for value in shown if not isinstance(value, Path)] == SHOWN[name]
    for value in shown:
        assert len(repr(value)) < 3000
        html = value._repr_html_() if hasattr(value, "_repr_html_") else "<table><img"
        assert "<table" in html or "<img" in html
    check = {"attention_study": _study, "slim_a_darknet_network": _darknet, "your_photos": _photos}[name]
    check(names)


def _study(names: dict[str, Any]) -> None:
    assert names["gated"].provenance["attention"]["at"] == ["neck"]
    assert [row.variant.gates for row in names["study"].rows] == ["none", "eca neck scale"] * 2
    assert names["study"].missing == ()
    assert Path("study/study.tex").is_file()


def _darknet(names: dict[str, Any]) -> None:
    plan = names["plan"]
    assert plan.macs <= 0.6 * plan.dense_macs
    assert names["dense"].names == ("hand",)
    assert {path.name for path in Path().glob("slim.*")} >= {"slim.cfg", "slim.weights", "slim.onnx"}


def _photos(names: dict[str, Any]) -> None:
    assert names["report"].problems == ()
    assert names["found"].image == names["photos"][0]
    assert len(names["photos"]) == 3
    assert Path("found.jpg").is_file()
    assert (names["results"].folder / "slim.onnx").is_file()


def test_every_notebook_is_run_and_holds_no_output() -> None:
    paths = sorted(FOLDER.glob("*.ipynb"))
    assert [path.stem for path in paths] == sorted(SHOWN)
    for path in paths:
        value = json.loads(path.read_text(encoding="utf-8"))
        assert (value["nbformat"], value["nbformat_minor"]) == (4, 5)
        code = [cell for cell in value["cells"] if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
        ids = [cell["id"] for cell in value["cells"]]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(r"[\w-]{1,64}", each) for each in ids)


def test_what_is_made_smaller_stands_in_a_notebook() -> None:
    texts = ["".join("".join(cell["source"]) for cell in cells(path)) for path in FOLDER.glob("*.ipynb")]
    for printed in SMALLER:
        assert any(printed in text for text in texts), printed
