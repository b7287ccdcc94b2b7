"""Sections that pool a window or the whole image: `[maxpool]`, `[local_avgpool]`, `[avgpool]`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from seyolo.darknet.sections.base import (
    Count,
    NotNegative,
    OneCell,
    SameShape,
    Size,
    Weightless,
    WiringError,
    num_windows,
)


@dataclass(frozen=True, kw_only=True)
class _Pool(Weightless, SameShape):
    """A sliding window, which pads `size - 1` in all by default, `padding // 2` of it on the left and top."""

    size: Count = 0
    stride: Count = 1
    stride_x: Count = 0
    stride_y: Count = 0
    padding: NotNegative = -1

    @property
    def strides(self) -> tuple[int, int]:
        """Vertical and horizontal stride in pixels."""
        return self.stride_y or self.stride, self.stride_x or self.stride

    @property
    def kernel_px(self) -> int:
        """Window side in pixels; the stride when the cfg gives none."""
        return self.size or self.stride

    @property
    def padding_px(self) -> int:
        """Padding in all (both sides together) in pixels."""
        return self.kernel_px - 1 if self.padding < 0 else self.padding

    def problems(self) -> Iterator[str]:
        most = 2 * (self.kernel_px - 1)
        if self.padding_px > most:
            message = f"padding={self.padding} leaves windows of size={self.kernel_px} without a pixel"
            yield f"{message}; at most {most} (both sides together)"

    def output_size(self, sizes: Sequence[Size]) -> Size:
        return num_windows(sizes[0], self.padding_px, self.kernel_px, self.strides)

    def output_stride(self, strides: Sequence[Fraction]) -> Fraction:
        return strides[0] * max(self.strides)


@dataclass(frozen=True, kw_only=True)
class MaxPool(_Pool):
    """`[maxpool]`: the largest number in a window.

    With `maxpool_depth` the window spans channels instead of pixels: output channel g is the largest of the
    input channels g, g + `out_channels`, g + 2·`out_channels`, … of the same pixel.
    """

    kind: ClassVar[str] = "maxpool"
    aliases: ClassVar[tuple[str, ...]] = ("max",)
    neutral_values: ClassVar[dict[str, str]] = {"antialiasing": "0", "maxpool_zero_nonmax": "0"}
    reasons: ClassVar[dict[str, str]] = {"antialiasing": "a blur behind the maximum"}

    maxpool_depth: bool = False
    out_channels: Count = 1

    def output_channels(self, widths: Sequence[int]) -> int:
        if not self.maxpool_depth:
            return widths[0]
        if widths[0] % self.out_channels:
            message = f"out_channels={self.out_channels} does not divide the {widths[0]} channels in front"
            raise WiringError(message)
        return self.out_channels

    def output_size(self, sizes: Sequence[Size]) -> Size:
        return sizes[0] if self.maxpool_depth else super().output_size(sizes)

    def output_stride(self, strides: Sequence[Fraction]) -> Fraction:
        return strides[0] if self.maxpool_depth else super().output_stride(strides)


@dataclass(frozen=True, kw_only=True)
class LocalAvgPool(_Pool):
    """`[local_avgpool]`: the mean of the pixels of a window that lie inside the image."""

    kind: ClassVar[str] = "local_avgpool"
    aliases: ClassVar[tuple[str, ...]] = ("local_avg",)


@dataclass(frozen=True, kw_only=True)
class AvgPool(Weightless, OneCell, SameShape):
    """`[avgpool]`: the mean over the whole image, one value per channel."""

    kind: ClassVar[str] = "avgpool"
    aliases: ClassVar[tuple[str, ...]] = ("avg",)
