"""`benchmarks/runtimes.py`: its rows, its page, and that it goes on where it was stopped."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import seyolo
from helpers.script_module import load_script
from helpers.spot_detector import spot_detector, write_spots
from seyolo.runtime.choice import RUNTIMES, RuntimeKind

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runtimes() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))  # its neighbours, as when it is run
        return load_script(ROOT / "benchmarks/runtimes.py")


def test_every_runtime_and_precision_has_a_row(runtimes: ModuleType) -> None:
    rows = {(row.runtime, row.ending, row.label) for row in runtimes.variants(with_int8=True)}
    assert {runtime for runtime, _, _ in rows} == set(RUNTIMES)
    assert {("onnxruntime", ".onnx", "int8"), ("openvino", ".xml", "bfloat16")} <= rows
    assert {("opencv", ".cfg", "float32"), ("torch", ".safetensors", "float32")} <= rows
    assert not any(row.label == "int8" for row in runtimes.variants(with_int8=False))


def test_another_runtime_needs_no_change(runtimes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = RuntimeKind("Other", (".weights", ".cfg"), lambda path, session: spot_detector(), "other")  # type: ignore[arg-type, return-value]
    monkeypatch.setitem(RUNTIMES, "other", kind)  # type: ignore[misc]
    assert ("other", ".cfg") in {(row.runtime, row.ending) for row in runtimes.variants(with_int8=True)}


def test_errors_worked_by_hand(runtimes: ModuleType) -> None:
    expected = np.zeros((1, 60, 6), np.float32)
    expected[0, :, 2:4] = 10, 20
    expected[0, :, 4:] = np.linspace(0.9, 0.1, 60)[:, None]  # the best boxes come first
    raw = expected.copy()
    raw[0, 3, 2] += 2.5
    raw[0, 55, 0] += 99  # not among the 50 best
    raw[0, 0, 5] -= 0.1
    assert runtimes.errors(raw, expected) == {"score_error": pytest.approx(0.09), "box_error": 0.125}


def test_it_measures_writes_and_goes_on(runtimes: ModuleType, tmp_path: Path) -> None:
    seyolo.save(spot_detector(), tmp_path / "spots.safetensors")
    data = write_spots(tmp_path / "data", train=10, val=2)
    page = tmp_path / "page.md"
    page.write_text("# Head\n\n<!-- table -->\nold\n<!-- end of table -->\ntail\n")
    line = ["--data", str(data), "--size", "64", "--repeats", "2", "--json", str(tmp_path / "a.json")]
    line += ["--out", str(page), f"spots={tmp_path / 'spots.safetensors'}"]
    runtimes.main(line)
    result = json.loads((tmp_path / "a.json").read_text())
    rows = {(row["runtime"], row["precision"]): row for row in result["networks"]["spots"]}
    for runtime in ("onnxruntime", "openvino", "opencv", "torch"):
        row = rows[runtime, "float32"]
        assert row["box_error"] < 1e-5
        assert row["score_error"] < 1e-5
        assert row["p50_ms"] > 0
        assert row["bytes"] > 1000
    assert rows["onnxruntime", "int8"]["score_error"] < 0.05
    text = page.read_text()
    assert text.startswith("# Head\n")
    assert text.endswith("\ntail\n")
    assert "old" not in text
    assert "| ONNX Runtime | int8 | `.onnx` | " in text
    before = (tmp_path / "a.json").stat().st_mtime_ns
    runtimes.main(line)  # nothing is left to do
    assert (tmp_path / "a.json").stat().st_mtime_ns == before


def test_the_page_is_that_of_the_figures(runtimes: ModuleType) -> None:
    path = ROOT / "benchmarks/results/runtimes.json"
    if not path.is_file():
        pytest.skip("nothing was measured: python benchmarks/runtimes.py")
    result = json.loads(path.read_text(encoding="utf-8"))
    page = (ROOT / "docs/evidence/runtimes.md").read_text(encoding="utf-8")
    assert runtimes.with_table(page, runtimes.table(result)) == page
