"""What Python says by itself: progress, run folders, short texts, and HTML for notebooks."""

from __future__ import annotations

import json
import re
from copy import copy
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import seyolo
from seyolo.report.outcomes import Evaluation, SlimOutcome
from seyolo.study_results import Spread, StudyRow, Variant
from seyolo.training.loop import TrainResult
from seyolo.verbs.benchmark import Comparison
from seyolo.verbs.study import Outcome

MODEL = "yolov3-tiny@0.25"
SMALL: dict[str, Any] = {"size": 64, "epochs": 1, "batch": 4}


@dataclass
class Shown:
    """Results of small runs, and what the first of them said."""

    folder: Path
    trained: TrainResult
    slim: SlimOutcome
    judged: Evaluation
    compared: Comparison
    plan: seyolo.Plan


@pytest.fixture(scope="module")
def shown(tiny_hands: Path, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("shown")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        trained = seyolo.train(tiny_hands, MODEL, **SMALL)
        slim = seyolo.slim(tiny_hands, MODEL, budget="macs=60%", folder="mine", progress=False, **SMALL)
        judged = seyolo.evaluate(trained.model, tiny_hands, "val")
        compared = seyolo.benchmark("hand", repeats=1)
        _, plan = seyolo.prune(trained.model, "macs=60%")
    return Shown(folder, trained, slim, judged, compared, plan)


class Checker(HTMLParser):
    """Balanced tags, their number, and the texts of the cells of tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.cells: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag == "img":
            named = dict(attrs)
            assert (named["src"] or "").startswith(("data:image/jpeg;base64,", "data:image/png;base64,"))
            assert named["alt"]
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] in ("td", "th"):
            self.cells.append(data)


def checked(value: object) -> Checker:
    """HTML that no page can trip over: balanced, without scripts, links and colours of its own."""
    html = value._repr_html_()  # type: ignore[attr-defined]
    assert not re.search(r"<script|<link|https?:|[^-]color:|background:(?!none)", html)
    return Checker(html)


def test_a_run_says_what_it_does_and_has_a_numbered_folder(
    tiny_hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    first = seyolo.train(tiny_hands, MODEL, **SMALL)
    told = capsys.readouterr()
    assert told.out == ""
    assert "network: yolov3-tiny@0.25, new weights" in told.err
    assert "into runs/train/train; stop any time" in told.err
    second = seyolo.train(tiny_hands, MODEL, progress=False, **SMALL)
    assert capsys.readouterr() == ("", "")
    assert (first.folder, second.folder) == (Path("runs/train/train"), Path("runs/train/train-2"))
    third = seyolo.train(tiny_hands, MODEL, folder="here/mine", progress=False, **SMALL)
    assert (third.folder / "best.safetensors").is_file()
    assert third.folder == Path("here/mine")
    again = seyolo.api.resume_train(first.folder, progress=False)
    assert (again.folder, again.best_ap) == (first.folder, first.best_ap)


def test_the_outcome_of_slim_is_results_json(shown: Shown) -> None:
    assert shown.slim.folder == Path("mine")
    stored = json.loads((shown.folder / "mine/results.json").read_text())
    assert json.loads(json.dumps(shown.slim)) == stored


def test_texts_are_one_short_line(shown: Shown, tiny_hands: Path) -> None:
    dataset, model = seyolo.api.load_dataset(tiny_hands), shown.trained.model
    params = sum(parameter.numel() for parameter in model.parameters())
    assert repr(model) == (
        f"<DarknetModel: {model.network.source}, 64x64 px, 24 layers, {params:,} parameters, finds hand>"
    )
    best = f"AP on val {shown.trained.best_ap:.3f} in epoch 1 of 1"
    assert repr(shown.trained) == f"<TrainResult: {best}; runs/train/train>"
    plan = shown.plan
    assert repr(plan).startswith(f"<Plan: macs=60%; {plan.dense_params:,} to {plan.params:,} parameters, ")
    assert repr(dataset) == f"<Dataset: {tiny_hands}, {dataset.contents.layout}; train, val, test; 1 class>"
    assert repr(shown.compared[0]).startswith("<Compared: hand on onnxruntime, p50 ")
    assert re.fullmatch(r"<SlimOutcome: .*slim against dense: .*; mine>", repr(shown.slim))
    report = seyolo.api.check_dataset(dataset, progress=False)
    assert re.fullmatch(rf"<Report: {tiny_hands}; train \d+ images, .*; 0 problems>", repr(report))
    texts: list[object] = [
        model,
        shown.trained,
        plan,
        dataset,
        report,
        shown.slim,
        shown.judged["val"],
        shown.compared[0],
    ]
    texts += [model.network, dataset.split("train"), seyolo.api.cost(model.network), seyolo.Detector("hand")]
    for value in texts:
        assert "\n" not in repr(value)
        assert len(repr(value)) < 200 + len(str(tiny_hands))


def test_metrics_are_their_main_figures(shown: Shown) -> None:
    metrics = shown.judged["val"]
    shares = f"ap={metrics.ap:.4f}, ap50={metrics.ap50:.4f}, ap75={metrics.ap75:.4f}, "
    assert repr(metrics).startswith(f"Metrics({shares}recall=")


def test_notebooks_show_training(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shown.folder)
    page = checked(shown.trained)
    assert page.count["img"] == 2
    names = page.cells[: len(page.cells) // 2]
    assert page.cells[len(names) + names.index("ap")] == f"{shown.trained.best_ap:.3f}"


def test_notebooks_show_before_and_after(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shown.folder)
    page = checked(shown.slim)
    assert page.count["img"] == 2
    assert page.cells[:2] == ["dense", "sparse"]  # the first head is empty
    assert {"parameters", "MACs", "AP val"} & set(page.cells)


def test_notebooks_show_an_evaluation_with_curves_and_images(shown: Shown) -> None:
    page = checked(shown.judged)
    assert page.count["img"] == 2
    assert page.cells[:3] == ["split", "AP", "AP@0.5"]
    assert page.cells[7:9] == ["val", f"{shown.judged['val'].ap:.3f}"]


def test_notebooks_show_an_evaluation_by_class(shown: Shown) -> None:
    """One class has no rows of its own; two have, and with many classes the worst have."""
    hand = shown.judged["val"].per_class[0]
    page = copy(shown.judged)
    page["val"] = replace(page["val"], names=("hand", "face"), per_class=(hand, replace(hand, ap=0.25)))
    cells = checked(page).cells
    start = cells.index("class") - 1
    assert cells[start : start + 5] == ["split", "class", "ap", "ap50", "num objects"]
    assert cells[start + 10 : start + 13] == ["val", "face", "0.250"]
    names = tuple(f"c{number}" for number in range(30))
    many = tuple(replace(hand, ap=1 - number / 100) for number in range(30))
    page["val"] = replace(page["val"], names=names, per_class=many)
    assert "val: the worst 10 of 30 classes; the best is c0 (AP 1.000)" in page._repr_html_()
    assert "class" not in checked(shown.judged).cells


def test_notebooks_show_a_plan_and_a_comparison(shown: Shown) -> None:
    plan = checked(shown.plan)
    rows = [plan.cells[start : start + 4] for start in range(4, len(plan.cells), 4)]
    layer, before, after = shown.plan.table()[0]
    assert rows[0] == [str(layer), str(before), str(after), "█" * round(20 * after / before)]
    assert plan.count["tr"] == 1 + len(shown.plan.table())
    compared = checked(shown.compared)
    assert compared.cells[0] == "ms per image"
    assert "hand" in compared.cells


def test_notebooks_show_a_study(tmp_path: Path) -> None:
    some, ap = Spread(5.0, 0.1), {"val": Spread(0.431, 0.012)}
    means = some, Spread(1.1, 0.0), ap, ap, {}
    row = StudyRow(Variant("se", "neck", "scale"), (0, 1), 9, 1e6, 2e9, *means, 0.0)
    outcome = Outcome(tmp_path, (row,), ("se-neck-scale-2 dense",), 3, "seyolo study --resume x")
    assert repr(outcome) == f"<Outcome: 1 variant, 1 network missing; {tmp_path}>"
    page = checked(outcome)
    assert "se neck scale" in page.cells
    assert "0.431±0.012" in page.cells
    assert checked(Outcome(tmp_path, (), (), 3, "")).cells == []
