"""Metadata of an exported file: class names, input size and fit of images, written and read.

`file_metadata` makes the texts that every exporter writes; the `read_` functions are their inverse. A file of
another exporter works without them: the graph gives the size, classes are numbered, images are letterboxed.

| key | value |
|---|---|
| `names` | JSON list of the class names |
| `input_size` | JSON [height, width] in pixels |
| `letterbox` | `letterbox` or `stretch` |
| `pad_value` | grey level of the padding, 0 to 255; 114 where the key is missing |
| `cfg` | the network as a Darknet cfg |
| `producer` | `seyolo` |
| `int8` | JSON, of int8 files: number of images, agreement, float32 layers |

A published detector also has `model_license` (ONNX's own key), `training_data`, `ap` (JSON, by split: ap and
ap50) and `card` (a file beside it), which `seyolo info` shows.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast, get_args

from seyolo.darknet.cfg import Network, stored_cfg
from seyolo.errors import BackendError, counted, quoted
from seyolo.letterbox import PAD_GREY, Mode

RUNTIME_KEYS = (
    "names", "input_size", "letterbox", "pad_value", "producer", "task", "end2end", "args", "imgsz"
)  # fmt: skip
"""The keys that a runtime reads, also those of Ultralytics."""


def file_metadata(
    network: Network, names: Sequence[str], size_hw: tuple[int, int], int8: Mapping[str, object] | None = None
) -> dict[str, str]:
    """Returns the metadata of an exported network; `int8` are the facts of its quantization."""
    metadata = {
        "names": json.dumps(list(names)),
        "input_size": json.dumps(list(size_hw)),
        "letterbox": network.net.letterbox_mode,
        "cfg": stored_cfg(network),
        "producer": "seyolo",
    }
    if network.net.letter_box and network.net.pad_value != PAD_GREY:
        metadata["pad_value"] = f"{network.net.pad_value:g}"
    return metadata if int8 is None else {**metadata, "int8": json.dumps(int8)}


def read_size(metadata: Mapping[str, str], graph_size: Sequence[object], source: Path) -> tuple[int, int]:
    """Returns (height, width) in pixels; `graph_size` is that of the graph, where the metadata has none."""
    size = _json(metadata, "input_size", list(graph_size))
    if any(not isinstance(side, int) for side in size if isinstance(size, list)):
        size = _json(metadata, "imgsz", size)  # of Ultralytics
    match size:
        case [int(height), int(width)] if height > 0 and width > 0:
            return height, width
    raise BackendError(
        f"{source}: the input size {size} is not fixed; export with fixed height and width, "
        "or write input_size into the metadata"
    )


def read_mode(metadata: Mapping[str, str], source: Path) -> Mode:
    """Returns how images are fitted to the input."""
    mode = metadata.get("letterbox", "letterbox")
    if mode not in get_args(Mode):
        raise BackendError(f"{source}: metadata letterbox={quoted(mode)}, expected letterbox or stretch")
    return cast("Mode", mode)


def read_pad_value(metadata: Mapping[str, str], source: Path) -> float:
    """Returns the grey level of the padding, 0 to 255."""
    text = metadata.get("pad_value", str(PAD_GREY))
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= 255:
            return value
    raise BackendError(f"{source}: metadata pad_value={quoted(text)}, expected a number from 0 to 255")


def read_channels(value: object, source: Path) -> int:
    """Returns the channels of the input, 3 where the graph leaves them open; refuses other than 3 and 1."""
    channels = value if isinstance(value, int) else 3
    if channels not in (1, 3):
        raise BackendError(
            f"{source}: takes images of {counted(channels, 'channel')}, expected 3 (RGB) or 1 (grey)"
        )
    return channels


def read_names(metadata: Mapping[str, str]) -> list[str] | None:
    """Returns the class names; None where the metadata has no JSON list of them."""
    names = _json(metadata, "names", None)
    return [str(name) for name in names] if isinstance(names, list) else None


def read_any_names(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Returns the class names from a JSON list or object, or from the Python dict of other exporters."""
    value = _json(metadata, "names", None)
    if value is None:
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            value = ast.literal_eval(metadata.get("names", ""))
    if isinstance(value, Mapping):
        value = [value[key] for key in sorted(value, key=_number)]
    return tuple(map(str, value)) if isinstance(value, list | tuple) else None


def _number(key: object) -> tuple[int, str]:
    """Returns the order of a key: by its number, those without one last."""
    text = str(key)
    is_number = text.isdecimal() and len(text) < 10
    return (int(text), "") if is_number else (1 << 32, text)


def read_any_size(metadata: Mapping[str, str]) -> tuple[int, int] | None:
    """Returns (height, width) in pixels; None where the metadata does not hold two integers."""
    match _json(metadata, "input_size", None):
        case [int(height), int(width)]:
            return height, width
    return None


def read_about(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Returns `licence`, `training_data`, `ap` and `card`, those that the file has."""
    ap = _json(metadata, "ap", None)
    known = {
        "licence": metadata.get("model_license"),
        "training_data": metadata.get("training_data"),
        "ap": ap if _is_ap(ap) else None,
        "card": metadata.get("card"),
    }
    return {key: value for key, value in known.items() if value is not None}


def _is_ap(value: Any) -> bool:
    """Tells whether a value is AP by split; other exporters use the key for other things."""
    return isinstance(value, dict) and all(
        isinstance(row, dict) and isinstance(row.get("ap"), float) for row in value.values()
    )


def _json(metadata: Mapping[str, str], key: str, default: Any) -> Any:
    try:
        return json.loads(metadata[key]) if key in metadata else default
    except (json.JSONDecodeError, RecursionError):
        return default
