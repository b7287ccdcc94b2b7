"""LiteRT: the file gives the model's output, on every kind of layer, in float32, with halves and in int8."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from helpers.one_section import CONV, FRONT, HEAD, HEADS, NETWORKS, section
from helpers.random_weights import calibrated
from helpers.small_models import IMAGES, error, small
from helpers.small_networks import CONVOLUTION, random_images, small_network
from helpers.spot_detector import spot_detector, spot_images
from seyolo.darknet.cfg import Network, parse_cfg
from seyolo.darknet.edit import set_size
from seyolo.darknet.zoo import network_from_name
from seyolo.detector import Detector
from seyolo.errors import BackendError, ExportError, UsageError
from seyolo.exporting.formats import export
from seyolo.exporting.onnx import describe_onnx
from seyolo.exporting.parity import relative_error
from seyolo.runtime.choice import open_backend

pytest.importorskip("ai_edge_litert", reason="needs seyolo[litert]")
interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs seyolo[litert]")


@pytest.mark.parametrize("half", [False, True])
def test_the_file_is_the_model(tmp_path: Path, half: bool) -> None:
    model = small()
    paths = export(model, tmp_path / "new/x.tflite", half=half)
    assert [path.name for path in paths] == ["x.tflite", "x.tflite.json"]
    assert sorted((tmp_path / "new").iterdir()) == sorted(paths)
    backend = open_backend(paths[0])
    assert (backend.name, backend.names, backend.input_size) == ("litert", ("left", "right"), (64, 64))
    assert error(model, paths[0], IMAGES) < (1e-2 if half else 1e-6)


def test_the_form_that_other_programs_see(tmp_path: Path) -> None:
    """One image with the channels last, values in [0, 1]; rows of predictions."""
    path, _ = export(small(), tmp_path / "x.tflite")
    opened = interpreter.Interpreter(str(path))
    (taken,), (given,) = opened.get_input_details(), opened.get_output_details()
    assert (taken["name"], taken["shape"].tolist(), taken["dtype"]) == ("images", [1, 64, 64, 3], np.float32)
    assert (given["shape"].tolist(), given["dtype"]) == ([1, 2048, 7], np.float32)
    assert path.read_bytes()[4:8] == b"TFL3"


def every_layer() -> dict[str, Network]:
    """All kinds of layers but gates, whose batch normalisation of one number has no statistics."""
    texts = {name: text + HEAD for name, (text, _) in NETWORKS.items() if not name.startswith("gate")}
    more = {
        "pool of stride 1, even": section("maxpool", size=4, stride=1),
        "local average with padding": section("local_avgpool", size=3, stride=2),
        "odd widths": CONV.replace("filters=8", "filters=5"),
        "cbam": section("cbam", hidden=4),
        "eca": section("eca", size=5, gain=2),
        "pruned eca": section("eca", size=3, positions="0,1,3,4,5,6,8,9", join="add"),
        "coordatt": section("coordatt", hidden=4, join="add"),
        "simam": section("simam", gain=1.5),
    }
    texts |= {name: text + HEAD for name, text in more.items()} | HEADS
    return {name: parse_cfg(FRONT + text, "x.cfg") for name, text in texts.items()}


def test_every_kind_of_layer(tmp_path: Path) -> None:
    images = random_images(32, 64)
    errors = {}
    for name, network in every_layer().items():
        model = calibrated(network, images)
        path, _ = export(model, tmp_path / "x.tflite")
        errors[name] = error(model, path, images)
    assert len(errors) > 60
    assert {name: value for name, value in errors.items() if value > 1e-5} == {}


def test_a_grey_network(tmp_path: Path) -> None:
    text = small_network(CONVOLUTION, size=64).to_cfg().replace("channels=3", "channels=1")
    model = calibrated(parse_cfg(text, "x.cfg"), IMAGES[:, :1].contiguous())
    path, _ = export(model, tmp_path / "x.tflite")
    assert error(model, path, IMAGES[:, :1].contiguous()) < 1e-6


@pytest.mark.parametrize("name", ["yolov2-tiny@0.25", "yolov4-tiny@0.25", "se-yolov3-tiny@0.25"])
def test_networks_of_the_zoo(tmp_path: Path, name: str) -> None:
    images = random_images(96, 96, num=2)
    model = calibrated(set_size(network_from_name(name, num_classes=2), 96, 96), images)
    path, _ = export(model, tmp_path / "x.tflite")
    assert error(model, path, images) < 1e-3


@pytest.mark.parametrize("more_layers", [0, 2])
def test_int8_finds_what_the_model_finds(tmp_path: Path, more_layers: int) -> None:
    images = spot_images(12)
    paths = {}
    for ending in (".onnx", ".tflite"):
        paths[ending], *_ = export(
            spot_detector(more_layers), tmp_path / f"x{ending}", int8=True, pictures=images
        )
    model = open_backend(export(spot_detector(more_layers), tmp_path / "float.onnx")[0])
    for image in images:
        expected = Detector(model).detect(image)
        found = [Detector(path).detect(image) for path in paths.values()]
        assert len(expected) == len(found[0]) == len(found[1])
        np.testing.assert_allclose(found[1].boxes, expected.boxes, atol=1.0)
        np.testing.assert_allclose(found[1].scores, expected.scores, atol=0.05)


INT8 = {
    "leaky": CONV + CONV,
    "relu6": CONV.replace("leaky", "relu6") * 2,
    "swish": CONV.replace("leaky", "swish") * 2,
    "mish": CONV.replace("leaky", "mish") * 2,
    "depthwise": CONV + CONV.replace("filters=8", "filters=8\ngroups=8"),
    "groups": CONV + CONV.replace("filters=8", "filters=8\ngroups=2"),
    "shortcut": CONV + CONV + section("shortcut", from_=-2),
    "route": CONV + CONV + section("route", layers="-1,-2") + CONV,
    "pools": section("maxpool", size=2, stride=2) + CONV + section("maxpool", size=5, stride=1) + CONV,
    "pool of 4": CONV + section("maxpool", size=4, stride=2) + CONV,
    "upsample": CONV + section("upsample", stride=2) + CONV,
    "stride": CONV.replace("stride=1", "stride=2") + CONV,
    "split": CONV + section("route", layers=-1, groups=2, group_id=1) + CONV,
}


@pytest.mark.parametrize("name", INT8)
def test_layers_in_int8_are_those_of_onnx_runtime(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes give nearly the same numbers; A net that has learned nothing has no boxes to compare."""
    from seyolo.exporting import converted, quantize  # noqa: PLC0415

    monkeypatch.setattr(converted, "require_equal_boxes", lambda *_: None)
    monkeypatch.setattr(quantize, "require_agreement", lambda *_: 1.0)
    images = [np.random.default_rng(seed).integers(0, 256, (32, 64, 3)).astype(np.uint8) for seed in range(8)]
    network = parse_cfg(FRONT + CONV + INT8[name] + HEAD, "x.cfg")
    model = calibrated(network, random_images(32, 64))
    outputs = []
    for ending in (".onnx", ".tflite"):
        path, *_ = export(model, tmp_path / f"x{ending}", int8=True, pictures=images)
        outputs.append(open_backend(path, threads=1).infer(random_images(32, 64).numpy()))
    assert relative_error(outputs[1], outputs[0]) < 0.03
    assert error(model, path, random_images(32, 64)) < 0.3


