"""Checkpoint: a safetensors file with a network's description, weights, class names and provenance.

The metadata keys are `format`, `format_version`, `cfg`, `names`, `provenance` (the latter two JSON) and
`checksum`, which files of version 0.1.0 do not have. Tensor names are those of
`darknet.weights.tensor_shapes`. Nothing is pickled. numpy only.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float32
from safetensors import SafetensorError, safe_open

from seyolo.darknet.cfg import Network, parse_stored_cfg, stored_cfg
from seyolo.darknet.graph import detection_layers, num_classes
from seyolo.darknet.sections import Convolutional, Detection
from seyolo.darknet.weights import tensor_shapes
from seyolo.errors import ModelError
from seyolo.files import replacing
from seyolo.json_files import parse_json

FORMAT = "seyolo"
FORMAT_VERSION = "1"

KINDS = {
    "<f2": "F16",
    "<f4": "F32",
    "<f8": "F64",
    "<i8": "I64",
    "|b1": "BOOL",
}  # names of types in safetensors by NumPy's

State = dict[str, Float32[np.ndarray, "..."]]


@dataclass(frozen=True)
class Checkpoint:
    """A whole model without torch."""

    network: Network
    state: State  # arrays by tensor name, exactly those of `tensor_shapes(network)`
    names: tuple[str, ...]  # one per class
    provenance: dict[str, object] = field(default_factory=dict)  # origin of the weights, JSON values only


def reorder_classes(checkpoint: Checkpoint, order: Sequence[int]) -> Checkpoint:
    """Returns the same detector with its classes in another order: the convolutions of its heads permuted.

    Args:
        checkpoint: a state may lack tensors.
        order: for each new class its number now; all of them, each once.

    Raises:
        CfgError: a detection layer without a convolution in front of it.
    """
    network, state = checkpoint.network, dict(checkpoint.state)
    for layer in detection_layers(network):
        section, front = network.layers[layer], network.layers[layer - 1] if layer else None
        if not isinstance(section, Detection) or not isinstance(front, Convolutional):
            raise network.error(
                layer, "needs a convolution in front of it to change the order of the classes"
            )
        anchor = np.array([*range(5), *(5 + index for index in order)])  # cx, cy, w, h, objectness, classes
        rows = np.concatenate([index * len(anchor) + anchor for index in range(len(section.masked_anchors))])
        for name in (name for name in state if name.startswith(f"layers.{layer - 1}.")):
            if state[name].ndim and len(state[name]) == len(rows):
                state[name] = state[name][rows]
    names = tuple(checkpoint.names[index] for index in order)
    return Checkpoint(network, state, names, checkpoint.provenance)


def check_state(network: Network, state: Mapping[str, Float32[np.ndarray, "..."]], source: str) -> None:
    """Checks that a state has exactly the tensors of the network.

    Raises:
        ModelError: a tensor is missing, extra or of another shape; names the first.
    """
    expected = tensor_shapes(network)
    for name, shape in expected.items():
        if name not in state:
            raise ModelError(f"{source}: tensor {name} of shape {shape} is missing")
        if state[name].shape != shape:
            raise ModelError(f"{source}: tensor {name} has shape {state[name].shape}, its cfg needs {shape}")
    extra = next((name for name in state if name not in expected), None)
    if extra is not None:
        raise ModelError(f"{source}: tensor {extra} belongs to no layer of its cfg")


def checksum(metadata: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
    """Returns the CRC-32 of the metadata but `checksum`, and of name, type, shape and values of arrays."""
    value = 0
    for key in sorted(metadata.keys() - {"checksum"}):
        value = zlib.crc32(f"{key}\0{metadata[key]}\0".encode(), value)
    for name in sorted(arrays):
        array = arrays[name]
        value = zlib.crc32(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode(), value)
        value = zlib.crc32(np.ascontiguousarray(array).data, value)
    return f"{value:08x}"


def damage(metadata: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str | None:
    """Returns in words how content differs from its checksum; None where it fits or there is none."""
    stored, found = metadata.get("checksum"), checksum(metadata, arrays)
    return None if stored in (None, found) else f"damaged: its checksum is {stored}, its content has {found}"


def write_tensors(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Writes a safetensors file with a checksum in its metadata; the same content gives the same bytes.

    The library orders metadata at random, copies every array twice, and makes the file readable for its owner
    alone. The layout is that of its version 0.8: https://huggingface.co/docs/safetensors#format
    """
    metadata = {**metadata, "checksum": checksum(metadata, arrays)}
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    names, end = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)), 0
    for name in names:
        array, start = arrays[name], end
        end += array.nbytes
        kind = KINDS[array.dtype.str]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(np.ascontiguousarray(arrays[name]).data)


