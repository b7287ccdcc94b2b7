"""Files that are there already: a model stays unless --overwrite is given, a report is written anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.running import MODEL, Run, assert_refused

MADE = b"made before"
OTHER_FILES = {
    "data.yaml": "names: [hand]\n",
    "x.cfg": "[net]\nwidth=64\n",
    "x.ini": "[ none ]\n",
    "x.md": "[text](link)\n",
    "x.txt": "a",
}


@pytest.mark.parametrize(
    ("out", "there"),
    [
        ("a.onnx", "a.onnx"),
        ("a.safetensors", "a.safetensors"),
        ("a.cfg", "a.cfg"),
        ("a.cfg", "a.weights"),
        ("a.cfg", "a.names"),
        ("a.xml", "a.bin"),
        ("a.mnn", "a.mnn.json"),
        ("a.tflite", "a.tflite.json"),
        ("a.ncnn.param", "a.ncnn.bin"),
    ],
)
def test_export_asks_before_it_replaces_a_file(
    out: str, there: str, run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / there).write_bytes(MADE)
    assert_refused(
        run("export", checkpoint, out), f"{there} is there already; add --overwrite, or give another"
    )
    assert (tmp_path / there).read_bytes() == MADE
    assert len(list(tmp_path.iterdir())) == 1


def test_export_of_several_names_all_that_are_there(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    for name in ("a.onnx", "b.weights"):
        (tmp_path / name).write_bytes(MADE)
    assert_refused(run("export", checkpoint, "a.onnx", "b.cfg"), "a.onnx, b.weights are there already")


def test_export_overwrites_when_told(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_bytes(MADE)
    outcome = run("export", checkpoint, "a.cfg", "--overwrite")
    assert outcome.code == 0, outcome.err
    assert b"[net]" in (tmp_path / "a.cfg").read_bytes()


def test_a_description_alone_leaves_weights_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.weights").write_bytes(MADE)
    assert run("export", MODEL, "a.cfg").code == 0
    assert_refused(run("export", MODEL, "a.cfg"), "a.cfg is there already")
    assert (tmp_path / "a.weights").read_bytes() == MADE


def test_prune_asks_and_points_to_the_plan_that_is_there(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    line = ["prune", checkpoint, "slim.safetensors", "--budget", "macs=70%", "--multiple", 2]
    assert run(*line, "--dry-run").code == 0
    plan = tmp_path / "slim.plan.json"
    edited = plan.read_text().replace("\n", "\n ")
    plan.write_text(edited)
    for again in (line, [*line, "--dry-run"]):
        assert_refused(
            run(*again),
            "slim.plan.json is there already; cut by it with --plan slim.plan.json, add --overwrite, or give",
        )
    assert plan.read_text() == edited
    assert run("prune", checkpoint, "slim.safetensors", "--plan", plan).code == 0
    assert_refused(run("prune", checkpoint, "slim.safetensors", "--plan", plan), "slim.safetensors is there")
    Path("other.names").write_text("mine\n")
    assert_refused(run("prune", checkpoint, "other.cfg", "--plan", plan), "other.names is there already")
    assert run(*line, "--overwrite").code == 0


def test_a_report_is_written_anew_but_never_over_something_else(run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        assert run("info", MODEL, "--json", "x.json").code == 0
    for name, text in OTHER_FILES.items():
        (tmp_path / name).write_text(text)
        outcome = run("info", MODEL, "--json", name)
        assert_refused(outcome, f"--json {name}: is there already and holds no JSON; give another file")
        assert (tmp_path / name).read_text() == text
    for text in ("", " \n", "[]", "[1]", '\n[ "a"]', '{"a": 1}', "[\n", "[true]", "[-1]"):
        (tmp_path / "x.json").write_text(text)
        assert run("info", MODEL, "--json", "x.json").code == 0
