"""Rounding of kernels to bytes: the nearest bytes, and those that change an output least."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper

from seyolo.exporting import rounding
from seyolo.exporting.rounding import byte_scales, fitted_bytes, fitted_kernels, put_kernels


def kernel_of(*weights: float) -> np.ndarray:
    return np.array(weights, np.float32).reshape(1, -1, 1, 1)


def output_error(kernel: np.ndarray, steps: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Mean square of the output's change per channel, where the inputs have this covariance."""
    off = (steps * byte_scales(kernel)[:, None, None, None] - kernel).reshape(len(kernel), -1)
    return np.einsum("oi,ij,oj->o", off, covariance, off)


def nearest_bytes(kernel: np.ndarray) -> np.ndarray:
    """Every weight in bytes on its own."""
    return np.rint(kernel / byte_scales(kernel)[:, None, None, None]).astype(np.int8)


def test_one_step_by_hand() -> None:
    np.testing.assert_allclose(byte_scales(kernel_of(1.27, -0.014, 0.016, -1.27)), 0.01, rtol=1e-6)


def test_the_next_weight_takes_over_where_two_inputs_are_always_equal() -> None:
    """1.4 and 0.4 steps become 1 and 0 on their own, 2 in all are nearer to their sum of 1.8."""
    kernel = kernel_of(1.27, 0.014, 0.004)
    equal = np.array([[1.0, 0, 0], [0, 1, 1], [0, 1, 1]])
    assert nearest_bytes(kernel).ravel().tolist() == [127, 1, 0]
    fitted = fitted_bytes(kernel, equal).ravel()
    assert fitted[0] == 127
    assert fitted[1:].sum() == 2


def test_inputs_that_have_nothing_in_common_are_rounded_on_their_own() -> None:
    kernel = np.random.default_rng(0).normal(size=(5, 4, 3, 3)).astype(np.float32)
    np.testing.assert_array_equal(fitted_bytes(kernel, np.eye(36)), nearest_bytes(kernel))


@pytest.mark.parametrize("seed", range(20))
def test_the_output_changes_less_than_with_the_nearest_bytes(seed: int) -> None:
    generator = np.random.default_rng(seed)
    kernel = generator.normal(size=(6, 4, 3, 3)).astype(np.float32) * np.float32(
        10.0 ** generator.uniform(-6, 6)
    )
    read = generator.normal(size=(200, 36)) @ generator.normal(size=(36, 36)) ** 3
    covariance = read.T @ read
    fitted = fitted_bytes(kernel, covariance)
    assert (fitted.dtype, np.abs(fitted.astype(int)).max() <= 127) == (np.int8, True)
    errors = [output_error(kernel, steps, covariance).sum() for steps in (fitted, nearest_bytes(kernel))]
    assert errors[0] < 0.7 * errors[1]


def test_channels_and_inputs_of_zeros_stay_zero() -> None:
    kernel = np.random.default_rng(1).normal(size=(3, 2, 3, 3)).astype(np.float32)
    kernel[1] = 0
    covariance = np.zeros((18, 18))
    fitted = fitted_bytes(kernel, covariance)
    assert not fitted[1].any()
    np.testing.assert_array_equal(fitted, nearest_bytes(kernel))


def convolution_graph(kernel: np.ndarray, **attributes: object) -> onnx.ModelProto:
    node = helper.make_node("Conv", ["images", "k"], ["y"], name="layer0_conv_0", **attributes)
    places = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, None, None])
        for name in ("images", "y")
    ]
    graph = helper.make_graph([node], "g", places[:1], places[1:], [numpy_helper.from_array(kernel, "k")])
    return helper.make_model(graph)


def test_the_covariance_is_of_what_the_kernel_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """With padding and stride: here from windows of a padded map, one by one."""
    generator = np.random.default_rng(3)
    kernel = generator.normal(size=(2, 3, 3, 3)).astype(np.float32)
    image = generator.normal(size=(1, 3, 9, 7)).astype(np.float32)
    seen = []
    monkeypatch.setattr(
        rounding, "fitted_bytes", lambda k, covariance: seen.append(covariance) or nearest_bytes(k)
    )
    proto = convolution_graph(kernel, pads=[1, 1, 1, 1], strides=[2, 2])
    fitted_kernels(proto, list(proto.graph.node), lambda _, names: [[image for _ in names]])
    padded = np.pad(image[0], ((0, 0), (1, 1), (1, 1)))
    rows = [padded[:, y : y + 3, x : x + 3].ravel() for y in range(0, 9, 2) for x in range(0, 7, 2)]
    assert len(rows) == len(sliding_window_view(padded, (3, 3), axis=(1, 2))[0, ::2, ::2].reshape(-1, 9))
    np.testing.assert_allclose(seen[0], np.transpose(rows) @ np.array(rows), rtol=1e-5)


@pytest.mark.parametrize("attributes", [{"group": 3}, {"dilations": [2, 2]}])
def test_grouped_and_dilated_kernels_are_left_to_the_nearest_bytes(attributes: dict[str, object]) -> None:
    kernel = np.ones((3, 1 if "group" in attributes else 3, 3, 3), np.float32)
    proto = convolution_graph(kernel, **attributes)
    assert fitted_kernels(proto, list(proto.graph.node), lambda *_: []) == {}


def test_a_kernel_of_too_many_inputs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding, "MOST_INPUTS", 26)
    proto = convolution_graph(np.ones((3, 3, 3, 3), np.float32))
    assert fitted_kernels(proto, list(proto.graph.node), lambda *_: []) == {}


def test_bytes_take_the_place_of_those_in_the_graph() -> None:
    kernel = np.ones((1, 2, 1, 1), np.float32)
    proto = convolution_graph(kernel)
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 2, 1, 1), np.int8), "k_quantized"))
    put_kernels(proto, {"k": np.full((1, 2, 1, 1), 5, np.int8)})
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    assert stored["k_quantized"].ravel().tolist() == [5, 5]
    np.testing.assert_array_equal(stored["k"], kernel)
