"""Packages that only some users need, and the pip command that installs what is missing."""

from __future__ import annotations

import re
from importlib import import_module, metadata
from traceback import walk_tb
from typing import Any

from seyolo.errors import BackendError

TRAIN_PACKAGES = ("torch", "faster_coco_eval", "scipy", "onnx", "matplotlib", "jinja2")
PAGE_PACKAGES = "matplotlib jinja2 faster-coco-eval scipy"  # all that `data view` needs, without PyTorch


def pip_install(what: str) -> str:
    """Returns the command that installs a package, or an extra such as `seyolo[openvino]`.

    pip finds an extra in the package registry where it found seyolo. Where seyolo was installed from a clone
    or a file (PEP 610), no registry may have it: there the command names the packages of the extra.
    """
    extra = re.fullmatch(r"seyolo\[([\w-]+)\]", what)
    packages = _packages(extra[1]) if extra else [what]
    if extra and not packages:
        return f'pip install "{what}"'
    return " ".join(["pip install", *(f'"{each}"' if ">" in each else each for each in packages)])


def missing(error: ModuleNotFoundError) -> str | None:
    """Returns how to install what an import lacked; None where that is no package of the extra `train`."""
    package = (error.name or "").partition(".")[0]
    if package not in TRAIN_PACKAGES:
        return None
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    is_page = any(frame.f_globals.get("__name__", "").endswith(".data_view") for frame in frames)
    advice = pip_install(PAGE_PACKAGES if is_page else "seyolo[train]")
    return f"this needs {package}, which is not installed; get it with: {advice}"


def needed_package(name: str, requirement: str = "") -> Any:
    """Returns a package; raises BackendError, with the command that installs it, where it is missing.

    `requirement` is what to install, by default the package itself.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError:
        advice = f"get it with: {pip_install(requirement or name)}"
        raise BackendError(f"{name} is not installed; {advice}") from None


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
