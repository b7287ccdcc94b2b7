"""What an exported file tells a runtime besides the graph: classes, input size, and how photos are fitted.

seyolo's exporters write `names` (JSON list), `input_size` (JSON [height, width]) and `letterbox` (`letterbox`
or `stretch`). A file without them works as well: the size is read from the graph, classes are numbered,
photos are letterboxed.

A detector that is passed on may say more, for people: `model_license` (ONNX's own key), `training_data`, `ap`
(JSON, by split: ap and ap50) and `card` (a file beside it). `seyolo info` shows that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seyolo.errors import BackendError
from seyolo.letterbox import Mode


def read_size(metadata: Mapping[str, str], graph_size: Sequence[object], source: Path) -> tuple[int, int]:
    """(height, width) in pixels; `graph_size` is what the graph says.

    Raises:
        BackendError: neither says it.
    """
    size = _json(metadata, "input_size", list(graph_size))
    match size:
        case [int(height), int(width)] if height > 0 and width > 0:
            return height, width
    raise BackendError(
        f"{source}: the input size {size} is not fixed; export with fixed height and width, "
        "or write input_size into the metadata"
    )


def read_mode(metadata: Mapping[str, str], source: Path) -> Mode:
    """How photos are fitted to the input.

    Raises:
        BackendError: in a way we do not know.
    """
    match metadata.get("letterbox", "letterbox"):
        case "letterbox":
            return "letterbox"
        case "stretch":
            return "stretch"
        case other:
            raise BackendError(f"{source}: metadata letterbox={other!r}, expected letterbox or stretch")


def read_names(metadata: Mapping[str, str]) -> list[str] | None:
    """The classes, None where the file does not name them."""
    names = _json(metadata, "names", None)
    # Some other exporters write a Python dict here, which is not JSON's business to guess.
    return [str(name) for name in names] if isinstance(names, list) else None


def read_about(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What the file says for people: `licence`, `training_data`, `ap` and `card`, as far as it does."""
    ap = _json(metadata, "ap", None)
    known = {
        "licence": metadata.get("model_license"),
        "training_data": metadata.get("training_data"),
        "ap": ap if _is_ap(ap) else None,
        "card": metadata.get("card"),
    }
    return {key: value for key, value in known.items() if value is not None}


def _is_ap(value: Any) -> bool:
    """Whether this is AP by split, and not what another exporter calls so."""
    return isinstance(value, dict) and all(
        isinstance(row, dict) and isinstance(row.get("ap"), float) for row in value.values()
    )


def _json(metadata: Mapping[str, str], key: str, default: Any) -> Any:
    try:
        return json.loads(metadata[key]) if key in metadata else default
    except json.JSONDecodeError:
        return default
