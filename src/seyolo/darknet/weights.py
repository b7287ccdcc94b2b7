"""Tensors of a network, and reader and writer of Darknet's `.weights` files. numpy only.

`.weights` files, checkpoints and the torch module all use the names of `tensor_shapes`. A `.weights` file is
a header (version; images seen, 64 bit from version 0.2 on) and float32 numbers, per convolution: bias, then
scale, mean and variance of its batch normalisation, then the kernel; per weighted `[shortcut]` and
`[implicit]` its weights. It holds no names: only the count of numbers can show that a file does not fit.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import set_classes
from seyolo.darknet.graph import IMAGE, channels, detection_layers, inputs
from seyolo.darknet.placement import GATE_TITLES, OWN_GATES
from seyolo.darknet.sections import Detection, Section
from seyolo.darknet.sections.base import TensorShapes
from seyolo.errors import CfgError, ExportError, WeightsError, counted
from seyolo.files import replacing

FloatArray = npt.NDArray[np.float32]

MAX_PARAMETERS = 1 << 30
"""Most numbers a network may hold (4 GiB as float32)."""


def tensor_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Returns name and shape of each tensor of a network, in the order of the layers.

    `layers.{i}.conv.weight` (out, in / groups, height, width); `layers.{i}.bn.{weight,bias,running_mean,
    running_var}` with batch normalisation, else `layers.{i}.conv.bias`; for `[cbam]` the shared MLP
    `layers.{i}.{squeeze,excite}.{weight,bias}` as 1x1 convolutions and `layers.{i}.spatial.weight`; for
    `[coordatt]` also `layers.{i}.{rows,columns}.{weight,bias}`;
    `layers.{i}.weights` of a weighted `[shortcut]`, (inputs,) or (inputs, channels), and of an `[implicit]`,
    (filters,).

    Raises:
        CfgError: layers that do not fit, or more than `MAX_PARAMETERS` numbers.
    """
    result: dict[str, tuple[int, ...]] = {}
    total = 0
    for index, tensors in enumerate(tensors_per_layer(network)):
        total += sum(prod(shape) for shape in tensors.values())
        if total > MAX_PARAMETERS:
            message = f"the weights pass {MAX_PARAMETERS * 4 >> 30} GiB here, more than this reader takes"
            raise network.error(index, message)
        result |= {f"layers.{index}.{name}": shape for name, shape in tensors.items()}
    return result


def tensors_per_layer(network: Network) -> Iterator[TensorShapes]:
    """Yields, per layer, name (without the layer) and shape of each tensor."""
    widths = channels(network)
    for section, sources in zip(network.layers, inputs(network), strict=True):
        yield section.tensor_shapes(network.net.channels if sources[0] == IMAGE else widths[sources[0]])


def read_weights(path: str | Path, network: Network) -> dict[str, FloatArray]:
    """Reads a Darknet `.weights` file: tensors by name. Negative variances become 0.

    A file whose name ends in `.conv.N`, a backbone, holds only the layers before N.

    Raises:
        WeightsError: the file is missing, too short, too long, holds NaN, or the network has a section that
            Darknet does not have.
    """
    named = re.search(r"\.conv\.(\d+)$", Path(path).name)
    tensors = list(_file_order(network, int(named[1]) if named else len(network.layers)))
    numbers = _read_numbers(Path(path), network, tensors)
    state: dict[str, FloatArray] = {}
    start = 0
    for index, name, shape in tensors:
        values = numbers[start : start + prod(shape)]
        start += prod(shape)
        if not np.isfinite(values).all():
            raise WeightsError(f"{path}: {_where(network, index)} holds values that are not finite")
        if name.endswith("running_var"):
            np.maximum(values, 0, out=values)
        state[name] = values.reshape(shape)
    return state


def write_weights(
    path: str | Path, network: Network, state: Mapping[str, npt.NDArray[np.floating]], seen: int = 0
) -> None:
    """Writes a Darknet `.weights` file, version 0.2.5, atomically.

    `state` has exactly the tensors of `tensor_shapes`; `seen` counts the images the network was trained on.

    Raises:
        ExportError: the network has a section that Darknet does not have, `[cbam]` for instance.
        WeightsError: `state` does not fit the network.
    """
    require_darknet(network)
    check_state(state, tensor_shapes(network))
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<3iQ", 0, 2, 5, seen))
        for _, name, _ in _file_order(network, len(network.layers)):
            # numpy's own tofile would lose the reason of a failed write.
            file.write(np.ascontiguousarray(state[name], dtype="<f4").data)


def require_darknet(network: Network) -> None:
    """Refuses (ExportError) a network with a section that Darknet does not have."""
    for index, section in enumerate(network.layers):
        if not section.in_darknet:
            gate = f"the attached {_gate_title(section)} gate at layer {index}"
            raise ExportError(f"{gate} has no form in Darknet's files; export the network to ONNX")


