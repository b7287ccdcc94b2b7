"""Reader and printer of Darknet cfg text, and the typed `Network` it describes.

parse ∘ print ∘ parse is the identity. The `Network` is the model: attaching attention, pruning and changing
classes edit it, and the torch module is always rebuilt from it. Every error names file and line.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from seyolo.darknet.sections import SECTIONS, Net, Reference, Section
from seyolo.darknet.sections.base import COMMON_KEYS, NOT_KEYS, Keys
from seyolo.darknet.values import converters
from seyolo.errors import CfgError, counted, quoted, shortened

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
    **dict.fromkeys(["activation", "batchnorm"], "a part of a convolution as a layer of its own"),
    **dict.fromkeys(["normalization", "lrn"], "local response normalisation"),
    **dict.fromkeys(["empty", "silence"], "a layer that does nothing"),
}
"""Darknet's sections that seyolo does not support, and the kind of network that needs them."""
DARKNET_PAD, STORED_PAD = 127.5, 114.0
"""Grey level around a letterboxed image: in Darknet; in checkpoints and exported files that say none."""
MAX_LAYERS = 4096
MAX_TEXT = 1 << 22


@dataclass(frozen=True, repr=False)
class Network:
    """A network as its description: `[net]` and the layers in order; only messages use `source`."""

    net: Net
    layers: tuple[Section, ...]
    source: str = field(default="<cfg>", compare=False)

    def __repr__(self) -> str:
        layers = counted(len(self.layers), "layer")
        return f"<Network: {self.source}, {self.net.width}x{self.net.height} px, {layers}>"

    def to_cfg(self) -> str:
        """Returns the description as Darknet cfg text."""
        layers = (_print_section(section, index) for index, section in enumerate(self.layers))
        return "\n".join([_print_section(self.net, 0), *layers])

    def error(self, index: int, message: str) -> CfgError:
        """Returns an error at layer `index`, with file and line."""
        section = self.layers[index]
        return CfgError(f"[{section.kind}] (layer {index}): {message}", self.source, section.line)


def unused_keys(network: Network) -> list[str]:
    """Returns the keys of a description that are kept without an effect, each once, in order."""
    sections: tuple[Keys, ...] = (network.net, *network.layers)
    return list(dict.fromkeys(key for section in sections for key, _ in section.extras))


def read_cfg(path: str | Path) -> Network:
    """Reads a Darknet cfg file; warns of keys of `[net]` that Darknet does not have.

    Comments may be in any code page that extends ASCII.

    Raises:
        CfgError: the file is missing, not text, or not a network.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(4 * MAX_TEXT + 1)  # a character has at most four bytes
    except FileNotFoundError:
        raise CfgError("there is no such file", str(path)) from None
    except OSError as error:
        raise CfgError(f"cannot be read as text: {error}", str(path)) from None
    remarks: list[str] = []
    network = _parse(_decoded(data, str(path)), str(path), remarks)
    for remark in remarks:
        warnings.warn(remark, stacklevel=1)  # one place, so that each remark is shown once
    return network


def _decoded(data: bytes, source: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # of Windows editors
        return data.decode("utf-16", errors="replace")
    if b"\0" in data:
        raise CfgError("cannot be read as text: it holds zero bytes; is it a .weights file?", source)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # keys and values are ASCII in every code page


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
            What seyolo does not support is named first.
    """
    return _parse(text, source, [], pad_value)


def _parse(text: str, source: str, remarks: list[str], pad_value: float = DARKNET_PAD) -> Network:
    """Parses cfg text; adds to `remarks` what is kept without an effect."""
    if len(text) > MAX_TEXT:
        raise CfgError(f"{len(text)} characters are more than the {MAX_TEXT} this reader takes", source)
    raw_sections = _split(text, source)
    if not raw_sections or SECTION_TYPES.get(raw_sections[0].name) is not Net:
        line = raw_sections[0].line if raw_sections else 0
        raise CfgError("a network starts with a [net] section", source, line)
    num_layers = len(raw_sections) - 1
    if num_layers > MAX_LAYERS:
        raise CfgError(f"{num_layers} layers are more than the {MAX_LAYERS} this reader takes", source)
    _refuse_unsupported(raw_sections, source)
    net, *layers = (
        _parse_section(raw, index, source, remarks) for index, raw in enumerate(raw_sections, start=-1)
    )
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
    commented: set[int] = field(default_factory=set)  # lines with a value and a comment


