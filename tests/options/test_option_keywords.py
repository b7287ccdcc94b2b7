"""Options from keyword arguments: refused early, and typed for those who write Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seyolo.errors import SeyoloError
from seyolo.options.cut import CutOptions
from seyolo.options.parameters import build
from seyolo.options.slim import SlimOptions
from seyolo.options.train import TrainOptions

ROOT = Path(__file__).parents[2]


def test_the_typed_keywords_are_those_of_the_options_classes() -> None:
    line = [sys.executable, ROOT / "tools/option_keywords.py", "--check"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_text_stands_for_one_of_several() -> None:
    options = build(SlimOptions, "slim", None, {"budget": "macs=30%", "controls": "all", "epochs": 20})
    assert (options.budget, options.controls, options.epochs) == (("macs=30%",), ("all",), 20)


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"budget": "flops=30%"}, "budget 'flops=30%'"),
        ({"s": -1.0}, "--s -1"),
        ({"lr": 0.0}, "--lr 0"),
        ({"batch": 0}, "--batch 0"),
        ({"seed": -1}, "--seed -1"),
        ({"device": "xpu9"}, "'xpu9' is no device"),
        ({"epochs": 1.5}, "epochs"),
        ({"sparsity": "l2"}, "--sparsity l2"),
        ({"controls": "int4"}, "--controls int4"),
        ({"scales_rate": 0.0}, "--scales-rate 0"),
        ({"rounds": 2}, "--rounds"),
        ({"importance": "best"}, "--importance best: there are obs"),
        ({"epoch": 3}, "unexpected keyword argument 'epoch'"),
    ],
)
def test_a_wrong_value_is_refused_by_name(keywords: dict[str, object], text: str) -> None:
    with pytest.raises(SeyoloError, match=text):
        build(SlimOptions, "slim", None, keywords)


def test_options_of_the_cut_are_keywords_of_slim() -> None:
    options = build(SlimOptions, "slim", None, {"importance": "norm", "keep": 2, "blocks": True})
    assert options == SlimOptions(cut=CutOptions(importance="norm", keep=(2,)), blocks=True)
    changed = build(SlimOptions, "slim", options, {"scope": "plain", "cut": {"multiple": 4}})
    assert changed.cut == CutOptions(multiple=4, scope="plain")
    assert build(SlimOptions, "slim", options, {"multiple": 4}).cut.importance == "norm"


def test_options_of_train_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SeyoloError, match="--s is the strength of sparsity training"):
        TrainOptions(s=0.1)
    with pytest.raises(SeyoloError, match="--distill is how much a teacher counts"):
        TrainOptions(distill=0.5)
