"""Darknet cfg text to a typed `Network` and back: parse ∘ print ∘ parse is the identity.

The `Network` is the model: attaching attention, pruning and changing classes edit it, and the torch module is
always rebuilt from it. Every error names file and line.
"""

from __future__ import annotations

import difflib
import math
import types
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from seyolo.darknet.sections import (
    AvgPool,
    Cbam,
    Convolutional,
    Detection,
    Dropout,
    Implicit,
    LocalAvgPool,
    MaxPool,
    Net,
    Reference,
    Region,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Section,
    Shortcut,
    Upsample,
    Yolo,
)
from seyolo.errors import CfgError

SECTION_TYPES: types.MappingProxyType[str, type[Section]] = types.MappingProxyType(
    {
        "net": Net,
        "network": Net,
        "convolutional": Convolutional,
        "conv": Convolutional,
        "maxpool": MaxPool,
        "max": MaxPool,
        "local_avgpool": LocalAvgPool,
        "local_avg": LocalAvgPool,
        "avgpool": AvgPool,
        "avg": AvgPool,
        "upsample": Upsample,
        "dropout": Dropout,
        "reorg": Reorg,
        "reorg3d": Reorg3d,
        "implicit": Implicit,
        "route": Route,
        "shortcut": Shortcut,
        "scale_channels": ScaleChannels,
        "sam": Sam,
        "cbam": Cbam,
        "yolo": Yolo,
        "region": Region,
    }
)
OUT_OF_SCOPE: types.MappingProxyType[str, str] = types.MappingProxyType(
    {
        **dict.fromkeys(["rnn", "gru", "lstm", "conv_lstm", "crnn", "history"], "a recurrent layer"),
        "gaussian_yolo": "Gaussian YOLOv3",
        "contrastive": "contrastive learning",
        "detection": "YOLOv1",
        "local": "YOLOv1",
        **dict.fromkeys(["connected", "conn", "softmax", "soft", "cost", "crop"], "a classification layer"),
    }
)
"""Darknet's sections that seyolo leaves out on purpose, and what they belong to."""
MAX_LAYERS = 4096
MAX_NUMBER = 1 << 24
MAX_PARTS = 256
MAX_TEXT = 1 << 22


@dataclass(frozen=True)
class Network:
    """A network as its description: `[net]` and the layers in order; `source` is only for messages."""

    net: Net
    layers: tuple[Section, ...]
    source: str = field(default="<cfg>", compare=False)

    def to_cfg(self) -> str:
        """The description as Darknet cfg text."""
        parts = [_print_section(self.net, 0)]
        parts += [_print_section(section, index) for index, section in enumerate(self.layers)]
        return "\n".join(parts)

    def error(self, index: int, message: str) -> CfgError:
        """An error at layer `index`, with file and line."""
        section = self.layers[index]
        return CfgError(f"[{section.kind}] (layer {index}): {message}", self.source, section.line)


