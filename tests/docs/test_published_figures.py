"""Tables of the pages against benchmarks/results; benchmarks/README.md names the origin of every figure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from helpers.doc_pages import PAGES, ROOT
from seyolo.cli import make_app
from seyolo.evaluation.bootstrap import interval_of
from seyolo.json_files import read_json
from seyolo.options.slim import SlimOptions
from seyolo.report.tables.slim import markdown_table, rows
from seyolo.report.text import MISSING, lead_text, points_text
from seyolo.results import Difference, SlimResults
from seyolo.runtime.choice import RUNTIMES
from seyolo.runtime.shipped import FOLDER

RESULTS = ROOT / "benchmarks/results"
ORIGINS = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
CONTROLS = PAGES["docs/evidence/controls.md"]
BEFORE_AFTER = {
    "README.md": ("main_job",),
    "docs/evidence/results.md": ("main_job",),
}
"""Folders of the runs behind a page's tables of dense and slim, from top to bottom."""
NO_FIGURES = {
    "docs/reference/licences.md": "names of licences",
    "docs/reference/papers.md": "formulas of papers",
}
"""Pages whose tables hold numbers that nobody measured."""
SPLITS = ("val", "val_small", "test", "test_small")

Draws = Mapping[str, np.ndarray]


def tables(page: str) -> list[list[str]]:
    """The Markdown tables of a page, each as its lines."""
    return [found.splitlines() for found in re.findall(r"(?:^\|.*\n)+", PAGES[page], flags=re.MULTILINE)]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def results_of(name: str) -> SlimResults:
    return read_json(RESULTS / name / "results.json", SlimResults)


def shown_rows(results: SlimResults) -> dict[str, list[str]]:
    """The rows of a short table of dense and slim, by their first cell."""
    shown = {}
    for row in rows(results):
        slim, change, int8 = row.cells[-1], row.change, "".join(row.beside)
        if row.group == "size":
            change = f"{100 + float(change.removesuffix(' %').replace('−', '-')):.1f} %"
        if row.name == "File" or (row.group == "latency" and int8 != MISSING):
            slim += f" (int8: {int8})"
        name = row.name.replace("MACs @", "MACs at ") + (" px" if row.name.startswith("MACs") else "")
        if row.group == "latency":
            name = f"Latency p50, {RUNTIMES[row.name.removeprefix('p50 ')].title}"  # type: ignore[index]
        shown[name] = [row.cells[0], slim, change]
    return shown


@pytest.mark.parametrize("page", BEFORE_AFTER)
def test_tables_of_dense_and_slim_are_those_of_the_runs(page: str) -> None:
    found = [table for table in tables(page) if cells(table[0])[:2] == ["", "dense"]]
    folders = BEFORE_AFTER[page]
    assert len(found) == len(folders), f"{page}: name in BEFORE_AFTER the results of each table"
    for table, folder in zip(found, folders, strict=True):
        results = results_of(folder)
        if cells(table[0]) != ["", "dense", "slim", "change"]:
            assert "\n".join([*table, ""]) == markdown_table(results)
            continue
        expected = shown_rows(results)
        for line in table[2:]:
            name, *texts = cells(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line))
            assert texts == expected[name], f"{page}: {name} is not that of {folder}/results.json"


@pytest.mark.parametrize("folder", sorted({name for names in BEFORE_AFTER.values() for name in names}))
def test_the_table_of_a_run_is_that_of_its_results(folder: str) -> None:
    table = (RESULTS / folder / "table.md").read_text(encoding="utf-8")
    assert table.rstrip() == markdown_table(results_of(folder)).rstrip()


@pytest.mark.parametrize("page", BEFORE_AFTER)
def test_intervals_in_the_text_are_those_of_the_runs(page: str) -> None:
    text = " ".join(PAGES[page].split())
    for folder in BEFORE_AFTER[page]:
        for split in ("test", "test_small"):
            lead = results_of(folder).lead[split]
            between = f"{points_text(lead.low)} to {points_text(lead.high)}"
            assert re.search(rf"{re.escape(points_text(lead.difference))}\D.*?{re.escape(between)}", text)


