"""`hand` as MODEL of every verb: where it runs, and what is said where it cannot stand."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from onnx import helper, load, save

from helpers.running import Run, assert_refused
from seyolo.runtime.shipped import FOLDER, card_path, model_path


@pytest.mark.parametrize("model", [("hand",), ("--model", "hand")])
def test_detect(run: Run, image: Path, model: tuple[str, ...]) -> None:
    outcome = run("detect", *model, image, image.with_name("000001.jpg"), "--json", "-")
    assert outcome.code == 0, outcome.err
    value = json.loads(outcome.out)
    assert (value["model"], value["runtime"]) == ("hand", "onnxruntime")
    assert len(value["pictures"]) == 2


def test_detect_takes_the_keyword_behind_the_images(run: Run, image: Path) -> None:
    assert run("detect", image, "--model", "hand", "--json", "-").code == 0
    assert_refused(run("detect", image, "--modle", "hand"), "--modle", "--model")


def test_val_benchmark_and_info(run: Run, hands: Path) -> None:
    for model in (("hand",), ("--model", "hand")):
        outcome = run("val", *model, "--data", hands, "--split", "test", "--json", "-")
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out)["model"] == "hand"
    outcome = run("benchmark", "hand", "hand@openvino", "--repeats", 1, "--json", "-")
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)["models"]
    assert [(row["name"], row["runtime"]) for row in rows] == [
        ("hand", "onnxruntime"), ("hand@openvino", "openvino")
    ]  # fmt: skip


def test_info_tells_the_essentials(run: Run, onnx: Path) -> None:
    figures = json.loads((FOLDER / "hand-1.json").read_text(encoding="utf-8"))
    text = run("info", "hand-1").out
    ap = figures["accuracy"]["float16"]["test"]["ap"]
    for part in (
        "licence: MIT",
        "HandsDataset (Apache-2.0)",
        f"test {ap:.3f}",
        f"card: {card_path('hand-1')}",
        "version: hand-1",
    ):
        assert part in text
    value = json.loads(run("info", "--model", "hand-1", "--json", "-").out)
    assert value["about"]["ap"]["test"]["ap"] == ap
    assert (value["macs"], value["names"]) == (figures["network"]["macs"], ["hand"])
    assert json.loads(run("info", onnx, "--json", "-").out)["about"] == {}
    assert "licence" not in run("info", onnx).out
    assert_refused(run("info", "hand", "--num-classes", 2), "as it is")


def test_info_of_a_file_that_says_other_things(run: Run, onnx: Path, tmp_path: Path) -> None:
    proto = load(str(onnx))
    helper.set_model_props(
        proto, {"ap": "[0.5]", "card": "https://example.org/a/card", "model_license": "BSD"}
    )
    save(proto, str(tmp_path / "other.onnx"))
    about = json.loads(run("info", "other.onnx", "--json", "-").out)["about"]
    assert about == {"licence": "BSD", "card": "https://example.org/a/card"}


def test_the_same_without_pytorch(image: Path, tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['torch'] = None\nfrom seyolo.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    found = tmp_path / "found"
    for arguments in (["detect", "hand", str(image), "--out", str(found)], ["info", "hand"]):
        line = [sys.executable, "-c", script, *arguments]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    assert "licence: MIT" in done.stdout
    assert (found / image.name).is_file()


def test_a_base_install_is_not_told_to_install_what_does_not_help() -> None:
    script = (
        "import sys; sys.modules['torch'] = None\nfrom seyolo.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    line = [sys.executable, "-c", script, "export", "hand-1", "out.xml"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: hand-1: comes with seyolo")


@pytest.mark.parametrize(
    "line",
    [
        "train --data DATA --model hand-1",
        "slim --data DATA --weights hand-1",
        "prune hand-1 slim.safetensors --budget macs=30%",
        "export hand-1 out.onnx",
        "export hand-1 out.cfg",
    ],
)
def test_where_it_cannot_stand_one_line_says_what_can(run: Run, hands: Path, line: str) -> None:
    outcome = run(*line.replace("DATA", str(hands)).split())
    assert_refused(outcome, "error: hand-1: comes with seyolo", "zoo name, a .cfg or a checkpoint")
    assert str(card_path("hand-1")) in outcome.err
    assert outcome.err.count("\n") == 1


def test_model_options_are_not_for_it(run: Run, image: Path) -> None:
    assert_refused(run("detect", "hand", image, "--attention", "se"), "hand", "run as it is")


def test_a_folder_of_that_name_is_told_about_once(run: Run, image: Path, tmp_path: Path) -> None:
    """A folder of images of hands is often called so: as a source it is read, as MODEL it is not."""
    (tmp_path / "hand").mkdir()
    (tmp_path / "hand" / image.name).write_bytes(image.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        outcome = run("detect", "hand", "hand", "--json", "-")
    assert outcome.code == 0, outcome.err
    assert len(json.loads(outcome.out)["pictures"]) == 1
    assert outcome.err.count("not the folder of that name here") == 1


def test_a_near_name_is_named(run: Run, image: Path, hands: Path) -> None:
    assert_refused(run("detect", "hands", image), "no model 'hands'", "did you mean hand")
    assert_refused(run("train", "--model", "hands", "--data", hands), "no model 'hands'", "did you mean hand")
    assert_refused(run("info", "hand-9"), "no model 'hand-9'", "did you mean hand-")


@pytest.mark.parametrize("verb", ["prune", "export"])
def test_model_is_a_keyword_of_verbs_with_an_out_too(run: Run, checkpoint: Path, verb: str) -> None:
    rest = ("--budget", "macs=90%") if verb == "prune" else ()
    outcome = run(verb, "--model", checkpoint, "--out", "out.safetensors", *rest)
    assert outcome.code == 0, outcome.err


def test_detect_by_the_path_finds_the_same(run: Run, image: Path) -> None:
    found = [
        json.loads(run("detect", model, image, "--json", "-").out)["pictures"]
        for model in ("hand", model_path("hand"))
    ]
    assert found[0] == found[1]
