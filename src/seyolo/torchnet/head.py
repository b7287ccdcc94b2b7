"""Decoding of detection layers: from logits per cell and anchor to boxes in input pixels.

Shape letters: N images, A anchors, H and W cells, C classes, P = H·W·A predictions.
Decoding is float32 whatever the precision of the network: in bfloat16 a box is off by up to two pixels.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from seyolo.darknet.constants import MAX_LOG_SIZE
from seyolo.darknet.sections import Region, Yolo


class YoloHead(nn.Module):
    """`[yolo]`: arranges and decodes the predictions of the convolution in front.

    Attributes:
        anchors: (A, 2) widths and heights in input pixels, see `anchors_px`.
        scale_x_y: how far a centre may leave its cell: offsets span (1 ± scale) / 2.
        new_coords: the numbers in front are already in [0, 1] and sizes are (2t)² · anchor.
    """

    anchors: Float32[Tensor, "A 2"]

    def __init__(self, section: Yolo) -> None:
        super().__init__()
        anchors = torch.tensor(section.masked_anchors, dtype=torch.float32).reshape(-1, 2)
        self.register_buffer("anchors", anchors, persistent=False)
        self.num_classes = section.classes
        self.scale_x_y = section.scale_x_y
        self.new_coords = section.new_coords

    def forward(self, x: Float[Tensor, "N A*(5+C) H W"]) -> Float[Tensor, "N H W A 5+C"]:
        """Returns the convolution's channels as (anchor, number); a view, nothing is copied."""
        return torch.unflatten(x.permute(0, 2, 3, 1), -1, (len(self.anchors), 5 + self.num_classes))

    def decode(
        self, logits: Float[Tensor, "N H W A 5+C"], stride_hw: tuple[float, float]
    ) -> Float32[Tensor, "N P 5+C"]:
        """Returns cx, cy, w, h in input pixels, objectness and class probabilities in [0, 1] per prediction.

        Cells are row-major, anchors innermost; `stride_hw` is input pixels per cell.
        """
        logits = logits.float()
        offsets, sizes = logits[..., :2], logits[..., 2:4]
        scores = logits[..., 4:]
        if self.new_coords:
            factors = (2 * sizes) ** 2  # Scaled-YOLOv4: (2t)² · anchor
        else:
            offsets, scores = torch.sigmoid(offsets), self._probabilities(scores)
            factors = sizes.clamp(max=MAX_LOG_SIZE).exp()  # YOLOv2: e^t · anchor
        cells, stride_xy = self._cells(logits, stride_hw)
        # scale · σ(t) - (scale - 1) / 2 + cell: YOLOv4's offsets, which reach the border of the cell
        centres = (offsets * self.scale_x_y - (self.scale_x_y - 1) / 2 + cells) * stride_xy
        return torch.cat([centres, factors * self.anchors_px(stride_xy), scores], dim=-1).flatten(1, 3)

    def anchors_px(self, stride_xy: Float32[Tensor, "2"]) -> Float32[Tensor, "A 2"]:
        """Returns the anchors in input pixels; `stride_xy` is pixels per cell."""
        return self.anchors.float()

    def _probabilities(self, logits: Float32[Tensor, "*n 1+C"]) -> Float32[Tensor, "*n 1+C"]:
        return torch.sigmoid(logits)

    @staticmethod
    def _cells(
        logits: Tensor, stride_hw: tuple[float, float]
    ) -> tuple[Float32[Tensor, "H W 1 2"], Float32[Tensor, "2"]]:
        """Returns, per cell, its column and row, and the stride as (x, y)."""
        height, width = logits.shape[1:3]
        device = logits.device
        columns = torch.arange(width, device=device, dtype=torch.float32).expand(height, width)
        rows = torch.arange(height, device=device, dtype=torch.float32)[:, None].expand(height, width)
        # Filled where it is used: a GPU would have to wait for a tensor that comes from the CPU.
        strides = [torch.full((), side, device=device, dtype=torch.float32) for side in stride_hw[::-1]]
        return torch.stack([columns, rows], dim=-1)[:, :, None, :], torch.stack(strides)


class RegionHead(YoloHead):
    """`[region]`, YOLOv2: `anchors` are in cells, and the classes of a prediction share one probability."""

    def __init__(self, section: Region) -> None:
        anchors = tuple(side for anchor in section.masked_anchors for side in anchor)
        super().__init__(Yolo(anchors=anchors, classes=section.classes, num=section.num))

    def anchors_px(self, stride_xy: Float32[Tensor, "2"]) -> Float32[Tensor, "A 2"]:
        return self.anchors.float() * stride_xy

    def _probabilities(self, logits: Float32[Tensor, "*n 1+C"]) -> Float32[Tensor, "*n 1+C"]:
        return torch.cat([torch.sigmoid(logits[..., :1]), torch.softmax(logits[..., 1:], -1)], dim=-1)
