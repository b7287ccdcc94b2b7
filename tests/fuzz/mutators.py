"""Mutators of bytes, text, JSON, protobuf messages and safetensors files, deterministic from a `Random`.

Every mutator makes one to four changes to a seed. The `Random` may be Python's own (fast) or Hypothesis'
(which then makes a failing case smaller).
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Mutate = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""Returns a changed seed; the last argument are all seeds of the target, to splice with."""

MOST_CHANGES, MOST_CHARACTERS = 4, 1 << 17
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 7, 255, 65536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**63, 2**64, -(2**63) - 1, 10**30,
    10**400, 0.5, -0.0, 1e-320, 1e308, -1e308, 1e9, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
TEXTS = (
    "", " ", "x", "nan", "inf", "1", "-1", "1e5", "0x10", "1_0", "null", "None", "true", "../../outside.jpg",
    "/", ".", "a/b", "\0", "\n", "\r\n", "%s%n", "\\1", "$\\frac$", "{}", "<b>&", "é", "\u2028", "\ud800",
    "🙂", "١", "\ufeff", "test", "val",
)  # fmt: skip
TOKENS = (
    "0", "1", "-1", "-3", "7", "4096", "16777216", "16777217", "999999999999", "1" * 30, "9" * 5000, "1e9",
    "1e400", "-1e-400", "nan", "inf", "-inf", "0.5", ".5", "5.", "1,2,3", "1/0", "0x7f", "1_000", "", "x",
    "true", "null", "none", "~", "é", "\0", "#", ";", "[", "]", "{", "}", "&", "<", ">", "&a", "*a",
    "!!int", "---",
    "=", ":",
)  # fmt: skip
WORD = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\w+|[^\w\s]")
NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
LONG = (100, 300, 1_000, 5_000, 20_000)
DEEP = (20, 90, 300, 2_000, 20_000)
_DEEP_MARK = "@@deep@@"


def _changes(random: Random) -> range:
    return range(random.choice((1, 1, 1, 2, 2, 3, MOST_CHANGES)))


