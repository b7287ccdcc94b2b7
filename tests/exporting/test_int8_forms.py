"""What each runtime computes in bytes of a network with gates, counted: a regression to float shows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import seyolo.exporting.quantize as quantizing
from helpers.random_weights import calibrated
from helpers.small_networks import random_images
from helpers.spot_detector import SIZE_PX, spot_detector, spot_image, spot_images, write_spots
from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import set_activation
from seyolo.darknet.sections import Activation
from seyolo.darknet.zoo import network_from_name
from seyolo.data.datasets import load_dataset
from seyolo.exporting.formats import export
from seyolo.exporting.onnx import describe_onnx
from seyolo.exporting.quantize import (
    FUSED,
    STEPWISE,
    Calibration,
    Form,
    fit_images,
    float_layers,
    on_onnxruntime,
    quantize,
    with_windows,
)
from seyolo.letterbox import Fit
from seyolo.runtime.choice import open_backend
from seyolo.torchnet.build import DarknetModel
from seyolo.verbs.evaluate import evaluate

SIZE = (96, 96)
NUM_CONVOLUTIONS, NUM_GATES, NUM_HEADS = 121, 23, 3
NUM_SINGLE = 2 * NUM_GATES  # convolutions of gates
KEPT = 2  # in front of the finest detection convolution, on ONNX Runtime


def gated(activation: Activation) -> Network:
    return set_activation(network_from_name("se-yolov3@0.125", num_classes=1), activation)


def in_form(form: Form, activation: Activation) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The float graph of the network and its int8 graph, without comparison."""
    model = calibrated(gated(activation), random_images(*SIZE))
    proto = describe_onnx(model, SIZE)
    fitted = fit_images([np.uint8(255) - image for image in spot_images(8)], Fit(SIZE))
    calibration = Calibration(proto, float_layers(model.network, SIZE, form), fitted, form)
    return proto, calibration.quantized(calibration.layers)


