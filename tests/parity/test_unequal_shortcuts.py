"""`[shortcut]` of layers of unequal sizes, against the loop of Darknet's `shortcut_cpu`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import seyolo
from helpers.masking import largest_difference, mask_layers, model_of, random_state
from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from seyolo.darknet.cfg import parse_cfg, read_cfg
from seyolo.darknet.cost import cost
from seyolo.darknet.edit import residual_block
from seyolo.darknet.graph import max_stride, shapes, strides
from seyolo.darknet.sections import Convolutional, Reference, Shortcut
from seyolo.errors import CfgError, ModelError
from seyolo.exporting.parity import relative_error
from seyolo.pruning.cutting.cut import slice_network
from seyolo.pruning.groups.groups import find_groups, keep_masks
from seyolo.runtime.choice import open_backend
from seyolo.torchnet.layers import make_layer

PLAIN = "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=1\npad=1\nactivation=linear\n"
DOWN = CONVOLUTION.replace("leaky", "linear")
UP = "[upsample]\nstride=2\n"


def shortcut_cpu(front: np.ndarray, named: np.ndarray) -> np.ndarray:
    """Sums (c, h, w) arrays as pjreddie's and AlexeyAB's (before 2020) blas.c."""
    out = front.copy()
    (c1, h1, w1), (c2, h2, w2) = named.shape, front.shape
    step, spread = w1 // w2, w2 // w1
    assert (step, spread) == (h1 // h2, h2 // h1)
    step, spread = max(step, 1), max(spread, 1)
    for k in range(min(c1, c2)):
        for j in range(min(h1, h2)):
            for i in range(min(w1, w2)):
                out[k, j * spread, i * spread] += named[k, j * step, i * step]
    return out


@pytest.mark.parametrize(
    ("front", "named"),
    [
        ((4, 3, 5), (4, 6, 10)),
        ((4, 3, 5), (4, 7, 11)),
        ((6, 3, 5), (4, 6, 10)),
        ((4, 3, 5), (6, 9, 15)),
        ((4, 7, 9), (4, 13, 17)),  # a stride of 2 and odd sides: the factor is 1
        ((4, 6, 10), (4, 3, 5)),
        ((4, 7, 11), (2, 3, 5)),
        ((4, 13, 17), (4, 7, 9)),
        ((4, 1, 1), (4, 5, 5)),
        ((4, 5, 5), (4, 1, 1)),
    ],
)
def test_the_layer_adds_what_darknet_adds(front: tuple[int, ...], named: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=front), rng.normal(size=named)
    layer = make_layer(Shortcut(from_=(Reference(0),)), [front[0], named[0]])
    inputs = [torch.from_numpy(x)[None].requires_grad_() for x in (one, other)]
    result = layer(*inputs)
    np.testing.assert_allclose(result[0].detach().numpy(), shortcut_cpu(one, other), atol=1e-12)
    result.sum().backward()
    assert inputs[0].grad is not None
    assert inputs[1].grad is not None
    assert (inputs[0].grad == 1).all()
    assert inputs[1].grad.sum() == np.prod([min(a, b) for a, b in zip(front, named, strict=True)])


NETWORKS = {
    "smaller in front": PLAIN + DOWN + "[shortcut]\nfrom=-2\nactivation=leaky\n",
    "fewer channels in front": PLAIN.replace("8", "12") + DOWN + "[shortcut]\nfrom=-2\n",
    "more channels in front": PLAIN.replace("8", "4") + DOWN + "[shortcut]\nfrom=-2\n",
    "two strides": PLAIN + DOWN + DOWN + "[shortcut]\nfrom=-3\n",
    "larger in front": DOWN + UP + PLAIN + "[shortcut]\nfrom=-3\n",
    "a pool": PLAIN + "[maxpool]\nsize=2\nstride=2\n[shortcut]\nfrom=-2\n",
}


@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("ending", [".onnx", ".xml"])
def test_exported_files_add_the_same(layers: str, ending: str, tmp_path: Path) -> None:
    if ending == ".xml" and find_spec("openvino") is None:
        pytest.skip("needs seyolo[openvino]")
    images = random_images(32, 32, num=4)
    model = calibrated(small_network(layers), images)
    path = tmp_path / f"x{ending}"
    seyolo.export(model, path)
    with torch.no_grad():
        expected = model(images[:1]).numpy()
    assert relative_error(open_backend(path).infer(images[:1].numpy()), expected) < 1e-4


def test_the_description_survives_printing_and_costs_no_more() -> None:
    network = small_network(NETWORKS["smaller in front"])
    assert parse_cfg(network.to_cfg()) == network
    assert [shape.size for shape in shapes(network)[:3]] == [(32, 32), (16, 16), (16, 16)]
    assert strides(network)[:3] == (1, 2, 2)
    assert max_stride(network) == 2
    assert cost(network).layers[2].macs == 0
    up = small_network(NETWORKS["larger in front"])
    assert strides(up)[3] == 1
    assert shapes(up)[3].size == (32, 32)


@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)
def test_channels_that_are_added_are_pruned_together(layers: str) -> None:
    network, rng = small_network(layers), np.random.default_rng(1)
    groups = find_groups(network)
    kept = [
        np.arange(group.num_channels) if group.fixed else np.arange(0, group.num_channels, 2)
        for group in groups.groups
    ]
    state, masks = random_state(network, rng), list(keep_masks(groups, kept))
    slim, tensors = slice_network(network, state, masks)
    assert cost(slim).params < cost(network).params
    masked = mask_layers(model_of(network, state), masks)
    assert largest_difference(model_of(slim, tensors), masked, rng) < 1e-9


def test_a_block_that_changes_the_size_stays() -> None:
    network = small_network(NETWORKS["smaller in front"].replace("activation=leaky", ""))
    with pytest.raises(ModelError, match="does more than add a branch"):
        residual_block(network, 2)
    plain = small_network(PLAIN + PLAIN + "[shortcut]\nfrom=-2\n")
    assert residual_block(plain, 2) == range(1, 3)


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (PLAIN + DOWN.replace("stride=2", "stride_x=2\nstride_y=1") + "[shortcut]\nfrom=-2\n", "factors"),
        (PLAIN + DOWN + DOWN + "[shortcut]\nfrom=-2,-3\n", "must be equal"),
        (PLAIN + DOWN + "[shortcut]\nfrom=-2\nweights_type=per_feature\n", "must be equal"),
    ],
)
def test_what_no_darknet_adds_is_refused(layers: str, text: str) -> None:
    network = small_network(layers)
    with pytest.raises(CfgError, match=text) as caught:
        shapes(network)
    assert str(caught.value).startswith("small.cfg:")
    assert "[shortcut] (layer" in str(caught.value)


def test_a_residual_network_of_darknet_trains(tiny_hands: Path, tmp_path: Path) -> None:
    """The strided blocks of Darknet's resnet18.cfg: fewer channels and twice the size are added."""
    block = PLAIN.replace("linear", "leaky").replace("stride=1", "stride=2").replace(
        "8", "16"
    ) + PLAIN.replace("8", "16")
    network = small_network(
        CONVOLUTION + PLAIN * 2 + "[shortcut]\nfrom=-3\n" + block + "[shortcut]\nfrom=-3\n"
    )
    assert isinstance(network.layers[0], Convolutional)
    (tmp_path / "res.cfg").write_text(network.to_cfg())
    trained = seyolo.train(tiny_hands, tmp_path / "res.cfg", epochs=1, batch=4, folder=tmp_path / "run")
    slim, plan = seyolo.prune(trained.model, budget="macs=50%", multiple=2)
    assert plan.macs <= 0.5 * plan.dense_macs
    assert slim(random_images(32, 32)).shape[2] == 6


def test_the_case_is_read(shared_cases: Path, tmp_path: Path) -> None:
    cfg = shared_cases / "darknet" / "shortcut_smaller" / "shortcut_smaller.cfg"
    images = random_images(64, 128)
    model = calibrated(read_cfg(cfg), images)
    seyolo.export(model, tmp_path / "x.onnx")
    seyolo.save(model, tmp_path / "x.cfg")
    with torch.no_grad():
        expected = model(images).numpy()
    for name in ("x.onnx", "x.cfg"):
        assert relative_error(open_backend(tmp_path / name).infer(images.numpy()), expected) < 1e-4
