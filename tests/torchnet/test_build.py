"""The module made from a description."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from seyolo.darknet.cfg import parse_cfg
from seyolo.darknet.weights import tensor_shapes
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import CfgError, ModelError, UsageError
from seyolo.torchnet.build import build, from_checkpoint, to_checkpoint

ZOO = ["yolov3@0.125", "yolov3-tiny@0.25", "yolov3-spp@0.125", "se-yolov3@0.125", "cbam-yolov3@0.125"]


@pytest.mark.parametrize("name", ZOO)
def test_state_is_named_and_shaped_as_the_description_says(name: str) -> None:
    network = network_from_name(name, num_classes=3)
    state = build(network).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == tensor_shapes(network)


def test_output_is_cells_times_anchors_for_any_multiple_of_the_stride() -> None:
    model = build(network_from_name("yolov3@0.125", num_classes=2)).eval()
    with torch.no_grad():
        # 3 anchors · (2·3 + 4·6 + 8·12) cells at strides 32, 16, 8 of 64x96
        assert model(torch.rand(2, 3, 64, 96)).shape == (2, 3 * (6 + 24 + 96), 7)
        heads = model.forward_heads(torch.rand(1, 3, 96, 64))
    assert [tuple(head.shape) for head in heads] == [(1, 3, 2, 3, 7), (1, 6, 4, 3, 7), (1, 12, 8, 3, 7)]


def test_forward_is_the_decoded_heads_in_order() -> None:
    images = random_images(64, 64)
    model = calibrated(network_from_name("yolov3-tiny@0.25", num_classes=2), images)
    with torch.no_grad():
        decoded = [
            head.decode(logits, (stride, stride))
            for head, logits, stride in zip(model.heads, model.forward_heads(images), (32, 16), strict=True)
        ]
        torch.testing.assert_close(model(images), torch.cat(decoded, dim=1), rtol=0, atol=0)


def test_memory_format_and_batch_do_not_change_the_output() -> None:
    images = random_images(64, 64, num=2)
    model = calibrated(network_from_name("yolov3@0.125", num_classes=2), images)
    with torch.no_grad():
        expected = model(images)
        other = copy.deepcopy(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        last = other(images.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(model(images[1:]), expected[1:], rtol=1e-4, atol=1e-4)


def test_autocast_trains_in_bfloat16_and_decodes_in_float32() -> None:
    model = build(network_from_name("se-yolov3@0.125", num_classes=1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert {head.dtype for head in model.forward_heads(random_images(64, 64))} == {torch.bfloat16}
        raw = model(random_images(64, 64))
    assert raw.dtype == torch.float32
    raw.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_outputs_are_freed_after_their_last_reader() -> None:
    model = build(small_network(CONVOLUTION * 3 + "[route]\nlayers=0\n[route]\nlayers=-1\n"))
    # Layer 0 is read by 1 and, last, by the route 3; 2 is read by nobody; the head 6 by the caller.
    expected = [[-1], [], [1, 2], [0], [3], [4], [5, 6]]
    assert [sorted(layers) for layers in model._unread_after] == expected


def test_fresh_heads_expect_few_objects() -> None:
    model = build(network_from_name("yolov3-tiny@0.25", num_classes=4)).eval()
    with torch.no_grad():
        raw = model(random_images(64, 64))
    assert raw[..., 4].median().item() == pytest.approx(0.01, rel=0.5)
    assert raw[..., 5:].median().item() == pytest.approx(0.25, rel=0.3)


def test_the_same_generator_gives_the_same_model() -> None:
    network = network_from_name("yolov3-tiny@0.25", num_classes=1)
    models = [build(network, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)]
    first, second, third = (model.state_dict()["layers.0.conv.weight"] for model in models)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert all(value.isfinite().all() for value in models[0].state_dict().values())


def test_built_modules_are_torchs_own_with_the_recorded_epsilon() -> None:
    model = build(network_from_name("yolov3-tiny@0.25", num_classes=1))
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-6}
    assert {type(module) for module in model.modules() if isinstance(module, nn.Conv2d)} == {nn.Conv2d}


def test_file_and_back_is_the_same_model_in_evaluation_mode() -> None:
    images = random_images(64, 64)
    model = calibrated(network_from_name("cbam-yolov3@0.125", num_classes=2), images)
    model.provenance = {"epoch": 3}
    again = from_checkpoint(to_checkpoint(model))
    assert not again.training
    assert (again.network, again.names, again.provenance) == (model.network, model.names, {"epoch": 3})
    with torch.no_grad():
        assert torch.equal(again(images), model(images))


def test_to_file_is_a_copy() -> None:
    model = build(small_network(CONVOLUTION))
    file = to_checkpoint(model)
    file.state["layers.0.conv.weight"][:] = 0
    assert model.state_dict()["layers.0.conv.weight"].abs().sum() > 0


def test_a_plain_dict_loads_strictly() -> None:
    model = build(small_network(CONVOLUTION))
    state = dict(model.state_dict())
    model.load_state_dict(state)
    del state["layers.0.bn.weight"]
    with pytest.raises(RuntimeError, match=r"layers\.0\.bn\.weight"):
        model.load_state_dict(state)


def test_what_cannot_be_a_detector_is_refused() -> None:
    with pytest.raises(ModelError, match="2 names for 1 class:"):
        build(small_network(CONVOLUTION), ["hand", "face"])
    with pytest.raises(CfgError, match=r"no \[yolo\]"):
        build(parse_cfg("[net]\n[convolutional]\nfilters=4\n", "backbone.cfg"))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 3, 30, 32)])
def test_images_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    model = build(small_network(CONVOLUTION * 2))
    with pytest.raises(UsageError, match=r"\(N, 3, H, W\) with H and W multiples of"):
        model(torch.zeros(shape))
