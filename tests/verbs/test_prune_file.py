"""`prune_file` and `plan_file`: the words of the command line, and importances that users bring."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

import seyolo
from seyolo.cli import make_app
from seyolo.commands.foreign import options_of
from seyolo.errors import UsageError
from seyolo.options.keywords import PruneKeywords, SlimKeywords
from seyolo.progress import Advance
from seyolo.pruning.groups.atoms import FloatArray
from seyolo.pruning.groups.groups import Groups
from seyolo.torchnet.build import DarknetModel
from seyolo.verbs.readiness import IN_PRUNE

CUT: dict[str, Any] = {"importance": "norm", "scope": "plain", "multiple": 2, "keep": [2], "least_share": 0.1}
ONLY_PYTHON = {"cut", "tied", "size_hw", "blocks"}
NOT_IN_PYTHON = {"help", "model", "out", "overwrite", "json", "no_blocks", "no_tile_whole", "empty_size_hw"}


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    path = tmp_path / "dense.safetensors"
    seyolo.save(seyolo.load("yolov3-tiny@0.25", num_classes=1), path)
    return path


class FirstChannels:
    """Keeps the first channels of every group."""

    name, per_cost = "first channels", False

    def scores(self, _: DarknetModel, groups: Groups) -> list[FloatArray]:
        return [np.arange(group.num_channels, 0, -1) + 0.0 for group in groups.groups]


def test_python_and_the_command_line_take_the_same_words() -> None:
    app = make_app()
    typed = {verb: {name.replace("-", "_") for name in options_of(verb, app)} for verb in ("prune", "slim")}
    cut = {"scope", "multiple", "least_share", "evenness", "keep", "importance"}
    prune, slim = ({*get_type_hints(kind)} for kind in (PruneKeywords, SlimKeywords))
    positional = {*signature(seyolo.api.prune_file).parameters}
    assert cut <= typed["prune"] & (prune | positional)
    assert cut <= typed["slim"] & slim
    assert (prune | {"importance", "plan"}) - ONLY_PYTHON == typed["prune"] - NOT_IN_PYTHON - ONLY_PYTHON


def test_the_plan_is_that_of_prune(dense: Path, tmp_path: Path) -> None:
    _, plan = seyolo.prune(seyolo.load(dense), "macs=50%", **CUT)
    written = seyolo.api.prune_file(dense, tmp_path / "slim.cfg", budget="macs=50%", **CUT)
    assert written == plan
    assert (plan.importance, plan.scope, plan.multiple) == ("norm", "plain", 2)
    nested = seyolo.api.PlanOptions(**CUT | {"keep": (2,), "scope": "all"})
    within = seyolo.api.prune_file(dense, tmp_path / "b.cfg", budget="macs=50%", cut=nested, scope="plain")
    assert within == plan


def test_an_importance_of_the_user_ranks_the_channels(dense: Path, tmp_path: Path) -> None:
    plan = seyolo.api.prune_file(
        dense, tmp_path / "slim.cfg", budget="macs=50%", importance=FirstChannels(), multiple=2
    )
    assert plan.importance == "first channels"
    assert all(max(cut["kept"]) < min(cut["removed"]) for cut in plan.groups if cut["removed"])


@pytest.mark.parametrize(
    "chosen",
    [{"importance": "norm"}, {"scope": "plain"}, {"keep_blocks": True}, {"importance": FirstChannels()}],
)
def test_a_plan_needs_no_importance(chosen: dict[str, Any], dense: Path, tmp_path: Path) -> None:
    _, plan = seyolo.prune(seyolo.load(dense), "macs=50%")
    with pytest.raises(UsageError, match="prune_file: a plan says already what is pruned"):
        seyolo.api.prune_file(dense, tmp_path / "slim.cfg", plan=plan, **chosen)
    assert seyolo.api.prune_file(dense, tmp_path / "slim.cfg", plan=plan).groups == plan.groups


class Told:
    """Remembers the last note of each task."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notes: dict[str, tuple[int, int | None, str]] = {}

    def message(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Advance]:
        done = 0

        def advance(count: int, note: str) -> None:
            nonlocal done
            done += count
            self.notes[title] = (done, total, note)

        yield advance


