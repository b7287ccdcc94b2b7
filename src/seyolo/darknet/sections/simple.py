"""Sections of one step: `[dropout]`, `[implicit]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from seyolo.darknet.sections.base import Price, SameShape, Section, Size, TensorShapes, Weightless
from seyolo.darknet.sections.bounds import Count


@dataclass(frozen=True, kw_only=True)
class Dropout(Weightless, SameShape):
    """`[dropout]`: nothing at inference; kept so that layer indices stay what they are."""

    kind: ClassVar[str] = "dropout"
    training_keys: ClassVar[frozenset[str]] = frozenset(
        """probability dropblock dropblock_size_rel dropblock_size_abs""".split()
    )


@dataclass(frozen=True, kw_only=True)
class Implicit(Section):
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
        del widths
        return self.filters

    def output_size(self, sizes: Sequence[Size]) -> Size:
        del sizes
        return 1, 1

    def output_stride(self, strides: Sequence[Fraction]) -> None:
        del strides

    def tensor_shapes(self, in_channels: int) -> TensorShapes:
        del in_channels
        return {"weights": (self.filters,)}

    def price(self, in_channels: int, num_cells: int) -> Price:
        del in_channels, num_cells
        return Price(params_per_channel=1)