def test_an_operator_without_a_form_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seyolo.exporting import litert_graph  # noqa: PLC0415

    monkeypatch.delitem(litert_graph.WRITERS, "LeakyRelu")
    expected = "layer0: seyolo has no LeakyRelu for LiteRT; export to .onnx; nothing was written"
    with pytest.raises(ExportError, match=expected):
        export(small(), tmp_path / "x.tflite")
    assert list(tmp_path.iterdir()) == []


def test_another_output_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seyolo.exporting import litert_graph  # noqa: PLC0415

    monkeypatch.setitem(litert_graph.PLAIN, "Sigmoid", "TANH")
    with pytest.raises(ExportError, match="LiteRT gives another output than the model"):
        export(small(), tmp_path / "x.tflite")
    assert list(tmp_path.iterdir()) == []


def test_all_operators_of_the_zoo_have_a_form() -> None:
    from seyolo.exporting.litert_graph import WRITERS  # noqa: PLC0415

    images = random_images(32, 64)
    graphs: list[onnx.ModelProto] = [
        describe_onnx(calibrated(network, images), (32, 64)) for network in every_layer().values()
    ]
    operators = {node.op_type for graph in graphs for node in graph.graph.node}
    assert operators <= set(WRITERS)


def test_options_that_litert_has_not(tmp_path: Path) -> None:
    for option in ("nms", "dynamic_batch"):
        with pytest.raises(UsageError, match=r"LiteRT has no .*; export to \.onnx"):
            export(small(), tmp_path / "x.tflite", **{option: True})


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path, about = export(small(), tmp_path / "x.tflite")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BackendError, match=r"x\.tflite: is not the file that x\.tflite\.json describes"):
        open_backend(path)
    about.unlink()
    with pytest.raises(BackendError, match=r"x\.tflite\.json: there is no such file"):
        open_backend(path)


def test_nothing_is_printed(tmp_path: Path) -> None:
    """LiteRT says on stderr that it uses XNNPACK."""
    path, _ = export(small(), tmp_path / "x.tflite")
    script = f"from seyolo.runtime.choice import open_backend; open_backend({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
