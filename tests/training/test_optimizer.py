"""The schedule by hand, and what decays."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seyolo.darknet import edit, zoo
from seyolo.torchnet.build import DarknetModel, build
from seyolo.training.optimizer import learning_rate_factor, make_optimizer


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
    optimizer = make_optimizer(model, 1e-3, 0.02, torch.device("cpu"))
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())
    scales = next(group for group in optimizer.param_groups if group["name"] == "scales")
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {id(norm.weight) for norm in norms} == {id(scale) for scale in scales["params"]}


def test_only_kernels_decay(model: DarknetModel) -> None:
    optimizer = make_optimizer(model, learning_rate=0.1, weight_decay=0.5, device=torch.device("cpu"))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        is_kernel = parameter.ndim == 4
        # Without a gradient AdamW only decays: by the factor 1 - 0.1 * 0.5.
        torch.testing.assert_close(parameter.detach(), before[name] * (0.95 if is_kernel else 1.0))