def optimized(proto: onnx.ModelProto, folder: Path) -> Counter[str]:
    """The operators that ONNX Runtime executes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


def executed(proto: onnx.ModelProto, folder: Path) -> Counter[tuple[str, bool]]:
    """The kinds of layers that OpenVINO executes, and whether in bytes."""
    openvino = pytest.importorskip("openvino", reason="needs seyolo[openvino]")
    onnx.save(proto, str(folder / "x.onnx"))
    core = openvino.Core()
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(folder / "x.onnx"), "CPU", config)
    layers = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    texts = [[info[key].astype(str) for key in ("layerType", "runtimePrecision")] for info in layers]
    return Counter((kind, precision in ("u8", "i8")) for kind, precision in texts)


def test_relu_disappears_into_the_convolutions_of_onnxruntime(tmp_path: Path) -> None:
    num_bytes = NUM_CONVOLUTIONS - NUM_SINGLE - NUM_HEADS - KEPT - 1  # and the one that reads the image
    for activation, left in (("relu", 0), ("leaky", num_bytes)):
        found = optimized(in_form(STEPWISE, activation)[1], tmp_path)
        assert found["QLinearConv"] == num_bytes
        assert found["QLinearLeakyRelu"] == left
        assert found["Relu"] == found["LeakyRelu"] == 0 or activation == "leaky"
        assert found["QLinearMul"] == found["QLinearAdd"] == NUM_GATES


@pytest.mark.parametrize("activation", ["relu", "leaky"])
def test_openvino_computes_all_convolutions_of_maps_in_bytes(activation: Activation, tmp_path: Path) -> None:
    found = executed(in_form(FUSED, activation)[1], tmp_path)
    num_float = NUM_SINGLE + NUM_HEADS
    assert found["Convolution", False] == num_float
    assert found["Convolution", True] == NUM_CONVOLUTIONS - num_float
    # Sums with their gates are single kernels; an activation that is not fused would be one more each.
    assert sum(count for (kind, _), count in found.items() if kind == "Subgraph") <= NUM_GATES + 15


def test_openvinos_form_rounds_only_what_a_convolution_reads() -> None:
    proto, quantized = in_form(FUSED, "leaky")
    readers = {name: node for node in proto.graph.node for name in node.input}
    makers = {name: node.op_type for node in proto.graph.node for name in node.output}
    rounded = {node.input[0] for node in quantized.graph.node if node.op_type == "QuantizeLinear"}
    assert "images" in rounded
    assert {makers[name] for name in rounded - {"images"}} <= {"LeakyRelu", "Add", "Concat", "Resize"}
    assert all(readers[name].op_type in ("Conv", "Concat", "Resize", "Add") for name in rounded)


def test_a_first_convolution_goes_back_to_float_where_its_error_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = spot_detector(more_layers=2)
    size = (SIZE_PX, SIZE_PX)
    fitted = fit_images(spot_images(9), Fit(size))
    arguments = (describe_onnx(model, size), model.network, size, fitted)
    assert quantize(*arguments, FUSED)[1]["float_layers"] == []
    fit = quantizing.fitted_kernels

    def spoil(*given: Any) -> dict[str, np.ndarray]:
        kernels = fit(*given)
        return {name: kernel // 10 * 9 if ".0." in name else kernel for name, kernel in kernels.items()}

    monkeypatch.setattr(quantizing, "fitted_kernels", spoil)
    quantized, facts = quantize(*arguments, FUSED)
    assert facts["float_layers"] == [0]
    rounded = {node.input[0] for node in quantized.graph.node if node.op_type == "QuantizeLinear"}
    assert "images" not in rounded
    assert quantize(*arguments, STEPWISE)[1]["float_layers"] == []


def test_global_averages_are_windows_in_openvinos_form() -> None:
    model = spot_detector()
    fitted = fit_images(spot_images(8), Fit((SIZE_PX, SIZE_PX)))
    network = network_from_name("se-yolov3@0.125", num_classes=1)
    gated_model = calibrated(network, random_images(*SIZE))
    proto = describe_onnx(gated_model, SIZE)
    windows = onnx.ModelProto()
    windows.CopyFrom(proto)
    with_windows(windows, network, SIZE, FUSED)
    kinds = Counter(node.op_type for node in windows.graph.node)
    assert (kinds["GlobalAveragePool"], kinds["AveragePool"]) == (0, NUM_GATES)
    images = random_images(*SIZE, seed=4).numpy()
    np.testing.assert_allclose(on_onnxruntime(windows)(images), on_onnxruntime(proto)(images), rtol=1e-4)
    quantized, facts = quantize(describe_onnx(model, (64, 64)), model.network, (64, 64), fitted, FUSED)
    assert facts["agreement"] == 1.0
    onnx.checker.check_model(quantized, full_check=True)


@pytest.mark.parametrize("form", [STEPWISE, FUSED], ids=["onnxruntime", "openvino"])
@pytest.mark.parametrize("activation", ["relu", "leaky", "mish"])
def test_numbers_in_bytes_are_near_those_in_float(form: Form, activation: Activation) -> None:
    """The spot detector with other activations; brightness is positive, so they change little."""
    model = spot_detector(more_layers=2)
    network = set_activation(model.network, activation)
    changed = DarknetModel(network, model.names).eval()
    changed.load_state_dict(model.state_dict())
    size = (SIZE_PX, SIZE_PX)
    proto = describe_onnx(changed, size)
    images = fit_images(spot_images(9), Fit(size))
    calibration = Calibration(proto, float_layers(network, size, form), images, form)
    exact, rounded = on_onnxruntime(proto), on_onnxruntime(calibration.quantized(calibration.layers))
    for image in images:
        np.testing.assert_allclose(rounded(image.batch()), exact(image.batch()), atol=0.1)


@pytest.mark.parametrize("name", ["x.onnx", "x.xml"])
def test_average_precision_of_a_detector_is_that_of_float(name: str, tmp_path: Path) -> None:
    """At most 0.5 of 100, as `evaluate` measures it on the file that is written."""
    if name == "x.xml":
        pytest.importorskip("openvino", reason="needs seyolo[openvino]")
    dataset = load_dataset(write_spots(tmp_path / "spots", train=12, val=12))
    model = spot_detector(more_layers=2)
    export(model, tmp_path / "float.onnx")
    export(model, tmp_path / name, int8=True, pictures=dataset.images("train"))
    found = [
        evaluate(open_backend(tmp_path / file), dataset, "val")["val"].ap for file in ("float.onnx", name)
    ]
    assert found[0] > 0.5
    assert found[1] == pytest.approx(found[0], abs=0.005)


def test_an_onnx_file_for_openvino_is_as_in_its_own_format(tmp_path: Path) -> None:
    export(spot_detector(), tmp_path / "x.onnx", int8=True, for_runtime="openvino", pictures=spot_images(9))
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "x.onnx").graph.node)
    export(spot_detector(), tmp_path / "y.onnx", int8=True, pictures=spot_images(9))
    usual = Counter(node.op_type for node in onnx.load(tmp_path / "y.onnx").graph.node)
    assert kinds["QuantizeLinear"] < usual["QuantizeLinear"]
    boxes = [
        open_backend(tmp_path / name).infer(np.ascontiguousarray(fitted.batch()))
        for name in ("x.onnx", "y.onnx")
        for fitted in fit_images([spot_image([(7, 8)])] * 8, Fit((SIZE_PX, SIZE_PX)))[:1]
    ]
    np.testing.assert_allclose(boxes[0], boxes[1], atol=0.1)