def test_planning_and_repair_tell_how_far_they_are(dense: Path, tiny_hands: Path, tmp_path: Path) -> None:
    told, out, chosen = Told(), tmp_path / "slim.cfg", {"budget": "macs=50%", "data": tiny_hands, "size": 64}
    seyolo.api.prune_file(dense, out, progress=told, **chosen)
    assert list(told.notes) == ["measuring importance", "ranking channels", "repairing"]
    done, total, note = told.notes["ranking channels"]
    assert done == total
    assert re.fullmatch(r"channels, about \d+ s left before the repair", note)
    assert told.notes["measuring importance"][:2] == (12 + 16, 12 + 16)  # of 12 images: an epoch is a batch
    assert told.notes["measuring importance"][2].startswith("images and augmentations")
    assert told.notes["repairing"][:2] == (100, 100)
    other = Told()
    seyolo.api.prune_file(dense, out, progress=other, importance="taylor", repair="recalibrate", **chosen)
    assert {title: note[:2] for title, note in other.notes.items()} == {
        "measuring importance": (16, None),
        "repairing": (12, 12),
    }
    assert other.notes["measuring importance"][2].startswith("images and augmentations")
    assert re.fullmatch(r"percent, about \d+ s left", told.notes["repairing"][2])
    assert re.fullmatch(r"images, about \d+ s left", other.notes["repairing"][2])


def test_files_are_replaced_and_overwrite_is_said_to_be_needless(dense: Path, tmp_path: Path) -> None:
    out = tmp_path / "slim.safetensors"
    wrong: dict[str, Any] = {"overwrite": True}
    seyolo.save(seyolo.load("yolov3-tiny@0.125", num_classes=1), out)
    with pytest.raises(UsageError, match="files that are there already are replaced: leave it out"):
        seyolo.api.prune_file(dense, out, budget="macs=50%", **wrong)
    plan = seyolo.api.prune_file(dense, out, budget="macs=50%")
    widths = [len(scales) for scales in seyolo.api.bn_scales(seyolo.load(out)).values()]
    assert set(widths) <= {after for _, _, after in plan.table()}
    with pytest.raises(UsageError, match=r"prune_file: .*'xyz'; it takes .*budget, "):
        seyolo.api.prune_file(dense, out, budget="macs=50%", **{"xyz": wrong})


def test_a_ranking_by_scales_that_have_not_moved_warns(dense: Path, tmp_path: Path) -> None:
    chosen: dict[str, Any] = {"budget": "channels=85%", "importance": "bn", "multiple": 1}
    for verb, out in ((seyolo.api.prune_file, "slim.cfg"), (seyolo.api.plan_file, "a.plan.json")):
        told = Told()
        verb(dense, tmp_path / out, progress=told, **chosen)
        assert IN_PRUNE in told.lines
        verb(dense, tmp_path / out, progress=(other := Told()), **chosen | {"importance": "norm"})
        assert IN_PRUNE not in other.lines


def test_a_wrong_word_is_refused(dense: Path, tmp_path: Path) -> None:
    for wrong, message in {
        "importance": "--importance best: there are obs, bn, norm",
        "scope": "--scope best: there are all, plain",
    }.items():
        with pytest.raises(UsageError, match=message):
            seyolo.api.prune_file(dense, tmp_path / "slim.cfg", budget="macs=50%", **{wrong: "best"})
    with pytest.raises(UsageError, match="prune_file: plan_file makes a plan and cuts nothing"):
        seyolo.api.prune_file(dense, tmp_path / "slim.cfg", budget="macs=50%", dry_run=True)
    assert [path.name for path in tmp_path.iterdir()] == ["dense.safetensors"]
