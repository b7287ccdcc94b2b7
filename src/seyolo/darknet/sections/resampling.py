"""Sections that change the resolution: `[upsample]`, `[reorg]`, `[reorg3d]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from seyolo.darknet.sections.base import Count, Positive, SameShape, Size, Weightless, WiringError, size_text


@dataclass(frozen=True, kw_only=True)
class Upsample(Weightless, SameShape):
    """`[upsample]`: nearest neighbour, `stride` times larger."""

    kind: ClassVar[str] = "upsample"

    stride: Count = 2
    scale: Positive = 1.0

    def output_size(self, sizes: Sequence[Size]) -> Size:
        height, width = sizes[0]
        return height * self.stride, width * self.stride

    def output_stride(self, strides: Sequence[Fraction]) -> Fraction:
        return strides[0] / self.stride


@dataclass(frozen=True, kw_only=True)
class _SpaceToDepth(Weightless):
    """`stride`² channels of 1 / `stride` the height and width for each channel in front."""

    stride: Count = 1

    def output_channels(self, widths: Sequence[int]) -> int:
        return widths[0] * self.stride**2

    def output_size(self, sizes: Sequence[Size]) -> Size:
        height, width = sizes[0]
        if height % self.stride or width % self.stride:
            raise WiringError(f"stride={self.stride} does not divide the {size_text(sizes[0])} in front")
        return height // self.stride, width // self.stride

    def output_stride(self, strides: Sequence[Fraction]) -> Fraction:
        return strides[0] * self.stride


@dataclass(frozen=True, kw_only=True)
class Reorg(_SpaceToDepth):
    """`[reorg]`: space to depth as YOLOv2 has it, with the channels in a peculiar order.

    The memory of C channels of H x W is read as C / s² channels of H·s x W·s, and of that the pixels s apart
    become channels. AlexeyAB's Darknet calls it reorg_old.
    """

    kind: ClassVar[str] = "reorg"
    neutral_values: ClassVar[dict[str, str]] = {"reverse": "0", "flatten": "0", "extra": "0"}

    def output_channels(self, widths: Sequence[int]) -> int:
        if widths[0] % self.stride**2:
            message = f"stride={self.stride} needs a multiple of {self.stride**2} channels, got {widths[0]}"
            raise WiringError(message)
        return super().output_channels(widths)


@dataclass(frozen=True, kw_only=True)
class Reorg3d(_SpaceToDepth):
    """`[reorg3d]`: space to depth; output channel (y·s + x)·C + c is pixel (y, x) of each s x s block."""

    kind: ClassVar[str] = "reorg3d"
    neutral_values: ClassVar[dict[str, str]] = {"reverse": "0"}
