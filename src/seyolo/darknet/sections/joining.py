"""Sections that join layers: `[route]` concatenates, `[shortcut]` adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar, Literal, NamedTuple, Self

from seyolo.darknet.sections.base import (
    Activation,
    Count,
    NamesFrom,
    NotNegative,
    Price,
    Reference,
    SameShape,
    Size,
    TensorShapes,
    Weightless,
    WiringError,
    move_all,
    size_text,
)

WeightsType = Literal["none", "per_feature", "per_layer", "per_channel"]
"""`per_layer` is Darknet's other name for `per_feature`: one weight for each added layer."""
WeightsNormalization = Literal["none", "relu", "avg_relu", "softmax"]


@dataclass(frozen=True, kw_only=True)
class Route(Weightless, SameShape):
    """`[route]`: concatenates layers along the channels, or takes part `group_id` of `groups` of each."""

    kind: ClassVar[str] = "route"
    training_keys: ClassVar[frozenset[str]] = frozenset(["stream", "wait_stream"])

    layers: tuple[Reference, ...] = ()
    groups: Count = 1
    group_id: NotNegative = 0

    def problems(self) -> Iterator[str]:
        if not self.layers:
            yield "needs layers="
        if self.group_id >= self.groups:
            yield f"group_id={self.group_id} is not below groups={self.groups}"

    def references(self) -> tuple[Reference, ...]:
        return self.layers

    def moved(self, new_layer: Callable[[int], int]) -> Self:
        return replace(self, layers=move_all(self.layers, new_layer))

    def inputs(self, index: int) -> tuple[int, ...]:
        """Returns the layers it names, without the one in front."""
        return tuple(reference.layer for reference in self.layers)

    def output_channels(self, widths: Sequence[int]) -> int:
        for source, width in zip(self.layers, widths, strict=True):
            if width % self.groups:
                message = f"groups={self.groups} does not divide the {width} channels of layer"
                raise WiringError(f"{message} {source.layer}")
        return sum(width // self.groups for width in widths)


class Overlap(NamedTuple):
    """Pixels that a `[shortcut]` adds: every `step`-th of the named layer to every `spread`-th in front."""

    step: int
    spread: int
    size: Size  # of the pixels added


def overlap(front: Size, named: Size) -> Overlap:
    """Returns the pixels that are added, as Darknet chooses them (`shortcut_cpu` of blas.c).

    AlexeyAB's Darknet has refused unequal sizes since 2020, or adds them in the order of the memory.

    Raises:
        WiringError: the factors of height and width differ.
    """
    factors = {(other // own, own // other) for own, other in zip(front, named, strict=True)}
    if len(factors) > 1:
        message = f"cannot add layers of {size_text(front)} and {size_text(named)} (width x height)"
        raise WiringError(f"{message}: the factors between their heights and widths differ")
    ((step, spread),) = factors
    return Overlap(max(step, 1), max(spread, 1), (min(front[0], named[0]), min(front[1], named[1])))


@dataclass(frozen=True, kw_only=True)
class Shortcut(NamesFrom, SameShape):
    """`[shortcut]`: adds the named layers to the one in front, the first min(c) channels of each.

    One plain layer may be of another size: see `overlap`.

    With a `weights_type` every added layer has a learned weight, or one per channel; `weights_normalization`
    makes the weights of one channel add up to 1.
    """

    kind: ClassVar[str] = "shortcut"

    activation: Activation = "linear"
    weights_type: WeightsType = "none"
    weights_normalization: WeightsNormalization = "none"

    @property
    def num_inputs(self) -> int:
        """Number of added layers, with the one in front."""
        return 1 + len(self.from_)

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if self.weights_type == "none" and self.weights_normalization != "none":
            yield "weights_normalization= needs a weights_type="

    @property
    def needs_equal_sizes(self) -> bool:
        return len(self.from_) > 1 or self.weights_type != "none"

    def output_size(self, sizes: Sequence[Size]) -> Size:
        overlap(*sizes[:2])
        return sizes[0]

    def output_stride(self, strides: Sequence[Fraction]) -> Fraction:
        return strides[0]

    def tensor_shapes(self, in_channels: int) -> TensorShapes:
        if self.weights_type == "none":
            return {}
        per_channel = self.weights_type == "per_channel"
        return {"weights": (self.num_inputs, in_channels) if per_channel else (self.num_inputs,)}

    def price(self, in_channels: int, size: Size) -> Price:
        if self.weights_type == "per_channel":
            return Price(params_per_channel=self.num_inputs)
        return Price(params=0 if self.weights_type == "none" else self.num_inputs)
