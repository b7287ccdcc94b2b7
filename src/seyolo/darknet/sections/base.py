"""Base classes of all sections: the keys they share, their bounds, and the wiring that each layer declares.

A section is a frozen dataclass whose fields are the keys that change the forward pass, with Darknet's own
defaults and the bounds of the values a cfg may give; a default outside of the bounds means "not given".
Keys that only matter in Darknet's training are kept, in order, in `extras` and printed back.
A key that would change the result and is not supported is refused unless it holds its neutral value.

A section type that forgets one of the abstract methods cannot be made, and mypy refuses it in `SECTIONS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Annotated, ClassVar, Literal, Self

Activation = Literal[
    "linear", "leaky", "relu", "relu6", "logistic", "swish", "mish", "hard_mish", "hardtan", "tanh", "elu",
    "selu", "gelu", "loggy", "relie", "ramp", "plse", "lhtan",
]  # fmt: skip
Size = tuple[int, int]
"""(height, width) in cells."""
TensorShapes = Mapping[str, tuple[int, ...]]

NOT_KEYS = frozenset(["extras", "comments", "notes", "line"])
"""Fields of a section that are not keys of the cfg."""
MAX_NUMBER = 1 << 24
"""Largest number that a description may hold."""


@dataclass(frozen=True)
class Bounds:
    """`least` to `most`, both included unless `is_open` leaves out `least`."""

    least: int
    most: int = MAX_NUMBER
    is_open: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.least < value if self.is_open else self.least <= value) and value <= self.most

    def __str__(self) -> str:
        if self.is_open:
            return f"a number above {self.least}"
        if self.most == MAX_NUMBER:
            return f"at least {self.least}"
        return f"{self.least} {'or' if self.most == self.least + 1 else 'to'} {self.most}"


Switch = Annotated[int, Bounds(0, 1)]
Count = Annotated[int, Bounds(1)]
NotNegative = Annotated[int, Bounds(0)]
Positive = Annotated[float, Bounds(0, is_open=True)]
Level = Annotated[float, Bounds(0, 255)]


class WiringError(ValueError):
    """A section does not fit the layers it reads; `graph` adds layer, file and line."""


@dataclass(frozen=True)
class Reference:
    """Another layer, by its absolute index; `relative` is only the spelling in the cfg."""

    layer: int
    relative: bool = True


@dataclass(frozen=True)
class Price:
    """Cost of a layer as a function of the channels it reads and writes.

    A pair is a channel read times a channel written, divided by `divisor`; where `reads_one`, a channel
    written, however many are read. Parameters are pairs · `params_per_pair` + channels written ·
    `params_per_channel` + `params`; MACs are pairs · `macs_per_pair` + `macs`.
    """

    reads_one: bool = True
    divisor: int = 1
    macs_per_pair: int = 0
    params_per_pair: int = 0
    params_per_channel: int = 0
    macs: int = 0
    params: int = 0

    def total_macs(self, read: int, written: int) -> int:
        """Returns the MACs of one image with these channels read and written."""
        return (1 if self.reads_one else read) * written // self.divisor * self.macs_per_pair + self.macs


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The keys of one section of a cfg: `[net]`, or a layer as a `Section`.

    Attributes:
        kind: the name in the cfg; `aliases` are Darknet's other names for it.
        training_keys: keys that only matter in Darknet's training; `extras` are those given, in order.
        neutral_values: the one supported value of each key that is not supported otherwise.
        reasons: what a key that is not supported would do.
        comments, notes: comment lines above the section and inside it.
        line: its line in the cfg.
    """

    kind: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    training_keys: ClassVar[frozenset[str]] = frozenset()
    neutral_values: ClassVar[dict[str, str]] = {}
    reasons: ClassVar[dict[str, str]] = {}

    extras: tuple[tuple[str, str], ...] = ()
    comments: tuple[str, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    line: int = field(default=0, compare=False)

    @classmethod
    def keeps(cls, key: str) -> bool:
        """Tells whether a key without an effect here is kept and printed."""
        return key in cls.training_keys or key in cls.neutral_values

    @classmethod
    def unsupported(cls, key: str, text: str) -> str | None:
        """Returns the end of the message that refuses a value of Darknet's, or None where it is supported."""
        reason = f": {cls.reasons[key]}" if key in cls.reasons else ""
        neutral = cls.neutral_values.get(key)
        if neutral is not None:
            return None if text == neutral else f", only {key}={neutral}{reason}"
        return reason or None

    def problems(self) -> Iterator[str]:
        """Yields a message for each contradiction between keys that are within their bounds."""
        yield from ()


COMMON_KEYS = frozenset(
    """stopbackward onlyforward dont_update burnin_update train_only_bn learning_rate clip""".split()
)
"""Training keys that Darknet reads in every layer."""


class Section(Keys, ABC):
    """One layer: its keys and its wiring."""

    @classmethod
    def keeps(cls, key: str) -> bool:
        return key in COMMON_KEYS or super().keeps(key)

    in_darknet: ClassVar[bool] = True
    """Darknet has this section, too, so it can be in a `.weights` file."""

    @abstractmethod
    def output_channels(self, widths: Sequence[int]) -> int:
        """Returns the number of output channels, given those of each layer it reads.

        A `WiringError` says why the channels do not fit each other; so does `output_size` for sizes.
        """

    @abstractmethod
    def output_size(self, sizes: Sequence[Size]) -> Size:
        """Returns the size of the output, given that of each layer it reads."""

    @abstractmethod
    def output_stride(self, strides: Sequence[Fraction]) -> Fraction | None:
        """Returns the image pixels that one output cell spans, given those of the layers it reads.

        `strides` is without layers of unknown stride and not empty. None where a cell spans the whole image.
        """

    @abstractmethod
    def tensor_shapes(self, in_channels: int) -> TensorShapes:
        """Returns name and shape of each tensor, given the channels of the first layer it reads."""

    @abstractmethod
    def price(self, in_channels: int, size: Size) -> Price:
        """Returns the cost, given the channels of the first layer it reads and the size of its output."""

    def references(self) -> tuple[Reference, ...]:
        """Returns the layers this section names."""
        return ()

    def moved(self, new_layer: Callable[[int], int]) -> Self:
        """Returns the same section with every named layer `n` replaced by `new_layer(n)`."""
        return self

    def inputs(self, index: int) -> tuple[int, ...]:
        """Returns the layers that this section reads as layer `index`: the one in front, then those named."""
        return index - 1, *(reference.layer for reference in self.references())

    @property
    def needs_equal_sizes(self) -> bool:
        """All layers it reads must have the same size."""
        return True


class Weightless(Section):
    """A section without tensors, which costs no MACs."""

    def tensor_shapes(self, in_channels: int) -> TensorShapes:
        return {}

    def price(self, in_channels: int, size: Size) -> Price:
        return Price()


class SameShape(Section):
    """Wiring of a section whose output has the shape of the layer in front, unless it overrides this."""

    def output_channels(self, widths: Sequence[int]) -> int:
        return widths[0]

    def output_size(self, sizes: Sequence[Size]) -> Size:
        return sizes[0]

    def output_stride(self, strides: Sequence[Fraction]) -> Fraction | None:
        return max(strides)


@dataclass(frozen=True, kw_only=True)
class NamesFrom(Section):
    """A section that reads the layer in front and the layers named in `from=`."""

    from_: tuple[Reference, ...] = ()

    def problems(self) -> Iterator[str]:
        if not self.from_:
            yield "needs from="

    def references(self) -> tuple[Reference, ...]:
        return self.from_

    def moved(self, new_layer: Callable[[int], int]) -> Self:
        return replace(self, from_=move_all(self.from_, new_layer))


def move_all(references: tuple[Reference, ...], new_layer: Callable[[int], int]) -> tuple[Reference, ...]:
    """Returns the references with every layer `n` replaced by `new_layer(n)`."""
    return tuple(Reference(new_layer(reference.layer), reference.relative) for reference in references)


def size_text(size: Size) -> str:
    """Returns a size as people write it: width x height."""
    return f"{size[1]}x{size[0]}"


def num_windows(size: Size, padding: int, reach: int, strides: tuple[int, int]) -> Size:
    """Returns how many windows of `reach` pixels fit into each side with `padding` pixels in all."""
    height, width = ((side + padding - reach) // step + 1 for side, step in zip(size, strides, strict=True))
    return height, width


class OneCell(Section):
    """Wiring of a section that puts out one cell, which spans the whole image."""

    def output_size(self, sizes: Sequence[Size]) -> Size:
        return 1, 1

    def output_stride(self, strides: Sequence[Fraction]) -> None:
        """Returns no stride."""
