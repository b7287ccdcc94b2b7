"""`seyolo info`: numbers of published networks, its options, and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.running import Run, assert_refused
from seyolo.darknet.zoo import network_from_name


def read(run: Run, *arguments: object) -> dict[str, object]:
    outcome = run("info", *arguments, "--json", "-")
    assert outcome.code == 0, outcome.err
    value = json.loads(outcome.out)
    assert isinstance(value, dict)
    return value


def test_yolov3_of_one_class_has_its_published_size(run: Run) -> None:
    value = read(run, "yolov3", "--num-classes", 1)
    assert round(float(str(value["params"])) / 1e6, 1) == 61.5
    assert round(float(str(value["macs"])) / 1e9, 1) == 32.6
    assert value["input_size"] == [416, 416]
    assert value["num_classes"] == 1


def test_macs_grow_with_the_square_of_the_size(run: Run) -> None:
    small, large = (read(run, "yolov3-tiny", "--size", size) for size in (224, 448))
    assert 4 * int(str(small["macs"])) == large["macs"]
    assert small["params"] == large["params"]


def test_layers_add_up(run: Run) -> None:
    value = read(run, "yolov3-tiny@0.25", "--attention", "se", "--at", "neck", "--at", "head")
    layers = value["layers"]
    assert isinstance(layers, list)
    assert sum(layer["params"] for layer in layers) == value["params"]
    assert sum(layer["macs"] for layer in layers) == value["macs"]
    assert sum(layer["kind"] == "scale_channels" for layer in layers) == 3  # one neck, two heads


def test_a_checkpoint_tells_its_names(run: Run, checkpoint: Path) -> None:
    value = read(run, checkpoint)
    assert value["names"] == ["class 0"]
    assert value["input_size"] == [64, 64]


def test_network_cost_classes_and_origin_come_first(run: Run) -> None:
    assert run("info", "yolov3-tiny").out.splitlines() == [
        "network: yolov3-tiny, 24 layers, 2 detection layers",
        "cost: 8,852,366 parameters, 2.782 GMACs at 416x416",
        "classes: 80, without names",
        "from: a network of the zoo, without trained weights",
        "images: letterboxed with grey 114",
        "layers: listed by seyolo info yolov3-tiny --layers",
    ]


def test_layers_are_listed_on_request(run: Run, onnx: Path) -> None:
    lines = run("info", "yolov3-tiny", "--layers").out.splitlines()
    assert lines[0] == "network: yolov3-tiny, 24 layers, 2 detection layers"
    assert "layers: listed" not in "".join(lines)
    assert lines[-2].split() == ["23", "yolo", "255x26x26", "0", "0"]
    shown = run("info", onnx, "--layers").out
    assert "LeakyRelu" in shown
    assert "LeakyRelu" not in run("info", onnx).out


def test_it_says_where_weights_come_from(run: Run, checkpoint: Path, onnx: Path, tmp_path: Path) -> None:
    def origin(*arguments: object) -> str:
        lines = run("info", *arguments).out.splitlines()
        return next(line for line in lines if line.startswith("from: "))[len("from: ") :]

    assert origin(checkpoint) == "a checkpoint; its first weights were new ones"
    assert origin(onnx) == "an ONNX file of seyolo"
    assert origin("hand") == "the detector that comes with seyolo"
    assert run("export", checkpoint, "net.cfg").code == 0
    assert origin("net.cfg") == "a Darknet cfg, with net.weights beside it"
    (tmp_path / "net.weights").rename(tmp_path / "other.weights")
    assert origin("net.cfg") == "a Darknet cfg, without trained weights"
    given = "a Darknet cfg, with the weights of other.weights, which fit"
    assert origin("net.cfg", "--weights", "other.weights") == given
    pruned = run("prune", checkpoint, "cut.safetensors", "--budget", "macs=80%")
    assert pruned.code == 0, pruned.err
    assert origin("cut.safetensors").endswith(
        f"its first weights were those of {checkpoint}, pruned to macs=80%"
    )


def test_json_to_a_file_keeps_the_table(run: Run, tmp_path: Path) -> None:
    outcome = run("info", "yolov3-tiny", "--json", "info.json")
    assert "parameters" in outcome.out
    assert json.loads((tmp_path / "info.json").read_text())["params"] == 8_852_366


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["yolov9"], ["yolov9", "close names"]),
        (["yolov3", "--at", "neck"], ["--at", "--attention"]),
        (["yolov3-tiny", "--attention", "se", "--at", "residual"], ["residual", "neck"]),
        (["yolov3", "--size", "100"], ["100", "32"]),
        (["se-yolov3", "--attention", "se"], ["SE gates already at 'residual'", "another site"]),
        (["cbam-yolov3-tiny", "--attention", "cbam", "--at", "neck"], ["CBAM gates already at 'neck'"]),
        (["missing.safetensors"], ["missing.safetensors", "no such"]),
        (["missing.cfg"], ["missing.cfg"]),
        (["x.weights"], ["weights alone"]),
    ],
)
def test_what_cannot_be_described_is_named(run: Run, arguments: list[str], parts: list[str]) -> None:
    assert_refused(run("info", *arguments), *parts)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[net]\n[recurrent]\n", "cfg:2"),
        ("[net]\n[convolutional]\nfilters=x\n", "cfg:3"),
        ("[net]\n[convolutional]\nfilters=8\n[route]\nlayers=7\n", "cfg:"),
        ("[net]\n[route]\nlayers=0\n", "cfg:"),
        ("", "cfg"),
    ],
    ids=["unknown section", "no number", "wrong reference", "cyclic reference", "empty"],
)
def test_a_bad_cfg_is_named_with_its_line(run: Run, tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "net.cfg").write_text(text)
    assert_refused(run("info", "net.cfg"), "net." + part)


@pytest.mark.parametrize("change", [-4, 4])
def test_weights_of_another_length_are_refused(
    run: Run, tmp_path: Path, checkpoint: Path, change: int
) -> None:
    assert run("export", checkpoint, "net.cfg").code == 0
    weights = tmp_path / "net.weights"
    data = weights.read_bytes()
    weights.write_bytes(data[:change] if change < 0 else data + bytes(change))
    assert_refused(run("info", "net.cfg", "--weights", weights), "net.weights")


def test_a_checkpoint_of_something_else_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"PK\x03\x04 a pickle")
    assert_refused(run("info", "model.safetensors"), "pickled")


def test_an_onnx_file_is_described_as_it_is(run: Run, onnx: Path, checkpoint: Path) -> None:
    value, ours = read(run, onnx), read(run, checkpoint)
    for key in ("macs", "input_size", "num_classes", "names"):
        assert value[key] == ours[key]
    layers = value["layers"]
    assert isinstance(layers, list)
    assert sum(layer["macs"] for layer in layers) == value["macs"]
    assert value["inputs"] == [{"name": "images", "dtype": "float32", "shape": [1, 3, 64, 64]}]
    text = run("info", onnx).out
    for part in (
        "13 convolutions\n",
        "classes: class 0\n",
        "float32 1x60x6\n",
        f"{value['params']:,} parameters",
    ):
        assert part in text
    assert_refused(run("info", onnx, "--num-classes", 2), "as it is")
    assert_refused(run("info", onnx, "--size", 96), "made for 64x64")
    assert_refused(run("info", "none.onnx"), "none.onnx")


def test_keys_without_an_effect_are_listed(run: Run, tmp_path: Path) -> None:
    cfg = tmp_path / "x.cfg"
    network = network_from_name("yolov3-tiny@0.125", 1)
    cfg.write_text(network.to_cfg().replace("channels=3", "channels=3\nmosaic=1"))
    outcome = run("info", cfg)
    assert "\nkept for Darknet, without effect here: mosaic, " in outcome.out
    assert "kept for Darknet" not in run("info", "yolov3-tiny@0.125").out
    assert json.loads(run("info", cfg, "--json", "-").out)["unused_keys"][:1] == ["mosaic"]


def test_it_says_how_images_get_into_an_onnx_file(run: Run, checkpoint: Path) -> None:
    assert run("export", checkpoint, "net.cfg", "letterboxed.onnx").code == 0
    text = Path("net.cfg").read_text(encoding="utf-8")
    Path("net.cfg").write_text(text.replace("letter_box=1", "letter_box=0"), encoding="utf-8")
    assert run("export", "net.cfg", "stretched.onnx").code == 0
    assert "images: letterboxed with grey 114" in run("info", "letterboxed.onnx").out.splitlines()
    assert "images: stretched to the input" in run("info", "stretched.onnx").out.splitlines()
