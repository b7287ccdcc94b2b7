#!/usr/bin/env bash
# msgspec writes a dataclass without the fields that msgspec.convert filled with their defaults.
#
# Seen with msgspec 0.22.0, Python 3.11, 2026-11-29:
#   convert({"x": 5}, A) equals A(x=5), and dataclasses.asdict gives both the same fields. to_builtins and
#   json.encode write {"x": 5, "y": 2} for A(x=5), but {"x": 5} for the converted one: convert leaves a plain
#   default on the class, and the writers look at the instance's __dict__ only. A default_factory is written.
# Expected before: equal objects are written equally.
# What follows: a settings file that is read, checked and written again loses every value that equals its default
#   today, and takes the new default after an update. Write with dataclasses.asdict, or use msgspec.Struct.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0
cat > "$folder/check.py" <<'PY'
from dataclasses import asdict, dataclass, field

import msgspec


@dataclass(frozen=True)
class A:
    x: int = 1
    y: int = 2
    z: list[int] = field(default_factory=list)


class S(msgspec.Struct):
    x: int = 1
    y: int = 2


made, read = A(x=5), msgspec.convert({"x": 5}, A)
assert made == read
assert asdict(made) == asdict(read) == {"x": 5, "y": 2, "z": []}
print("msgspec", msgspec.__version__)
print("made:     ", msgspec.to_builtins(made), msgspec.json.encode(made))
print("converted:", msgspec.to_builtins(read), msgspec.json.encode(read))
same = msgspec.to_builtins(made) == {"x": 5, "y": 2, "z": []}
same &= msgspec.to_builtins(read) == {"x": 5, "z": []} and msgspec.json.encode(read) == b'{"x":5,"z":[]}'
same &= msgspec.to_builtins(msgspec.convert({"x": 5}, S)) == {"x": 5, "y": 2}
raise SystemExit(0 if same else "the fields are others now: the finding is out of date")
PY
"$folder/venv/bin/python" "$folder/check.py"
