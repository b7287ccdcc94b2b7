"""Base class of the channel rules: how pruning passes through one kind of section.

`S` is the section type of a rule. Vectors have one entry per channel: of atoms (see `groups.atoms`), of
constants, or of a mask that is True for kept channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from seyolo.darknet.sections import Activation, Section, WeightsNormalization
from seyolo.pruning.groups.atoms import BoolArray, FloatArray, IntArray, Walk

Tensors = Mapping[str, NDArray[Any]]  # of one layer, by the names of `Section.tensor_shapes`
S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Layer:
    """Tensors of a layer of the dense network, and the functions its forward pass uses."""

    tensors: Tensors
    activate: Callable[[Activation, FloatArray], FloatArray]  # of (C,) values
    shares: Callable[[NDArray[Any], WeightsNormalization], FloatArray]  # factors of a `[shortcut]`'s inputs


class ChannelRule(ABC, Generic[S]):
    """Passage of atoms, constants and kept channels through a section."""

    @abstractmethod
    def atoms(self, walk: Walk, section: S, read: Sequence[IntArray]) -> IntArray:
        """Returns the atoms of the output; notes on the walk which atoms are tied, split or fixed."""

    @abstractmethod
    def constants(self, section: S, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        """Returns the constant that each output channel has where its batch normalisation scale is zero.

        `read` are the constants of the removed channels it reads, 0 for kept ones. An output that depends
        on the image counts as 0.
        """

    def cut(self, section: S, tensors: Tensors, read: BoolArray, kept: BoolArray) -> tuple[S, Tensors]:
        """Returns section and tensors with only the channels `read` of its first input and its own `kept`.

        By default both are the same for any number of channels.
        """
        return section, tensors

    def absorb(self, section: S, tensors: Tensors, constant: FloatArray) -> Tensors:
        """Returns the tensors that change to add the constants of its first input's removed channels."""
        return {}


class Passing(ChannelRule[S]):
    """Rule of a section whose output channels are those in front, each on its own, constants included."""

    def atoms(self, walk: Walk, section: S, read: Sequence[IntArray]) -> IntArray:
        return read[0]

    def constants(self, section: S, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        return read[0]


Rules = Mapping[type[Section], ChannelRule[Any]]


def response(kernel: NDArray[Any], constant: FloatArray, groups: int = 1) -> FloatArray:
    """Returns the (out,) answer of a convolution to (in,) constant channels, where its kernel lies inside."""
    parts = zip(np.split(kernel, groups), np.split(constant, groups), strict=True)
    answers = [
        part.reshape(len(part), -1) @ np.repeat(values, part.shape[2] * part.shape[3]).astype(part.dtype)
        for part, values in parts
    ]
    return np.concatenate(answers).astype(np.float64)


def shifted(tensor: NDArray[Any], change: FloatArray) -> NDArray[Any]:
    """Returns tensor + change in the precision of the tensor."""
    return (tensor + change).astype(tensor.dtype)
