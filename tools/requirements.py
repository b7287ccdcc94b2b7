"""Requirements of `pyproject.toml` as lines for pip: as given, the lowest allowed, or as locked.

    python tools/requirements.py given NAME...     the ranges as they stand
    python tools/requirements.py lowest NAME...    every `>=X` as `==X`
    python tools/requirements.py locked [NAME...]  versions of requirements.lock; without a NAME, all

A NAME is `base` (the dependencies), `build-system` (what builds the package), an extra, or a package that
one of these names. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("given", "lowest", "locked")
OWN_EXTRAS = re.compile(r"seyolo\[([\w, -]+)\]")
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:>=(?P<lowest>[\w.]+))?(?:,?<[\w.]+)?")
PIN = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)

Groups = Mapping[str, list[str]]
"""Requirements by name: `base`, `build-system` and the extras."""


def groups_of(pyproject: str) -> Groups:
    """Returns the requirements in the text of a `pyproject.toml`."""
    read = tomllib.loads(pyproject)
    project = read["project"]
    return {
        "base": project["dependencies"],
        "build-system": read["build-system"]["requires"],
        **project["optional-dependencies"],
    }


def normal(name: str) -> str:
    """Returns the name of a package as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parts(requirement: str) -> tuple[str, str | None]:
    """Returns the package and the lowest version of a requirement."""
    match = REQUIREMENT.fullmatch(requirement)
    if match is None:
        raise SystemExit(f"pyproject.toml: {requirement!r} is not NAME, NAME>=X or NAME>=X,<Y")
    return normal(match["name"]), match["lowest"]


def expanded(groups: Groups, name: str) -> Iterator[str]:
    """Yields the requirements of a group, with those of the extras that it names."""
    for line in groups[name]:
        own = OWN_EXTRAS.fullmatch(line)
        if own:
            for extra in own[1].split(","):
                yield from expanded(groups, extra.strip())
        else:
            yield line


def asked_for(groups: Groups, name: str) -> list[str]:
    """Returns the requirements of a group, or those on one package."""
    if name in groups:
        return list(expanded(groups, name))
    lines = {line for group in groups for line in expanded(groups, group)}
    found = [line for line in lines if parts(line)[0] == normal(name)]
    if not found:
        raise SystemExit(f"pyproject.toml: no extra and no package is called {name!r}")
    return found


def lowest(requirement: str) -> str:
    """Returns the lowest version that a requirement allows, as a pin."""
    name, version = parts(requirement)
    if version is None:
        raise SystemExit(f"pyproject.toml: {requirement!r} has no lowest version")
    return f"{name}=={version}"


def pins(lock: str) -> dict[str, str]:
    """Returns the version of every package in the text of a lock."""
    return {normal(name): version for name, version in PIN.findall(lock)}


def lines(kind: str, asked: Iterable[str], lock: str = "") -> list[str]:
    """Returns the lines for pip, each once, in order of the names."""
    if kind == "given":
        return sorted(set(asked))
    if kind == "lowest":
        return sorted(set(map(lowest, asked)))
    versions = pins(lock)
    names = {parts(line)[0] for line in asked} or versions.keys()
    return [f"{name}=={versions[name]}" for name in sorted(names)]


def main() -> None:
    """Prints the lines that the arguments ask for."""
    kind, *names = sys.argv[1:] or [""]
    if kind not in KINDS or (kind != "locked" and not names):
        raise SystemExit(__doc__)
    groups = groups_of((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8") if kind == "locked" else ""
    asked = [line for name in names for line in asked_for(groups, name)]
    print(*lines(kind, asked, lock), sep="\n")


if __name__ == "__main__":
    main()
