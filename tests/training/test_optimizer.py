"""The schedule by hand, and what decays."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seyolo.darknet import edit, zoo
from seyolo.darknet.sections import Convolutional
from seyolo.torchnet.build import DarknetModel, build
from seyolo.torchnet.layers.convolution import ConvolutionLayer
from seyolo.training.muon import RATE, kernels_for_muon
from seyolo.training.optimizer import JointOptimizer, learning_rate_factor, make_optimizer


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.25),
        (1, 0.5),
        (3, 1.0),
        (4, 1.0),  # the cosine starts: 0.01 + 0.99 * 0.5 * (1 + cos 0)
        (8, 0.01 + 0.99 * 0.75),  # a third of 12: cos 60° = 0.5
        (10, 0.505),  # half of 12: cos 90° = 0
        (16, 0.01),
        (20, 0.01),
    ],
)
def test_warm_up_then_half_a_cosine(step: int, expected: float) -> None:
    assert learning_rate_factor(step, num_steps=16, warmup_steps=4) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.25 * 0.505),  # a warm-up to where the first stage left off: cos 90° = 0
        (4, 0.505),
        (10, 0.01 + 0.99 * 0.5 * (1 - 0.5**0.5)),  # half of 12: cos 135°
        (16, 0.01),
    ],
)
def test_a_stage_walks_along_its_part_of_the_cosine(step: int, expected: float) -> None:
    factor = learning_rate_factor(step, num_steps=16, warmup_steps=4, span=(0.5, 1.0))
    assert factor == pytest.approx(expected)


@pytest.fixture(params=["se", "cbam"])
def model(request: pytest.FixtureRequest) -> DarknetModel:
    network = edit.attach(zoo.yolov3_tiny(num_classes=1, width=0.125), request.param, "head").network
    return build(network, generator=torch.Generator().manual_seed(0))


def test_every_parameter_is_in_one_group_once(model: DarknetModel) -> None:
    optimizer = make_optimizer(model, 1e-3, 0.02, torch.device("cpu"), "adamw")
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())
    scales = next(group for group in optimizer.param_groups if group["name"] == "scales")
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {id(norm.weight) for norm in norms} == {id(scale) for scale in scales["params"]}


def test_only_kernels_decay(model: DarknetModel) -> None:
    optimizer = make_optimizer(
        model, learning_rate=0.1, weight_decay=0.5, device=torch.device("cpu"), name="adamw"
    )
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        is_kernel = parameter.ndim == 4
        # Without a gradient AdamW only decays: by the factor 1 - 0.1 * 0.5.
        torch.testing.assert_close(parameter.detach(), before[name] * (0.95 if is_kernel else 1.0))


def _muon(model: nn.Module, learning_rate: float = 0.1) -> JointOptimizer:
    model.to(memory_format=torch.channels_last)
    return make_optimizer(model, learning_rate, 0.5, torch.device("cpu"), "muon")


def test_muon_trains_the_kernels_in_front_of_batch_normalisation_and_adamw_the_rest(
    model: DarknetModel,
) -> None:
    adamw, muon = _muon(model).parts
    by_muon = {matrix.data_ptr() for group in muon.param_groups for matrix in group["params"]}
    by_adamw = {weight.data_ptr() for group in adamw.param_groups for weight in group["params"]}
    norms = {name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    kernels = {f"{name.removesuffix('.bn')}.conv.weight" for name in norms}
    for name, parameter in model.named_parameters():
        assert (parameter.data_ptr() in by_muon) == (name in kernels), name
        assert (parameter.data_ptr() in by_adamw) != (name in kernels), name


def _layer(groups: int = 1, batch_normalize: bool = True) -> ConvolutionLayer:
    section = Convolutional(filters=4, size=3, pad=True, groups=groups, batch_normalize=batch_normalize)
    return ConvolutionLayer(section, 4)


def test_a_step_of_muon_makes_the_gradient_orthogonal_and_decays_the_kernel() -> None:
    torch.manual_seed(0)
    layer = _layer()
    optimizer = _muon(layer, learning_rate=0.01)
    kernel = layer.conv.weight
    before = kernel.detach().clone()
    kernel.grad = torch.randn_like(kernel)
    optimizer.step()
    rate, decay = 0.01, 0.5  # the group's rate is for `TrainingStep`, which sets the learning rate
    step = (before * (1 - rate * decay) - kernel.detach()) / rate
    singular = torch.linalg.svdvals(step.flatten(1)) / (0.2 * 36**0.5)  # the larger side is 4 * 3 * 3
    assert ((singular > 0.5) & (singular < 1.5)).all()
    given = torch.linalg.svdvals(kernel.grad.flatten(1))
    assert given.max() / given.min() > singular.max() / singular.min()


def test_muon_leaves_grouped_kernels_and_those_without_batch_normalisation_alone() -> None:
    layers = [_layer(groups=2), _layer(batch_normalize=False), _layer()]
    (kernel,) = kernels_for_muon(nn.Sequential(*layers))
    assert kernel is layers[2].conv.weight


def test_the_learning_rate_of_muon_is_a_multiple(model: DarknetModel) -> None:
    rates = {group["name"]: group["rate"] for group in _muon(model).param_groups}
    assert rates == {"kernels": 1.0, "scales": 1.0, "others": 1.0, "matrices": RATE}
