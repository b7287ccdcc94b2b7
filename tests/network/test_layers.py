"""Layers against hand-worked numbers and naive loops over Darknet's definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seyolo.darknet.sections import (
    Cbam,
    Convolutional,
    MaxPool,
    Reference,
    Route,
    ScaleChannels,
    Shortcut,
    Upsample,
)
from seyolo.network.layers import CbamLayer, make_activation, make_layer


def test_maxpool_of_size_2_stride_1_looks_right_and_down() -> None:
    layer = make_layer(MaxPool(size=2, stride=1), [1])
    x = -torch.tensor([[[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]]])
    # All numbers are negative: a border of zeros would win, Darknet's does not.
    assert (-layer(x)).tolist() == [[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]
    assert layer(-x).tolist() == [[[[5, 6, 6], [8, 9, 9], [8, 9, 9]]]]


@settings(max_examples=60)
@given(
    side=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    size=st.integers(1, 5),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.integers(-1, 4),
)
def test_maxpool_is_darknets_loop(
    side: tuple[int, int], size: int, strides: tuple[int, int], padding: int
) -> None:
    section = MaxPool(size=size, stride_y=strides[0], stride_x=strides[1], padding=min(padding, size - 1))
    total = section.padding_px
    shape = [(side[k] + total - size) // strides[k] + 1 for k in (0, 1)]
    if min(shape) < 1:
        return
    x = -np.random.default_rng(0).random(side, dtype=np.float32)
    expected = np.full(shape, -np.inf, np.float32)
    for row in range(shape[0]):
        for column in range(shape[1]):
            for dy in range(size):
                for dx in range(size):
                    y, z = row * strides[0] - total // 2 + dy, column * strides[1] - total // 2 + dx
                    if 0 <= y < side[0] and 0 <= z < side[1]:
                        expected[row, column] = max(expected[row, column], x[y, z])
    actual = make_layer(section, [1])(torch.from_numpy(x)[None, None])[0, 0].numpy()
    np.testing.assert_array_equal(actual, expected)


ACTIVATIONS = {
    "linear": lambda x: x,
    "leaky": lambda x: x if x > 0 else 0.1 * x,
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "logistic": lambda x: 1 / (1 + math.exp(-x)),
    "swish": lambda x: x / (1 + math.exp(-x)),
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "hard_mish": lambda x: x if x > 0 else x * x / 2 + x if x > -2 else 0.0,
    "hardtan": lambda x: min(max(x, -1.0), 1.0),
    "tanh": lambda x: 2 / (1 + math.exp(-2 * x)) - 1,
    "elu": lambda x: x if x >= 0 else math.exp(x) - 1,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_darknets(name: str) -> None:
    points = [-7.0, -2.5, -2.0, -1.0, -0.3, 0.0, 0.4, 1.0, 3.0, 6.5]
    actual = make_activation(name)(torch.tensor(points, dtype=torch.float64))  # type: ignore[arg-type]
    np.testing.assert_allclose(actual, [ACTIVATIONS[name](x) for x in points], atol=1e-12)


def channels(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, -1, 1, 1)


@pytest.mark.parametrize(
    ("front", "other", "expected"),
    [
        ((1, 2), (10, 20), [11, 22]),
        ((1, 2, 3), (10,), [11, 2, 3]),
        ((1,), (10, 20), [11]),
    ],
)
def test_shortcut_adds_the_shared_channels(
    front: tuple[float, ...], other: tuple[float, ...], expected: list[float]
) -> None:
    layer = make_layer(Shortcut(from_=(Reference(0),)), [len(front), len(other)])
    assert layer(channels(*front), channels(*other)).flatten().tolist() == expected


def test_shortcut_adds_several_layers_before_its_activation() -> None:
    section = Shortcut(from_=(Reference(0), Reference(1)), activation="leaky")
    # 1 + 2 - 8 = -5, times 0.1
    total = make_layer(section, [1, 1, 1])(channels(1.0), channels(2.0), channels(-8.0))
    assert total.item() == pytest.approx(-0.5)


def test_route_concatenates_whole_layers_or_the_same_part_of_each() -> None:
    whole = Route(layers=(Reference(0), Reference(1)))
    part = Route(layers=(Reference(0), Reference(1)), groups=2, group_id=1)
    inputs = channels(1, 2, 3, 4), channels(5, 6)
    assert make_layer(whole, [4, 2])(*inputs).flatten().tolist() == [1, 2, 3, 4, 5, 6]
    assert make_layer(part, [4, 2])(*inputs).flatten().tolist() == [3, 4, 6]


def test_scale_channels_multiplies_each_channel_by_its_factor() -> None:
    layer = make_layer(ScaleChannels(from_=(Reference(0),)), [2, 2])
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    assert layer(channels(10, 100), features).flatten().tolist() == [10, 20, 300, 400]


def test_upsample_repeats_cells_and_scales() -> None:
    layer = make_layer(Upsample(stride=2, scale=3.0), [1])
    assert layer(torch.tensor([[[[1.0, 2.0]]]])).tolist() == [[[[3, 3, 6, 6], [3, 3, 6, 6]]]]


def test_convolution_has_separate_strides_groups_and_dilation() -> None:
    section = Convolutional(
        filters=4, size=3, stride_x=2, stride_y=1, pad=1, groups=2, dilation=2, activation="linear"
    )
    layer = make_layer(section, [2])
    assert layer.conv.weight.shape == (4, 1, 3, 3)
    assert layer.conv.padding == (2, 2)
    assert layer(torch.zeros(1, 2, 8, 8)).shape == (1, 4, 8, 4)


@pytest.mark.parametrize("join", ["scale", "add"])
def test_cbam_is_the_papers_formula(join: str) -> None:
    generator = np.random.default_rng(3)
    layer = CbamLayer(Cbam(hidden=2, size=3, join=join), 4)  # type: ignore[arg-type]
    arrays = {name: generator.normal(size=p.shape) for name, p in layer.named_parameters()}
    layer.double().load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    x = generator.normal(size=(4, 5, 6))

    def mlp(pooled: np.ndarray) -> np.ndarray:
        hidden = np.maximum(arrays["squeeze.weight"][:, :, 0, 0] @ pooled + arrays["squeeze.bias"], 0)
        return arrays["excite.weight"][:, :, 0, 0] @ hidden + arrays["excite.bias"]

    def sigmoid(value: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-value))

    refined = x * sigmoid(mlp(x.mean((1, 2))) + mlp(x.max((1, 2))))[:, None, None]
    maps = np.pad(np.stack([refined.mean(0), refined.max(0)]), ((0, 0), (1, 1), (1, 1)))
    kernel = arrays["spatial.weight"][0]
    spatial = np.array(
        [[(maps[:, row : row + 3, col : col + 3] * kernel).sum() for col in range(6)] for row in range(5)]
    )
    refined = refined * sigmoid(spatial)
    expected = x + refined if join == "add" else refined
    with torch.no_grad():
        np.testing.assert_allclose(layer(torch.from_numpy(x)[None])[0], expected, atol=1e-12)
