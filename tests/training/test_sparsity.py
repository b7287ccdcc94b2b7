"""Sparsity methods: the published subgradient, exact zeros, and a steered fade that ends at zero."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seyolo.darknet import zoo
from seyolo.errors import UsageError
from seyolo.pruning.groups.groups import tied_scales
from seyolo.torchnet.build import build
from seyolo.training.sparsity import L1, GroupLasso, ProximalL1, Steered, make_sparsity, sparse_scales


@pytest.fixture
def model():
    return build(zoo.yolov3_tiny(num_classes=1, width=0.125), generator=torch.Generator().manual_seed(0))


def test_l1_adds_s_times_the_sign(model) -> None:
    bn = next(iter(sparse_scales(model).values()))
    with torch.no_grad():
        bn.weight[:3] = torch.tensor([2.0, -0.5, 0.0])
    for other in sparse_scales(model).values():
        other.weight.grad = torch.zeros_like(other.weight)
    L1(0.01).before_step(model, 0.0)
    assert bn.weight.grad[:3].tolist() == pytest.approx([0.01, -0.01, 0.0])


def test_l1_presses_also_on_scales_that_the_published_scope_never_prunes() -> None:
    model = build(zoo.yolov3(num_classes=1, width=0.125))  # with shortcuts
    scales = sparse_scales(model)
    prunable = {name for group in tied_scales(model.network) if len(group) == 1 for name, _ in group}
    assert scales.keys() - prunable
    for bn in scales.values():
        bn.weight.grad = torch.zeros_like(bn.weight)
    L1(0.01).before_step(model, 0.0)
    for bn in scales.values():
        assert bn.weight.grad is not None
        assert bn.weight.grad.tolist() == pytest.approx([0.01] * len(bn.weight))


def test_proximal_shrinks_by_lr_times_s_and_stops_at_zero(model) -> None:
    bn = next(iter(sparse_scales(model).values()))
    with torch.no_grad():
        bn.weight[:3] = torch.tensor([1.0, -0.005, 0.02])
    ProximalL1(0.1).after_step(model, learning_rate=0.1, progress=0.0)
    assert bn.weight[:3].tolist() == pytest.approx([0.99, 0.0, 0.01])


def test_group_lasso_shrinks_tied_scales_by_the_same_factor(model) -> None:
    (first, one), (second, two) = list(sparse_scales(model).items())[:2]
    with torch.no_grad():
        one.weight[0], two.weight[3] = 3.0, -4.0
        one.weight[1], two.weight[1] = 0.01, 0.02
        one.weight[2] = 1.0
    ties = [[(first, np.array([0, 1])), (second, np.array([3, 1]))], [(first, np.array([2]))]]
    GroupLasso(0.5, ties).after_step(model, learning_rate=0.1, progress=0.0)
    shrunk = 1 - 0.05 * 2**0.5 / 5
    assert one.weight[0].item() == pytest.approx(3 * shrunk)
    assert two.weight[3].item() == pytest.approx(-4 * shrunk)
    assert one.weight[1].item() == two.weight[1].item() == 0.0
    assert one.weight[2].item() == pytest.approx(0.95)  # alone, as ProximalL1


def test_strength_decays_to_zero(model) -> None:
    bn = next(iter(sparse_scales(model).values()))
    with torch.no_grad():
        bn.weight.fill_(1.0)
    make_sparsity("proximal", 1.0, "decay").after_step(model, learning_rate=0.1, progress=0.75)
    assert bn.weight[0].item() == pytest.approx(1 - 0.1 * 0.25)


def _half_of_the_first(model):
    name, bn = next(iter(sparse_scales(model).items()))
    return {name: torch.arange(bn.num_features) % 2 == 0}


def test_steered_fades_linearly_to_exact_zero_and_leaves_the_rest(model) -> None:
    bn = next(iter(sparse_scales(model).values()))
    sparsity = Steered(0.0, _half_of_the_first, choose_at=0.2, faded_at=0.6)
    for step in range(10):
        sparsity.after_step(model, learning_rate=0.1, progress=step / 10)
        if step == 4:  # half of the way from 0.2 to 0.6
            assert bn.weight[0].item() == pytest.approx(0.5)
    assert (bn.weight[0::2] == 0).all()
    assert (bn.bias[0::2] == 0).all()
    assert (bn.weight[1::2] == 1).all()


def test_steered_continues_from_its_state(model) -> None:
    bn = next(iter(sparse_scales(model).values()))
    first = Steered(0.0, _half_of_the_first, choose_at=0.0, faded_at=1.0)
    first.after_step(model, 0.1, 0.5)
    second = Steered(0.0, lambda _: pytest.fail("the choice is made once"), choose_at=0.0, faded_at=1.0)
    second.restore(first.state())
    second.after_step(model, 0.1, 0.75)
    assert bn.weight[0].item() == pytest.approx(0.25)


def test_steered_in_rounds_fades_the_smallest_scales_first_and_chooses_anew(model) -> None:
    bn = next(iter(sparse_scales(model).values()))
    with torch.no_grad():
        bn.weight[:8] = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    choices = iter(([0, 2, 4, 6], [0, 2, 1, 3]))

    def choose(_):
        (name, first), *_ = sparse_scales(model).items()
        left_out = torch.zeros(len(first.weight), dtype=torch.bool)
        left_out[next(choices)] = True
        return {name: left_out}

    sparsity = Steered(0.0, choose, choose_at=0.0, faded_at=1.0, rounds=2)
    sparsity.after_step(model, 0.1, 0.25)
    # Of 0, 2, 4 and 6 the smaller half, half faded.
    assert bn.weight[:8].tolist() == pytest.approx([0.05, 0.2, 0.15, 0.4, 0.5, 0.6, 0.7, 0.8])
    sparsity.after_step(model, 0.1, 0.75)
    assert bn.weight[:8].tolist() == pytest.approx([0.0, 0.1, 0.0, 0.2, 0.5, 0.6, 0.7, 0.8])
    resumed = Steered(0.0, lambda _: pytest.fail("both choices are made"), 0.0, 1.0, rounds=2)
    resumed.restore(sparsity.state())
    resumed.after_step(model, 0.1, 1.0)
    assert bn.weight[:8].tolist() == pytest.approx([0.0, 0.0, 0.0, 0.0, 0.5, 0.6, 0.7, 0.8])


@pytest.mark.parametrize("method", ["l1", "proximal", "group"])
def test_frozen_scales_stay(model, method: str) -> None:
    (_, frozen), (_, other), *_ = sparse_scales(model).items()
    frozen.requires_grad_(False)
    for bn in sparse_scales(model).values():
        bn.weight.grad = torch.zeros_like(bn.weight)
    sparsity = make_sparsity(method, 0.5, ties=tied_scales(model.network))
    sparsity.before_step(model, 0.0)
    sparsity.after_step(model, 0.1, 0.0)
    assert (frozen.weight == 1).all()
    assert (frozen.weight.grad == 0).all()
    touched = other.weight.grad if method == "l1" else 1 - other.weight
    assert (touched > 0).all()


def test_unknown_method_and_strength_are_refused() -> None:
    with pytest.raises(UsageError, match="there are l1, proximal, group"):
        make_sparsity("l3", 0.1)
    with pytest.raises(UsageError, match="there are constant, decay"):
        make_sparsity("l1", 0.1, "cosine")
    with pytest.raises(UsageError, match="above 0"):
        make_sparsity("l1", 0.0)
