"""The loss: CIoU against its formula, gradients, and that perfect predictions cost less."""

from __future__ import annotations

import math

import pytest
import torch

from seyolo.darknet import zoo
from seyolo.torchnet.build import build
from seyolo.training.loss import DetectionLoss, LossModule, complete_iou, lie_inside, predictions


def test_complete_iou_by_hand() -> None:
    # a = [0,2]x[0,2], b = [1,3]x[0,2]: overlap 2, union 6; centres 1 apart, hull 3x2 -> diagonal² 13.
    a, b = torch.tensor([[1.0, 1.0, 2.0, 2.0]]), torch.tensor([[2.0, 1.0, 2.0, 2.0]])
    iou, ciou = complete_iou(a, b)
    assert iou.item() == pytest.approx(2 / 6)
    assert ciou.item() == pytest.approx(2 / 6 - 1 / 13)


def test_complete_iou_counts_the_aspect_ratio() -> None:
    a, b = torch.tensor([[0.0, 0.0, 4.0, 1.0]]), torch.tensor([[0.0, 0.0, 1.0, 4.0]])
    iou, ciou = complete_iou(a, b)
    aspect = 4 / math.pi**2 * (math.atan(4.0) - math.atan(0.25)) ** 2
    weight = aspect / (1 - 1 / 7 + aspect)
    assert iou.item() == pytest.approx(1 / 7)
    assert ciou.item() == pytest.approx(1 / 7 - weight * aspect, abs=1e-6)


def _model():
    network = zoo.yolov3_tiny(num_classes=2, width=0.125)
    return build(network, generator=torch.Generator().manual_seed(0))


TARGETS = torch.tensor([[0, 1, 40.0, 30.0, 30.0, 40.0], [1, 0, 60.0, 64.0, 50.0, 60.0]])


def test_every_parameter_of_the_heads_gets_a_finite_gradient() -> None:
    model = _model()
    loss, parts = LossModule(model, DetectionLoss(model.heads))(torch.rand(2, 3, 96, 96), TARGETS)
    loss.backward()
    assert torch.isfinite(parts).all()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


def test_a_batch_without_objects_only_costs_objectness() -> None:
    model = _model()
    _, parts = LossModule(model, DetectionLoss(model.heads))(torch.rand(2, 3, 96, 96), torch.zeros(0, 6))
    assert parts[0] == 0
    assert parts[1] > 0
    assert parts[2] == 0


def test_steps_on_one_batch_bring_the_loss_down() -> None:
    torch.manual_seed(0)
    model = _model()
    module = LossModule(model, DetectionLoss(model.heads))
    images = torch.rand(2, 3, 96, 96)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss, _ = module(images, TARGETS)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


class TestIgnoredRegions:
    def test_boxes_that_lie_inside_by_half_by_hand(self) -> None:
        # The region spans 10 to 50 in x and y of the second image.
        regions = torch.tensor([[1, -1, 30.0, 30.0, 40.0, 40.0]])
        boxes = torch.tensor(
            [
                [30.0, 30.0, 4.0, 4.0],  # inside
                [10.0, 30.0, 8.0, 8.0],  # half of it
                [9.0, 30.0, 8.0, 8.0],  # three eighths
                [30.0, 30.0, 56.0, 56.0],  # holds the region, 1600 of its 3136 px²
                [30.0, 30.0, 57.0, 57.0],  # 1600 of 3249 px²
                [90.0, 90.0, 4.0, 4.0],
            ]
        )
        inside = lie_inside(boxes.expand(2, 6, 4), regions)
        assert inside.tolist() == [[False] * 6, [True, True, False, True, False, False]]

    def test_predictions_inside_have_no_objectness_term_except_positives(self) -> None:
        model = _model()
        logits = [x.detach().requires_grad_() for x in model.forward_heads(torch.rand(2, 3, 96, 96))]
        loss = DetectionLoss(model.heads)

        def gradients(ignored: torch.Tensor | None) -> torch.Tensor:
            value, _ = loss(logits, TARGETS, (96, 96), ignored)
            grads = torch.autograd.grad(value, logits)
            return torch.cat([grad.flatten(1, 3)[..., 4] for grad in grads], 1)

        everywhere = torch.tensor([[0, -1, 48.0, 48.0, 400.0, 400.0]])
        boxes, _ = predictions(model.heads, logits, (96, 96))
        usual, without = gradients(None), gradients(everywhere)
        hidden = lie_inside(boxes[..., :4], everywhere)
        assert torch.equal(without[1], usual[1])  # the other image
        positive = usual[0] != without[0]  # those that lost their term
        assert (without[0][positive] == 0).all()
        assert (without[0] != 0).sum() >= 1  # positives keep theirs
        assert torch.equal(positive, hidden[0] & (without[0] == 0))

    def test_no_region_changes_no_bit(self) -> None:
        model = _model()
        images = torch.rand(2, 3, 96, 96)
        module = LossModule(model, DetectionLoss(model.heads))
        first, parts = module(images, TARGETS)
        again, same = module(images, TARGETS, torch.zeros(0, 6))
        assert first.item() == again.item()
        assert torch.equal(parts, same)
