"""Class names on the command line: `--names`, files beside a cfg, and data sets that change their classes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import seyolo
from helpers.running import MODEL, SIZE_PX, Run, assert_refused
from helpers.written_datasets import write_text, write_yaml
from seyolo.checkpoint import read_checkpoint

TRAIN = ("--model", MODEL, "--size", SIZE_PX, "--batch", 2, "--epochs", 1)
CLASSES = "names: [face, hand]"


@pytest.fixture
def darknet(tmp_path: Path) -> Path:
    """net.cfg with net.weights, of two classes, in a folder of their own."""
    model = seyolo.api.resized(seyolo.load(MODEL, num_classes=2), SIZE_PX)
    (tmp_path / "model").mkdir()
    seyolo.save(model, tmp_path / "model/net.cfg")
    return tmp_path / "model/net.cfg"


def listed(run: Run, model: Path, *options: object) -> list[str] | None:
    outcome = run("info", model, *options, "--json", "-")
    assert outcome.code == 0, outcome
    names = json.loads(outcome.out)["names"]
    return names if names is None else list(names)


def test_a_run_is_not_resumed_on_other_classes(run: Run, tmp_path: Path) -> None:
    data = write_yaml(tmp_path / "data")
    assert run("train", "--data", data, *TRAIN, "--name", "r").code == 0
    written = data.read_text()
    resume = ("train", "--resume", "runs/train/r")
    for names, said in (
        ("[hand, face]", "the classes are hand, face, not face, hand"),
        ("[face, hand, foot]", "the classes are face, hand, foot, not face, hand"),
        ("[face, foot]", "the classes are face, foot, not face, hand"),
    ):
        write_text(data, written[: written.index("names:")] + f"names: {names}\n")
        for options in ((), ("--data-changed",)):
            assert_refused(run(*resume, *options), said, "start a new run")
        # A run of version 0.1.0 has no fingerprint of its data.
        (tmp_path / "runs/train/r/data.json").rename(tmp_path / "data.json")
        assert_refused(run(*resume), said, "start a new run")
        (tmp_path / "data.json").replace(tmp_path / "runs/train/r/data.json")


def test_training_moves_the_rows_of_the_heads_with_the_names(run: Run, tmp_path: Path) -> None:
    data = write_yaml(tmp_path / "data")
    assert run("train", "--data", data, *TRAIN, "--name", "r").code == 0
    first = tmp_path / "runs/train/r/best.safetensors"
    written = data.read_text()
    write_text(data, written[: written.index("names:")] + "names: [hand, face]\n")
    still = ("--size", SIZE_PX, "--batch", 2, "--epochs", 1, "--lr", 1e-9)
    for number, model in enumerate((("--weights", first), ("--model", MODEL, "--weights", first))):
        outcome = run("train", "--data", data, *model, *still, "--name", f"w{number}")
        warnings = [line for line in outcome.err.splitlines() if line.startswith("warning")]
        assert outcome.code == 0, outcome
        usual = r"\d (steps|training image|box|objects)"
        assert not [line for line in warnings if not re.search(usual, line)]
        before, after = (
            read_checkpoint(path) for path in (first, tmp_path / f"runs/train/w{number}/last.safetensors")
        )
        assert after.names == ("hand", "face")
        heads = [name for name, value in before.state.items() if value.ndim and len(value) == 3 * 7]
        assert len(heads) == 4
        for name in heads:
            old, new = (x.state[name].reshape(3, 7, -1) for x in (before, after))
            np.testing.assert_allclose(new, old[:, [0, 1, 2, 3, 4, 6, 5]], atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*box.* under")
def test_validation_counts_by_name(run: Run, tmp_path: Path) -> None:
    data = write_yaml(tmp_path / "data")
    model = seyolo.api.resized(seyolo.load(MODEL, names=["face", "hand"]), SIZE_PX)
    seyolo.save(model, tmp_path / "x.safetensors")
    seyolo.export(model, tmp_path / "x.onnx")
    figures = []
    for order in ("[face, hand]", "[hand, face]"):
        if order == "[hand, face]":  # the same labels, numbered the other way
            for path in (tmp_path / "data/labels").rglob("*.txt"):
                rows = [line.split(" ", 1) for line in path.read_text().splitlines()]
                write_text(path, "".join(f"{1 - int(number)} {box}\n" for number, box in rows))
        text = data.read_text()
        write_text(data, f"{text[: text.index('names:')]}names: {order}\n")
        outcomes = [
            run("val", f"x.{kind}", "--data", data, "--json", "-") for kind in ("safetensors", "onnx")
        ]
        outcomes.append(run("benchmark", "x.onnx", "--data", data, "--repeats", 1, "--json", "-"))
        assert all((one.code, "class" in one.err) == (0, False) for one in outcomes), outcomes
        *measured, benchmark = (json.loads(one.out) for one in outcomes)
        figures.append(
            [one["metrics"]["val"] for one in measured] + [benchmark["models"][0]["metrics"]["val"]]
        )
    for one, other in zip(*figures, strict=True):
        assert one["ap"] == other["ap"]
        assert one.get("per_class", []) == other.get("per_class", [])[::-1]


@pytest.mark.filterwarnings("ignore:.*box.* under")
def test_validation_shows_each_class_with_objects(run: Run, tmp_path: Path) -> None:
    data = write_yaml(tmp_path / "data")
    text = data.read_text()
    write_text(data, f"{text[: text.index('names:')]}names: [face, hand, foot]\n")
    model = seyolo.api.resized(seyolo.load(MODEL, names=["face", "hand", "foot"]), SIZE_PX)
    seyolo.export(model, tmp_path / "x.onnx")
    line = ("val", "x.onnx", "--data", data, "--json", "found.json")
    outcome = run(*line)
    assert outcome.code == 0, outcome
    metrics = json.loads((tmp_path / "found.json").read_text())["metrics"]
    rows = []
    for split, found in metrics.items():
        assert found["names"] == ["face", "hand", "foot"]
        assert [one["ap"] is None for one in found["per_class"]][2]
        named = zip(found["names"], found["per_class"], strict=True)
        rows += [[split, name, one] for name, one in named if one["num_objects"]]
    assert [row[:2] for row in rows] == [["val", "face"], ["val", "hand"], ["test", "hand"]]
    printed = [line.split() for line in outcome.out.splitlines()]
    for split, name, one in rows:
        assert [split, name, f"{one['ap']:.3f}", f"{one['ap50']:.3f}", str(one["num_objects"])] in printed
        assert one["ap50"] < 0.005, "the weights are random"
    assert "never finds on val: face, hand\n" in outcome.out
    assert "never finds on test: hand\n" in outcome.out
    assert "foot" not in outcome.out


def test_validation_of_one_class_has_no_table_of_classes(run: Run, onnx: Path, hands: Path) -> None:
    outcome = run("val", onnx, "--data", hands, "--json", "found.json")
    assert outcome.code == 0, outcome
    assert "class" not in outcome.out
    assert "never" not in outcome.out
    assert "names" not in Path("found.json").read_text()


class TestBesideACfg:
    @pytest.mark.filterwarnings("default")
    def test_names_are_found_and_said(self, run: Run, darknet: Path, hands: Path, image: Path) -> None:
        write_text(darknet.with_name("obj.names"), "\ufeffhand\nfoot\n")
        said = f"{darknet}: the class names are those of {darknet.with_name('obj.names')}\n"
        for line in (
            ("info", darknet),
            ("detect", darknet, image, "--json", "-"),
            ("detect", f"{darknet}@opencv", image, "--json", "-"),
            ("detect", f"{darknet}@torch", image, "--json", "-"),
            ("export", darknet, "x.onnx"),
            ("export", darknet, "x.safetensors"),
            ("prune", darknet, "y.safetensors", "--budget", "macs=90%"),
            ("benchmark", darknet, "--repeats", 1),
        ):
            outcome = run(*line)
            assert outcome.code == 0, outcome
            assert outcome.err.count(said) == 1, (line, outcome.err)
        assert listed(run, Path("x.onnx")) == listed(run, Path("x.safetensors")) == ["hand", "foot"]
        assert listed(run, Path("y.safetensors")) == ["hand", "foot"]
        outcome = run("val", darknet, "--data", hands, "--split", "val")
        assert outcome.code == 0
        assert "detections of classes that the data set lacks are left out: foot" in outcome.err

    def test_two_that_differ_are_both_named(self, run: Run, darknet: Path) -> None:
        write_text(darknet.with_name("obj.names"), "hand\nfoot\n")
        write_text(darknet.with_name("voc.names"), "cat\ndog\n")
        assert listed(run, darknet) is None
        outcome = run("export", darknet, "x.onnx")
        assert "voc.names and " in outcome.err
        assert "give one of them with --names FILE" in outcome.err
        assert listed(run, Path("x.onnx")) == ["class 0", "class 1"]
        assert run("export", darknet, "y.onnx", "--names", darknet.with_name("voc.names")).code == 0
        assert listed(run, Path("y.onnx")) == ["cat", "dog"]


class TestNames:
    @pytest.mark.parametrize(
        "line",
        [
            ("info", "MODEL"),
            ("detect", "MODEL", "IMAGE"),
            ("val", "MODEL", "--data", "DATA"),
            ("export", "MODEL", "x.onnx"),
            ("prune", "MODEL", "x.safetensors", "--budget", "macs=50%"),
            ("benchmark", "MODEL"),
        ],
    )
    def test_another_number_is_refused_with_both(
        self, run: Run, darknet: Path, hands: Path, image: Path, line: tuple[str, ...]
    ) -> None:
        three = write_text(darknet.with_name("three.txt"), "a\nb\nc\n")
        given = {"MODEL": darknet, "DATA": hands, "IMAGE": image}
        outcome = run(*(given.get(word, word) for word in line), "--names", three)
        assert_refused(outcome, "has 2 classes, but 3 names are given")

    def test_they_are_those_of_any_model(
        self, run: Run, checkpoint: Path, onnx: Path, image: Path, tmp_path: Path
    ) -> None:
        palm = tmp_path / "palm.txt"
        palm.write_text("\ufeffpalm\n", encoding="utf-8")
        for model in (checkpoint, onnx):
            outcome = run("detect", model, image, "--names", palm, "--confidence", 0, "--json", "-")
            assert {item["name"] for item in _found(outcome.out)} == {"palm"}
        for out in ("x.onnx", "x.safetensors"):
            assert run("export", checkpoint, out, "--names", palm).code == 0
            assert listed(run, Path(out)) == ["palm"]
        assert listed(run, checkpoint, "--names", palm) == ["palm"]

    def test_a_new_network_has_the_classes_of_the_data(self, run: Run, hands: Path, tmp_path: Path) -> None:
        names = write_text(tmp_path / "n.txt", "hand\n")
        for verb in ("train", "slim"):
            outcome = run(verb, "--data", hands, "--model", MODEL, "--names", names)
            assert_refused(outcome, "names the classes of trained weights", "leave --names out")

    def test_they_order_the_weights_of_a_training(self, run: Run, darknet: Path, tmp_path: Path) -> None:
        data = write_yaml(tmp_path / "data")
        names = write_text(tmp_path / "n.txt", "hand\nface\n")
        weights = darknet.with_suffix(".weights")
        line = ("train", "--data", data, "--model", darknet, "--weights", weights, "--batch", 2)
        still = ("--size", SIZE_PX, "--epochs", 1, "--lr", 1e-9)
        assert run(*line, *still, "--names", names, "--name", "n").code == 0
        assert run(*line, *still, "--name", "plain").code == 0
        named, plain = (
            read_checkpoint(tmp_path / f"runs/train/{run_name}/last.safetensors")
            for run_name in ("n", "plain")
        )
        assert named.names == plain.names == ("face", "hand")
        for name, value in plain.state.items():
            if value.ndim and len(value) == 3 * 7:
                old, new = (x.state[name].reshape(3, 7, -1) for x in (plain, named))
                np.testing.assert_allclose(new, old[:, [0, 1, 2, 3, 4, 6, 5]], atol=1e-5)


def _found(text: str) -> list[dict[str, object]]:
    return [item for picture in json.loads(text)["pictures"] for item in picture["detections"]]
