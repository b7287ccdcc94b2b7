"""The public names, pinned: adding or removing one is a decision, not an accident."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from importlib.util import find_spec
from types import ModuleType

import pytest

import seyolo

PUBLIC = [
    "Detections",
    "Detector",
    "Plan",
    "SeyoloError",
    "Tracker",
    "__version__",
    "api",
    "attach",
    "benchmark",
    "evaluate",
    "export",
    "load",
    "prune",
    "save",
    "slim",
    "train",
]


def test_the_public_names_are_these() -> None:
    assert seyolo.__all__ == PUBLIC
    assert dir(seyolo) == PUBLIC


def test_no_room_hides_a_public_name() -> None:
    """Importing `seyolo.x` sets the attribute `x`: a room must not be called like a function."""
    left_out = {"seyolo.__main__"}
    if find_spec("openvino") is None:
        left_out |= {"seyolo.exporting.openvino", "seyolo.runtime.openvino_backend"}
    for package, name in (("ncnn", "ncnn"), ("MNN", "mnn"), ("ai_edge_litert", "litert")):
        if find_spec(package) is None:
            left_out |= {f"seyolo.exporting.{name}", f"seyolo.runtime.{name}_backend"}
            left_out |= {f"seyolo.exporting.{name}_{part}" for part in ("file", "graph")}
    if find_spec("starlette") is None:
        left_out |= {f"seyolo.web.{name}" for name in ("app", "detection", "server", "uploads")}
    for module in pkgutil.walk_packages(seyolo.__path__, "seyolo."):
        if module.name not in left_out:
            importlib.import_module(module.name)
    for name in PUBLIC:
        assert name == "api" or not isinstance(getattr(seyolo, name), ModuleType), name


def test_every_public_name_is_documented() -> None:
    for name in PUBLIC:
        if name != "__version__":
            assert getattr(seyolo, name).__doc__, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        seyolo.trian  # noqa: B018


@pytest.mark.parametrize("name", ["YOLO", "predict", "detect", "val", "track"])
def test_a_name_of_another_package_is_answered_with_ours(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"no attribute '{name}'; .*seyolo\.[A-Za-z]+"):
        getattr(seyolo, name)


def test_importing_seyolo_loads_nothing_heavy() -> None:
    script = "import sys, seyolo; print({'numpy', 'torch', 'cv2'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "set()"