def mutated_bytes(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Flips bits, sets numbers, cuts, doubles, moves and splices."""
    for _ in _changes(random):
        data = _changed_bytes(random, data, others)
    return data


def _changed_bytes(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start = random.randrange(len(data) + 1)
    if random.randrange(2):  # most of what decides stands at the start
        start = min(start, random.randrange(64))
    end = min(len(data), start + random.choice((1, 1, 2, 4, 8, 16, 64, 1024)))
    piece = data[start:end]
    kind = random.randrange(9)
    if kind == 0:
        piece = bytes([piece[0] ^ (1 << random.randrange(8))]) + piece[1:] if piece else b"x"
    elif kind == 1:
        piece, end = bytes([random.randrange(256)]), start + 1
    elif kind == 2:
        piece = _number_bytes(random)
        end = start + len(piece)
    elif kind == 3:
        piece = b""
    elif kind == 4:
        piece *= random.choice((2, 3, 30))
    elif kind == 5:
        piece, end = b"", len(data)
    elif kind in (6, 7):
        other = random.choice(others)
        piece = other[random.randrange(len(other) + 1) :]
        piece, end = (piece, len(data)) if kind == 6 else (piece[: end - start], end)
    else:
        piece = bytes(random.choice((1, 3, 100, 5_000))) + piece
    return data[:start] + piece + data[end:]


def _number_bytes(random: Random) -> bytes:
    """Returns a number at the edge of what one, two, four or eight bytes hold."""
    size: int = random.choice((1, 2, 4, 8))
    number = random.choice((0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 20, (1 << 31) - 1, (1 << 32) - 1))
    number = random.choice((number, (1 << 8 * size) - 1, 1 << (8 * size - 1)))
    whole = (number & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return whole if random.randrange(2) else whole[::-1]


def mutated_text(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Changes lines and words of UTF-8 text; now and then bytes."""
    if random.randrange(12) == 0:
        return mutated_bytes(random, data, others)
    text = data.decode("utf-8")
    for _ in _changes(random):
        text = _changed_text(random, text, others)[:MOST_CHARACTERS]
    return text.encode("utf-8", "surrogatepass")


def _changed_text(random: Random, text: str, others: Sequence[bytes]) -> str:
    lines = text.split("\n")
    kind, place = random.randrange(12), random.randrange(len(lines))
    line = lines[place]
    words = list(WORD.finditer(line))
    if kind in (0, 1, 2, 3) and words:
        word = random.choice(words)
        new = random.choice(TOKENS) if kind else random.choice(WORD.findall(text))
        lines[place] = line[: word.start()] + new + line[word.end() :]
    elif kind == 4:
        del lines[place]
    elif kind == 5:
        lines[place:place] = [line] * random.choice((1, 1, 2, 3, 50))
    elif kind == 6:
        lines[place] = random.choice(lines)
    elif kind == 7:
        other = random.choice(others).decode("utf-8").split("\n")
        lines.insert(place, random.choice(other))
    elif kind == 8 and words:
        word = random.choice(words)
        lines[place] = line[: word.end()] + word[0][:50] * random.choice(LONG) + line[word.end() :]
    elif kind == 9 and words:
        word = random.choice(words)
        opening = random.choice(("[", "{", "(", "<a>", "- ", "[net]\n", "a: {"))
        lines[place] = line[: word.start()] + opening * random.choice(DEEP) + line[word.start() :]
    elif kind == 10:
        return text[: random.randrange(len(text) + 1)]
    else:
        where = random.randrange(len(line) + 1)
        lines[place] = line[:where] + random.choice(TEXTS + TOKENS) + line[where:]
    return "\n".join(lines)


def mutated_json(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Changes values and keys of a JSON text; now and then the text itself."""
    if random.randrange(12) == 0:
        return mutated_text(random, data, others)
    tree = json.loads(data)
    donors = [json.loads(other) for other in others] if random.randrange(8) == 0 else [tree]
    for _ in _changes(random):
        tree = changed_tree(random, tree, donors)
    return json_bytes(tree)


def json_bytes(tree: object) -> bytes:
    """Returns a tree as JSON; nan, inf and deep nesting are possible."""
    text = json.dumps(tree)
    if _DEEP_MARK in text:
        depth = DEEP[len(text) % len(DEEP)]
        text = text.replace(f'"{_DEEP_MARK}"', "[" * depth + "]" * depth)
    return text.encode()


def changed_tree(random: Random, tree: Any, donors: Sequence[Any]) -> Any:
    """Returns a copy of a tree with one change; the parts that are not changed are shared."""
    if not isinstance(tree, dict | list) or not tree or random.randrange(24) == 0:
        return _changed_value(random, tree, donors)
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    key = random.choice(list(copy)) if isinstance(copy, dict) else random.randrange(len(copy))
    value = copy[key]  # type: ignore[call-overload, index]
    if isinstance(value, dict | list) and value and random.randrange(5):
        copy[key] = changed_tree(random, value, donors)  # type: ignore[call-overload, index]
        return copy
    kind = random.randrange(10)
    if kind < 6:
        copy[key] = _changed_value(random, value, donors)  # type: ignore[call-overload, index]
    elif kind == 6:
        del copy[key]  # type: ignore[arg-type]
    elif isinstance(copy, list):
        copy[key:key] = [value] * random.choice((1, 2, 100)) if kind < 9 else [_some(random, donors)]  # type: ignore[misc]
    else:
        new = random.choice((*TEXTS, str(key) + "x", *copy))
        copy[new] = copy.pop(key) if kind == 7 else _some(random, donors)
    return copy


def _some(random: Random, donors: Sequence[Any]) -> Any:
    """Returns a value from anywhere in the donors."""
    value = random.choice(donors)
    while isinstance(value, dict | list) and value and random.randrange(4):
        value = random.choice(list(value.values()) if isinstance(value, dict) else value)
    return value


def _changed_value(random: Random, value: Any, donors: Sequence[Any]) -> Any:
    kind = random.randrange(12)
    result = _some(random, donors)
    if kind < 4:
        result = random.choice(NUMBERS)
    elif kind == 4:
        result = random.choice((*TEXTS, _DEEP_MARK))
    elif kind == 5:
        result = random.choice((None, True, False, [], {}, [[]], {"": 1}, [None], [1, "a"]))
    elif kind == 6 and isinstance(value, str):
        place = random.randrange(len(value) + 1)
        result = value[:place] + random.choice(TEXTS) + value[place:]
    elif kind == 7 and isinstance(value, str):
        result = value * random.choice(LONG) if len(value) < 50 else value[:3]
    elif kind == 8 and isinstance(value, int | float):
        share = value / 3 if abs(value) < 2**60 else 0.5
        result = random.choice((-value, value + 1, value * 1000, share, str(value), [value], bool(value)))
    elif kind == 9:
        result = [value] * random.choice((0, 1, 2, 100))
    elif kind == 10:
        result = {"a": value}
    return result


def mutated_table(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Changes cells and columns of a CSV file; now and then its text."""
    if random.randrange(4) == 0:
        return mutated_text(random, data, others)
    rows = [line.split(",") for line in data.decode().splitlines()]
    for _ in _changes(random):
        row = random.choice(rows)
        kind, place = random.randrange(5), random.randrange(len(row)) if row else 0
        if kind < 3 and row:
            row[place] = random.choice((*TOKENS, *(str(number) for number in NUMBERS)))
        elif kind == 3 and row:
            del row[place]
        else:
            row.insert(place, random.choice(TOKENS))
    return "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")


def mutated_safetensors(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Changes bytes, the header, a text of the metadata or numbers of a safetensors file."""
    kind = random.randrange(4)
    if kind == 0:
        return mutated_bytes(random, data, others)
    size = int.from_bytes(data[:8], "little")
    head, tensors = data[8 : 8 + size], data[8 + size :]
    header = json.loads(head)
    metadata = header["__metadata__"]
    if random.randrange(8):
        metadata.pop("checksum", None)  # with it, no change would get further than its comparison
    key = random.choice(sorted(metadata))
    text = metadata[key].encode()
    change = mutated_json if is_json(text) else mutated_text
    metadata[key] = change(random, text, [text]).decode("utf-8", "replace")
    if kind == 1:
        return packed(json_bytes(changed_tree(random, header, [header])), tensors)
    return packed(json.dumps(header).encode(), mutated_floats(random, tensors) if kind == 3 else tensors)


def is_json(text: bytes) -> bool:
    """Tells whether a text is JSON."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def packed(header: bytes, tensors: bytes) -> bytes:
    """Returns the bytes of a safetensors file."""
    return struct.pack("<Q", len(header)) + header + tensors


def mutated_floats(random: Random, data: bytes) -> bytes:
    """Sets some of the float32 numbers to others, not finite ones among them."""
    numbers = bytearray(data)
    for _ in _changes(random):
        place = 4 * random.randrange(max(1, len(numbers) // 4))
        numbers[place : place + 4] = struct.pack(
            "<f", random.choice((0.0, -1.0, 1e38, float("nan"), float("inf")))
        )
    return bytes(numbers)


def mutated_png(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Changes bytes of a PNG and mostly mends its checksums, without which no decoder reads on."""
    data = mutated_bytes(random, data, others)
    if random.randrange(4) == 0:
        return data
    position, parts = 8, [data[:8]]
    while position + 12 <= len(data):
        end = (
            position
            + 8
            + min(int.from_bytes(data[position : position + 4], "big"), len(data) - position - 12)
        )
        body = data[position + 4 : end]
        parts.append(struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
        position = end + 4
    return b"".join(parts)


def mutated_message(kind: Any) -> Mutate:
    """Returns a mutator of serialised protobuf messages of a kind: of their fields, or of the bytes."""

    def mutated(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
        if random.randrange(4) == 0:
            return mutated_bytes(random, data, others)
        message = kind.FromString(data)
        for _ in _changes(random):
            _change_message(random, message)
        return message.SerializeToString()  # type: ignore[no-any-return]

    return mutated


def _change_message(random: Random, message: Any) -> None:
    """Changes a field of the message, or of one inside."""
    fields = message.ListFields()
    if not fields:
        return
    field, value = random.choice(fields)
    is_list = not isinstance(value, str | bytes | int | float) and hasattr(value, "extend")
    if field.message_type is not None:
        part = random.choice(list(value)) if is_list else value
        if random.randrange(6):
            _change_message(random, part)
        elif is_list and random.randrange(2):
            value.extend([part])
        elif is_list:
            del value[random.randrange(len(value))]
        else:
            message.ClearField(field.name)
        return
    try:
        if is_list and random.randrange(4) == 0:
            value.append(value[0]) if random.randrange(2) else value.pop()
        elif is_list:
            place = random.randrange(len(value))
            value[place] = _changed_scalar(random, value[place])
        elif random.randrange(8) == 0:
            message.ClearField(field.name)
        else:
            setattr(message, field.name, _changed_scalar(random, value))
    except (ValueError, TypeError):
        message.ClearField(field.name)


def _changed_scalar(random: Random, value: Any) -> Any:
    if isinstance(value, bytes):
        return mutated_bytes(random, value, [value or b"x"])
    if isinstance(value, str):
        return random.choice(("", "x", value + value, value[:-1], "a" * 5000, "NaN", "..", "\0"))
    if isinstance(value, float):
        return random.choice((0.0, -1.0, 1e38, float("nan")))
    small = (0, 1, -1, 2, 3, 5, 7, 11, 16, 17, 100, 1000, 65536)
    return random.choice((*small, 2**31 - 1, -(2**31), 2**62, -(2**63)))
