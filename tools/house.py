"""Figures of the source tree: its size, its functions, its imports, and the files that a change touches.

    python tools/house.py          prints the table of `make check`
    python tools/house.py -v       also names the files, functions and modules behind each figure

Standard library only. Exits with 1 where a wanted figure is missed.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import permutations
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
MOST_LINES = 49_290
MOST_PARAMETERS = 8
MOST_FUNCTION_LINES = 40

TRAIN_OPTIONS = ("gradient_clip",)
SHARED_OPTIONS = ("sync_bn", "multi_scale")
PLAN_OPTIONS = ("least_share", "evenness")
BUDGET_KINDS = ("params", "channels")
SECTIONS = ("reorg", "sam")
EXPORT_FORMATS = ("openvino",)
DATA_FORMATS = ("labelme",)
"""What the files of a change are counted by; one that no file names any more is a missed figure."""
USERS = "seyolo.darknet.zoo."
"""Networks use sections, and are named after data sets; a new one of these needs none of them."""
WRITTEN = "seyolo.options.keywords"
"""Written by tools/option_keywords.py, not by hand."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A source file.

    Attributes:
        name: such as `seyolo.darknet.cfg`.
        text: of the file.
    """

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return ast.parse(self.text)

    @cached_property
    def functions(self) -> list[tuple[str, Function, bool]]:
        """Name, node and whether it is a method, of every function, also nested ones."""
        return list(_functions(self.tree, self.name, is_class=False))

    @cached_property
    def num_comments(self) -> int:
        """Comments, without those that tools read."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return sum(
            token.type == tokenize.COMMENT
            and not re.match(r"# *(type: ignore|noqa|fmt:|pragma)", token.string)
            for token in tokens
        )


@dataclass
class Figure:
    """A row of the table.

    Attributes:
        title: what is counted.
        value: as counted.
        wanted: the largest allowed value; None where the figure is only printed.
        least: the smallest allowed value.
        details: what it is made of.
    """

    title: str
    value: float
    wanted: float | None = None
    least: float = 0
    details: list[str] = field(default_factory=list)

    @property
    def is_missed(self) -> bool:
        """The value is not between the least and the wanted one."""
        return self.value < self.least or (self.wanted is not None and self.value > self.wanted)


def _functions(node: ast.AST, name: str, *, is_class: bool) -> Iterator[tuple[str, Function, bool]]:
    for child in ast.iter_child_nodes(node):
        inner = f"{name}.{child.name}" if isinstance(child, Function | ast.ClassDef) else name
        if isinstance(child, Function):
            yield inner, child, is_class
        yield from _functions(child, inner, is_class=isinstance(child, ast.ClassDef))


@cache
def modules() -> dict[str, Module]:
    """All modules of the package, by name."""
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts): Module(
            ".".join(path.relative_to(SOURCE).with_suffix("").parts), path.read_text(encoding="utf-8")
        )
        for path in sorted(SOURCE.rglob("*.py"))
    }


# Functions