@pytest.fixture(scope="module")
def controls() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import controls  # type: ignore[import-not-found]  # noqa: PLC0415

    return controls  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def draws(controls: ModuleType) -> Callable[..., list[Draws]]:
    """AP of a network on the images and on every draw, of each seed."""

    def read(
        name: str,
        budget: str = "macs=30%",
        seeds: Sequence[int] = (0, 1, 2),
        folder: str = "controls",
        model: str = "yolov3@0.25",
    ) -> list[Draws]:
        configs = [SlimOptions(model=model, budget=(budget,), seed=seed) for seed in seeds]
        return [controls.measured(config, Path("runs"), RESULTS / folder, name, {}) for config in configs]

    return read


def lead(ours: Draws, theirs: Draws, split: str) -> Difference:
    return interval_of(ours[split] - theirs[split])


@pytest.mark.parametrize(
    ("folder", "budget", "names"),
    [
        ("controls", 30, "slim dense int8 uniform lowres scratch random"),
        ("controls", 10, "slim dense uniform lowres scratch random"),
        ("controls", 55, "slim dense int8"),
        ("bccd", 30, "slim half dense int8 uniform scratch"),
    ],
)
def test_tables_of_controls_are_those_of_the_draws(
    controls: ModuleType, draws: Callable[..., list[Draws]], folder: str, budget: int, names: str
) -> None:
    found = {name: draws(name, f"macs={budget}%", folder=folder) for name in names.split()}
    table = controls.table(f"{budget} % of the MACs", found)
    if folder == "controls":  # the page has the splits in another order than the files
        found = {
            name: [{split: seed[split] for split in SPLITS} for seed in of] for name, of in found.items()
        }
        table = controls.table(f"{budget} % of the MACs", found)
    assert table in CONTROLS


@pytest.mark.parametrize(
    ("folder", "title", "other"),
    [
        ("controls", "over uniform", "uniform"),
        ("controls", "over its own architecture from scratch", "scratch"),
        ("controls", "over low resolution", "lowres"),
        ("controls", "over random", "random"),
        ("bccd", "over half", "half"),
        ("bccd", "over dense", "dense"),
        ("bccd", "over uniform", "uniform"),
        ("bccd", "over its own architecture from scratch", "scratch"),
    ],
)
def test_leads_by_seed_are_those_of_the_draws(
    draws: Callable[..., list[Draws]], folder: str, title: str, other: str
) -> None:
    split, budgets = {"controls": ("test_small", (30, 10)), "bccd": ("test", (30,))}[folder]
    texts = []
    for budget in budgets:
        pairs = zip(*(draws(name, f"macs={budget}%", folder=folder) for name in ("slim", other)), strict=True)
        leads = [100 * float(ours[split][0] - theirs[split][0]) for ours, theirs in pairs]
        texts.append(", ".join(f"{each:.1f}".replace("-", "−") for each in leads))
    assert f"| {title} | {' | '.join(texts)} |" in CONTROLS


@pytest.mark.parametrize(
    ("title", "model"),
    [("no gates", "yolov3@0.25"), ("SE", "se-yolov3@0.25"), ("CBAM", "cbam-yolov3@0.25")],
)
def test_leads_with_gates_are_those_of_the_draws(
    draws: Callable[..., list[Draws]], title: str, model: str
) -> None:
    slim, dense = (draws(name, seeds=(0,), model=model)[0] for name in ("slim", "dense"))
    found = [f"{slim[split][0]:.3f} | {lead_text(lead(slim, dense, split))}" for split in SPLITS]
    assert f"| {title} | {' | '.join(found)} |" in CONTROLS


def test_the_published_recipe_is_that_of_the_draws(draws: Callable[..., list[Draws]]) -> None:
    slim, plain = (draws(name, seeds=(0,))[0] for name in ("slim", "plain"))
    text = " ".join(CONTROLS.split())
    assert " / ".join(f"{plain[split][0]:.3f}"[1:] for split in SPLITS) in text
    leads = [lead_text(lead(slim, plain, split)).removeprefix("+") for split in SPLITS]
    leads[0] = leads[0].partition(" ")[0]  # of val the text has no interval
    assert f"leads by {leads[0]}, {leads[1]}, {leads[2]} and {leads[3]}" in text


