"""Writes src/seyolo/options/keywords.py: the options classes as keyword arguments that a type checker knows.

Run it after a field of an options class was added, renamed or given another type; a test compares.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from seyolo.options.cut import CutOptions
from seyolo.options.model import ModelOptions
from seyolo.options.parameters import parts_of, parts_within
from seyolo.options.prune import PruneOptions
from seyolo.options.slim import SlimOptions
from seyolo.options.study import StudyOptions
from seyolo.options.tile import TileOptions
from seyolo.options.train import TrainOptions
from seyolo.options.training import SparsityOptions, TrainingOptions

TARGET = Path(__file__).parents[1] / "src" / "seyolo" / "options" / "keywords.py"
POSITIONAL: Mapping[type, tuple[str, ...]] = defaultdict(
    tuple,
    {
        TrainOptions: ("data", "model"),
        SlimOptions: ("data", "model"),
        PruneOptions: ("plan", "importance"),
        CutOptions: ("importance",),
    },
)
"""Fields that are parameters of the functions."""
OLD_NAMES: Mapping[type, Mapping[str, str]] = {SlimOptions: {"strength": "float | None"}}
"""Keyword arguments of version 0.1.0 that are still accepted."""

HEAD = '''"""Keyword arguments of the Python functions; written by tools/option_keywords.py, not by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

from seyolo.options.cut import CutOptions
from seyolo.options.training import Augmentation, LossWeights
'''


def keywords_module() -> str:
    """Returns the text of the module, formatted: a TypedDict per options class, with the same bases."""
    kinds = (
        ModelOptions,
        TileOptions,
        CutOptions,
        TrainingOptions,
        SparsityOptions,
        TrainOptions,
        SlimOptions,
        PruneOptions,
        StudyOptions,
    )
    line = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    text = "\n\n".join([HEAD, *map(keywords_class, kinds)])
    return subprocess.run(line, input=text, capture_output=True, text=True, check=True).stdout


def keywords_class(kind: type) -> str:
    """Returns the text of a TypedDict with the fields that an options class adds to its bases."""
    hints = get_type_hints(kind)
    within = {field.name: hints[field.name] for field in parts_within(kind).values()}
    bases = [base for base in kind.__bases__ if is_dataclass(base)] + list(within.values())
    inherited = {field.name for base in bases for field in fields(base)}
    names = [field.name for field in fields(kind) if field.name not in {*inherited, *POSITIONAL[kind]}]
    for part in within.values():
        names += [name for name in POSITIONAL[part] if name not in POSITIONAL[kind]]
        hints |= {name: hint for name, hint in get_type_hints(part).items() if name not in hints}
    typed = {field: written(hints[field]) for field in names} | dict(OLD_NAMES.get(kind, {}))
    lines = "\n".join(f"    {field}: {text}" for field, text in typed.items())
    named = [_name(base) for base in bases] or ["TypedDict"]
    docstring = f'    """`{kind.__name__}` as keyword arguments."""'
    return f"class {_name(kind)}({', '.join(named)}, total=False):\n{docstring}\n\n{lines}\n"


def _name(kind: type) -> str:
    return kind.__name__.replace("Options", "Keywords")


def written(hint: Any) -> str:
    """Returns a type as source, wider where a text stands for a path or for a tuple of one."""
    texts = [_part(part) for part in parts_of(hint)]
    return " | ".join([*texts, "None"] if NoneType in get_args(hint) else texts)


def _part(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"Literal[{', '.join(map(repr, get_args(hint)))}]"
    if get_origin(hint) is tuple and get_args(hint)[-1] is not Ellipsis:
        return f"tuple[{', '.join(map(_part, get_args(hint)))}]"
    if get_origin(hint) is tuple:
        item = _part(get_args(hint)[0])
        return f"{item} | Sequence[{item}]"
    return "str | Path" if hint is Path else hint.__name__


def main() -> None:
    """Writes the module, or with --check fails where it differs."""
    text = keywords_module()
    if "--check" not in sys.argv:
        TARGET.write_text(text, encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{TARGET} is out of date: python {Path(__file__).name}")


if __name__ == "__main__":
    main()
