"""The figures that `make check` prints, on sources that are counted by hand."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from helpers.script_module import load_script

PATH = Path(__file__).parents[1] / "tools" / "house.py"


@pytest.fixture
def house() -> ModuleType:
    """The script as a module."""
    return load_script(PATH)


def use(house: ModuleType, monkeypatch: pytest.MonkeyPatch, **sources: str) -> None:
    """Puts these files in place of the package's; `a__b` is `seyolo.a.b`."""
    names = {name: f"seyolo.{name.replace('__', '.')}" for name in sources}
    modules = {names[key]: house.Module(names[key], text) for key, text in sources.items()}
    monkeypatch.setattr(house, "modules", lambda: modules)


def test_parameters_and_lines(house: ModuleType) -> None:
    text = '''
class A:
    def f(self, a, /, b, *c, d, **e):
        """One
        docstring."""
        def g(h): return h
        return g

    @staticmethod
    def s(x, y): ...
'''
    functions = {name: (node, is_method) for name, node, is_method in house.Module("m", text).functions}
    assert house.parameters(*functions["m.A.f"]) == ["a", "b", "d", "c", "e"]
    assert house.parameters(*functions["m.A.f.g"]) == ["h"]
    assert house.parameters(*functions["m.A.s"]) == ["x", "y"]
    assert house.body_lines(functions["m.A.f"][0]) == 3


def test_circles_and_arrows_that_climb(house: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    use(
        house,
        monkeypatch,
        low__a="def f():\n    from seyolo.high.b import g",
        high__b="import seyolo.low.a",
        low__c="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import seyolo.top",
        top="from seyolo.low import c\nfrom seyolo.high import b",
    )
    circles, arrows = house.import_figures()
    assert circles.details == ["seyolo.high.b <-> seyolo.low.a"]
    assert arrows.value == 1


def test_comments_that_tools_read_do_not_count(house: ModuleType) -> None:
    assert house.Module("m", "# why\nx = 1  # noqa: E501\n'#'\n").num_comments == 1


def test_a_renamed_option_is_followed(house: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    use(
        house,
        monkeypatch,
        options="class Options:\n    '''The warm_start.'''\n    warm_start: bool = False",
        verb="from seyolo.loop import run\ndef train(options):\n    run(options.warm_start)",
        loop="def run(early):\n    return Step(begin=early)",
        step="class Step:\n    begin: bool",
        other="def run(early): '''--warm-start'''",
        flag="raise ValueError('--warm-start: not with --resume')",
    )
    found = [name.removeprefix("seyolo.") for name in house.files_of_option("warm_start")]
    assert found == ["flag", "loop", "options", "step", "verb"]


def test_words_and_budget_kinds(house: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    use(
        house,
        monkeypatch,
        layer="class SamLayer: ...",
        table="KINDS = {'sam': 1}",
        prose="'''About sam.'''\nsame = 0",
        kinds="Budget = 0\nKind = Literal['params', 'macs']",
        chooses="def f(budgets): return budgets[0].kind == 'params'",
        limits="class ParamsBudget: ...",
        costs="class CostModel:\n    def params(self): ...",
        other="class Network:\n    def params(self): ...",
        report="def f(budgets): return {'params': 1, 'macs': 2, 'stage': 3}",
    )
    assert house.files_of_word("sam") == ["seyolo.layer", "seyolo.table"]
    assert house.files_of_budget("params") == [
        "seyolo.chooses",
        "seyolo.costs",
        "seyolo.kinds",
        "seyolo.limits",
    ]