@pytest.mark.parametrize(
    ("title", "name", "folder", "seeds"),
    [
        ("dense, AdamW, seeds 0, 1, 2 | 33", "dense", "controls", (0, 1, 2)),
        ("dense, Muon, seeds 0, 1, 2 | 16", "dense", "muon", (0, 1, 2)),
        ("slim at 30 % of the MACs, AdamW, seeds 0, 1, 2 | 33", "slim", "controls", (0, 1, 2)),
        ("slim at 30 % of the MACs, Muon, seeds 0, 1, 2 | 16", "slim", "muon", (0, 1, 2)),
    ],
)
def test_means_with_muon_are_those_of_the_draws(
    draws: Callable[..., list[Draws]], title: str, name: str, folder: str, seeds: Sequence[int]
) -> None:
    found = draws(name, seeds=seeds, folder=folder)
    means = [f"{np.mean([seed[split][0] for seed in found]):.3f}"[1:] for split in SPLITS]
    assert f"| {title} | {' | '.join(means)} |" in PAGES["docs/decisions/0023-muon-for-the-kernels.md"]


def test_means_of_blood_cells_with_muon_are_those_of_the_draws(draws: Callable[..., list[Draws]]) -> None:
    found = draws("dense", seeds=(1, 2), folder="muon_bccd")
    means = [
        f"{np.mean([one[split][0] for one in found]):.3f}".removeprefix("0") for split in ("val", "test")
    ]
    row = f"seeds 1, 2 | 12,480 | {' | '.join(means)} |"
    assert row in PAGES["docs/decisions/0023-muon-for-the-kernels.md"]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("float32", "float32"),
        ("float32, kernels stored in 16 bits", "float16"),
        ("int8", "int8"),
    ],
)
def test_the_files_of_the_shipped_detector_are_those_of_its_figures(title: str, name: str) -> None:
    figures = read_json(FOLDER / "hand-1.json", dict[str, Any])
    size = f"{figures['size_bytes'][name] / 1e6:.2f}"
    found = [f"{figures['accuracy'][name][split]['ap']:.3f}" for split in SPLITS]
    assert f"| {title} | {size} | {' | '.join(found)} |" in PAGES["docs/decisions/0013-what-ships.md"]


class TestOrigins:
    def test_every_page_with_a_table_of_figures_is_named(self) -> None:
        named = set(re.findall(r"^\| \[[^]]*\]\(\.\./([^)]*)\)", ORIGINS, flags=re.MULTILINE))
        cards = [f"src/seyolo/shipped/{name}.md" for name in ("hand", "hand-1")]
        figures = {page for page in PAGES if any(map(has_figures, tables(page)))}
        assert figures - set(NO_FIGURES) <= named, "name the page in benchmarks/README.md"
        assert set(NO_FIGURES) <= figures
        assert named <= {*PAGES, *cards}

    def test_pages_are_sorted_and_no_cell_is_empty(self) -> None:
        table = [cells(line) for line in ORIGINS.split("\n## ")[0].splitlines() if line.startswith("| [")]
        pages = [re.sub(r"\[([^]]*)\].*", r"\1", row[0]).lower() for row in table]
        assert pages == sorted(pages)
        assert all(len(row) == 7 and all(row) for row in table)

    def test_every_program_and_every_result_is_named(self) -> None:
        programs = [path.name for path in (ROOT / "benchmarks").iterdir() if path.suffix == ".py"]
        assert [name for name in programs if name not in ORIGINS] == []
        assert [path.name for path in RESULTS.iterdir() if f"](results/{path.name})" not in ORIGINS] == []

    def test_its_links_and_commands_lead_to_something(self) -> None:
        for target in re.findall(r"\]\(([^)#]*)[^)]*\)", ORIGINS):
            assert (ROOT / "benchmarks" / target).exists(), target
        app = make_app()
        for text in re.findall(r"`((?:seyolo|python) [^`]*)`", ORIGINS):
            words = shlex.split(text)
            if "--data" in words and words[0] == "seyolo":
                app.parse_args(words[1:], exit_on_error=False, print_error=False)
            elif words[0] == "python" and words[1] != "-m":
                source = (ROOT / words[1]).read_text(encoding="utf-8")
                assert all(f'"{word}"' in source for word in words if word.startswith("--")), text


def has_figures(table: Sequence[str]) -> bool:
    """A cell behind the first one begins with a number."""
    return any(re.match(r"[*(−+±]*\.?\d", cell) for line in table[2:] for cell in cells(line)[1:])
