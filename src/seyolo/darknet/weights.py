"""The tensors of a network and Darknet's `.weights` file. numpy only.

`tensor_shapes` is the one place that names the tensors; `.weights` files, checkpoints and the torch module
all use these names. A `.weights` file is a header (version; images seen, 64 bit from version 0.2 on) and
float32 numbers, per convolution: bias, then scale, mean and variance of its batch normalisation, then the
kernel; per weighted `[shortcut]` and `[implicit]` its weights. It holds no names, so the count alone tells
whether it fits.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import IMAGE, channels, inputs
from seyolo.darknet.sections import Cbam, Convolutional, Implicit, Section, Shortcut
from seyolo.errors import ExportError, WeightsError
from seyolo.files import replacing

FloatArray = npt.NDArray[np.float32]

MAX_PARAMETERS = 1 << 30
"""Most numbers a network may hold (4 GiB as float32)."""


def tensor_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a network's tensors, in the order of the layers.

    `layers.{i}.conv.weight` (out, in / groups, height, width); `layers.{i}.bn.{weight,bias,running_mean,
    running_var}` with batch normalisation, else `layers.{i}.conv.bias`; for `[cbam]` the shared MLP
    `layers.{i}.{squeeze,excite}.{weight,bias}` as 1x1 convolutions and `layers.{i}.spatial.weight`;
    `layers.{i}.weights` of a weighted `[shortcut]`, (inputs,) or (inputs, channels), and of an `[implicit]`,
    (filters,).

    Raises:
        CfgError: wrong wiring, or more than `MAX_PARAMETERS` numbers.
    """
    widths = channels(network)
    result: dict[str, tuple[int, ...]] = {}
    total = 0
    for index, (section, sources) in enumerate(zip(network.layers, inputs(network), strict=True)):
        width = network.net.channels if sources[0] == IMAGE else widths[sources[0]]
        tensors = layer_tensor_shapes(section, width)
        total += sum(prod(shape) for shape in tensors.values())
        if total > MAX_PARAMETERS:
            message = f"the weights pass {MAX_PARAMETERS * 4 >> 30} GiB here, more than this reader takes"
            raise network.error(index, message)
        result |= {f"layers.{index}.{name}": shape for name, shape in tensors.items()}
    return result


def layer_tensor_shapes(section: Section, in_channels: int) -> dict[str, tuple[int, ...]]:
    """Names (without the layer) and shapes of one layer's tensors; empty for a layer without any."""
    if isinstance(section, Convolutional):
        return _convolution_shapes(section, in_channels)
    if isinstance(section, Cbam):
        return {
            "squeeze.weight": (section.hidden, in_channels, 1, 1),
            "squeeze.bias": (section.hidden,),
            "excite.weight": (in_channels, section.hidden, 1, 1),
            "excite.bias": (in_channels,),
            "spatial.weight": (1, 2, section.size, section.size),
        }
    if isinstance(section, Implicit):
        return {"weights": (section.filters,)}
    if isinstance(section, Shortcut) and section.weights_type != "none":
        per_channel = section.weights_type == "per_channel"
        return {"weights": (section.num_inputs, in_channels) if per_channel else (section.num_inputs,)}
    return {}


def _convolution_shapes(section: Convolutional, in_channels: int) -> dict[str, tuple[int, ...]]:
    width = section.filters
    kernel = (width, in_channels // section.groups, section.size, section.size)
    if not section.batch_normalize:
        return {"conv.weight": kernel, "conv.bias": (width,)}
    names = ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    return {"conv.weight": kernel} | dict.fromkeys(names, (width,))


def read_weights(path: str | Path, network: Network, cutoff: int | None = None) -> dict[str, FloatArray]:
    """Reads a Darknet `.weights` file: tensors by name. Negative variances become 0.

    Args:
        path: the file. A name that ends in `.conv.N` holds the layers before N only.
        network: what the file belongs to.
        cutoff: read only the layers before this one, for a backbone out of a larger file. What follows in
            the file is then ignored.

    Raises:
        WeightsError: the file is missing, too short, too long, holds NaN, or the network has a `[cbam]`.
    """
    named = re.search(r"\.conv\.(\d+)$", Path(path).name)
    limit = cutoff if cutoff is not None else int(named[1]) if named else len(network.layers)
    tensors = list(_file_order(network, limit))
    numbers = _read_numbers(Path(path), network, tensors, allow_more=cutoff is not None)
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
    """Writes a Darknet `.weights` file, version 0.2.5, in one step.

    Args:
        path: the file, replaced when all is written.
        network: what `state` belongs to.
        state: tensors by name as `tensor_shapes` gives them; other names are refused.
        seen: how many images the network was trained on.

    Raises:
        ExportError: the network has a `[cbam]`, for which Darknet has no form.
        WeightsError: `state` does not fit the network.
    """
    for index, section in enumerate(network.layers):
        if isinstance(section, Cbam):
            message = f"{_where(network, index)} has no form in Darknet's files; export the network to ONNX"
            raise ExportError(message)
    check_state(state, tensor_shapes(network))
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<3iQ", 0, 2, 5, seen))
        for _, name, _ in _file_order(network, len(network.layers)):
            # Not numpy's own tofile: it forgets why the system refused.
            file.write(np.ascontiguousarray(state[name], dtype="<f4").data)


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
    """(layer, name, shape) in the order of the file."""
    expected = tensor_shapes(network)
    for index, section in enumerate(network.layers[:limit]):
        if isinstance(section, Cbam):
            message = f"{_where(network, index)} cannot come from a Darknet file; read it, then attach CBAM"
            raise WeightsError(message)
        for part in _FILE_ORDER:
            name = f"layers.{index}.{part}"
            if name in expected:
                yield index, name, expected[name]


def _read_numbers(path: Path, network: Network, tensors: list[_Entry], allow_more: bool) -> FloatArray:
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            header = _header_size(path, file.read(12))
            _check_count(path, network, tensors, size - header, allow_more)
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


def _check_count(
    path: Path, network: Network, tensors: list[_Entry], num_bytes: int, allow_more: bool
) -> None:
    needed = sum(prod(shape) for _, _, shape in tensors)
    counts = f"the network needs {needed:,} numbers, the file has {max(num_bytes, 0) / 4:,.12g}"
    ending = 0
    for index, _, shape in tensors:
        ending += prod(shape)
        if 4 * ending > num_bytes:
            raise WeightsError(f"{path}: ends inside {_where(network, index)}: {counts}")
    if 4 * needed != num_bytes and not allow_more:
        last = _where(network, tensors[-1][0]) if tensors else "the header"
        raise WeightsError(f"{path}: goes on after {last}, the last with weights: {counts}")


def _where(network: Network, index: int) -> str:
    section = network.layers[index]
    line = f":{section.line}" if section.line else ""
    return f"[{section.kind}] (layer {index}, {network.source}{line})"
