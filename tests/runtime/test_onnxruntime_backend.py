"""ONNX Runtime over graphs made here with onnx.helper, so no exporter of ours is involved."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers.onnx_models import NUM_CLASSES, Shape, write_model
from seyolo.errors import BackendError
from seyolo.runtime.choice import open_backend
from seyolo.runtime.onnxruntime_backend import (
    OnnxRuntimeBackend,
    int8_overflows,
    open_session,
    session_options,
)
from seyolo.runtime.protocol import Session


def batch_of(num: int) -> np.ndarray:
    return np.random.default_rng(0).random((num, 3, 32, 64), dtype=np.float32)


def expected_raw(batch: np.ndarray) -> np.ndarray:
    return batch.mean(axis=(2, 3))[:, :, None] * np.arange(1, 6 + NUM_CLASSES)


def test_defaults_without_metadata(tmp_path: Path) -> None:
    backend = OnnxRuntimeBackend(write_model(tmp_path / "m.onnx"))
    assert backend.name == "onnxruntime"
    assert backend.input_size == (32, 64)
    assert backend.letterbox_mode == "letterbox"
    assert len(backend.names) == NUM_CLASSES
    assert len(set(backend.names)) == NUM_CLASSES


def test_metadata_tells_names_size_and_preprocessing(tmp_path: Path) -> None:
    metadata = {"names": json.dumps(["hand", "foot"]), "input_size": "[32, 64]", "letterbox": "stretch"}
    backend = OnnxRuntimeBackend(write_model(tmp_path / "m.onnx", metadata=metadata))
    assert backend.names == ("hand", "foot")
    assert backend.letterbox_mode == "stretch"


@pytest.mark.parametrize("batch", [1, "N"])
@pytest.mark.parametrize("num", [1, 3])
def test_output(tmp_path: Path, batch: int | str, num: int) -> None:
    """A fixed batch of 1 takes several images too, one after the other."""
    backend = OnnxRuntimeBackend(
        write_model(tmp_path / "m.onnx", image=[batch, 3, 32, 64]), Session(threads=1)
    )
    raw = backend.infer(batch_of(num))
    assert raw.dtype == np.float32
    np.testing.assert_allclose(raw, expected_raw(batch_of(num)), rtol=1e-5)


def test_half_precision_in_float32_out(tmp_path: Path) -> None:
    backend = OnnxRuntimeBackend(write_model(tmp_path / "m.onnx", element=TensorProto.FLOAT16))
    raw = backend.infer(batch_of(1))
    assert raw.dtype == np.float32
    np.testing.assert_allclose(raw, expected_raw(batch_of(1)), rtol=5e-3)


def test_symbolic_sizes_come_from_the_metadata(tmp_path: Path) -> None:
    symbolic: Shape = ["N", 3, "H", "W"]
    path = write_model(
        tmp_path / "m.onnx", image=symbolic, output=["N", "P", "C"], metadata={"input_size": "[32, 64]"}
    )
    backend = OnnxRuntimeBackend(path)
    assert backend.input_size == (32, 64)
    assert len(backend.names) == NUM_CLASSES
    with pytest.raises(BackendError, match=r"input size .* is not fixed"):
        OnnxRuntimeBackend(write_model(tmp_path / "n.onnx", image=symbolic))


def test_given_names_win_and_must_fit(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", metadata={"names": '["hand", "foot"]'})
    assert open_backend(path, names=["left", "right"]).names == ("left", "right")
    with pytest.raises(BackendError, match="has 2 classes, but 1 name is"):
        open_backend(path, names=["left"])
    with pytest.raises(BackendError, match="has 2 classes, but 3 names"):
        open_backend(write_model(tmp_path / "n.onnx", metadata={"names": '["a", "b", "c"]'}))


def test_names_that_are_no_names_are_not_guessed(tmp_path: Path) -> None:
    backend = OnnxRuntimeBackend(write_model(tmp_path / "m.onnx", metadata={"names": "hand, foot"}))
    assert backend.names == ("class 0", "class 1")


def test_graphs_that_are_no_detector_of_ours(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"expected one output of shape \(N, boxes, 5 \+ classes\)"):
        OnnxRuntimeBackend(write_model(tmp_path / "two.onnx", num_outputs=2))
    with pytest.raises(BackendError, match="letterbox='zoom'"):
        OnnxRuntimeBackend(write_model(tmp_path / "zoom.onnx", metadata={"letterbox": "zoom"}))


def test_images_of_another_size(tmp_path: Path) -> None:
    backend = OnnxRuntimeBackend(write_model(tmp_path / "m.onnx"))
    with pytest.raises(BackendError, match=r"expected images of shape \(3, 32, 64\), got \(3, 64, 64\)"):
        backend.infer(np.zeros((1, 3, 64, 64), np.float32))


@pytest.mark.parametrize("content", [b"", b"not onnx", b"\x08\x09\x12\x04junk"])
def test_files_of_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(BackendError, match=r"bad\.onnx"):
        open_backend(path)


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="cannot run on 'tpu'"):
        open_backend(write_model(tmp_path / "m.onnx"), device="tpu")


def test_sums_of_bytes_are_exact(tmp_path: Path) -> None:
    """255 · 127 twice is 64770: more than the 16 bits in which a CPU without VNNI adds pairs of products."""
    one = {name: numpy_helper.from_array(np.float32(1), name) for name in ("xs", "ws")}
    zero = {name: numpy_helper.from_array(np.zeros((), kind), name) for name, kind in ZERO_POINTS.items()}
    kernel = numpy_helper.from_array(np.full((16, 64, 1, 1), 127, np.int8), "w")
    scale = numpy_helper.from_array(np.float32(64 * 127), "ys")
    graph = helper.make_graph(
        [helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 64, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, [1, 16, 4, 4])],
        [*one.values(), *zero.values(), kernel, scale],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9),
        tmp_path / "x.onnx",
    )
    (sums,) = open_session(tmp_path / "x.onnx").run(None, {"x": np.full((1, 64, 4, 4), 255, np.uint8)})
    assert np.unique(sums).tolist() == [255]


ZERO_POINTS = {"xz": np.uint8, "wz": np.int8, "yz": np.uint8}


def test_cpus_whose_bytes_overflow_are_known(tmp_path: Path) -> None:
    for flags, overflows in {"avx2 fma": True, "avx2 avx_vnni": False, "asimd dotprod": False}.items():
        (tmp_path / "cpuinfo").write_text(f"flags\t: {flags}\n")
        assert int8_overflows(tmp_path / "cpuinfo") is overflows
    assert not int8_overflows(tmp_path / "gone")


def test_idle_threads_do_not_keep_the_cores() -> None:
    """On a busy machine two threads were slower than one: the waiting one took the core of the other."""
    options = session_options(2)
    assert int(options.get_session_config_entry("session.intra_op.spin_duration_us")) <= 100
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    assert options.intra_op_num_threads == 2
