"""What is read from ONNX files: ours against the description, others' against arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import seyolo
from seyolo.darknet.cost import cost
from seyolo.errors import BackendError, UsageError
from seyolo.runtime.onnx_file import OnnxValue
from seyolo.runtime.onnx_reader import read_onnx_file


@pytest.mark.parametrize(
    "name",
    [
        "yolov3-tiny@0.125",
        "cbam-yolov3-tiny@0.125",
        "se-yolov3-tiny@0.125",
        "eca-yolov3-tiny@0.125",
        "coordatt-yolov3-tiny@0.125",
        "simam-yolov3-tiny@0.125",
    ],
)
def test_ours_costs_what_its_description_does(tmp_path: Path, name: str) -> None:
    model = seyolo.api.resized(seyolo.load(name, names=["left", "right"]), 64)
    seyolo.export(model, tmp_path / "x.onnx")
    file, expected = read_onnx_file(tmp_path / "x.onnx"), cost(model.network)
    assert file.cost.macs == expected.macs
    # Batch normalisation is folded into a bias, so each of its scales is gone.
    scales = sum(len(value) for key, value in model.state_dict().items() if key.endswith("bn.weight"))
    assert file.cost.params == expected.params - scales
    assert (file.names, file.input_size) == (("left", "right"), (64, 64))
    assert file.inputs == (OnnxValue("images", "float32", (1, 3, 64, 64)),)
    assert file.outputs == (OnnxValue("raw", "float32", (1, 60, 7)),)  # 3 anchors * (2*2 + 4*4) cells
    num_repeats = name.startswith("cbam")  # convolutions of ones, which are not learned
    assert file.cost.operators["Conv"] == len(file.cost.convolutions) + num_repeats


def write_foreign(path: Path, height: int | str = "h") -> None:
    """Conv 3 -> 8 (3x3, stride 2), normalisation, depthwise 3x3 with a quantised kernel, Gemm 8 -> 4."""

    def weight(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(np.ones(shape, np.float32), name)

    node = helper.make_node
    kernel = numpy_helper.from_array(np.ones((8, 1, 3, 3), np.int8))
    nodes = [
        node("Conv", ["x", "w"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["a", "scale", "shift", "mean", "variance"], ["b"]),
        node("Constant", [], ["k"], value=kernel),
        node("DequantizeLinear", ["k", "step"], ["d"]),
        node("Conv", ["b", "d"], ["c"], group=8, pads=[1, 1, 1, 1]),
        node("Mul", ["c", "half"], ["e"]),
        node("GlobalAveragePool", ["e"], ["f"]),
        node("Flatten", ["f"], ["g"]),
        node("Gemm", ["g", "m", "n"], ["y"]),
    ]
    weights = [weight("w", 8, 3, 3, 3), weight("m", 8, 4), weight("n", 4), weight("step"), weight("half", 1)]
    weights += [weight(name, 8) for name in ("scale", "shift", "mean", "variance")]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, height, height])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, outputs, weights),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
    )  # fmt: skip
    helper.set_model_props(model, {"names": "{0: 'cat', 1: 'dog'}"})
    onnx.save(model, str(path))


def test_one_of_others_by_hand(tmp_path: Path) -> None:
    write_foreign(tmp_path / "x.onnx", 32)
    file = read_onnx_file(tmp_path / "x.onnx")
    # 8*3*9 kernel, 8 + 8 scale and shift, 8*9 quantised kernel, 8*4 + 4 matrix; running statistics and
    # constants are not learned.
    assert file.cost.params == 216 + 16 + 72 + 36
    assert [(c.kernel, c.stride, c.output, c.params, c.macs) for c in file.cost.convolutions] == [
        (3, 2, (8, 16, 16), 216, 8 * 16 * 16 * 27),
        (3, 1, (8, 16, 16), 72, 8 * 16 * 16 * 9),
    ]
    assert file.cost.macs == 8 * 16 * 16 * 36
    assert file.cost.operators["Conv"] == 2
    assert file.names == ("cat", "dog")
    assert file.inputs == (OnnxValue("x", "float32", ("n", 3, 32, 32)),)


def test_an_open_size_is_unknown_until_it_is_given(tmp_path: Path) -> None:
    write_foreign(tmp_path / "x.onnx")
    file = read_onnx_file(tmp_path / "x.onnx")
    assert (file.input_size, file.cost.macs, file.cost.params) == (None, None, 340)
    sized = read_onnx_file(tmp_path / "x.onnx", 64)
    assert (sized.input_size, sized.cost.macs) == ((64, 64), 8 * 32 * 32 * 36)
    write_foreign(tmp_path / "x.onnx", 32)
    with pytest.raises(UsageError, match="made for 32x32 pixels"):
        read_onnx_file(tmp_path / "x.onnx", 64)


@pytest.mark.parametrize("data", [b"", b"nothing of the kind", b"\x08\x08"])
def test_what_is_no_onnx_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(BackendError, match="not an ONNX file"):
        read_onnx_file(tmp_path / "x.onnx")
    with pytest.raises(BackendError, match="no such model file"):
        read_onnx_file(tmp_path / "y.onnx")