def read_cfg(path: str | Path) -> Network:
    """Reads a Darknet cfg file.

    Raises:
        CfgError: the file is missing, not text, or not a network.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="strict")
    except FileNotFoundError:
        raise CfgError("there is no such file", str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CfgError(f"cannot be read as text: {error}", str(path)) from None
    return parse_cfg(text, str(path))


def parse_cfg(text: str, source: str = "<cfg>") -> Network:
    """Parses Darknet cfg text.

    Raises:
        CfgError: unknown section or key, malformed value, or a reference to a layer that is not in front.
    """
    if len(text) > MAX_TEXT:
        raise CfgError(f"{len(text)} characters are more than the {MAX_TEXT} this reader takes", source)
    raw_sections = list(_split(text, source))
    if not raw_sections or SECTION_TYPES.get(raw_sections[0].name) is not Net:
        raise CfgError(
            "a network starts with a [net] section", source, raw_sections[0].line if raw_sections else 0
        )
    if len(raw_sections) - 1 > MAX_LAYERS:
        raise CfgError(
            f"{len(raw_sections) - 1} layers are more than the {MAX_LAYERS} this reader takes", source
        )
    net = _parse_section(raw_sections[0], -1, source)
    assert isinstance(net, Net)
    layers = tuple(_parse_section(raw, index, source) for index, raw in enumerate(raw_sections[1:]))
    if not layers:
        raise CfgError("the network has no layers", source)
    return Network(net, layers, source)


@dataclass
class _RawSection:
    name: str
    line: int
    comments: tuple[str, ...]
    entries: list[tuple[str, str, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _split(text: str, source: str) -> Iterator[_RawSection]:
    current: _RawSection | None = None
    comments: list[str] = []
    for line_number, line in enumerate(text.splitlines(), start=1):
        before = line.split("#", 1)[0].split(";", 1)[0]
        content, comment = before.strip(), line[len(before) :].strip()
        if comment:
            comments.append(comment)
        if not content:
            continue
        if content.startswith("["):
            if not content.endswith("]"):
                raise CfgError(f"a section name ends with ']': {content!r}", source, line_number)
            if current is not None:
                yield current
            current = _RawSection(content[1:-1].strip().lower(), line_number, tuple(comments))
            comments = []
            continue
        key, equals, value = content.partition("=")
        if not equals or not key.strip():
            raise CfgError(f"expected key=value, got {content[:60]!r}", source, line_number)
        if current is None:
            raise CfgError("a key stands in front of the first section", source, line_number)
        current.entries.append((key.strip(), value.strip(), line_number))
        current.notes += comments
        comments = []
    if current is not None:
        current.notes += comments
        yield current


def _parse_section(raw: _RawSection, index: int, source: str) -> Section:
    section_type = SECTION_TYPES.get(raw.name)
    if section_type is None:
        raise _unknown_section(raw, source)
    if (section_type is Net) != (index < 0):
        raise CfgError("[net] stands once, at the top", source, raw.line)
    converters = _converters(section_type.kind)
    values: dict[str, Any] = {}
    extras: list[tuple[str, str]] = []
    for key, text, line in raw.entries:
        if key in converters:
            name, convert = converters[key]
            try:
                value = convert(text, index)
            except ValueError as error:
                raise CfgError(f"[{raw.name}] {key}={text[:60]}: {error}", source, line) from None
            if values.setdefault(name, value) != value:
                raise CfgError(f"[{raw.name}] {key}= stands twice with different values", source, line)
        else:
            _check_extra(section_type, key, text, source, line)
            extras.append((key, text))
    values |= {"extras": tuple(extras), "comments": raw.comments, "notes": tuple(raw.notes)}
    section = section_type(**values, line=raw.line)
    _check_values(section, source)
    return section


def _unknown_section(raw: _RawSection, source: str) -> CfgError:
    known = ", ".join(sorted({kind.kind for kind in SECTION_TYPES.values()}))
    reason = OUT_OF_SCOPE.get(raw.name)
    name = f"section [{raw.name}]" + (f" ({reason})" if reason else "")
    return CfgError(f"{name} is not supported; supported are {known}", source, raw.line)


def _check_extra(section_type: type[Section], key: str, text: str, source: str, line: int) -> None:
    if key in section_type.training_keys:
        return
    neutral = section_type.neutral_values.get(key)
    if neutral is None:
        close = difflib.get_close_matches(
            key, [*_converters(section_type.kind), *section_type.training_keys], 1
        )
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise CfgError(f"[{section_type.kind}] has no key {key!r}{hint}", source, line)
    if text != neutral:
        raise CfgError(
            f"[{section_type.kind}] {key}={text} is not supported, only {key}={neutral}", source, line
        )


def _check_values(section: Section, source: str) -> None:
    """Bounds that hold for a section on its own; what depends on its neighbours is the graph's."""
    for name, least in _LEAST.get(type(section), {}).items():
        value = getattr(section, name)
        if value < least:
            raise CfgError(f"[{section.kind}] {name}={value} is below {least}", source, section.line)
    if isinstance(section, Route | Shortcut | ScaleChannels | Sam) and not section.references():
        key = "layers" if isinstance(section, Route) else "from"
        raise CfgError(f"[{section.kind}] needs {key}=", source, section.line)
    if isinstance(section, ScaleChannels | Sam) and len(section.references()) > 1:
        raise CfgError(f"[{section.kind}] takes one layer in from=", source, section.line)
    if isinstance(section, Route) and not 0 <= section.group_id < section.groups:
        raise CfgError(
            f"[route] group_id={section.group_id} is not below groups={section.groups}", source, section.line
        )
    if isinstance(section, Cbam) and section.size % 2 == 0:
        raise CfgError(f"[cbam] size={section.size} must be odd", source, section.line)
    if isinstance(section, Shortcut):
        _check_weighting(section, source)
    if isinstance(section, Yolo | Region):
        _check_detection(section, source)


_LEAST: types.MappingProxyType[type[Section], dict[str, int]] = types.MappingProxyType(
    {
        Net: {"width": 1, "height": 1, "channels": 1},
        Convolutional: {
            "filters": 1, "size": 1, "stride": 1, "stride_x": 0, "stride_y": 0, "padding": 0, "groups": 1,
            "dilation": 1, "batch_normalize": 0,
        },
        MaxPool: {"stride": 1, "stride_x": 0, "stride_y": 0, "size": 0, "out_channels": 1},
        LocalAvgPool: {"stride": 1, "stride_x": 0, "stride_y": 0, "size": 0},
        Reorg: {"stride": 1},
        Reorg3d: {"stride": 1},
        Implicit: {"filters": 1},
        Upsample: {"stride": 1},
        Route: {"groups": 1, "group_id": 0},
        Cbam: {"hidden": 1, "size": 1},
        Yolo: {"classes": 1, "num": 1},
        Region: {"classes": 1, "num": 1},
    }
)  # fmt: skip


