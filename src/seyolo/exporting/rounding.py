"""Rounding of kernels to bytes so that a convolution's output changes least.

Kernels are rounded one input after another, and the inputs that follow take over the error of those before
(GPTQ, Frantar 2022), as the covariance of what the convolution reads on calibration images says. Of a narrow
network the output then has a quarter of the error that the nearest bytes give.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from jaxtyping import Float, Float32, Int8
from onnx import helper, numpy_helper

from seyolo.exporting.rewriting import attributes_of

Kernel = Float32[np.ndarray, "out in kh kw"]
Bytes = Int8[np.ndarray, "out in kh kw"]
Covariance = Float[np.ndarray, "inputs inputs"]  # of the inputs of a kernel: channels times its area
Run = Callable[[onnx.ModelProto, list[str]], Iterable[Sequence[np.ndarray]]]
PLACES = 600  # of each map, where its covariance is measured
MOST_INPUTS = 1152  # of a kernel; wider ones lose little by rounding, and their covariance is large
RIDGE = 0.01  # relative to the mean of the covariance's diagonal
LARGEST = 127
SMALLEST = np.finfo(np.float32).tiny


def byte_scales(kernel: Kernel) -> Float32[np.ndarray, " out"]:
    """Returns the value of one step of a byte per output channel."""
    peaks: Float32[np.ndarray, " out"] = np.abs(kernel).max(axis=(1, 2, 3))
    scales: Float32[np.ndarray, " out"] = np.maximum(peaks / np.float32(LARGEST), SMALLEST)
    return scales


def fitted_bytes(kernel: Kernel, covariance: Covariance) -> Bytes:
    """Returns the weights in bytes, rounded so that the output changes little where it reads such inputs."""
    scales = byte_scales(kernel).astype(np.float64)
    rows = kernel.reshape(len(kernel), -1).astype(np.float64)
    ridge = RIDGE * np.trace(covariance) / len(covariance) + SMALLEST
    order = np.argsort(-np.diag(covariance), kind="stable")  # the loudest first, while many can take over
    rows, ridged = rows[:, order], (covariance + ridge * np.eye(len(covariance)))[np.ix_(order, order)]
    shares = np.linalg.cholesky(np.linalg.inv(ridged)).T
    steps = np.zeros_like(rows)
    for column in range(rows.shape[1]):
        steps[:, column] = np.rint(rows[:, column] / scales).clip(-LARGEST, LARGEST)
        error = (rows[:, column] - steps[:, column] * scales) / shares[column, column]
        rows[:, column + 1 :] -= error[:, None] * shares[column, column + 1 :]
    rounded: Bytes = steps[:, np.argsort(order)].reshape(kernel.shape).astype(np.int8)
    return rounded


def fitted_kernels(proto: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], run: Run) -> dict[str, Bytes]:
    """Returns the kernels of these convolutions in bytes by their names, where `MOST_INPUTS` allows.

    `run` returns values of a graph by their names, for one image after another.
    """
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    chosen = [node for node in nodes if _can_be_fitted(node, stored[node.input[1]])]
    names = sorted({node.input[0] for node in chosen})
    totals: dict[str, Any] = {}
    generator = np.random.default_rng(0)
    for values in run(_with_outputs(proto, names), names) if chosen else ():
        maps = dict(zip(names, values, strict=True))
        for node in chosen:
            rows = _rows(maps[node.input[0]][0], node, stored[node.input[1]].shape, generator)
            totals[node.name] = totals.get(node.name, 0.0) + rows.T @ rows
    return {node.input[1]: fitted_bytes(stored[node.input[1]], totals[node.name]) for node in chosen}


def put_kernels(quantized: onnx.ModelProto, kernels: Mapping[str, Bytes]) -> None:
    """Writes the bytes of kernels into a graph that holds others for them."""
    for tensor in quantized.graph.initializer:
        name = tensor.name.removesuffix("_quantized")
        if name != tensor.name and name in kernels:
            tensor.CopyFrom(numpy_helper.from_array(kernels[name], tensor.name))


def _can_be_fitted(node: onnx.NodeProto, kernel: np.ndarray) -> bool:
    attributes = attributes_of(node)
    is_plain = attributes.get("group", 1) == 1 and set(attributes.get("dilations", [1])) == {1}
    return is_plain and kernel[0].size <= MOST_INPUTS


def _with_outputs(proto: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    probe = copy.deepcopy(proto)
    given = {value.name for value in probe.graph.input}
    for name in names:
        if name not in given:
            probe.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return probe


def _rows(
    features: Float32[np.ndarray, "c h w"],
    node: onnx.NodeProto,
    shape: Sequence[int],
    generator: np.random.Generator,
) -> Float[np.ndarray, "places inputs"]:
    """Returns what the kernel reads at some places of a map."""
    attributes = attributes_of(node)
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    down, across = attributes.get("strides", [1, 1])
    padded = np.pad(features, ((0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, tuple(shape[2:]), axis=(1, 2))
    windows = windows[:, ::down, ::across]
    height, width = windows.shape[1:3]
    places = generator.choice(height * width, min(PLACES, height * width), replace=False)
    read = windows[:, places // width, places % width].swapaxes(0, 1)  # (places, c, kh, kw)
    rows: Float[np.ndarray, "places inputs"] = read.reshape(len(places), -1).astype(np.float64)
    return rows
