"""Int8: what becomes bytes and what never does, the arithmetic, and the gate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import seyolo
import seyolo.exporting.quantize as quantizing
from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from helpers.spot_detector import SIZE_PX, spot_detector, spot_image, spot_images
from seyolo.darknet.cfg import parse_cfg
from seyolo.darknet.graph import inputs
from seyolo.darknet.sections import Convolutional, Yolo
from seyolo.darknet.zoo import network_from_name
from seyolo.detector import Detector
from seyolo.errors import ExportError, UsageError
from seyolo.exporting.formats import export
from seyolo.exporting.onnx import describe_onnx, export_onnx
from seyolo.exporting.quantize import Fitted, fit_images, float_layers, quantize
from seyolo.letterbox import Fit, letterbox, to_tensor
from seyolo.options.export import FileOptions

SIZE = (SIZE_PX, SIZE_PX)


def constants(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def reached_from(graph: onnx.GraphProto, operator: str) -> set[str]:
    """Every value that comes after a node of this kind."""
    values: set[str] = set()
    for node in graph.node:
        if node.op_type == operator or values & set(node.input):
            values |= set(node.output)
    return values


def test_a_spot_is_found_in_bytes_where_it_is(tmp_path: Path) -> None:
    export(spot_detector(), tmp_path / "x.onnx", int8=True, pictures=spot_images(12))
    found = Detector(tmp_path / "x.onnx").detect(spot_image([(7, 8)]))
    # The cell's middle is (30, 34), and half of the box 20.
    np.testing.assert_allclose(found.boxes, [[10, 14, 50, 54]], atol=1e-3)
    assert found.scores[0] > 0.8


def test_the_file_tells_a_runtime_the_same_as_in_float32(tmp_path: Path) -> None:
    model = spot_detector()
    model.names = ("spot ✋",)
    export(model, tmp_path / "float.onnx")
    export(model, tmp_path / "int8.onnx", int8=True, pictures=spot_images(9))
    plain, quantized = (onnx.load(tmp_path / name) for name in ("float.onnx", "int8.onnx"))
    onnx.checker.check_model(quantized, full_check=True)
    before, after = ({e.key: e.value for e in proto.metadata_props} for proto in (plain, quantized))
    facts = json.loads(after.pop("int8"))
    assert after == before
    assert facts == {"pictures": 9, "agreement": 1.0, "float_layers": []}
    assert quantized.producer_name == "seyolo"
    backend = Detector(tmp_path / "int8.onnx").backend
    assert (backend.names, backend.input_size, backend.letterbox_mode) == (("spot ✋",), SIZE, "letterbox")


def test_scales_are_those_of_the_numbers(tmp_path: Path) -> None:
    """Kernels: largest magnitude of a channel over 127, rounded to a byte nearby. Values: the range over 255.

    In white the first convolution gives the gains, 4 at most, and nowhere less than 0.
    """
    model = spot_detector()
    images = [*spot_images(8), white()]
    path = export_onnx(model, tmp_path / "x.onnx", FileOptions(int8=True), images).files[0]
    stored = constants(onnx.load(path).graph)
    kernels = model.state_dict()["layers.1.conv.weight"].numpy()
    scales = np.abs(kernels).max(axis=(1, 2, 3)) / 127
    np.testing.assert_allclose(stored["layers.1.conv.weight_scale"], scales, rtol=1e-4)
    quantized = stored["layers.1.conv.weight_quantized"]
    assert quantized.dtype == np.int8
    np.testing.assert_allclose(quantized, kernels / scales[:, None, None, None], atol=1.6)
    (values,) = (name for name in stored if name.startswith("layer0_leakyrelu") and name.endswith("_scale"))
    np.testing.assert_allclose(stored[values], 4 / 255, rtol=1e-4)
    zero = stored[values.replace("_scale", "_zero_point")]
    assert (zero, zero.dtype) == (0, np.uint8)


def white() -> np.ndarray:
    return np.full((SIZE_PX, SIZE_PX, 3), 255, np.uint8)


@pytest.mark.parametrize(
    "name",
    ["se-yolov3@0.125", "yolov3-tiny@0.25", "yolov4-tiny@0.25", "cbam-yolov3@0.125", "eca-yolov3-tiny@0.25"],
)
def test_decoding_and_what_it_reads_are_never_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizing, "require_agreement", lambda *_: 1.0)
    monkeypatch.setattr(quantizing, "LEAST_AGREEMENT", 0.0)
    network = network_from_name(name, num_classes=2)
    model = calibrated(network, random_images(64, 64))
    fitted = fit_images([np.uint8(255) - image for image in spot_images(8)], Fit((96, 96)))
    proto, _ = quantize(describe_onnx(model, (96, 96)), network, (96, 96), fitted)
    graph = proto.graph
    decoding = reached_from(graph, "Transpose")
    assert "raw" in decoding
    touched = {value for node in graph.node if node.op_type == "QuantizeLinear" for value in node.input[:1]}
    assert not touched & decoding
    makers = {value: node for node in graph.node for value in node.output}
    stored = constants(graph)
    for node in graph.node:
        if node.op_type == "Transpose":
            head = makers[node.input[0]]
            assert head.op_type == "Conv"
            assert stored[head.input[1]].dtype == np.float32
    in_bytes = [node for node in graph.node if node.op_type == "Conv" and node.input[1] not in stored]
    assert len(in_bytes) >= len(network.layers) / 5
    assert all(stored[makers[node.input[1]].input[0]].dtype == np.int8 for node in in_bytes)


def test_layers_that_stay_float32_in_any_network() -> None:
    network = network_from_name("se-yolov3@0.125", num_classes=1)
    kept = float_layers(network, (96, 96))
    wiring = inputs(network)
    for index, section in enumerate(network.layers):
        if isinstance(section, Yolo):
            assert {index, *wiring[index]} <= kept
    kinds = {type(network.layers[index]).__name__ for index in kept}
    assert kinds == {"Yolo", "Convolutional"}
    # The first, two of each residual block's gate, twice three heads, and two in front of the finest.
    assert {195, 196} <= kept
    assert len(kept) == 1 + 2 * 23 + 6 + 2


def test_what_is_in_front_of_the_finest_detection_layer_stays_float32_only_where_it_is_cheap() -> None:
    assert {103, 104} <= float_layers(network_from_name("yolov3", num_classes=1), (416, 416))
    # Its 3x3 convolution in front of the finest layer is a fifth of the network.
    assert float_layers(network_from_name("yolov3-tiny", num_classes=1), (416, 416)) == {0, 15, 16, 22, 23}


def test_the_way_back_to_a_detection_convolution_passes_what_lies_between() -> None:
    cfg = small_network(CONVOLUTION * 2, size=64).to_cfg().replace("[yolo]", "[dropout]\n[yolo]")
    network = parse_cfg(cfg)
    assert isinstance(network.layers[2], Convolutional)
    assert float_layers(network, SIZE) == {0, 2, 3, 4}


def test_a_layer_that_does_harm_goes_back_to_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """A range fifty times too small cuts nearly all values of layer 3 off."""
    measure = quantizing._measure_ranges

    def spoil(*arguments: object) -> dict[str, tuple[np.float32, np.float32]]:
        ranges = measure(*arguments)  # type: ignore[arg-type]
        (name,) = [name for name in ranges if name.startswith("layer3_conv")]
        low, high = ranges[name]
        return ranges | {name: (low / np.float32(50), high / np.float32(50))}

    monkeypatch.setattr(quantizing, "_measure_ranges", spoil)
    model = spot_detector(more_layers=4)
    fitted = fit_images(spot_images(10), Fit(SIZE))
    _, facts = quantize(describe_onnx(model, SIZE), model.network, SIZE, fitted)
    assert facts == {"pictures": 10, "agreement": 1.0, "float_layers": [3]}


def test_a_file_that_finds_other_boxes_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = np.float32(1e-3)
    monkeypatch.setattr(
        quantizing, "_measure_ranges", lambda proto, nodes, _: Everything((np.float32(0), one), nodes)
    )
    (tmp_path / "x.onnx").write_text("the old file")
    with pytest.raises(ExportError, match=r"ONNX Runtime in int8 shares 0\.0% of its boxes"):
        export(spot_detector(), tmp_path / "x.onnx", int8=True, pictures=spot_images(8))
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("x.onnx", "the old file")]


class Everything(dict[str, tuple[np.float32, np.float32]]):
    """The same range for all that the nodes read and write."""

    def __init__(self, extent: tuple[np.float32, np.float32], nodes: list[onnx.NodeProto]) -> None:
        super().__init__({name: extent for node in nodes for name in (*node.input, *node.output)})


def test_images_without_anything_to_find_prove_nothing(tmp_path: Path) -> None:
    black = [np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)] * 8
    with pytest.raises(ExportError, match="nothing was found on 8 images"):
        export(spot_detector(), tmp_path / "x.onnx", int8=True, pictures=black)
    assert not list(tmp_path.iterdir())


def test_images_go_in_as_in_detection(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 50, 3), dtype=np.uint8)
    fitted = fit_images([image] * 8, Fit(SIZE))
    assert len(fitted) == 8
    assert isinstance(fitted[0], Fitted)
    np.testing.assert_array_equal(fitted[0].batch()[0], to_tensor(letterbox(image, SIZE)[0]))


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    model = spot_detector()
    with pytest.raises(UsageError, match=r"8 at least.*got 7"):
        export(model, tmp_path / "x.onnx", int8=True, pictures=spot_images(7))
    with pytest.raises(UsageError, match="for int8 only"):
        export(model, tmp_path / "x.onnx", pictures=spot_images(8))
    with pytest.raises(UsageError, match="not both"):
        export(model, tmp_path / "x.onnx", int8=True, half=True, pictures=spot_images(8))
    with pytest.raises(UsageError, match=r"Darknet has no int8; export to \.onnx or \.xml"):
        export(model, tmp_path / "x.cfg", int8=True, pictures=spot_images(8))
    with pytest.raises(UsageError, match="pictures must be a sequence"):
        seyolo.export(model, tmp_path / "x.onnx", int8=True, pictures="photos")
    assert not list(tmp_path.iterdir())


def test_suppression_and_any_batch_go_with_int8(tmp_path: Path) -> None:
    options = FileOptions(nms=True, dynamic_batch=True, int8=True)
    path = export_onnx(spot_detector(), tmp_path / "x.onnx", options, spot_images(8)).files[0]
    session = quantizing._open(onnx.load(path))
    batch = np.stack([to_tensor(spot_image(spots)) for spots in ([(5, 5)], [(5, 5), (10, 10)])])
    (rows,) = session.run(["detections"], {"images": batch})
    assert sorted(rows[:, 0]) == [0, 1, 1]
