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
    CoordAtt,
    Eca,
    Implicit,
    LocalAvgPool,
    MaxPool,
    OwnGate,
    Reference,
    Reorg,
    Reorg3d,
    Route,
    ScaleChannels,
    Shortcut,
    SimAm,
    Upsample,
)
from seyolo.torchnet.layers import CbamLayer, GateLayer, make_layer
from seyolo.torchnet.layers.convolution import ConvolutionLayer


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


@settings(max_examples=40)
@given(
    side=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    size=st.integers(1, 4),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_local_avgpool_is_darknets_loop(side: tuple[int, int], size: int, strides: tuple[int, int]) -> None:
    section = LocalAvgPool(size=size, stride_y=strides[0], stride_x=strides[1])
    x = np.random.default_rng(0).random(side)
    offset = (size - 1) // 2
    expected = np.zeros([(side[k] - 1) // strides[k] + 1 for k in (0, 1)])
    for row, column in np.ndindex(*expected.shape):
        top, left = row * strides[0] - offset, column * strides[1] - offset
        # Only pixels inside the image are counted.
        window = x[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)]
        expected[row, column] = window.mean()
    actual = make_layer(section, [1])(torch.from_numpy(x)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_maximum_over_channels() -> None:
    layer = make_layer(MaxPool(maxpool_depth=True, out_channels=2), [6])
    # Channel 0 is the largest of channels 0, 2 and 4.
    assert layer(channels(1, 2, 5, 4, 3, 6)).flatten().tolist() == [5, 6]


@pytest.mark.parametrize(("height", "width"), [(4, 6), (6, 2), (8, 8)])
def test_reorg_is_darknets_loop(height: int, width: int) -> None:
    """As `reorg_cpu` runs it for `[reorg]`: its width, height and channels are those of the input."""
    num, step = 8, 2
    flat = np.random.default_rng(0).random(num * height * width)
    expected = np.empty_like(flat)
    narrow = num // step**2
    for k, j, i in np.ndindex(num, height, width):
        offset, c2 = divmod(k, narrow)
        x, y = i * step + offset % step, j * step + offset // step
        expected[i + width * (j + height * k)] = flat[x + width * step * (y + height * step * c2)]
    out = make_layer(Reorg(stride=step), [num])(torch.from_numpy(flat).reshape(1, num, height, width))
    assert out.shape == (1, num * 4, height // 2, width // 2)
    np.testing.assert_array_equal(out.numpy().ravel(), expected)


def test_reorg3d_is_space_to_depth_with_the_position_outermost() -> None:
    x = torch.arange(2 * 4 * 6).reshape(1, 2, 4, 6)
    out = make_layer(Reorg3d(stride=2), [2])(x)
    assert out.shape == (1, 8, 2, 3)
    for y, z, channel in np.ndindex(2, 2, 2):
        block = (y * 2 + z) * 2 + channel
        assert torch.equal(out[0, block], x[0, channel, y::2, z::2])


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


def share(weight: float, weights: tuple[float, ...], normalization: str) -> float:
    """A weight of a shortcut as Darknet's loop normalises it, written for one number."""
    if normalization == "relu":
        return max(weight, 0) / (1e-4 + sum(max(w, 0) for w in weights))
    if normalization == "softmax":
        return math.exp(weight - max(weights)) / (1e-4 + sum(math.exp(w - max(weights)) for w in weights))
    return weight


@pytest.mark.parametrize("normalization", ["none", "relu", "softmax"])
@pytest.mark.parametrize("kind", ["per_feature", "per_channel"])
def test_weighted_shortcut_is_darknets_formula(kind: str, normalization: str) -> None:
    section = Shortcut(
        from_=(Reference(0), Reference(1)),
        weights_type=kind,  # type: ignore[arg-type]
        weights_normalization=normalization,  # type: ignore[arg-type]
    )
    layer = make_layer(section, [2, 2, 1])
    per_channel = [[0.5, -1.0], [2.0, 0.25], [1.0, 3.0]]
    values = per_channel if kind == "per_channel" else [row[0] for row in per_channel]
    layer.load_state_dict({"weights": torch.tensor(values)})
    inputs = [1.0, 10.0], [100.0, 1000.0], [7.0]
    expected = []
    for channel in range(2):
        weights = tuple(row[channel if kind == "per_channel" else 0] for row in per_channel)
        terms = [
            share(weight, weights, normalization) * values[channel]
            for weight, values in zip(weights, inputs, strict=True)
            if channel < len(values)
        ]
        expected.append(sum(terms))
    with torch.no_grad():
        total = layer(*(channels(*values) for values in inputs))
    assert total.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_implicit_is_what_it_learned() -> None:
    layer = make_layer(Implicit(filters=3), [5])
    layer.load_state_dict({"weights": torch.tensor([1.0, 2.0, 3.0])})
    assert layer(torch.zeros(2, 5, 4, 4)).shape == (1, 3, 1, 1)
    assert layer(torch.zeros(2, 5, 4, 4)).flatten().tolist() == [1, 2, 3]


def test_one_factor_per_pixel() -> None:
    layer = make_layer(ScaleChannels(from_=(Reference(0),), scale_wh=True), [1, 2])
    factors, features = torch.tensor([[[[10.0, 100.0]]]]), torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    assert layer(factors, features).flatten().tolist() == [10, 200, 30, 400]


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


def sigmoid(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))


def random_gate(section: OwnGate, channels: int) -> tuple[GateLayer, dict[str, np.ndarray]]:
    """A gate in float64 and its tensors."""
    generator = np.random.default_rng(4)
    layer = make_layer(section, [channels]).double().eval()
    arrays = {name: generator.normal(size=value.shape) for name, value in layer.state_dict().items()}
    arrays = {name: abs(array) + 0.1 if name.endswith("var") else array for name, array in arrays.items()}
    layer.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()}, strict=False)
    assert isinstance(layer, GateLayer)
    return layer, arrays


def gated(layer: GateLayer, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(layer(torch.from_numpy(x)[None])[0].numpy())


X = np.random.default_rng(5).normal(size=(6, 5, 4))


@pytest.mark.parametrize("join", ["scale", "add"])
def test_eca_is_the_papers_formula(join: str) -> None:
    layer, arrays = random_gate(Eca(size=3, join=join, gain=2.0), 6)  # type: ignore[arg-type]
    kernel, means = arrays["conv.weight"].ravel(), np.pad(X.mean((1, 2)), 1)
    gate = sigmoid(np.array([means[c : c + 3] @ kernel for c in range(6)]))[:, None, None]
    np.testing.assert_allclose(gated(layer, X), 2 * (X * gate + (join == "add") * X), atol=1e-12)


def test_eca_reads_its_neighbours_from_before_pruning() -> None:
    """Channels at 0, 1, 4, 5, 8 and 9: each pair sees itself alone."""
    layer, arrays = random_gate(Eca(size=3, positions=(0, 1, 4, 5, 8, 9)), 6)
    (before, own, behind), means = arrays["conv.weight"].ravel(), X.mean((1, 2))
    logits = [
        own * means[c] + (behind * means[c + 1] if c % 2 == 0 else before * means[c - 1]) for c in range(6)
    ]
    np.testing.assert_allclose(gated(layer, X), X * sigmoid(np.array(logits))[:, None, None], atol=1e-12)


@pytest.mark.parametrize("join", ["scale", "add"])
def test_coordatt_is_the_papers_formula(join: str) -> None:
    layer, arrays = random_gate(CoordAtt(hidden=3, join=join), 6)  # type: ignore[arg-type]
    means = np.concatenate([X.mean(2), X.mean(1)], axis=1)  # 5 rows, then 4 columns
    mean, variance, scale, shift = (
        arrays[f"bn.{name}"][:, None] for name in ("running_mean", "running_var", "weight", "bias")
    )
    hidden = arrays["conv.weight"][:, :, 0, 0] @ means
    hidden = (hidden - mean) / np.sqrt(variance + 1e-6) * scale + shift
    hidden *= np.clip(hidden + 3, 0, 6) / 6
    rows, columns = (
        sigmoid(arrays[f"{name}.weight"][:, :, 0, 0] @ part + arrays[f"{name}.bias"][:, None])
        for name, part in (("rows", hidden[:, :5]), ("columns", hidden[:, 5:]))
    )
    expected = X * rows[:, :, None] * columns[:, None, :]
    np.testing.assert_allclose(gated(layer, X), expected + (join == "add") * X, atol=1e-12)


def test_simam_by_hand() -> None:
    """0, 0, 0, 4: the mean is 1, the squares are 1, 1, 1, 9, the variance is 12 / 3 = 4."""
    layer, _ = random_gate(SimAm(), 1)
    # E = d / (4 (v + 1e-4)) + 1/2: 9 / 16.0004 + 1/2 = 1.062486 and 1 / 16.0004 + 1/2
    expected = [0, 0, 0, 4 * sigmoid(np.array(9 / 16.0004 + 0.5))]
    np.testing.assert_allclose(gated(layer, np.array([[[0.0, 0.0], [0.0, 4.0]]])).ravel(), expected)
    alone = gated(layer, np.array([[[3.0]]]))  # one pixel: no variance, nothing stands out
    np.testing.assert_allclose(alone, 3 * sigmoid(np.array(0.5)))


def test_fresh_gates_are_the_identity() -> None:
    x = torch.randn(2, 6, 4, 4, generator=torch.Generator().manual_seed(0))
    for section in (
        Eca(gain=2.0),
        CoordAtt(gain=4.0),
        Eca(join="add", gain=2 / 3),
        CoordAtt(join="add", gain=0.8),
    ):
        layer = make_layer(section, [6])
        assert isinstance(layer, GateLayer)
        for name, tensor in layer.state_dict().items():
            torch.nn.init.ones_(tensor) if "bn" in name else torch.nn.init.normal_(tensor)
            if name in ("rows.bias", "columns.bias"):
                torch.nn.init.zeros_(tensor)
        for kernel in layer.last_kernels():
            torch.nn.init.zeros_(kernel)
        torch.testing.assert_close(layer.eval()(x), x)


@pytest.mark.parametrize("filters", [8, 16])
def test_the_memory_a_layer_trains_in_changes_no_number(filters: int) -> None:
    section = Convolutional(filters=filters, size=3, pad=1, batch_normalize=True, activation="leaky")
    layer = make_layer(section, [3]).double()
    torch.manual_seed(0)
    torch.nn.init.normal_(layer.conv.weight)
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64).to(memory_format=torch.channels_last).requires_grad_()
    y = layer(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    wanted = torch.randn_like(y)
    gradients = torch.autograd.grad(y, [x, *layer.parameters()], wanted)

    normalised = torch.nn.functional.batch_norm(
        layer.conv(x), None, None, layer.bn.weight, layer.bn.bias, training=True, eps=layer.bn.eps
    )
    expected = torch.where(normalised > 0, normalised, 0.1 * normalised)
    torch.testing.assert_close(y, expected)
    for ours, theirs in zip(
        gradients, torch.autograd.grad(expected, [x, *layer.parameters()], wanted), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (Convolutional(filters=8, groups=8, size=3, stride=2, pad=1), torch.float32),
        (Convolutional(filters=8, groups=8, size=5, stride=1, pad=1), torch.float32),
        (Convolutional(filters=8, groups=8, size=3, stride=1, pad=1), torch.bfloat16),
        (Convolutional(filters=16, size=3, stride=2, pad=1), torch.bfloat16),
    ],
)
def test_gradients_that_are_slow_in_bfloat16_are_float32(
    section: Convolutional, expected: torch.dtype
) -> None:
    """Depthwise convolutions with a stride or a large kernel; inference stays in bfloat16."""
    layer = ConvolutionLayer(section, 8)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    seen: list[torch.dtype] = []
    layer.conv.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    x = torch.randn(2, 8, 16, 16, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x).float().sum().backward()
        with torch.no_grad():
            assert layer(x).dtype == torch.bfloat16
    assert seen == [expected, torch.bfloat16]
    assert x.grad is not None
    assert layer.conv.weight.grad is not None
