"""Sections of one step: `[dropout]`, `[implicit]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from seyolo.darknet.sections.base import Count, OneCell, Price, SameShape, TensorShapes, Weightless


@dataclass(frozen=True, kw_only=True)
class Dropout(Weightless, SameShape):
    """`[dropout]`: nothing at inference; kept so that layer indices stay what they are."""

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

    def price(self, in_channels: int, num_cells: int) -> Price:
        return Price(params_per_channel=1)