def _split(text: str, source: str) -> list[_RawSection]:
    sections: list[_RawSection] = []
    comments: list[str] = []
    # A byte order mark also stands inside where files were joined; other line ends are those of no cfg.
    for line_number, line in enumerate(re.split("\r\n|\n|\r", text.replace("\ufeff", "")), start=1):
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
        sections[-1].commented |= {line_number} if comment else set()
        sections[-1].notes += comments
        comments = []
    if sections:
        sections[-1].notes += comments
    return sections


def _refuse_unsupported(raw_sections: Sequence[_RawSection], source: str) -> None:
    """Refuses what seyolo does not support, before any other mistake: sections first, then their keys."""
    for raw in raw_sections:
        if raw.name in OUT_OF_SCOPE:
            raise _unknown_section(raw, source)
    for raw in raw_sections:
        section_type = SECTION_TYPES.get(raw.name)
        for key, text, line in raw.entries if section_type else ():
            assert section_type is not None
            if (problem := section_type.unsupported(key, text)) is not None:
                message = f"[{section_type.kind}] {key}={shortened(text)} is not supported{problem}"
                raise CfgError(message, source, line)


def _unknown_section(raw: _RawSection, source: str) -> CfgError:
    known_types = ", ".join(sorted({kind.kind for kind in SECTION_TYPES.values()}))
    reason = f" ({OUT_OF_SCOPE[raw.name]})" if raw.name in OUT_OF_SCOPE else ""
    message = f"section [{shortened(raw.name)}]{reason} is not supported; supported are {known_types}"
    return CfgError(message, source, raw.line)


def _parse_section(raw: _RawSection, index: int, source: str, remarks: list[str]) -> Keys:
    section_type = SECTION_TYPES.get(raw.name)
    if section_type is None:
        raise _unknown_section(raw, source)
    if (section_type is Net) != (index < 0):
        raise CfgError("[net] stands once, at the top", source, raw.line)
    known = _CONVERTERS[section_type.kind]
    values: dict[str, Any] = {}
    extras: list[tuple[str, str]] = []
    for key, text, line in raw.entries:
        if key not in known:
            if not section_type.keeps(key):
                problem = _unknown_key(section_type, key)
                if section_type is not Net or _stands_for(key, known, raw):
                    raise CfgError(problem, source, line)
                remarks.append(f"{source}:{line}: {problem}; it has no effect here or in Darknet")
            extras.append((key, text))
            continue
        name, convert = known[key]
        try:
            value = convert(text, index)
        except ValueError as error:
            raise CfgError(f"[{raw.name}] {key}={text[:60]}: {error}", source, line) from None
        if isinstance(value, str) and line in raw.commented:
            problem = f"Darknet takes the comment behind {key}={value} for a part of the name"
            remarks.append(f"{source}:{line}: {problem}; put it on a line of its own")
        if values.setdefault(name, value) != value:
            raise CfgError(f"[{raw.name}] {key}= stands twice with different values", source, line)
    values |= {"extras": tuple(extras), "comments": raw.comments, "notes": tuple(raw.notes)}
    section = section_type(**values, line=raw.line)
    for problem in section.problems():
        raise CfgError(f"[{section.kind}] {problem}", source, raw.line)
    return section


def _unknown_key(section_type: type[Keys], key: str) -> str:
    common = COMMON_KEYS if issubclass(section_type, Section) else frozenset()
    known = [*_CONVERTERS[section_type.kind], *sorted(section_type.training_keys | common)]
    close = difflib.get_close_matches(key, known, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"[{section_type.kind}] has no key {quoted(key)}{hint}"


def _stands_for(key: str, known: Mapping[str, object], raw: _RawSection) -> bool:
    """Tells whether a key is a misspelt one that changes the result and is not given otherwise."""
    missing = [name for name in known if all(name != given for given, _, _ in raw.entries)]
    return bool(difflib.get_close_matches(key, missing, 1))


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
