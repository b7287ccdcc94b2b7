"""Optimal brain surgeon against least squares solved anew, and what holds for any network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.random_weights import calibrated
from helpers.small_graphs import conv, network_of
from helpers.small_networks import random_images
from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import set_size
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import DataError
from seyolo.pruning.groups.groups import find_groups
from seyolo.pruning.importance.obs import RIDGE, _Reading, num_images, obs_scores
from seyolo.torchnet.build import DarknetModel

SIDE = 64


def model_of(network: Network) -> DarknetModel:
    network = set_size(network, SIDE, SIDE)
    return calibrated(network, random_images(SIDE, SIDE, seed=1)).eval()


def read_by(model: DarknetModel, layer: int, images: torch.Tensor) -> np.ndarray:
    """(places, channels) what a convolution reads."""
    seen: list[torch.Tensor] = []
    handle = model.layers[layer].conv.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        model(images)
    handle.remove()
    return seen[0].transpose(0, 1).flatten(1).T.double().numpy()


def test_the_first_to_leave_costs_what_least_squares_cannot_make_up_for() -> None:
    # Layer 1, which detects, reads layer 0 by a 1x1 kernel; its filters count alike.
    model = model_of(network_of(conv(6)))
    images = random_images(SIDE, SIDE, num=4, seed=3)
    scores = obs_scores(model, [images], mixed_precision=False)[0]
    x = read_by(model, 1, images)
    x = x - x.mean(axis=0)
    covariance = x.T @ x / len(x)
    ridge = RIDGE * np.trace(covariance) / 6
    kernel = model.layers[1].conv.weight.detach().flatten(1).double().numpy()
    costs = []
    for k in range(6):
        others = np.delete(np.arange(6), k)
        across = covariance[others, k]
        made_up_for = across @ np.linalg.solve(covariance[np.ix_(others, others)] + ridge * np.eye(5), across)
        costs.append(np.sum(kernel[:, k] ** 2) * (covariance[k, k] + ridge - made_up_for))
    assert scores.argmin() == np.argmin(costs)
    assert scores.min() == pytest.approx(len(images) * min(costs), rel=1e-4)
    assert scores.max() > scores.min()


def test_channels_removed_in_turn_cost_what_they_cost_together() -> None:
    # K_Rᵀ P_RR⁻¹ K_R without the channels R, anew for every R; two slots share the padding.
    rng = np.random.default_rng(0)
    factor, kernel = rng.normal(size=(12, 12)), rng.normal(size=(12, 7))
    precision, gram = factor @ factor.T + np.eye(12), kernel @ kernel.T
    precision[11, :11] = precision[:11, 11] = gram[11] = gram[:, 11] = 0
    kernel[11] = 0
    table = np.array([[0, 1], [2, 3], [4, 11], [5, 6], [7, 11]])
    reading = _Reading(*map(torch.from_numpy, (table, precision, gram)), 11)

    def together(slots: list[int]) -> float:
        own = np.unique(table[slots])
        return float((kernel[own] * np.linalg.solve(precision[np.ix_(own, own)], kernel[own])).sum())

    removed: list[int] = []
    for slots in ([3], [2, 0], [4], [1]):
        left = [slot for slot in range(5) if slot not in removed]
        before = together(removed) if removed else 0.0
        expected = [together([*removed, slot]) - before for slot in left]
        assert reading.costs(torch.tensor(left)).tolist() == pytest.approx(expected)
        reading.lose(torch.tensor(slots))
        removed += slots


@pytest.mark.parametrize("name", ["yolov3-tiny@0.25", "se-yolov3-tiny@0.25"])
def test_bfloat16_ranks_channels_as_float32_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seyolo.pruning.importance.obs.gains_from_bf16", lambda _: True)
    model = model_of(network_from_name(name, num_classes=1))
    images = [random_images(SIDE, SIDE, num=4, seed=seed) for seed in range(4)]
    exact, half = (obs_scores(model, images, mixed_precision=mixed) for mixed in (False, True))
    ranks = [np.corrcoef(np.argsort(exact[k].argsort()), np.argsort(half[k].argsort()))[0, 1] for k in exact]
    assert np.median(ranks) > 0.95


def test_of_two_that_say_the_same_one_stays() -> None:
    model = model_of(network_of(conv(8)))
    with torch.no_grad():
        for tensor in (*model.layers[0].conv.parameters(), *model.layers[0].bn.state_dict().values()):
            if tensor.ndim:
                tensor[5] = tensor[2]
        model.layers[1].conv.weight[:, [2, 5]] = 3.0
    scores = obs_scores(model, [random_images(SIDE, SIDE, num=2, seed=3)])[0]
    first, last = sorted(scores[[2, 5]])
    assert first < 0.05 * last


def test_what_nobody_uses_or_never_changes_costs_next_to_nothing() -> None:
    model = model_of(network_of(conv(8), conv(8)))
    with torch.no_grad():
        model.layers[1].conv.weight[:, 3] = 0.0
        model.layers[0].bn.weight[6] = 0.0  # constant, so it is folded
    scores = obs_scores(model, [random_images(SIDE, SIDE, num=2, seed=3)])[0]
    assert set(np.argsort(scores)[:2]) == {3, 6}
    assert scores[[3, 6]].max() < 0.05 * np.median(scores)


@pytest.mark.parametrize(
    "name", ["se-yolov3-tiny@0.25", "cbam-yolov4-tiny@0.25", "yolo-fastest-1.1", "yolov3-spp@0.125"]
)
def test_all_that_is_tied_has_one_score_and_nothing_changes(name: str) -> None:
    model = model_of(network_from_name(name, num_classes=2))
    model.train()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    images = random_images(SIDE, SIDE, num=2, seed=3)
    scores = obs_scores(model, [images])
    for group in find_groups(model.network).groups:
        if group.layers and not group.fixed:
            of_layers = [
                scores[layer][members] for layer, members in zip(group.layers, group.members, strict=True)
            ]
            assert np.isfinite(of_layers[0]).all()
            assert (of_layers[0] >= 0).all()
            assert all(np.array_equal(one, of_layers[0]) for one in of_layers)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())
    again = obs_scores(model, [images])
    assert all(np.array_equal(again[layer], scores[layer]) for layer in scores)


def test_parts_that_are_read_by_some_only() -> None:
    # The second half of layer 0 goes on alone; the first is read by nobody but the shortcut's reader.
    half = "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"
    model = model_of(network_of(conv(8), half, conv(8), "[route]\nlayers=-1,0\n", conv(8, groups=2)))
    scores = obs_scores(model, [random_images(SIDE, SIDE, num=2, seed=3)])
    assert all(np.isfinite(scores[layer]).all() for layer in (0, 2, 4))


def test_batches_add_up() -> None:
    model = model_of(network_from_name("yolov3-tiny@0.125", num_classes=1))
    images = random_images(SIDE, SIDE, num=4, seed=3)
    whole = obs_scores(model, [images])
    parts = obs_scores(model, images.split(1))
    ranks = [np.corrcoef(np.log(whole[layer]), np.log(parts[layer]))[0, 1] for layer in whole]
    assert min(ranks) > 0.8  # the random directions differ


def test_no_images() -> None:
    with pytest.raises(DataError, match="no images"):
        obs_scores(model_of(network_of(conv(8))), [])


@pytest.mark.parametrize(
    ("width", "size_px", "count"),
    [(0.25, 416, 64), (0.5, 416, 64), (1.0, 320, 40), (1.0, 416, 24), (1.0, 608, 24)],
)
def test_wide_networks_are_measured_on_fewer_images(width: float, size_px: int, count: int) -> None:
    network = network_from_name(f"yolov3@{width:g}", num_classes=1)
    assert num_images(set_size(network, size_px, size_px)) == count
