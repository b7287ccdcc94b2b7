#!/usr/bin/env bash
# cyclopts raises NameError for a dataclass whose base, in another module, postpones its annotations.
#
# Seen with cyclopts 5.4.0, Python 3.11, 2026-11-29:
#   base.py has `from __future__ import annotations` and a field `weights: Path | None`; verb.py inherits from
#   it and does not import Path. typing.get_type_hints(Options) resolves the field in base.py, and msgspec 0.22
#   reads the class. cyclopts asks for the hints of Options.__init__, which the dataclass decorator made with
#   the text 'Path | None' and the globals of verb.py: NameError: name 'Path' is not defined.
# Expected before: options that are shared by inheritance work, wherever their base is defined.
# What follows: modules of option classes that others inherit from must not postpone annotations (or every
#   heir imports the names of all its bases). The error appears when the verb is called, not when it is defined.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check cyclopts==5.4.0 msgspec==0.22.0
cd "$folder"
cat > base.py <<'PY'
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Base:
    weights: Path | None = None
PY
sed '/__future__/d' base.py > resolved.py
cat > verb.py <<'PY'
from dataclasses import dataclass

from base import Base
from resolved import Base as Resolved


@dataclass(frozen=True)
class Options(Base):
    epochs: int = 1


@dataclass(frozen=True)
class Others(Resolved):
    epochs: int = 1
PY
cat > check.py <<'PY'
from typing import Annotated, get_type_hints

import cyclopts
import msgspec
from verb import Options, Others


def called(kind):
    app = cyclopts.App()

    @app.default
    def run(options: Annotated[kind, cyclopts.Parameter(name="*")] = kind()):
        return options

    try:
        return app(["--epochs", "3"], result_action="return_value", exit_on_error=False)
    except NameError as error:
        return f"NameError: {error}"


print("cyclopts", cyclopts.__version__)
print("hints of the class:  ", get_type_hints(Options))
print("postponed, inherited:", called(Options))
print("resolved, inherited: ", called(Others))
same = called(Options) == "NameError: name 'Path' is not defined" and called(Others) == Others(epochs=3)
same &= msgspec.convert({"epochs": 3}, Options) == Options(epochs=3)
raise SystemExit(0 if same else "the outcome is another now: the finding is out of date")
PY
"$folder/venv/bin/python" check.py
