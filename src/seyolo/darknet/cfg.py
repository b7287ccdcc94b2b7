"""Reader and printer of Darknet cfg text, and the typed `Network` it describes.

parse ∘ print ∘ parse is the identity. The `Network` is the model: attaching attention, pruning and changing
classes edit it, and the torch module is always rebuilt from it. Every error names file and line.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from seyolo.darknet.sections import SECTIONS, Net, Reference, Section
from seyolo.darknet.sections.base import NOT_KEYS, Keys
from seyolo.darknet.values import converters
from seyolo.errors import CfgError, quoted, shortened

_TYPES: tuple[type[Keys], ...] = (Net, *SECTIONS)
SECTION_TYPES: Mapping[str, type[Keys]] = {
    name: keys for keys in _TYPES for name in (keys.kind, *keys.aliases)
}
"""Name in the cfg -> type."""
_CONVERTERS = {keys.kind: converters(keys) for keys in _TYPES}
OUT_OF_SCOPE: Mapping[str, str] = {
    **dict.fromkeys(["rnn", "gru", "lstm", "conv_lstm", "crnn", "history"], "a recurrent layer"),
    "gaussian_yolo": "Gaussian YOLOv3",
    "contrastive": "contrastive learning",
    **dict.fromkeys(["detection", "local"], "YOLOv1"),
    **dict.fromkeys(["connected", "conn", "softmax", "soft", "cost", "crop"], "a classification layer"),
}
"""Darknet's sections that seyolo does not support, and the kind of network that needs them."""
DARKNET_PAD, STORED_PAD = 127.5, 114.0
"""Grey level around a letterboxed image: in Darknet; in checkpoints and exported files that say none."""
MAX_LAYERS = 4096
MAX_TEXT = 1 << 22


@dataclass(frozen=True)
class Network:
    """A network as its description: `[net]` and the layers in order; only messages use `source`."""

    net: Net
    layers: tuple[Section, ...]
    source: str = field(default="<cfg>", compare=False)

    def to_cfg(self) -> str:
        """Returns the description as Darknet cfg text."""
        layers = (_print_section(section, index) for index, section in enumerate(self.layers))
        return "\n".join([_print_section(self.net, 0), *layers])

    def error(self, index: int, message: str) -> CfgError:
        """Returns an error at layer `index`, with file and line."""
        section = self.layers[index]
        return CfgError(f"[{section.kind}] (layer {index}): {message}", self.source, section.line)


