"""The house's plan, held: which room may import which, and where PyTorch is let in."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import seyolo

SOURCE = Path(seyolo.__file__).parent

ROOMS = {
    "base": [
        "errors", "installing", "arguments", "options", "json_files", "files", "boxes", "detections",
        "letterbox", "sizes", "class_names", "darknet", "translation", "checkpoint", "opening.description",
        "processor", "progress", "runs", "runtime", "media", "detector", "detecting", "tiling", "tracking",
        "opening.detector", "opening.running", "results", "study_results",
        "notebook", "foreign_words",
    ],
    "torchnet": ["torchnet", "opening"],
    "torch_runtime": ["runtime.torch_backend"],
    "data": ["data"],
    "evaluation": ["evaluation"],
    "training": ["training"],
    "exporting": ["exporting"],
    "pruning": ["pruning"],
    "report": ["report"],
    "verbs": ["verbs"],
    "surface": ["__init__", "api", "verbs.benchmark"],
    "web": ["web"],
    "commands": ["commands"],
    "cli": ["cli", "completion", "interrupts", "__main__"],
}  # fmt: skip

LIBRARY = {"base", "torchnet", "torch_runtime", "data", "evaluation", "training", "exporting", "pruning"}
MAY_IMPORT = {
    "base": set(),
    "torchnet": {"base"},
    "torch_runtime": {"base", "torchnet"},
    "data": {"base", "torchnet"},
    "evaluation": {"base", "torchnet", "data"},
    "training": {"base", "torchnet", "data", "evaluation"},
    "exporting": {"base", "torchnet"},
    "pruning": {"base", "torchnet", "exporting", "training"},
    "report": LIBRARY - {"training"},
    "verbs": {*LIBRARY, "report"},
    "surface": {*LIBRARY, "report", "verbs"},
    "web": {"base"},
    "commands": {"base", "data", "evaluation", "report", "surface", "web", "verbs"},
    "cli": {"base"},
}
# The doors to PyTorch: imports inside a function, taken when a model needs it.
DOORS = {
    ("seyolo.runtime.choice", "seyolo.runtime.torch_backend"),
    ("seyolo.opening.detector", "seyolo.runtime.torch_backend"),
    ("seyolo.opening.detector", "seyolo.opening.network"),
}

TORCH_ROOMS = {"torchnet", "torch_runtime", "training", "exporting", "verbs"}
TORCH_MODULES = {
    "seyolo.data.batches.training",
    "seyolo.evaluation.network",
    "seyolo.pruning.cutting.cut",
    "seyolo.pruning.cutting.repair",
    "seyolo.pruning.importance.built_in",
    "seyolo.pruning.importance.obs",
    "seyolo.pruning.importance.taylor",
}


def module_name(path: Path) -> str:
    return ".".join(["seyolo", *path.relative_to(SOURCE).with_suffix("").parts])


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def room_of(module: str) -> str:
    """The room whose longest prefix the module has; `seyolo` itself is the surface."""
    inner = module.removeprefix("seyolo.") if module != "seyolo" else "__init__"
    matches = [
        (len(prefix), room)
        for room, prefixes in ROOMS.items()
        for prefix in prefixes
        if inner == prefix or inner.startswith(prefix + ".")
    ]
    assert matches, f"{module} belongs to no room: give it one here and in the README's file tree"
    return max(matches)[1]


def imports(path: Path) -> set[str]:
    """Modules that run when this one does, or when one of its functions does; not those for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in only_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            module = node.module or ""
            inner = {f"{module}.{alias.name}" for alias in node.names}
            found |= {name for name in inner if name in MODULES} or {module}
    return found


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_rooms_below(module: str) -> None:
    room = room_of(module)
    for imported in imports(MODULES[module]):
        if imported.partition(".")[0] == "seyolo" and (module, imported) not in DOORS:
            other = room_of(imported)
            assert other == room or other in MAY_IMPORT[room], (
                f"{module} ({room}) imports {imported} ({other})"
            )


@pytest.mark.parametrize("module", MODULES)
def test_pytorch_is_imported_where_it_is_let_in(module: str) -> None:
    lets_in = room_of(module) in TORCH_ROOMS or module in TORCH_MODULES
    assert lets_in or "torch" not in {name.partition(".")[0] for name in imports(MODULES[module])}


def test_nothing_for_the_base_install_loads_pytorch() -> None:
    names = [
        module.removesuffix(".__init__")
        for module in MODULES
        if (room_of(module) in {"base", "data", "commands", "cli"} and module not in TORCH_MODULES)
        or module in {"seyolo.__init__", "seyolo.verbs.benchmark", "seyolo.evaluation.evaluate"}
    ]
    names.remove("seyolo.__main__")
    if find_spec("openvino") is None:
        names.remove("seyolo.runtime.openvino_backend")
    for package, name in (("ncnn", "ncnn"), ("MNN", "mnn"), ("ai_edge_litert", "litert")):
        if find_spec(package) is None:
            names.remove(f"seyolo.runtime.{name}_backend")
    assert len(names) > 40
    script = f"import sys\nfor name in {names!r}: __import__(name)\nprint('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.strip() == "False"
