"""Means, deviations and leads over the seeds, by hand, and the tables of them."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from helpers.html_page import Page, check_page
from seyolo.cli import main
from seyolo.errors import UsageError
from seyolo.files import write_json
from seyolo.json_files import to_json
from seyolo.options.cut import CutOptions
from seyolo.options.slim import SlimOptions
from seyolo.report.figures.study import write_study_chart
from seyolo.report.pages.write import write_report
from seyolo.report.record import slim_settings
from seyolo.report.tables.study import (
    explanations,
    study_cells,
    study_note,
    study_table,
    write_networks,
    write_study_tables,
)
from seyolo.results import SplitMetrics
from seyolo.study_results import RESULTS as RESULTS_FOLDER
from seyolo.study_results import STUDY_FILE, Cell, NetworkResult, Spread, study_rows


def network(gate: str, seed: int, ap: float, budget: str = "dense", **values: object) -> NetworkResult:
    place, join = ("", "") if gate == "none" else ("neck", "add")
    fields = {"epochs": 30, "params": 1_000_000, "macs": 200_000_000, "input_size": (256, 256)}
    times = {"latency_ms": 6.0, "plain_ms": 5.0}
    metrics = {"val": SplitMetrics(ap, ap + 0.3), "test": SplitMetrics(ap - 0.1, ap + 0.2)}
    given = {**fields, **times, "metrics": metrics, **values}
    return NetworkResult(gate=gate, place=place, join=join, budget=budget, seed=seed, **given)  # type: ignore[arg-type]


RESULTS = [
    network("none", 0, 0.40), network("none", 1, 0.44),
    network("se", 0, 0.43), network("se", 1, 0.43), network("se", 2, 0.46),
    network("se", 0, 0.41, "macs=30%", params=500_000),
]  # fmt: skip


BEST = "each network is that of its best epoch on val, so AP there is a little optimistic"


def stored_study(folder: Path) -> Path:
    """A study of two gates and two seeds, of which one network is missing."""
    found = [network("se", 1, 0.2), network("none", 1, 0.24), network("none", 0, 0.20, "macs=30%")]
    found += [network("se", 0, 0.19), network("none", 0, 0.20), network("se", 0, 0.1, "macs=30%")]
    found.append(network("se", 1, 0.1, "macs=30%"))
    for one in found:
        path = Cell(one.gate, one.place, one.join, one.seed).result(folder, one.budget)
        write_json(path, to_json(one))
    axes = {"gates": ["none", "se"], "places": ["neck"], "joins": ["add"], "budgets": ["macs=30%"]}
    slim = {"model": "yolov3-tiny@0.25", "data": "hands", "cut": {"scope": "all"}}
    write_json(folder / STUDY_FILE, {"study": {**axes, "seeds": [0, 1]}, "slim": slim})
    return folder


def test_the_page_of_a_study(tmp_path: Path) -> None:
    folder = stored_study(tmp_path / "gates")
    assert write_report([folder]) == folder / "report.html"
    page = Page(folder / "report.html")
    check_page(page)
    for text in (
        "seyolo study · gates",
        "7 networks: gates none, se",
        "yolov3-tiny@0.25 on hands",
        "cut.scope",
    ):
        assert text in page.text
    assert f"1 network missing; go on with: seyolo study --resume {folder}" in page.text
    assert f"{BEST}; quote AP on test." in page.text
    assert "No network has learned" not in page.text  # AP@0.5 is 0.3 higher
    rows = re.findall(r'<th scope="row">(none|se neck add)</th><td>([^<]+)</td><td>([^<]+)</td>', page.source)
    assert rows == [
        ("none", "dense", "2"), ("se neck add", "dense", "2"),
        ("none", "macs=30%", "1 of 2"), ("se neck add", "macs=30%", "2"),
    ]  # fmt: skip
    assert len(page.charts) == 1


def test_the_page_lists_the_options_that_all_networks_share(tmp_path: Path) -> None:
    folder = stored_study(tmp_path / "gates")
    stored = json.loads((folder / STUDY_FILE).read_text())
    (folder / STUDY_FILE).write_text(json.dumps(stored | {"slim": to_json(SlimOptions(model="x", lr=0.001))}))
    options = Page(write_report([folder])).source.partition('<section id="settings">')[2]
    shown = dict(re.findall(r'<th scope="row">([^<]+)</th><td>([^<]*)</td>', options))
    assert not {"budget", "seed", "join", "attention", "at", "finetune", "controls"} & shown.keys()
    assert (shown["model"], shown["lr"], shown["cut.scope"]) == ("x", "0.001", "all")
    assert (shown["cut.importance"], shown["cut.evenness"]) == ("obs", "2")
    assert shown["cut.multiple"] == "8, and 16 in groups of 128 and more"


@pytest.mark.parametrize(
    ("options", "importance", "evenness"),
    [
        (SlimOptions(), "obs", "2"),
        (SlimOptions(sparsity="steered", epochs=10), "bn", "0 to 1, by the MACs that stay"),
        (SlimOptions(cut=CutOptions(importance="norm", evenness=0.5)), "norm", 0.5),
    ],
)
def test_settings_name_the_defaults(options: SlimOptions, importance: str, evenness: object) -> None:
    shown = slim_settings(to_json(options))
    assert (shown["cut.importance"], shown["cut.evenness"]) == (importance, evenness)
    assert slim_settings({"cut": {"importance": 3}}) == {"cut.importance": 3}  # of another version


def test_the_tables_of_a_stopped_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stored_study(tmp_path / "gates")
    assert main(["report", str(folder)]) in (None, 0)
    printed = capsys.readouterr()
    assert "1 of 2" in printed.out
    assert str(folder / "report.html") in printed.out.replace("\n", "")
    assert f"missing: none-1 macs=30%; go on with: seyolo study --resume {folder}" in printed.err
    assert len((folder / "networks.csv").read_text().splitlines()) == 1 + 7
    assert "| none | macs=30% | 1 of 2 |" in (folder / "study.md").read_text()
    assert (folder / "study.png").is_file()


def test_a_study_is_reported_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stored_study(tmp_path / "gates")
    with pytest.raises(UsageError, match="name its folder alone"):
        write_report([folder, tmp_path])
    for ending, said in {
        "csv": "every mean and deviation is {}",
        "md": "the table as Markdown is {}",
        "tex": "the table as LaTeX is {}",
        "png": "the chart is {}",
        "PDF": "the chart as a vector file is {}",
    }.items():
        file = folder / f"study.{ending.lower()}"
        with pytest.raises(UsageError, match=re.escape(f"is its page, .html; {said.format(file)}") + "$"):
            write_report([folder], tmp_path / f"x.{ending}")
        assert main(["report", str(folder), "--out", str(tmp_path / f"x.{ending}")]) == 2
        assert "dense" not in capsys.readouterr().out  # no table before the error
        assert file.is_file()
    with pytest.raises(UsageError, match=r"gates are networks\.csv, study\.csv, .*, study\.png, study\.pdf$"):
        write_report([folder], tmp_path / "x.svg")
    shutil.rmtree(folder / RESULTS_FOLDER)
    with pytest.raises(UsageError, match="no network of this study is done yet; go on with: seyolo study"):
        write_report([folder])


def test_rows_by_hand() -> None:
    plain, gated, slim = study_rows(RESULTS)
    assert plain.seeds == (0, 1)
    assert plain.ap["val"].mean == pytest.approx(0.42)
    assert plain.ap["val"].deviation == pytest.approx(0.02 * math.sqrt(2))  # of two: |a - b| / sqrt 2
    assert gated.ap["test"].mean == pytest.approx(0.34)
    assert gated.share.mean == pytest.approx(1.2)
    # Seeds that both have: +0.03 and -0.01
    assert gated.lead["val"].mean == pytest.approx(0.01)
    assert gated.lead["val"].deviation == pytest.approx(0.04 / math.sqrt(2))
    assert math.isnan(plain.lead["val"].mean)
    assert math.isnan(slim.lead["val"].mean)  # nothing without gates at this budget
    assert (slim.ap["val"].mean, math.isnan(slim.ap["val"].deviation)) == (0.41, True)
    assert slim.params == 500_000
    assert math.isnan(Spread.of([]).mean)


def test_cells() -> None:
    header, plain, gated, slim = study_cells(study_rows(RESULTS), 3, ["val"])
    assert header == ["gates", "budget", "seeds", "AP val", "over none", "MACs", "params", "latency"]
    only_plain = study_cells(study_rows(RESULTS[:2]), 2, ["val"])
    assert only_plain[0] == ["gates", "budget", "seeds", "AP val", "MACs", "params", "latency"]
    assert plain == ["none", "dense", "2 of 3", "0.420±0.028", "", "200 M", "1.00 M", "1.20x"]
    assert gated == ["se neck add", "dense", "3", "0.440±0.017", "+0.010±0.028", "200 M", "1.00 M", "1.20x"]
    assert slim == ["se neck add", "macs=30%", "1 of 3", "0.410", "", "200 M", "500 k", "1.20x"]


def test_a_lead_that_rounds_to_zero_has_no_sign() -> None:
    plain = [network("none", seed, 0.4) for seed in (0, 1)]
    for lead in (-0.0001, 0.0001):
        found = study_cells(study_rows([*plain, network("se", 0, 0.4 + lead)]), 2, ["val"])
        assert found[2][4] == "0.000"
    assert study_cells(study_rows([*plain, network("se", 0, 0.394)]), 2, ["val"])[2][4] == "−0.006"


def test_the_note_explains_deviation_and_noise() -> None:
    plain = "± is the sample standard deviation over the seeds (n − 1)"
    little = f"{plain}; of two seeds it says little, also where it is 0.000"
    assert study_note(study_rows([network("se", seed, 0.4) for seed in (0, 1, 2)])) == plain
    assert study_note(study_rows(RESULTS[:2])) == little
    assert study_note(study_rows(RESULTS)) == little  # some rows have two
    noisy = [network("none", 0, 0.4, noise=0.02), network("none", 0, 0.4, "macs=30%", noise=0.08)]
    assert study_note(study_rows(noisy)) == (
        "of one seed no deviation is known, and a difference says little; "
        "behind a latency, ± is the noise of its measurement"
    )


def test_the_note_on_noisy_latencies(tmp_path: Path) -> None:
    quiet, loud = ([network("none", seed, 0.4, noise=noise) for seed in (0, 1, 2)] for noise in (0.5, 0.501))
    largest = "behind a latency, ± is the noise of its measurement, the largest of the seeds"
    assert study_note(study_rows(quiet)).endswith(f"(n − 1); {largest}")
    nothing = "; above ±50 % a latency says nothing: "
    nothing += "remove the file of that network in results/ and resume the study"
    for rows in (study_rows(loud), study_rows([quiet[0], quiet[1], loud[2]])):
        assert study_note(rows).endswith(f"{largest}{nothing}")
    assert study_note(study_rows(loud[:1])).endswith(f"of its measurement{nothing}")
    write_study_tables(study_rows(loud), tmp_path, 3)
    assert nothing in (tmp_path / "study.md").read_text()
    assert "a latency says nothing" in (tmp_path / "study.tex").read_text()


def test_the_notes_say_that_val_chose_the_epoch() -> None:
    (row,) = study_rows([network("none", 0, 0.4)])
    only_val = replace(row, ap={"val": row.ap["val"]})
    two = replace(row, ap={"val": row.ap["val"], "val_small": row.ap["val"], "test": row.ap["test"]})
    only_test = replace(row, ap={"test": row.ap["test"]})
    assert explanations([row])[1:] == [f"{BEST}; quote AP on test"]
    assert explanations([only_val])[1:] == [BEST]
    assert explanations([two])[1:] == [f"{BEST.replace('on val', 'on val and val_small')}; quote AP on test"]
    assert explanations([only_test])[1:] == []


def test_a_latency_has_the_noise_of_its_measurement(tmp_path: Path) -> None:
    rows = study_rows([network("none", 0, 0.4, noise=0.02), network("none", 0, 0.4, "macs=30%", noise=0.084)])
    _, dense, slim = study_cells(rows, 1, ["val"])
    assert (dense[-1], slim[-1]) == ("1.20x ±2 %", "1.20x ±8 %")
    write_study_tables(rows, tmp_path, 1)
    assert "| 1.20x ±8 % |" in (tmp_path / "study.md").read_text()
    assert r"& 1.20x $\pm$8 \% \\" in (tmp_path / "study.tex").read_text()


def test_files(tmp_path: Path) -> None:
    rows = study_rows(RESULTS)
    write_study_tables(rows, tmp_path, 3)
    with (tmp_path / "study.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 6  # three rows on two splits
    assert table[2] == {
        "gate": "se", "place": "neck", "join": "add", "budget": "dense", "split": "val", "seeds": "0 1 2",
        "epochs": "30", "ap": "0.44", "ap_deviation": "0.01732", "ap50": "0.74", "ap50_deviation": "0.01732",
        "lead": "0.01", "lead_deviation": "0.02828", "params": "1000000", "macs": "200000000",
        "latency_ms": "6.0", "latency_share": "1.2", "latency_noise": "0.0",
    }  # fmt: skip
    assert table[0]["lead"] == ""
    markdown = (tmp_path / "study.md").read_text()
    assert "| se neck add | macs=30% | 1 of 3 | 0.410 |  | 0.310 |  | 200 M | 500 k | 1.20x |" in markdown
    latex = (tmp_path / "study.tex").read_text()
    assert r"none & dense & 2 of 3 & 0.420$\pm$0.028 &" in latex
    assert r"macs=30\% &" in latex
    assert markdown.endswith(f"|\n\n{study_note(rows)}\n\n{BEST}; quote AP on test\n")
    little = "(n $-$ 1); of two seeds it says little, also where it is 0.000."
    start = (
        r"\end{tabular}" "\n" r"\par\smallskip\noindent{\footnotesize $\pm$ is the sample standard deviation"
    )
    assert f"{start} over the seeds {little}\\par}}\n" in latex
    assert f"{{\\footnotesize {BEST}; quote AP on test.\\par}}\n" in latex
    assert latex.count("&") == latex.count(r"\\") * 9
    bad = SplitMetrics(0.1, 0.2)
    write_study_tables(study_rows([network("se", 0, 0.1, metrics={"val": bad})]), tmp_path, 1)
    learned = "no network has learned: AP@0.5 is 0.200 at most, and one is of use from 0.3 on"
    for ending in ("md", "tex"):
        assert learned in (tmp_path / f"study.{ending}").read_text()
    write_study_chart(rows, tmp_path)
    assert (tmp_path / "study.png").read_bytes()[:4] == b"\x89PNG"
    drawn = (tmp_path / "study.pdf").read_bytes()
    assert drawn[:5] == b"%PDF-"
    assert b"/Type3" not in drawn
    write_study_chart(rows, tmp_path)
    assert (tmp_path / "study.pdf").read_bytes() == drawn


def test_each_network_has_a_row(tmp_path: Path) -> None:
    only_val = network(
        "se", 2, 0.5, metrics={"val": SplitMetrics(0.123456789, 0.5)}, plain_ms=4.5, noise=0.02
    )
    write_networks([*RESULTS[:4], only_val], tmp_path)
    with (tmp_path / "networks.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert table[4] == {
        "gate": "se", "place": "neck", "join": "add", "budget": "dense", "seed": "2", "epochs": "30",
        "params": "1000000", "macs": "200000000", "latency_ms": "6.0", "plain_ms": "4.5",
        "latency_noise": "0.02", "ap_val": "0.123456789", "ap50_val": "0.5", "ap_test": "", "ap50_test": "",
    }  # fmt: skip
    by_seed = {(row["gate"], row["seed"]): float(row["ap_val"]) for row in table}
    leads = [by_seed["se", seed] - by_seed["none", seed] for seed in "01"]
    lead = study_rows(RESULTS)[1].lead["val"]
    assert Spread.of(leads) == Spread(pytest.approx(lead.mean), pytest.approx(lead.deviation))


def test_the_table_fits_a_terminal() -> None:
    console = Console(width=80)
    timed = [replace(result, noise=0.03) for result in RESULTS]
    with console.capture() as capture:
        console.print(study_table(study_rows(timed), 3))
    assert "1.20x ±3 %" in capture.get()
    assert "0.330" not in capture.get()  # the split val has no room
    assert "0.340±0.017" in capture.get()
    assert all(len(line) <= 80 for line in capture.get().splitlines())
