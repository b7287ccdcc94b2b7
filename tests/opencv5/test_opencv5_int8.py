"""Int8 in OpenCV 5: layers that are wrong there and remain float32 with `--for opencv5`, and right files.

`make test-newest` runs this with the files of `write_models.py`; the layers need OpenCV 5 only.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(os.environ.get("SEYOLO_OPENCV5_MODELS", "build/opencv5"))
NAMES = sorted(path.name.removesuffix(".int8.onnx") for path in FOLDER.glob("*.int8.onnx"))
PLACES = 8  # that OpenCV 5 computes together
STEP = 1 / 40  # of the byte that the output is rounded to

pytestmark = pytest.mark.skipif(
    int(cv2.__version__.split(".")[0]) < 5, reason="needs OpenCV 5: make test-newest"
)


class Bytes:
    """A graph whose values pass through bytes, as the quantizer writes it."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: np.ndarray | np.generic) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def rounded(self, value: str, scale: float = STEP, zero: int = 128) -> str:
        numbers = self.constant(np.float32(scale)), self.constant(np.uint8(zero))
        return self.add("DequantizeLinear", self.add("QuantizeLinear", value, *numbers), *numbers)

    def convolution(self, value: str, channels: int, outputs: int, groups: int = 1, size: int = 3) -> str:
        kernel = self.random.normal(size=(outputs, channels // groups, size, size)).astype(np.float32)
        scale = np.abs(kernel).max(axis=(1, 2, 3)) / 127
        stored = np.rint(kernel / scale[:, None, None, None]).astype(np.int8)
        # Kernels of a sum of squares near 1 keep the outputs within the bytes' range.
        scale = (scale / np.sqrt(channels // groups * size**2)).astype(np.float32)
        zeros = self.constant(np.zeros(outputs, np.int8))
        weights = self.add("DequantizeLinear", self.constant(stored), self.constant(scale), zeros, axis=0)
        edges = [size // 2] * 4
        return self.add("Conv", value, weights, kernel_shape=[size] * 2, pads=edges, group=groups)

    def worst(self, path: Path, channels: int, outputs: int, side: int) -> float:
        """The largest error in OpenCV, in steps of a byte, against ONNX Runtime without any fusion."""
        self.nodes[-1].output[0] = "y"
        shapes = {"x": [1, channels, side, side], "y": [1, outputs, side, side]}
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, s) for name, s in shapes.items()]
        graph = helper.make_graph(self.nodes, "g", values[:1], values[1:], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, str(path))
        image = self.random.normal(0, 0.7, size=shapes["x"]).astype(np.float32)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        expected = onnxruntime.InferenceSession(str(path), options).run(None, {"x": image})[0]
        net = cv2.dnn.readNetFromONNX(str(path))
        net.setInput(image)
        return float(np.abs(net.forward() - expected).max() / STEP)


SIDES = (8, 12, 20)
RIGHT = [
    *((channels, outputs, 1, side) for channels, outputs in ((8, 8), (32, 64), (12, 40)) for side in SIDES),
    *((8, 8, 8, side) for side in (4, 8, 12)),  # depthwise, a multiple of 8 places
    (16, 16, 2, 12), (12, 24, 4, 8), (32, 96, 4, 12),  # at most 8 outputs in a group, or a multiple of 8
]  # fmt: skip
WRONG = [*((8, 8, 8, side) for side in (5, 10)), (12, 40, 4, 8)]


@pytest.mark.parametrize(("channels", "outputs", "groups", "side"), RIGHT)
def test_convolutions_that_are_right(
    channels: int, outputs: int, groups: int, side: int, tmp_path: Path
) -> None:
    graph = Bytes()
    graph.rounded(graph.convolution(graph.rounded("x", 1 / 64), channels, outputs, groups))
    assert graph.worst(tmp_path / "x.onnx", channels, outputs, side) < 1.5


@pytest.mark.skipif(not cv2.__version__.startswith("5.0"), reason="known of OpenCV 5.0")
@pytest.mark.parametrize(("channels", "outputs", "groups", "side"), WRONG)
def test_grouped_convolutions_that_are_wrong(
    channels: int, outputs: int, groups: int, side: int, tmp_path: Path
) -> None:
    """Where this fails on a newer OpenCV, `exporting/opencv5.py` and the table in the docs can give way."""
    graph = Bytes()
    graph.rounded(graph.convolution(graph.rounded("x", 1 / 64), channels, outputs, groups))
    assert graph.worst(tmp_path / "x.onnx", channels, outputs, side) > 10


@pytest.mark.parametrize("side", [8, 10, 12, 13, 20])
def test_a_kernel_of_one_place_is_wrong_in_the_last_places(side: int, tmp_path: Path) -> None:
    graph = Bytes()
    graph.rounded(graph.convolution(graph.rounded("x", 1 / 64), 16, 16, size=1))
    worst = graph.worst(tmp_path / "x.onnx", 16, 16, side)
    if side**2 % PLACES == 0:
        assert worst < 2.5
    elif cv2.__version__.startswith("5.0"):
        assert worst > 10


@pytest.mark.parametrize("is_swish", [True, False])
def test_a_sigmoid_is_right_in_a_swish_only(is_swish: bool, tmp_path: Path) -> None:
    graph = Bytes()
    convolved = graph.rounded(graph.convolution(graph.rounded("x", 1 / 64), 8, 8))
    gate = graph.rounded(graph.add("Sigmoid", convolved), 1 / 256, 0)
    if is_swish:
        graph.rounded(graph.add("Mul", convolved, gate))
    worst = graph.worst(tmp_path / "x.onnx", 8, 8, 8)
    if is_swish:
        assert worst < 1.5
    elif cv2.__version__.startswith("5.0"):
        assert worst > 10


@pytest.mark.parametrize("operator", ["LeakyRelu", "Relu", "HardSwish"])
def test_activations_that_are_right(operator: str, tmp_path: Path) -> None:
    graph = Bytes()
    convolved = graph.rounded(graph.convolution(graph.rounded("x", 1 / 64), 8, 8))
    graph.rounded(graph.add(operator, convolved))
    assert graph.worst(tmp_path / "x.onnx", 8, 8, 12) < 2.5


@pytest.mark.skipif(not NAMES, reason=f"needs the files of write_models.py in {FOLDER}")
@pytest.mark.parametrize("name", NAMES)
def test_files_for_opencv_5_are_as_near_to_float32_as_in_onnx_runtime(name: str) -> None:
    """Rounding differs by a step here and there, and random weights magnify it: so distances are compared."""
    image, exact = np.load(FOLDER / "pictures.npy")[:1], np.load(FOLDER / f"{name}.int8.npy")[:1]
    path = str(FOLDER / f"{name}.int8.onnx")
    theirs = onnxruntime.InferenceSession(path).run(None, {"images": image})[0]
    net = cv2.dnn.readNetFromONNX(path)
    net.setInput(image)
    ours = net.forward()
    for part in (slice(0, 2), slice(4, None)):
        distances = [np.sqrt(np.mean((raw - exact)[..., part] ** 2)) for raw in (ours, theirs)]
        assert distances[0] < 1.2 * distances[1]
