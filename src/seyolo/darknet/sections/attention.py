"""Sections of attention: `[scale_channels]`, `[sam]`, and those that Darknet does not have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

from seyolo.darknet.sections.base import (
    Activation,
    Count,
    NamesFrom,
    NotNegative,
    Positive,
    Price,
    SameShape,
    Size,
    Switch,
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

    def price(self, in_channels: int, size: Size) -> Price:
        spatial = 2 * self.size**2
        return Price(
            macs_per_pair=4 * self.hidden,  # two 1x1 convolutions, each on the mean and on the maximum
            params_per_pair=2 * self.hidden,
            params_per_channel=1,
            macs=spatial * size[0] * size[1],
            params=self.hidden + spatial,
        )


@dataclass(frozen=True, kw_only=True)
class OwnGate(SameShape):
    """A gate that Darknet does not have: gain·s·x with `join=scale`, gain·(x + s·x) with `join=add`.

    `s` is the gate of the paper, whose form is gain=1. Another gain takes out the value that a fresh gate
    has, so that a network with it starts where it stood without.
    """

    in_darknet: ClassVar[bool] = False

    join: Join = "scale"
    gain: Positive = 1.0


@dataclass(frozen=True, kw_only=True)
class Eca(OwnGate):
    """`[eca]`: a sigmoid of a convolution along the means of the channels (Wang 2020).

    `size` is the number of neighbouring channels that it reads. `positions` are those of the channels in the
    network before pruning, from 0 on; the channels between count as zero. A gap that the kernel does not span
    is as wide as it needs to be. Without it the channels are neighbours.
    """

    kind: ClassVar[str] = "eca"

    size: Count = 3
    positions: tuple[NotNegative, ...] = ()

    def problems(self) -> Iterator[str]:
        if self.size % 2 == 0:
            yield f"size={self.size} must be odd"
        if any(first >= second for first, second in pairwise(self.positions)):
            yield "positions= must increase"

    def places(self, num_channels: int) -> tuple[int, ...]:
        """Returns the position of every channel."""
        return self.positions or tuple(range(num_channels))

    def output_channels(self, widths: Sequence[int]) -> int:
        if self.positions and len(self.positions) != widths[0]:
            raise WiringError(f"has {len(self.positions)} positions= for {widths[0]} channels in front")
        return widths[0]

    def tensor_shapes(self, in_channels: int) -> TensorShapes:
        return {"conv.weight": (1, 1, self.size, 1)}

    def price(self, in_channels: int, size: Size) -> Price:
        return Price(macs_per_pair=self.size, params=self.size)


@dataclass(frozen=True, kw_only=True)
class SimAm(OwnGate):
    """`[simam]`: a sigmoid of how far a pixel is from the mean of its channel (Yang 2021); no parameters."""

    kind: ClassVar[str] = "simam"

    def tensor_shapes(self, in_channels: int) -> TensorShapes:
        return {}

    def price(self, in_channels: int, size: Size) -> Price:
        return Price()


@dataclass(frozen=True, kw_only=True)
class CoordAtt(OwnGate):
    """`[coordatt]`: one gate per row and one per column of every channel (Hou 2021).

    `hidden` is the width of the convolution that the means of rows and columns share.
    """

    kind: ClassVar[str] = "coordatt"

    hidden: Count = 8
    batch_normalize: Switch = 1

    def tensor_shapes(self, in_channels: int) -> TensorShapes:
        norms = ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
        own = norms if self.batch_normalize else ("conv.bias",)
        excite = (in_channels, self.hidden, 1, 1)
        return {
            "conv.weight": (self.hidden, in_channels, 1, 1),
            **dict.fromkeys(own, (self.hidden,)),
            **{f"{name}.weight": excite for name in ("rows", "columns")},
            **{f"{name}.bias": (in_channels,) for name in ("rows", "columns")},
        }

    def price(self, in_channels: int, size: Size) -> Price:
        return Price(
            macs_per_pair=2 * self.hidden * sum(size),  # both convolutions, on every row and column
            params_per_pair=3 * self.hidden,
            params_per_channel=2,
            params=self.hidden * (2 if self.batch_normalize else 1),
        )
