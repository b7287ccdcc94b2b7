"""Decoding worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from seyolo.darknet.sections import Region, Yolo
from seyolo.torchnet.head import RegionHead, YoloHead


def head(**options: object) -> YoloHead:
    return YoloHead(Yolo(mask=(1, 2), anchors=(1, 1, 10, 20, 30, 40), num=3, classes=1, **options))  # type: ignore[arg-type]


def test_the_mask_chooses_the_anchors() -> None:
    assert head().anchors.tolist() == [[10, 20], [30, 40]]


def test_decode_one_prediction() -> None:
    logits = torch.zeros(1, 2, 3, 2, 6)  # 2 rows, 3 columns, 2 anchors
    logits[0, 1, 2, 1] = torch.tensor([math.log(3), -math.log(3), math.log(2), 0.0, math.log(9), 0.0])
    raw = head().decode(logits, (16.0, 8.0))
    assert raw.shape == (1, 12, 6)
    # row 1, column 2, anchor 1 is prediction (1·3 + 2)·2 + 1 = 11;
    # cx = (0.75 + 2)·8, cy = (0.25 + 1)·16, w = 2·30, h = 1·40, objectness 9/10, class 1/2
    assert raw[0, 11].tolist() == pytest.approx([22.0, 20.0, 60.0, 40.0, 0.9, 0.5], rel=1e-6)
    # row 0, column 0, anchor 0
    assert raw[0, 0].tolist() == pytest.approx([4.0, 8.0, 10.0, 20.0, 0.5, 0.5])


def test_scale_x_y_stretches_around_the_middle_of_the_cell() -> None:
    logits = torch.zeros(1, 1, 1, 2, 6)
    logits[..., 0] = math.log(3)
    raw = head(scale_x_y=2.0).decode(logits, (8.0, 8.0))
    # (0.75·2 - 0.5)·8 = 8, and the middle stays: (0.5·2 - 0.5)·8 = 4
    assert raw[0, 0, :2].tolist() == pytest.approx([8.0, 4.0])


def test_new_coords_are_not_squashed_again() -> None:
    numbers = torch.tensor([0.75, 0.25, 0.5, 1.0, 0.9, 0.2]).expand(1, 1, 1, 2, 6)
    raw = head(scale_x_y=2.0, new_coords=True).decode(numbers, (8.0, 8.0))
    # cx = (0.75·2 - 0.5)·8, cy = (0.25·2 - 0.5)·8, w = (2·0.5)²·10, h = (2·1)²·20
    assert raw[0, 0].tolist() == pytest.approx([8.0, 0.0, 10.0, 80.0, 0.9, 0.2])


def test_region_anchors_are_in_cells_and_classes_exclude_each_other() -> None:
    region = RegionHead(Region(anchors=(1, 2, 0.5, 3), num=2, classes=3, softmax=True))
    logits = torch.zeros(1, 1, 2, 2, 8)
    logits[0, 0, 1, 1] = torch.tensor([0, 0, math.log(2), 0, math.log(3), math.log(2), 0, 0])
    raw = region.decode(logits, (32.0, 16.0))
    # cx = (0.5 + 1)·16, cy = 0.5·32, w = 2·0.5·16, h = 3·32, objectness 3/4, classes 2:1:1
    assert raw[0, 3].tolist() == pytest.approx([24, 16, 16, 96, 0.75, 0.5, 0.25, 0.25])


def test_decoding_is_float32_and_finite_whatever_comes() -> None:
    raw = head().decode(torch.full((1, 1, 1, 2, 6), 1e4, dtype=torch.bfloat16), (8.0, 8.0))
    assert raw.dtype == torch.float32
    assert raw.isfinite().all()


def test_forward_puts_the_numbers_of_an_anchor_last_without_copying() -> None:
    x = torch.arange(12.0).reshape(1, 12, 1, 1)
    arranged = head()(x)
    assert arranged.shape == (1, 1, 1, 2, 6)
    assert arranged[0, 0, 0, 1].tolist() == [6, 7, 8, 9, 10, 11]
    assert arranged.data_ptr() == x.data_ptr()