def parameters(function: Function, is_method: bool) -> list[str]:
    """Names of all parameters, `*rest` and `**keywords` included, `self` and `cls` not."""
    arguments = function.args
    names = [argument.arg for argument in [*arguments.posonlyargs, *arguments.args]]
    is_static = any(
        isinstance(item, ast.Name) and item.id == "staticmethod" for item in function.decorator_list
    )
    if is_method and not is_static:
        names = names[1:]
    rest = [argument.arg for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    return [*names, *(argument.arg for argument in arguments.kwonlyargs), *rest]


def body_lines(function: Function) -> int:
    """Lines from `def` to the end, without the docstring."""
    first = function.body[0]
    has_docstring = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def function_figures() -> list[Figure]:
    """Most parameters of a function, and functions that are too long."""
    counts, long = [], []
    for module in modules().values():
        for name, function, is_method in module.functions:
            counts.append((len(parameters(function, is_method)), name))
            if body_lines(function) > MOST_FUNCTION_LINES:
                long.append(f"{body_lines(function)} {name}")
    counts.sort(reverse=True)
    wide = [f"{count} {name}" for count, name in counts if count > MOST_PARAMETERS]
    most = Figure("most parameters of a function", counts[0][0], MOST_PARAMETERS, details=wide)
    over = Figure(f"functions of more than {MOST_PARAMETERS} parameters", len(wide), 0)
    return [
        most,
        over,
        Figure(f"functions of more than {MOST_FUNCTION_LINES} lines", len(long), 0, details=long),
    ]


# Imports


def imports(module: Module) -> set[str]:
    """Modules of the package that are imported at the top or inside a function, not those for types only."""
    types = {
        inner
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in (inner for statement in node.body for inner in ast.walk(statement))
    }
    found = set()
    for node in ast.walk(module.tree):
        if node in types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    inside = {name for found_name in found for name in (found_name, f"{found_name}.__init__")}
    packages = {name.removesuffix(".__init__") for name in modules() if name.endswith(".__init__")}
    exact = inside & set(modules())
    # `from package import module` runs the package's `__init__` without needing a name of it.
    needless = {
        f"{package}.__init__" for package in packages if any(n.startswith(f"{package}.") for n in found)
    }
    return exact - needless - {module.name}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one node (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = [stack.pop()]
            while component[-1] != node:
                component.append(stack.pop())
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def room_of(module: str) -> str:
    """The folder or file directly under `seyolo`."""
    return [*module.split("."), "__init__"][1]


def climbing(edges: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Fewest arrows whose removal leaves no circle: in no order of the nodes do fewer point upwards."""
    arrows: list[tuple[str, str]] = []
    for nodes in circles(edges):
        inner = [(a, b) for a in nodes for b in edges[a] if b in nodes]
        orders = permutations(nodes) if len(nodes) <= MOST_PERMUTED else [tuple(nodes)]
        upwards = [[(a, b) for a, b in inner if order.index(a) < order.index(b)] for order in orders]
        fewest = min(upwards, key=len)
        arrows += fewest
    return arrows


MOST_PERMUTED = 7


def import_figures() -> list[Figure]:
    """Import circles between modules, and arrows between the rooms that no order of them allows."""
    edges = {name: imports(module) for name, module in modules().items()}
    rooms: dict[str, set[str]] = defaultdict(set)
    for module, others in edges.items():
        rooms[room_of(module)] |= {room_of(other) for other in others} - {room_of(module)}
    rounds = [" <-> ".join(circle) for circle in circles(edges)]
    upwards = [
        f"{low} -> {high}: "
        + ", ".join(
            f"{module} imports {other}"
            for module, others in edges.items()
            for other in others
            if (room_of(module), room_of(other)) == (low, high)
        )
        for low, high in climbing(rooms)
    ]
    return [
        Figure("import circles", len(rounds), 0, details=rounds),
        Figure("arrows that climb", len(upwards), 0, details=upwards),
    ]


# Files that a change touches


@dataclass(frozen=True)
class Use:
    """A name in a file, and the name it is handed on as, where it changes."""

    file: str
    name: str


@cache
def takers() -> dict[str, list[tuple[str, list[str]]]]:
    """Of each function's or dataclass's name: the files that define one, and the names it takes."""
    found: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)
    for module in modules().values():
        for _, function, is_method in module.functions:
            found[function.name].append((module.name, parameters(function, is_method)))
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                fields = [
                    item.target.id
                    for item in node.body
                    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
                ]
                inits = [item for item in node.body if isinstance(item, Function) and item.name == "__init__"]
                taken = parameters(inits[0], is_method=True) if inits else fields
                found[node.name].append((module.name, taken))
    return found


def mentions(module: Module, name: str) -> bool:
    """The file names it: as a variable, attribute, parameter, keyword, flag or key. Prose does not count."""
    flag = f"--{name.replace('_', '-')}"
    return name in _identifiers(module) or any(
        text == name or re.search(rf"{flag}(?![a-z0-9-])", text) for text in _texts(module)
    )


@cache
def _identifiers(module: Module) -> frozenset[str]:
    found = set()
    for node in ast.walk(module.tree):
        for key in ("id", "attr", "arg", "name"):
            value = getattr(node, key, None)
            if isinstance(value, str):
                found.add(value)
    return frozenset(found)


@cache
def _texts(module: Module) -> frozenset[str]:
    """String constants that are no docstrings."""
    statements = {id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Expr)}
    return frozenset(
        node.value
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements
    )


def _ends_in(node: ast.AST, name: str) -> bool:
    return (isinstance(node, ast.Name) and node.id == name) or (
        isinstance(node, ast.Attribute) and node.attr == name
    )


def handed_on(module: Module, name: str) -> set[Use]:
    """Calls that pass it on under another name, and what it is called there."""
    found = set()
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        taking = takers().get(called, [])
        near = [entry for entry in taking if entry[0] in {module.name, *imports(module)}]
        for file, names in near or taking:
            for position, value in enumerate(node.args[: len(names)]):
                if _ends_in(value, name) and names[position] != name:
                    found.add(Use(file, names[position]))
            for keyword in node.keywords:
                if keyword.arg in names and keyword.arg != name and _ends_in(keyword.value, name):
                    found.add(Use(file, keyword.arg))
    return found


def files_of_option(name: str) -> list[str]:
    """Files that know an option: by its name, or by the one that it is handed on to them as."""
    files = {module.name for module in modules().values() if mentions(module, name)}
    waiting = [use for file in files for use in handed_on(modules()[file], name)]
    seen = set(waiting)
    while waiting:
        use = waiting.pop()
        files.add(use.file)
        new = handed_on(modules()[use.file], use.name) - seen
        seen |= new
        waiting += new
    return sorted(files - {WRITTEN})


def words_of(text: str) -> list[str]:
    """`SamLayer`, `sam_layer` and `sam` have the word `sam`; `same` has not."""
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower())


def _is_inside(word: str, text: str) -> bool:
    return f" {' '.join(words_of(word))} " in f" {' '.join(words_of(text))} "


def files_of_word(word: str) -> list[str]:
    """Files with the word in a name or in a text that is no docstring."""
    return sorted(
        module.name
        for module in modules().values()
        if not module.name.startswith(USERS)
        and any(_is_inside(word, text) for text in [*_identifiers(module), *_texts(module)])
    )


def files_of_budget(kind: str) -> list[str]:
    """Files that know a budget's kind: define or count it, compare it, list it, or keep a table by kind."""
    return sorted(
        module.name
        for module in modules().values()
        if _defines(module, f"{kind.capitalize()}Budget")
        or _defines(module, f"CostModel.{kind}")
        or _decides_by(module, kind)
    )


def _defines(module: Module, name: str) -> bool:
    """The file defines a class, or a method of a class, of this name."""
    owner, _, method = name.partition(".")
    return any(
        not method or any(isinstance(item, Function) and item.name == method for item in node.body)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and node.name == owner
    )


def _decides_by(module: Module, kind: str) -> bool:
    if not any(_is_inside(word, name) for word in ("budget", "budgets") for name in _identifiers(module)):
        return False
    for node in ast.walk(module.tree):
        constants = {item.value for item in ast.walk(node) if isinstance(item, ast.Constant)}
        if kind not in constants:
            continue
        if isinstance(node, ast.Compare) and any(
            _is_inside("kind", getattr(item, "id", getattr(item, "attr", ""))) for item in ast.walk(node)
        ):
            return True
        if isinstance(node, ast.Subscript) and _ends_in(node.value, "Literal") and len(constants & KINDS) > 1:
            return True
        if isinstance(node, ast.match_case) and kind in {
            item.value for item in ast.walk(node.pattern) if isinstance(item, ast.Constant)
        }:
            return True
        if isinstance(node, ast.Dict):
            keys = {item.value for item in node.keys if isinstance(item, ast.Constant)}
            if kind in keys and len(keys & KINDS) > 1 and keys <= KINDS:
                return True
    return False


KINDS = {"params", "macs", "channels", "latency"}


def touch_figures() -> list[Figure]:
    """Files that name what was added, of the examples at the top of this file; the worst example counts."""
    rows: list[tuple[str, tuple[str, ...], Callable[[str], list[str]], int]] = [
        ("an option of train", TRAIN_OPTIONS, files_of_option, 2),
        ("an option of train and slim", SHARED_OPTIONS, files_of_option, 2),
        ("an option of the plan", PLAN_OPTIONS, files_of_option, 3),
        ("a budget kind", BUDGET_KINDS, files_of_budget, 2),
        ("a Darknet section", SECTIONS, files_of_word, 5),
        ("an export format and runtime", EXPORT_FORMATS, files_of_word, 5),
        ("a data format", DATA_FORMATS, files_of_word, 2),
    ]
    figures = []
    for title, names, files_of, wanted in rows:
        files = {name: files_of(name) for name in names}
        details = [f"{len(found)} {name}: {' '.join(map(_short, found))}" for name, found in files.items()]
        counts = sorted(map(len, files.values()))
        most = 0 if counts[0] == 0 else counts[-1]
        figures.append(Figure(f"files to touch for {title}", most, wanted, least=1, details=details))
    return figures


def _short(module: str) -> str:
    return module.removeprefix("seyolo.")


# The table


def size_figures() -> list[Figure]:
    """Lines, and comments per hundred of them."""
    lines = sum(len(module.text.splitlines()) for module in modules().values())
    comments = sum(module.num_comments for module in modules().values())
    return [
        Figure("lines of src", lines, MOST_LINES),
        Figure("comments per hundred lines", round(100 * comments / lines, 1)),
    ]


def text_of(figures: Iterable[Figure], *, is_verbose: bool) -> str:
    """The table as text."""
    lines = [f"{'':44}{'counted':>9}{'wanted':>9}"]
    for figure in figures:
        wanted = "" if figure.wanted is None else f"{figure.wanted:g}"
        mark = "  missed" if figure.is_missed else ""
        lines.append(f"{figure.title:44}{figure.value:9g}{wanted:>9}{mark}")
        if is_verbose:
            lines += [f"    {detail}" for detail in figure.details]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Prints the table; returns the exit code."""
    figures = [*size_figures(), *function_figures(), *import_figures(), *touch_figures()]
    print(text_of(figures, is_verbose="-v" in arguments))
    return int(any(figure.is_missed for figure in figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
