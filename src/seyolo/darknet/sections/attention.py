"""Sections of attention: `[scale_channels]`, `[sam]`, `[cbam]`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from seyolo.darknet.sections.base import (
    Activation,
    Count,
    NamesFrom,
    Price,
    SameShape,
    Size,
    TensorShapes,
    Weightless,
    WiringError,
    size_text,
)

Join = Literal["scale", "add"]


@dataclass(frozen=True, kw_only=True)
class _Product(NamesFrom, Weightless, SameShape):
    """Factors from the layer in front times the features of the named layer, which it reads second."""

    activation: Activation = "linear"

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if len(self.from_) > 1:
            yield "takes one layer in from="

    def output_channels(self, widths: Sequence[int]) -> int:
        factors, features = widths
        if factors != features:
            message = f"multiplies {features} channels of layer {self.from_[0].layer} with"
            raise WiringError(f"{message} {factors} of the layer in front; they must be equal")
        return features

    def output_size(self, sizes: Sequence[Size]) -> Size:
        return sizes[1]


@dataclass(frozen=True, kw_only=True)
class ScaleChannels(_Product):
    """`[scale_channels]`: the named layer times the one in front, one factor per channel (SE).

    With `scale_wh` the layer in front has one channel and gives one factor per pixel.
    """

    kind: ClassVar[str] = "scale_channels"

    scale_wh: bool = False

    def output_channels(self, widths: Sequence[int]) -> int:
        if not self.scale_wh:
            return super().output_channels(widths)
        if widths[0] != 1:
            raise WiringError(f"scale_wh=1 needs one channel in front, got {widths[0]}")
        return widths[1]

    def output_size(self, sizes: Sequence[Size]) -> Size:
        if not self.scale_wh and sizes[0] != (1, 1):
            raise WiringError(f"needs 1x1 factors in front, got {size_text(sizes[0])}")
        return sizes[1]

    @property
    def needs_equal_sizes(self) -> bool:
        return self.scale_wh


@dataclass(frozen=True, kw_only=True)
class Sam(_Product):
    """`[sam]`: the named layer times the one in front, element by element."""

    kind: ClassVar[str] = "sam"


@dataclass(frozen=True, kw_only=True)
class Cbam(SameShape):
    """`[cbam]`, which Darknet does not have: channel, then spatial attention (Woo 2018).

    `hidden` is the width of the shared MLP, `size` the side of the spatial kernel in pixels.
    `join=scale` gives s·x, `join=add` gives x + s·x. `floor=1` is set where channels were pruned:
    they were zero, so the maximum over the channels is at least zero.
    """

    kind: ClassVar[str] = "cbam"
    in_darknet: ClassVar[bool] = False

    hidden: Count = 16
    size: Count = 7
    join: Join = "scale"
    floor: bool = False

    def problems(self) -> Iterator[str]:
        if self.size % 2 == 0:
            yield f"size={self.size} must be odd"

    def tensor_shapes(self, in_channels: int) -> TensorShapes:
        return {
            "squeeze.weight": (self.hidden, in_channels, 1, 1),
            "squeeze.bias": (self.hidden,),
            "excite.weight": (in_channels, self.hidden, 1, 1),
            "excite.bias": (in_channels,),
            "spatial.weight": (1, 2, self.size, self.size),
        }

    def price(self, in_channels: int, num_cells: int) -> Price:
        spatial = 2 * self.size**2
        return Price(
            macs_per_pair=4 * self.hidden,  # two 1x1 convolutions, each on the mean and on the maximum
            params_per_pair=2 * self.hidden,
            params_per_channel=1,
            macs=spatial * num_cells,
            params=self.hidden + spatial,
        )
