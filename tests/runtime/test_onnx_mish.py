"""Mish without Softplus: the same numbers on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from seyolo.errors import BackendError
from seyolo.exporting.formats import export
from seyolo.runtime.choice import open_backend
from seyolo.runtime.onnx_mish import faster_graph, rewrite_mish
from seyolo.runtime.onnxruntime_backend import _graph_of, open_session

VALUES = np.concatenate([np.linspace(-110, 110, 4001), [0.0, 1e-30, -1e-30, 3e38, -3e38]]).astype(np.float32)


def mish_in_float64(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    return x * np.tanh(np.logaddexp(0, x))


def usual(swapped: bool = False, element: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """x · tanh(softplus(x)), as PyTorch and seyolo export Mish."""
    nodes = [
        helper.make_node("Softplus", ["x"], ["s"]),
        helper.make_node("Tanh", ["s"], ["t"]),
        helper.make_node("Mul", ["t", "x"] if swapped else ["x", "t"], ["y"]),
    ]
    return model(nodes, element)


def model(nodes: list[onnx.NodeProto], element: int = TensorProto.FLOAT, opset: int = 18) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(name, element, [len(VALUES)]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def run(proto: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": VALUES})[0])


@pytest.mark.parametrize(
    "proto",
    [usual(), usual(swapped=True), model([helper.make_node("Mish", ["x"], ["y"])])],
    ids=["usual", "swapped", "operator"],
)
def test_the_numbers_are_those_of_mish(proto: onnx.ModelProto) -> None:
    assert rewrite_mish(proto.graph) == 1
    operators = {node.op_type for node in proto.graph.node}
    assert operators.isdisjoint({"Softplus", "Tanh", "Mish"})
    onnx.checker.check_model(proto)
    exact = mish_in_float64(VALUES)
    np.testing.assert_allclose(run(proto), exact, rtol=2e-6, atol=1e-37)


def test_a_softplus_that_others_read_stays() -> None:
    proto = usual()
    proto.graph.output.append(helper.make_tensor_value_info("s", TensorProto.FLOAT, [len(VALUES)]))
    assert rewrite_mish(proto.graph) == 1
    assert [node.op_type for node in proto.graph.node].count("Softplus") == 1
    onnx.checker.check_model(proto)


@pytest.mark.parametrize(
    "proto",
    [
        model([helper.make_node("Softplus", ["x"], ["y"])]),
        model(
            [
                helper.make_node("Softplus", ["x"], ["s"]),
                helper.make_node("Tanh", ["s"], ["t"]),
                helper.make_node("Mul", ["s", "t"], ["y"]),  # of another value than x
            ]
        ),
        usual(element=TensorProto.FLOAT16),
    ],
    ids=["softplus", "another", "float16"],
)
def test_what_is_no_mish_in_float32_stays(proto: onnx.ModelProto, tmp_path: Path) -> None:
    before = proto.SerializeToString()
    assert rewrite_mish(proto.graph) == 0
    assert proto.SerializeToString() == before
    onnx.save(proto, str(tmp_path / "x.onnx"))
    assert faster_graph(tmp_path / "x.onnx") is None


def test_files_that_stay_as_they_are(tmp_path: Path) -> None:
    old = usual()
    old.opset_import[0].version = 7
    onnx.save(old, str(tmp_path / "old.onnx"))
    (tmp_path / "damaged.onnx").write_bytes(b"Softplus" * 9)
    outside = usual()
    outside.graph.initializer.append(numpy_helper.from_array(np.zeros(2000, np.float32), "w"))
    onnx.save(outside, str(tmp_path / "outside.onnx"), save_as_external_data=True, size_threshold=0)
    for path in sorted(tmp_path.glob("*.onnx")):
        assert faster_graph(path) is None, path


def test_a_mish_network_gives_the_same_from_every_file(tmp_path: Path) -> None:
    images = random_images(64, 64)
    network = small_network(CONVOLUTION.replace("leaky", "mish") * 2, size=64)
    model = calibrated(network, images)
    paths = [tmp_path / name for name in ("a.onnx", "fast.onnx", "half.onnx", "a.cfg", "a.safetensors")]
    for path in paths:
        is_fast, is_half = path.stem in ("fast", "half"), path.stem == "half"
        export(model, path, for_runtime="onnxruntime" if is_fast else None, half=is_half)
    kinds = [{node.op_type for node in onnx.load(str(path)).graph.node} for path in paths[:3]]
    assert ["Softplus" in operators for operators in kinds] == [True, False, False]
    graph = _graph_of(paths[0])  # of the usual file, rewritten where it is opened
    assert isinstance(graph, bytes)
    assert b"Softplus" not in graph
    assert _graph_of(paths[1]) == str(paths[1])
    with torch.no_grad():
        expected = model(images).numpy()
    for path in paths:
        raw = open_backend(path, runtime="onnxruntime").infer(images.numpy())
        tolerance = 1e-2 if path.stem == "half" else 1e-5
        np.testing.assert_allclose(raw, expected, rtol=tolerance, atol=tolerance)


def test_a_float16_inside_runs_as_it_was(tmp_path: Path) -> None:
    """The constants are float32: ONNX Runtime refuses the rewritten graph, and gets the file."""
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        helper.make_node("Softplus", ["h"], ["s"]),
        helper.make_node("Tanh", ["s"], ["t"]),
        helper.make_node("Mul", ["h", "t"], ["m"]),
        helper.make_node("Cast", ["m"], ["y"], to=TensorProto.FLOAT),
    ]
    onnx.save(model(nodes), str(tmp_path / "x.onnx"))
    values = np.linspace(-9, 9, len(VALUES), dtype=np.float32)
    (found,) = open_session(tmp_path / "x.onnx").run(None, {"x": values})
    np.testing.assert_allclose(found, mish_in_float64(values), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Mul", ["x"], ["y"]),
        helper.make_node("Tanh", [], ["y"]),
        helper.make_node("Mish", [], ["y"]),
    ],
    ids=["Mul", "Tanh", "Mish"],
)
def test_a_graph_that_is_not_valid_is_refused_by_onnxruntime(tmp_path: Path, node: onnx.NodeProto) -> None:
    softplus = helper.make_node("Softplus", ["x"], ["s"])
    onnx.save(model([softplus, node]), str(tmp_path / "x.onnx"))
    with pytest.raises(BackendError, match="ONNX Runtime cannot read this file"):
        open_session(tmp_path / "x.onnx")


def test_a_graph_with_another_one_inside_stays() -> None:
    proto = usual()
    branch = helper.make_graph(
        [helper.make_node("Identity", ["t"], ["z"])], "b", [], [helper.make_tensor_value_info("z", 1, None)]
    )
    proto.graph.node.append(helper.make_node("If", ["c"], ["w"], then_branch=branch, else_branch=branch))
    assert rewrite_mish(proto.graph) == 0
