"""Table of all dependencies with their licences: writes docs/reference/licences.md (`make licences`).

Licences come from the metadata of the installed packages: run it in the environment of requirements.lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from requirements import Groups, asked_for, groups_of, normal, parts, pins

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "licences.md"
EXTRAS = (
    "train",
    "web",
    "openvino",
    "ncnn",
    "ncnn-export",
    "mnn",
    "litert",
    "supervision",
    "tensorboard",
    "track",
)
TITLES = {
    "base": "Base install",
    **{extra: f"Extra `{extra}` adds" for extra in EXTRAS},
    "track": "Extra `track` and `pip install --no-deps trackers` add",
    "development": "Development only",
}
LONGEST = 60
"""Characters; a longer field License is the text of the licence."""
HEAD = """# Licences of the dependencies

`make licences` writes this page from the metadata of the packages in `requirements.lock`; a test compares
both. seyolo itself is under the MIT licence. A package that several installs bring is listed under the first
of them. Wheels also contain libraries under licences of their own, such as FFmpeg (LGPL-2.1) in
`opencv-python-headless`: the `*.dist-info` folder of an installed package lists them.
"""


def licence(found: Distribution) -> str:
    """Returns the licence that the metadata of a package declares, or the title of its licence file."""
    expression, text = (first(found, name) for name in ("License-Expression", "License"))
    if expression:
        return expression
    if text and len(text) <= LONGEST and "\n" not in text:
        return text.removeprefix("OSI Approved :: ")
    classifiers = found.metadata.get_all("Classifier") or []
    names = [each.split(" :: ")[-1] for each in classifiers if each.startswith("License :: ")]
    return ", ".join(names) or title_of_file(found)


def first(found: Distribution, name: str) -> str:
    """Returns the first field of this name, empty where there is none."""
    fields: list[str] = found.metadata.get_all(name) or [""]
    return fields[0]


def title_of_file(found: Distribution) -> str:
    """Returns the first two lines of the licence file of a package."""
    name = first(found, "License-File")
    text = found.read_text(f"licenses/{name}") or found.read_text(name) if name else ""
    return " ".join(" ".join((text or "not declared").split("\n")[:2]).split())


def needed(name: str, seen: set[str]) -> Iterator[str]:
    """Yields a package and those that it needs on this machine, without the ones seen before."""
    if name in seen:
        return
    seen.add(name)
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return
    yield name
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from needed(normal(requirement.name), seen)


def members(groups: Groups, lock: str) -> dict[str, list[str]]:
    """Returns the packages of the base install, those that each extra adds, and the rest of the lock."""
    seen = set[str]()
    found = {
        group: sorted(each for line in asked_for(groups, group) for each in needed(parts(line)[0], seen))
        for group in ("base", *EXTRAS)
    }
    found["track"].append("trackers")  # asks for opencv-python, and so stands in no extra
    return {**found, "development": sorted(pins(lock).keys() - seen)}


def page(groups: Groups, lock: str) -> str:
    """Returns the text of the page."""
    sections = [HEAD]
    for group, names in members(groups, lock).items():
        rows = "".join(f"| {name} | {licence(distribution(name))} |\n" for name in names)
        sections.append(f"## {TITLES[group]}\n\n| package | licence |\n|---|---|\n{rows}")
    return "\n".join(sections)


def main() -> None:
    """Writes the page."""
    pyproject, lock = ((ROOT / name).read_text("utf-8") for name in ("pyproject.toml", "requirements.lock"))
    PAGE.write_text(page(groups_of(pyproject), lock), encoding="utf-8")


if __name__ == "__main__":
    main()