def read_cfg(path: str | Path) -> Network:
    """Reads a Darknet cfg file.

    Raises:
        CfgError: the file is missing, not text, or not a network.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CfgError("there is no such file", str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CfgError(f"cannot be read as text: {error}", str(path)) from None
    return parse_cfg(text, str(path))


def stored_cfg(network: Network) -> str:
    """Returns the text that checkpoints and exported files hold, as version 0.1.0 wrote it.

    There a letterboxed network pads with 114 unless `pad_value` is given; in a cfg file with Darknet's 127.5.
    """
    text, net = network.to_cfg(), network.net
    is_usual = net.letter_box and net.pad_value == STORED_PAD
    return text.replace(f"pad_value={STORED_PAD:g}\n", "", 1) if is_usual else text


def parse_stored_cfg(text: str, source: str) -> Network:
    """Parses the text of `stored_cfg`; raises as `parse_cfg`."""
    return parse_cfg(text, source, pad_value=STORED_PAD)


def parse_cfg(text: str, source: str = "<cfg>", *, pad_value: float = DARKNET_PAD) -> Network:
    """Parses Darknet cfg text.

    `pad_value` is that of a letterboxed network that gives none.

    Raises:
        CfgError: unknown section or key, malformed value, or a reference to a layer that is not in front.
    """
    if len(text) > MAX_TEXT:
        raise CfgError(f"{len(text)} characters are more than the {MAX_TEXT} this reader takes", source)
    raw_sections = _split(text, source)
    if not raw_sections or SECTION_TYPES.get(raw_sections[0].name) is not Net:
        line = raw_sections[0].line if raw_sections else 0
        raise CfgError("a network starts with a [net] section", source, line)
    num_layers = len(raw_sections) - 1
    if num_layers > MAX_LAYERS:
        raise CfgError(f"{num_layers} layers are more than the {MAX_LAYERS} this reader takes", source)
    net, *layers = (_parse_section(raw, index, source) for index, raw in enumerate(raw_sections, start=-1))
    if not layers:
        raise CfgError("the network has no layers", source)
    assert isinstance(net, Net)
    if net.letter_box and not any(key == "pad_value" for key, _, _ in raw_sections[0].entries):
        net = replace(net, pad_value=pad_value)
    return Network(net, tuple(layer for layer in layers if isinstance(layer, Section)), source)


@dataclass
class _RawSection:
    name: str
    line: int
    comments: tuple[str, ...]
    entries: list[tuple[str, str, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _split(text: str, source: str) -> list[_RawSection]:
    sections: list[_RawSection] = []
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
                raise CfgError(f"a section name ends with ']': {quoted(content)}", source, line_number)
            sections.append(_RawSection(content[1:-1].strip().lower(), line_number, tuple(comments)))
            comments = []
            continue
        key, equals, value = content.partition("=")
        if not equals or not key.strip():
            raise CfgError(f"expected key=value, got {content[:60]!r}", source, line_number)
        if not sections:
            raise CfgError("a key stands in front of the first section", source, line_number)
        sections[-1].entries.append((key.strip(), value.strip(), line_number))
        sections[-1].notes += comments
        comments = []
    if sections:
        sections[-1].notes += comments
    return sections


def _parse_section(raw: _RawSection, index: int, source: str) -> Keys:
    section_type = SECTION_TYPES.get(raw.name)
    if section_type is None:
        known_types = ", ".join(sorted({kind.kind for kind in SECTION_TYPES.values()}))
        reason = f" ({OUT_OF_SCOPE[raw.name]})" if raw.name in OUT_OF_SCOPE else ""
        message = f"section [{shortened(raw.name)}]{reason} is not supported; supported are {known_types}"
        raise CfgError(message, source, raw.line)
    if (section_type is Net) != (index < 0):
        raise CfgError("[net] stands once, at the top", source, raw.line)
    known = _CONVERTERS[section_type.kind]
    values: dict[str, Any] = {}
    extras: list[tuple[str, str]] = []
    for key, text, line in raw.entries:
        if key not in known:
            _check_extra(section_type, key, text, source, line)
            extras.append((key, text))
            continue
        name, convert = known[key]
        try:
            value = convert(text, index)
        except ValueError as error:
            raise CfgError(f"[{raw.name}] {key}={text[:60]}: {error}", source, line) from None
        if values.setdefault(name, value) != value:
            raise CfgError(f"[{raw.name}] {key}= stands twice with different values", source, line)
    values |= {"extras": tuple(extras), "comments": raw.comments, "notes": tuple(raw.notes)}
    section = section_type(**values, line=raw.line)
    for problem in section.problems():
        raise CfgError(f"[{section.kind}] {problem}", source, raw.line)
    return section


def _check_extra(section_type: type[Keys], key: str, text: str, source: str, line: int) -> None:
    if key in section_type.training_keys:
        return
    neutral = section_type.neutral_values.get(key)
    if neutral is None:
        close = difflib.get_close_matches(
            key, [*_CONVERTERS[section_type.kind], *section_type.training_keys], 1
        )
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise CfgError(f"[{section_type.kind}] has no key {quoted(key)}{hint}", source, line)
    if text != neutral:
        message = f"[{section_type.kind}] {key}={shortened(text)} is not supported, only {key}={neutral}"
        raise CfgError(message, source, line)


def _print_section(section: Keys, index: int) -> str:
    lines: list[str] = []
    always = _ALWAYS_PRINTED | ({"pad_value"} if getattr(section, "letter_box", False) else set())
    for spec in fields(section):
        if spec.name in NOT_KEYS:
            continue
        value = getattr(section, spec.name)
        # A pool without a size has the default 0, which Darknet would take for a size.
        if value != spec.default or (spec.name in always and value):
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
