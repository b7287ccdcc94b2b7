"""`[convolutional]`, `[implicit]` and `[dropout]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from seyolo.darknet.sections.base import (
    Activation,
    Count,
    NotNegative,
    OneCell,
    Price,
    SameShape,
    Section,
    Size,
    Switch,
    TensorShapes,
    Weightless,
    WiringError,
    num_windows,
)


@dataclass(frozen=True, kw_only=True)
class Convolutional(Section):
    """`[convolutional]`: convolution, optional batch normalisation, activation.

    `pad=1` pads `size // 2`; otherwise `padding` pixels. `stride_x`/`stride_y` override `stride` when set.
    """

    kind: ClassVar[str] = "convolutional"
    aliases: ClassVar[tuple[str, ...]] = ("conv",)
    training_keys: ClassVar[frozenset[str]] = frozenset(
        "time_normalizer assisted_excitation keep_delta_gpu grad_centr decay stream wait_stream".split()
    )
    neutral_values: ClassVar[dict[str, str]] = dict.fromkeys(
        """xnor binary bin_output use_bin_output antialiasing sway rotate stretch stretch_sway angle dot
        coordconv reverse flipped dontload dontloadscales""".split(),
        "0",
    ) | {"share_index": "-1000000000", "cbn": "0"}
    reasons: ClassVar[dict[str, str]] = {
        **dict.fromkeys(["xnor", "binary", "bin_output", "use_bin_output"], "binary weights"),
        **dict.fromkeys(
            ["sway", "rotate", "stretch", "stretch_sway"], "kernels that are turned or stretched"
        ),
        "antialiasing": "a blur behind the convolution",
        "share_index": "weights shared with another layer",
        "cbn": "batch normalisation over several batches",
        "coordconv": "coordinates as further channels",
    }

    batch_normalize: Switch = 0
    filters: Count = 1
    size: Count = 1
    stride: Count = 1
    stride_x: Count = 0
    stride_y: Count = 0
    pad: Switch = 0
    padding: NotNegative = 0
    groups: Count = 1
    dilation: Count = 1
    activation: Activation = "logistic"

    @property
    def strides(self) -> tuple[int, int]:
        """Vertical and horizontal stride in pixels."""
        return self.stride_y or self.stride, self.stride_x or self.stride

    @property
    def kernel_dilation(self) -> int:
        """The dilation, which Darknet ignores at a 1x1 kernel."""
        return self.dilation if self.size > 1 else 1

    @property
    def padding_px(self) -> int:
        """Zero padding on every side in pixels."""
        return (self.size // 2 if self.pad else self.padding) * self.kernel_dilation

    def is_depthwise(self, in_channels: int) -> bool:
        """Tells whether every input channel has output channels of its own."""
        return self.groups > 1 and self.groups == in_channels

    def output_channels(self, widths: Sequence[int]) -> int:
        if widths[0] % self.groups or self.filters % self.groups:
            message = f"groups={self.groups} must divide the {widths[0]} channels it reads and"
            raise WiringError(f"{message} filters={self.filters}")
        return self.filters

    def output_size(self, sizes: Sequence[Size]) -> Size:
        reach = self.kernel_dilation * (self.size - 1) + 1  # pixels that a dilated kernel spans
        return num_windows(sizes[0], 2 * self.padding_px, reach, self.strides)

    def output_stride(self, strides: Sequence[Fraction]) -> Fraction:
        return strides[0] * max(self.strides)

    def tensor_shapes(self, in_channels: int) -> TensorShapes:
        kernel = (self.filters, in_channels // self.groups, self.size, self.size)
        if not self.batch_normalize:
            return {"conv.weight": kernel, "conv.bias": (self.filters,)}
        names = ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
        return {"conv.weight": kernel} | dict.fromkeys(names, (self.filters,))

    def price(self, in_channels: int, size: Size) -> Price:
        is_depthwise = self.is_depthwise(in_channels)
        return Price(
            reads_one=is_depthwise,
            divisor=1 if is_depthwise else self.groups,
            macs_per_pair=self.size**2 * size[0] * size[1],  # k² · H · W per pair
            params_per_pair=self.size**2,
            params_per_channel=2 if self.batch_normalize else 1,  # scale and shift, or bias
        )


@dataclass(frozen=True, kw_only=True)
class Dropout(Weightless, SameShape):
    """`[dropout]`: nothing at inference; kept so that layer indices do not change."""

    kind: ClassVar[str] = "dropout"
    training_keys: ClassVar[frozenset[str]] = frozenset(
        ["probability", "dropblock", "dropblock_size_rel", "dropblock_size_abs"]
    )


@dataclass(frozen=True, kw_only=True)
class Implicit(OneCell):
    """`[implicit]`: learned constants, `filters` channels of 1 x 1, whatever the image.

    It is in front of a `[scale_channels]` and takes nothing from the layer in front. `mean` is the initial
    value of the weights.
    """

    kind: ClassVar[str] = "implicit"
    training_keys: ClassVar[frozenset[str]] = frozenset(["std"])
    neutral_values: ClassVar[dict[str, str]] = {"atoms": "1"}

    filters: Count = 128
    mean: float = 0.0

    def output_channels(self, widths: Sequence[int]) -> int:
        return self.filters

    def tensor_shapes(self, in_channels: int) -> TensorShapes:
        return {"weights": (self.filters,)}

    def price(self, in_channels: int, size: Size) -> Price:
        return Price(params_per_channel=1)