def write_checkpoint(path: str | Path, checkpoint: Checkpoint, *, half: bool = False) -> None:
    """Writes a checkpoint in one step: the old file or the new one, never half.

    With `half` kernels are rounded to 16 bits, as in an exported file with `--half`; biases, scales and
    running statistics stay float32.

    Raises:
        ModelError: the state does not fit the network, or a kernel does not fit 16 bits.
    """
    check_state(checkpoint.network, checkpoint.state, str(path))
    state = {name: np.ascontiguousarray(array, np.float32) for name, array in checkpoint.state.items()}
    if half:
        state = {name: array if array.ndim < 2 else _half(array, name) for name, array in state.items()}
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "cfg": stored_cfg(checkpoint.network),
        "names": json.dumps(list(checkpoint.names)),
        "provenance": json.dumps(checkpoint.provenance),
    }
    with replacing(path) as temporary:
        write_tensors(temporary, state, metadata)


def _half(array: Float32[np.ndarray, "..."], name: str) -> Float16[np.ndarray, "..."]:
    limit = np.finfo(np.float16).max
    if (largest := np.abs(array).max(initial=0)) > limit:
        raise ModelError(f"tensor {name}: {largest:g} is above {limit:g}, the most that 16 bits hold")
    return array.astype(np.float16)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a checkpoint; tensors stored in 16 bits are widened to float32.

    Raises:
        ModelError: the file is missing, truncated, damaged, of another kind, or does not fit its own cfg.
        CfgError: the cfg inside cannot be read; names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: there is no such checkpoint file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
            _check_format(metadata, set(file.keys()), path)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: {_file_kind(path)} ({error})") from None
    if (problem := damage(metadata, state)) is not None:
        raise ModelError(f"{path}: {problem}; copy it again or take an earlier one")
    return _assemble(metadata, state, path)


def _assemble(metadata: dict[str, str], state: State, path: Path) -> Checkpoint:
    network = parse_stored_cfg(metadata["cfg"], f"{path} (its cfg)")
    check_state(network, state, str(path))
    try:
        names, provenance = parse_json(metadata["names"]), parse_json(metadata["provenance"])
    except ValueError as error:
        raise ModelError(f"{path}: its metadata is damaged: {error}") from None
    are_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not isinstance(provenance, dict) or not are_names or len(names) != num_classes(network):
        raise ModelError(f"{path}: its metadata is damaged: invalid names or provenance")
    state = {name: array.astype(np.float32, copy=False) for name, array in state.items()}
    return Checkpoint(network, state, tuple(names), provenance)


def _check_format(metadata: Mapping[str, str], tensors: set[str], path: Path) -> None:
    if metadata.get("format") != FORMAT:
        some = ", ".join(sorted(tensors)[:2]) or "none"
        raise ModelError(
            f"{path}: a safetensors file, but not a seyolo checkpoint (its tensors: {some} …); take one that "
            "`seyolo train` or `seyolo prune` wrote"
        )
    version = metadata.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{path}: written in format {version}, this seyolo reads {FORMAT_VERSION}; update seyolo"
        )
    missing = [key for key in ("cfg", "names", "provenance") if key not in metadata]
    if missing:
        raise ModelError(f"{path}: its metadata lacks {', '.join(missing)}; write it again from its source")


def _file_kind(path: Path) -> str:
    """Describes a file that is no valid safetensors file by its first bytes."""
    with path.open("rb") as file:
        head = file.read(16)
    size = path.stat().st_size
    if not head:
        return "an empty file, not a checkpoint"
    if head.startswith(b"PK\x03\x04") or head.startswith(b"\x80\x02"):
        return "a pickled PyTorch file, which can run code when loaded and is never read; save safetensors"
    if len(head) >= 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < max(size, 1 << 27):
        return f"a truncated or damaged checkpoint of {size} bytes; copy it again or take an earlier one"
    if head.lstrip().startswith(b"["):
        return "a cfg, not a checkpoint; name it .cfg"
    return "not a safetensors checkpoint"