def check_state(
    state: Mapping[str, npt.NDArray[np.floating]], expected: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuses tensors that are missing, left over, or of another shape than `expected`."""
    for name, shape in expected.items():
        actual = state[name].shape if name in state else "nothing"
        if actual != shape:
            raise WeightsError(f"{name}: the network needs the shape {shape}, got {actual}")
    if left_over := state.keys() - expected.keys():
        raise WeightsError(f"the network has no tensor {min(left_over)} ({len(left_over)} left over)")


_FILE_ORDER = (
    "conv.bias", "bn.bias", "bn.weight", "bn.running_mean", "bn.running_var", "conv.weight", "weights",
)  # fmt: skip
_Entry = tuple[int, str, tuple[int, ...]]


def _file_order(network: Network, limit: int) -> Iterator[_Entry]:
    """Yields (layer, name, shape) in the order of the file."""
    tensor_shapes(network)  # refuses a network that is too large for any machine
    layers = zip(network.layers[:limit], tensors_per_layer(network), strict=False)
    for index, (section, tensors) in enumerate(layers):
        if not section.in_darknet:
            gate = _gate_title(section)
            message = f"{_where(network, index)} cannot come from a Darknet file; read it, then attach {gate}"
            raise WeightsError(message)
        for part in sorted(tensors, key=_FILE_ORDER.index):
            yield index, f"layers.{index}.{part}", tensors[part]


def _gate_title(section: Section) -> str:
    return next(GATE_TITLES[kind] for kind, own in OWN_GATES.items() if isinstance(section, own))


def _read_numbers(path: Path, network: Network, tensors: list[_Entry]) -> FloatArray:
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            header = _header_size(path, file.read(12))
            _check_count(path, network, tensors, size - header)
            file.seek(header)
            return np.fromfile(file, dtype="<f4", count=sum(prod(shape) for _, _, shape in tensors))
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such file") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None


def _header_size(path: Path, head: bytes) -> int:
    if len(head) < 12:
        raise WeightsError(f"{path}: {len(head)} bytes are no Darknet weights: the header alone has 16 or 20")
    major, minor, _ = struct.unpack("<3i", head)
    if not (0 <= major <= 1000 and 0 <= minor <= 1000):
        raise WeightsError(
            f"{path}: version {major}.{minor} is no version of Darknet's; is it a .weights file?"
        )
    return 20 if major * 10 + minor >= 2 else 16


def _check_count(path: Path, network: Network, tensors: list[_Entry], num_bytes: int) -> None:
    needed = sum(prod(shape) for _, _, shape in tensors)
    if 4 * needed == num_bytes:
        return
    counts = f"the network needs {needed:,} numbers, the file has {max(num_bytes, 0) / 4:,.12g}"
    fits = _what_fits(network, tensors, num_bytes // 4) if num_bytes % 4 == 0 else ""
    ending = 0
    for index, _, shape in tensors:
        ending += prod(shape)
        if 4 * ending > num_bytes:
            raise WeightsError(f"{path}: ends inside {_where(network, index)}: {counts}{fits}")
    last = _where(network, tensors[-1][0]) if tensors else "the header"
    raise WeightsError(f"{path}: goes on after {last}, the last with weights: {counts}{fits}")


def _what_fits(network: Network, tensors: Sequence[_Entry], count: int) -> str:
    """Words what a file of `count` numbers would fit: other classes or anchors, or only the first layers."""
    detections = [network.layers[layer] for layer in detection_layers(network)]
    per_cell = {len(layer.masked_anchors) for layer in detections if isinstance(layer, Detection)}
    with suppress(CfgError):  # a detection without a convolution in front has no other classes
        at_one, at_two = (_num_numbers(set_classes(network, classes)) for classes in (1, 2))
        classes = 1 + Fraction(count - at_one, at_two - at_one) if per_cell else Fraction(0)
        filters = " and ".join(str(number * (5 + classes)) for number in sorted(per_cell))
        if classes >= 1 and classes.denominator == 1:
            fitting = f"it fits {counted(int(classes), 'class')}: set classes={classes}"
            return f"; {fitting}, and filters={filters} in front of each detection"
        if classes > -5 and len(per_cell) == 1 and filters.isdecimal():
            return f"; it fits filters={filters} in front of each detection: other classes and anchors"
    ending = 0
    for (index, _, shape), following in pairwise(tensors):
        ending += prod(shape)
        if ending == count and following[0] != index:
            name = f"NAME.conv.{index + 1}"
            return f"; it holds the layers before {index + 1}: call it {name}, and training starts from them"
    return ""


def _num_numbers(network: Network) -> int:
    return sum(prod(shape) for shape in tensor_shapes(network).values())


def _where(network: Network, index: int) -> str:
    section = network.layers[index]
    line = f":{section.line}" if section.line else ""
    return f"[{section.kind}] (layer {index}, {network.source}{line})"
