"""Channel rules of `[convolutional]` and `[implicit]`, which make their own channels, and `[dropout]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seyolo.darknet.sections import Convolutional, Dropout, Implicit
from seyolo.pruning.groups.atoms import BoolArray, FloatArray, IntArray, Walk
from seyolo.pruning.groups.rules.base import ChannelRule, Layer, Passing, Rules, Tensors, response, shifted


class ConvolutionRule(ChannelRule[Convolutional]):
    """A depthwise convolution ties its channels to those it reads; groups keep equally many channels each."""

    def atoms(self, walk: Walk, section: Convolutional, read: Sequence[IntArray]) -> IntArray:
        made = walk.make(section.filters)
        if section.is_depthwise(len(read[0])):
            walk.tie(np.repeat(read[0], section.filters // len(read[0])), made)
        elif section.groups > 1:
            walk.split(read[0], section.groups)
            walk.split(made, section.groups)
        return made

    def constants(self, section: Convolutional, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        if not section.batch_normalize:
            return np.zeros(section.filters)  # no scale that could be zero: it depends on the image
        return layer.activate(section.activation, layer.tensors["bn.bias"].astype(np.float64))  # act(β)

    def cut(
        self, section: Convolutional, tensors: Tensors, read: BoolArray, kept: BoolArray
    ) -> tuple[Convolutional, Tensors]:
        rows = np.flatnonzero(kept)
        vectors = {name: array.take(rows, axis=0) for name, array in tensors.items() if name != "conv.weight"}
        kernel, filters = tensors["conv.weight"], len(rows)
        if section.is_depthwise(len(read)):
            section = replace(section, filters=filters, groups=int(read.sum()))
            return section, {"conv.weight": kernel.take(rows, axis=0)} | vectors
        parts = [
            part.take(np.flatnonzero(part_kept), axis=0).take(np.flatnonzero(part_read), axis=1)
            for part, part_kept, part_read in zip(
                *(np.split(array, section.groups) for array in (kernel, kept, read)), strict=True
            )
        ]
        return replace(section, filters=filters), {"conv.weight": np.concatenate(parts)} | vectors

    def absorb(self, section: Convolutional, tensors: Tensors, constant: FloatArray) -> Tensors:
        if section.is_depthwise(len(constant)):
            return {}  # its own channels are removed with those it reads
        added = response(tensors["conv.weight"], constant, section.groups)  # W c
        if section.batch_normalize:
            # W x + W c - μ = W x - (μ - W c)
            return {"bn.running_mean": shifted(tensors["bn.running_mean"], -added)}
        return {"conv.bias": shifted(tensors["conv.bias"], added)}


class ImplicitRule(ChannelRule[Implicit]):
    """It makes its own channels and takes nothing from the layer in front."""

    def atoms(self, walk: Walk, section: Implicit, read: Sequence[IntArray]) -> IntArray:
        return walk.make(section.filters)

    def constants(self, section: Implicit, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        return np.zeros(section.filters)

    def cut(
        self, section: Implicit, tensors: Tensors, read: BoolArray, kept: BoolArray
    ) -> tuple[Implicit, Tensors]:
        return replace(section, filters=int(kept.sum())), {"weights": tensors["weights"][kept]}


RULES: Rules = {Convolutional: ConvolutionRule(), Dropout: Passing[Dropout](), Implicit: ImplicitRule()}
