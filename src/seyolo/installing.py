"""The pip command that installs what is missing."""

from __future__ import annotations

import re
from importlib import metadata


def pip_install(what: str) -> str:
    """Returns the command that installs a package, or an extra such as `seyolo[openvino]`.

    pip finds an extra in the package registry where it found seyolo. Where seyolo was installed from a clone
    or a file (PEP 610), no registry may have it: there the command names the packages of the extra.
    """
    extra = re.fullmatch(r"seyolo\[(\w+)\]", what)
    packages = _packages(extra[1]) if extra else [what]
    if extra and not packages:
        return f'pip install "{what}"'
    return " ".join(["pip install", *(f'"{each}"' if ">" in each else each for each in packages)])


def _packages(extra: str) -> list[str]:
    """Returns the packages of an extra; none where seyolo comes from a registry, or is not installed."""
    try:
        found = metadata.distribution("seyolo")
    except metadata.PackageNotFoundError:
        return []
    if found.read_text("direct_url.json") is None:
        return []
    lines = (line.split(";") for line in found.requires or [])
    return [each[0].strip() for each in lines if f'extra == "{extra}"' in each[-1].replace("'", '"')]
