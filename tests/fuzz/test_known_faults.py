"""What once ended in a traceback, by kind: each is an error that names the file and the place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from fuzz.cases import bench
from fuzz.targets import BY_NAME
from seyolo.errors import MOST_QUOTED, MOST_SHOWN, DataError, SeyoloError, TrainingError
from seyolo.report.pages.parts import embedded

OLD_GATES = {"size_px": 64, "attention": {"kind": "se", "at": ["head"], "reduction": 8}}
BOX = {"class_id": 0, "name": "hand", "score": 0.5, "box": [1, 2, 3, 4]}


def changed(name: str, change: Callable[[Any], object]) -> bytes:
    """Returns the seed of a target after a change to its JSON."""
    value = json.loads(BY_NAME[name].seed_bytes()[0])
    change(value)
    return json.dumps(value).encode()


def message_of(name: str, data: bytes) -> str:
    with bench(BY_NAME[name]) as opened:
        (opened.folder / BY_NAME[name].file).write_bytes(data)
        with pytest.raises(SeyoloError) as caught:
            BY_NAME[name].read(opened.folder)
        return str(caught.value).replace(f"{opened.folder}/", "")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("options of train", b"[" * 9999, "command.json: cannot be read as JSON (nested more than 100 deep)"),
        ("options of train", b'{"sparsity": "\\ud800"}', "command.json: cannot be read as JSON ("),
        (
            "options of train",
            json.dumps(OLD_GATES).encode(),
            "command.json: attention: object missing required",
        ),
        (
            "options of train",
            b'{"size_px": 64, "attention": 3}',
            "command.json: attention: expected object | null",
        ),
        (
            "options of slim",
            b'{"budget": [], "size_px": 64, "cut": 1}',
            "config.json: cut: expected object, got int",
        ),
        (
            "options of slim",
            b'{"budget": [], "size_px": 64, "train": 1}',
            "config.json: train: expected object",
        ),
        ("options of slim", b'{"budget": [], "size_px": 64, "cut": {}}', "config.json: "),
        (
            "options of detect",
            b'{"num_shards": "2"}',
            "config.json: damaged, or not of a detect run (num_shards: expected int, got str)",
        ),
        ("options of detect", b"[" * 9999, "config.json: damaged, or not of a detect run (cannot be read"),
        ("plan.json", b"[" * 9999, "plan.json: a plan is JSON, this is not: nested more than 100 deep"),
        ("readiness.json", b'{"going": NaN}', "readiness.json: going: expected float >= 0.0"),
        ("report: curves.json", b'{"dense": {"val": 3}}', "curves.json: [][]: expected object, got int"),
        (
            "report: curves.json",
            b'{"dense": {"val": {"f1": [0]}}}',
            "curves.json: [][].f1: expected array of length",
        ),
        (
            "report: environment.json",
            b'{"packages": 3}',
            "environment.json: packages: expected object, got int",
        ),
        ("report: config.json", b'{"seed": 1}', "config.json: object missing required field model"),
        (
            "report: config.json",
            b'{"model": "a", "attention": {"kind": "x"}}',
            "config.json: attention.kind: invalid",
        ),
        (
            "report: command.json",
            b'{"model": "a", "size": "1"}',
            "command.json: size: expected int | array, got str",
        ),
        ("report: dense/results.csv", b"epoch,ap\n1,x\n", "dense/results.csv:2: ap: expected a number"),
        ("report: dense/results.csv", b"epoch,ap\n1,0.5\n2\n", "dense/results.csv:3: ap: expected a number"),
        ("report: dense/results.csv", b"epoch\n1,0.5\n", "dense/results.csv:2: None: expected a number"),
        ("report: dense/results.csv", b"epoch,ap\n1,\xff\n", "dense/results.csv: cannot be read as a table"),
        (
            "report: sparse/scales.csv",
            b"epoch,p0\n1,0.5\n",
            "sparse/scales.csv:2: expected an epoch and percentiles",
        ),
        (
            "report: pictures/index.json",
            b'{"samples": [1]}',
            "pictures/index.json: samples[0]: expected object",
        ),
        ("names file", b"\xff", "--names names.txt: cannot be read as text"),
        ("oxford_boxes.csv", b"split,image\na\n", "oxford_boxes.csv:2: a column is missing"),
    ],
)
def test_damaged_text(name: str, data: bytes, message: str) -> None:
    assert message_of(name, data).startswith(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.update(stages=[]), "results.json: stages: expected array of length >= 1"),
        (lambda value: value["stages"][0].update(macs=0), "results.json: stages[0].macs: expected int >= 1"),
        (
            lambda value: value["stages"][0].update(macs=float("nan")),
            "results.json: stages[0].macs: expected int",
        ),
        (
            lambda value: value["stages"][0].update(metrics={}),
            "results.json: dense: metrics: expected the splits",
        ),
        (
            lambda value: value["stages"][1].update(metrics={}),
            "results.json: finetuned: metrics: expected the splits",
        ),
        (
            lambda value: value["stages"][1].update(latency_ms={}),
            "results.json: finetuned: expected the runtimes",
        ),
        (
            lambda value: value["controls"][0].update(metrics={}),
            "results.json: uniform: metrics: expected the splits",
        ),
        (
            lambda value: value["stages"][0]["metrics"]["val"].update(ap=2),
            "results.json: stages[0].metrics[]: ap: expected a number from 0 to 1, got 2",
        ),
        (lambda value: value["plan"].update(groups=3), "results.json: groups: expected array, got int"),
    ],
)
def test_results_that_cannot_be_compared(change: Callable[[Any], object], message: str) -> None:
    assert message_of("report: results.json", changed("report: results.json", change)).startswith(message)


@pytest.mark.parametrize("name", ["absent.jpg", "\0", "x" * 300, "."])
def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainingError, match=f"^{re.escape(str(tmp_path))}: the image .* cannot be read"):
        embedded(tmp_path, name)


@pytest.mark.parametrize(
    "row",
    [
        {"width": 3},
        {"picture": 3, "error": "x"},
        {"picture": "b", "width": 1, "height": 1, "detections": [{}]},
    ],
)
def test_a_run_goes_on_at_the_first_damaged_row_of_its_journal(row: dict[str, Any]) -> None:
    whole = {"picture": "a", "width": 3, "height": 2, "annotated": None, "detections": [BOX]}
    data = "".join(json.dumps(value) + "\n" for value in (whole, row, whole)).encode()
    with bench(BY_NAME["journal of detect"]) as opened:
        assert opened.read(data).fault == ""
        left = (opened.folder / BY_NAME["journal of detect"].file).read_text()
    assert left == json.dumps(whole) + "\n"


def damaged_graph(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.ModelProto.FromString(BY_NAME["ONNX, info"].seed_bytes()[0])
    change(model)
    return model.SerializeToString()


def test_a_graph_of_unknown_operators() -> None:
    data = damaged_graph(lambda model: model.ClearField("opset_import"))
    assert message_of("ONNX, info", data).startswith("case.onnx: not a valid ONNX graph (")


def test_an_element_type_that_no_version_of_onnx_has() -> None:
    data = damaged_graph(lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", 99))
    with bench(BY_NAME["ONNX, info"]) as opened:
        assert opened.read(data).fault == ""


def test_long_values_are_shortened_in_messages() -> None:
    assert str(DataError("a.txt:1: " + "x" * 9999)) == "a.txt:1: " + "x" * (MOST_QUOTED - 1) + "…"
    assert len(str(DataError("a " * 9999))) < MOST_SHOWN + 10
    path = "/".join(["folder"] * 60)
    assert str(DataError(path)) == path
