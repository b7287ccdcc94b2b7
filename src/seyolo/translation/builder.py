"""ONNX graph under construction, and the nodes that several sections need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from seyolo.darknet.graph import Shape
from seyolo.darknet.sections import Section

ONES = "_ones"
"""End of the name of a kernel that repeats a map and is not learned."""
BAND = "_band"
"""End of the name of a kernel that holds the few numbers of another one many times."""


class GraphBuilder:
    """Nodes and initializers of a graph; every method returns the name of the value it adds."""

    def __init__(
        self, state: Mapping[str, NDArray[Any]], image_size: tuple[int, int], *, inline: bool = True
    ) -> None:
        self.state = state  # the tensors of the network
        self.inline = inline  # copy them into the graph; otherwise only their names and shapes
        self.image_size = image_size  # (height, width) in pixels
        self.layer = 0  # index of the layer that is being translated, for the names of values
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._taken: set[str] = set()  # names of tensors in `initializers`

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Adds an operator with one output."""
        output = f"layer{self.layer}_{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(
        self, value: object, dtype: type[np.generic] = np.float32, *, name: str | None = None
    ) -> str:
        """Adds an array."""
        name = name or f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def tensor(self, name: str) -> str:
        """Adds a tensor of the network once, under its own name; its numbers only where `inline`."""
        array = self.state[name]
        if name in self._taken:
            return name
        self._taken.add(name)
        if self.inline:
            self.initializers.append(numpy_helper.from_array(array, name))
            return name
        outside = TensorProto(
            name=name, data_type=TensorProto.FLOAT, dims=array.shape, data_location=TensorProto.EXTERNAL
        )
        outside.external_data.add(key="location", value="memory")
        self.initializers.append(outside)
        return name

    def slice(self, value: str, start: int, end: int, axis: int) -> str:
        """Adds a slice along one axis."""
        bounds = [self.constant([bound], np.int64) for bound in (start, end, axis)]
        return self.node("Slice", [value, *bounds])

    def clip(self, value: str, low: float | None, high: float) -> str:
        """Adds a limit below (None for none) and above."""
        return self.node("Clip", [value, "" if low is None else self.constant(low), self.constant(high)])

    def affine(self, value: str, factor: float, added: float) -> str:
        """Adds factor · value + added."""
        scaled = self.node("Mul", [value, self.constant(factor)])
        return self.node("Add", [scaled, self.constant(added)])

    def convolution(self, value: str, module: str, kernel: int, **attributes: object) -> str:
        """Adds a convolution with the tensors of `module`."""
        tensors = [self.tensor(f"{module}.weight")]
        if f"{module}.bias" in self.state:
            tensors.append(self.tensor(f"{module}.bias"))
        return self.node("Conv", [value, *tensors], kernel_shape=[kernel, kernel], **attributes)


@dataclass(frozen=True)
class Layer:
    """A layer in the graph: its index, the names and shapes of the values it reads, its output's shape."""

    index: int
    inputs: list[str]
    read: list[Shape]
    shape: Shape


Writer = Callable[[GraphBuilder, Any, Layer], str]  # adds the nodes of a section; returns its output's name
WriterTable = Mapping[type[Section], Writer]