def _check_weighting(section: Shortcut, source: str) -> None:
    if section.weights_type == "none" and section.weights_normalization != "none":
        raise CfgError("[shortcut] weights_normalization= needs a weights_type=", source, section.line)


def _check_detection(section: Detection, source: str) -> None:
    kind = section.kind
    if len(section.anchors) < 2 * section.num:
        message = f"[{kind}] num={section.num} needs {2 * section.num} numbers in anchors="
        raise CfgError(f"{message}, got {len(section.anchors)}", source, section.line)
    if any(side <= 0 for side in section.anchors):
        raise CfgError(f"[{kind}] anchors must be positive", source, section.line)
    if isinstance(section, Region):
        if not section.softmax:
            raise CfgError("[region] is only supported with softmax=1", source, section.line)
    elif any(not 0 <= m < len(section.anchors) // 2 for m in section.mask):
        raise CfgError(
            f"[yolo] mask={section.mask} names anchors beyond the {len(section.anchors) // 2} in anchors=",
            source,
            section.line,
        )


Converter = Callable[[str, int], Any]


@cache
def _converters(kind: str) -> dict[str, tuple[str, Converter]]:
    """Per cfg key: the field's name and how its text is read (the text and the layer's index)."""
    section_type = SECTION_TYPES[kind]
    hints = get_type_hints(section_type)
    names = [f.name for f in fields(section_type) if f.name not in _NOT_KEYS]
    return {name.rstrip("_"): (name, _converter(hints[name])) for name in names}


def _converter(hint: Any) -> Converter:
    if get_origin(hint) is Literal:
        return lambda text, _: _choice(text, get_args(hint))
    if hint == tuple[Reference, ...]:
        return lambda text, index: tuple(_reference(part, index) for part in _parts(text))
    if hint == tuple[int, ...]:
        return lambda text, _: tuple(_integer(part) for part in _parts(text))
    if hint == tuple[float, ...]:
        return lambda text, _: tuple(_number(part) for part in _parts(text))
    simple: dict[Any, Converter] = {
        int: lambda text, _: _integer(text),
        float: lambda text, _: _number(text),
        bool: lambda text, _: _integer(text) != 0,
    }
    return simple[hint]


def _parts(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > MAX_PARTS:
        raise ValueError(f"{len(parts)} values are more than the {MAX_PARTS} this reader takes")
    return parts


def _integer(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise ValueError("expected a whole number") from None
    if abs(value) > MAX_NUMBER:
        raise ValueError(f"larger than {MAX_NUMBER}")
    return value


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("expected a number") from None
    if not math.isfinite(value):
        raise ValueError("expected a finite number")
    return value


def _choice(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise ValueError(f"expected one of {', '.join(choices)}")
    return text


def _reference(text: str, index: int) -> Reference:
    value = _integer(text)
    layer = index + value if value < 0 else value
    if layer < 0:
        raise ValueError(f"layer {index} has no layer {value} in front of it")
    if layer >= index:
        raise ValueError(
            f"layer {index} reads layer {layer}, which is not in front of it: the network would be cyclic"
        )
    return Reference(layer, relative=value < 0)


_NOT_KEYS = frozenset(["extras", "comments", "notes", "line"])


def _print_section(section: Section, index: int) -> str:
    lines: list[str] = []
    for spec in fields(section):
        if spec.name in _NOT_KEYS:
            continue
        value = getattr(section, spec.name)
        default = spec.default if spec.default is not MISSING else None
        if value != default or spec.name in _ALWAYS_PRINTED:
            lines.append(f"{spec.name.rstrip('_')}={_print_value(value, index)}")
    lines += [f"{key}={value}" for key, value in section.extras]
    # Inside a section without keys a comment would be taken for one of the next section.
    above, inside = (section.comments, section.notes) if lines else (section.comments + section.notes, ())
    return "\n".join([*above, f"[{section.kind}]", *inside, *lines]) + "\n"


_ALWAYS_PRINTED = frozenset(
    ["width", "height", "channels", "filters", "size", "stride", "activation", "classes", "num"]
)


def _print_value(value: object, index: int) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Reference):
        return str(value.layer - index if value.relative else value.layer)
    if isinstance(value, tuple):
        return ",".join(_print_value(item, index) for item in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
