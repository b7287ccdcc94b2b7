"""Pages: one file that loads nothing and holds what the runs found, whatever version they are of."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.html_page import Page, check_page
from seyolo.errors import TrainingError, UsageError
from seyolo.report.outcomes import SlimOutcome
from seyolo.report.pages.terms import linked, term_id
from seyolo.report.pages.write import write_report
from seyolo.report.record import read_run
from seyolo.report.text import size_text
from seyolo.results import read_results


def test_the_page_of_a_slimming_run(slim_run: Path) -> None:
    assert write_report([slim_run]) == slim_run / "report.html"
    page = Page(slim_run / "report.html")
    check_page(page)
    # The slim network misses one object of each split and finds one where there is none.
    counts = json.loads((slim_run / "pictures" / "index.json").read_text())["mistakes"]["test"]
    objects = counts["objects"]
    assert (
        page.text.count(f"Finds {objects - 1} of {objects} hands instead of {objects}, in half the time") == 2
    )
    assert (
        f"the slim network finds {objects - 1} of {objects} hands and makes 1 false detection;" in page.text
    )
    assert "These images show no certain difference (95 % interval −3.0 to +1.0)" in page.text
    assert "seyolo slim --data 'my hands.yaml'" in page.text
    assert "not applicable: <CBAM>" in page.text
    assert "Z80" in page.text
    # Four pairs of samples, and the images with mistakes.
    misses = json.loads((slim_run / "pictures" / "index.json").read_text())["misses"]
    assert len(page.images) == 8 + len(misses)
    labels = " | ".join(str(chart["aria-label"]) for chart in page.charts)
    for part in ("AP on test against MACs: dense 0.810", "latency on ONNX Runtime", "recall on val", "epoch"):
        assert part in labels
    assert "Controls" not in page.text
    assert "The slim network was trained for" not in page.text


def test_warnings_of_the_run_are_repeated_once_on_every_page(slim_run: Path, train_run: Path) -> None:
    assert "Read with care" not in Page(write_report([slim_run])).text
    near = "3 of 20 images of val are near-duplicates of <training> images"
    for run in (slim_run, train_run):
        (run / "warnings.txt").write_text(f"{near}\n")
        page = Page(write_report([run]))
        check_page(page)
        assert page.text.count(near) == 1
        assert page.text.index("Read with care") < page.text.index(near)
    together = Page(write_report([slim_run, train_run], slim_run.parent / "both.html"))
    assert f"hands, baseline: {near}" in together.text


def with_classes(values: dict[str, Any], found: int, num: int = 2) -> None:
    """Gives metrics or curves `num` classes, of which the network finds the last this often."""
    names = [f"c{i}" for i in range(num)]
    values["classes"] = {name: {"ap": 0.7, "ap50": 0.9, "num_objects": 5, "found": 5} for name in names}
    values["classes"][names[-1]] = {"ap": 0.125, "ap50": 0.25, "num_objects": 3, "found": found}


@pytest.mark.parametrize("num", [2, 21])
def test_classes_of_a_slimming_run(slim_run: Path, num: int) -> None:
    assert "By class" not in Page(write_report([slim_run])).text
    path = slim_run / "results.json"
    results = json.loads(path.read_text())
    for stage, found in zip(results["stages"], (3, 3, 0, 0), strict=True):
        for metrics in stage["metrics"].values():
            with_classes(metrics, found, num)
    path.write_text(json.dumps(results))
    page = Page(write_report([slim_run]))
    check_page(page)
    never = f"never finds: c{num - 1} (dense does)"
    assert re.search(rf"from a file [^;]*; {re.escape(never)} ·", page.text)  # the title; so in the headline
    assert f"On test, at confidence 0.25 and above, slim {never}." in page.text
    assert "objectsdenseslimchange" in page.text
    assert "0.1250.1250.000" in page.text
    assert page.text.count("AP test c155") == int(num > 20)  # with 5 objects, in the whole table only
    assert page.text.count(f"AP test c{num - 1}") == (1 if num == 2 else 2)
    assert ("All classes; above are those with the lowest AP" in page.text) == (num > 20)
    assert "AP val c0" not in page.text


def test_classes_of_a_training_run(train_run: Path) -> None:
    shares = [0.5] * 101
    curves = dict.fromkeys(("precision50", "precision75", "precision", "recall", "f1"), shares)
    (train_run / "curves.json").write_text(json.dumps({"train": {"val": curves}}))
    page = Page(write_report([train_run]))
    assert "By class" not in page.text
    assert "Finds 50 of 100 hands on val; 50 of 100 detections are correct ·" in page.text
    with_classes(curves, 0)
    (train_run / "curves.json").write_text(json.dumps({"train": {"val": curves}}))
    page = Page(write_report([train_run]))
    check_page(page)
    assert "50 of 100 detections are correct; never finds: c1 ·" in page.text
    assert "On val, at confidence 0.25 and above, best never finds: c1." in page.text
    assert "AP val c130.125" in page.text  # name, objects and AP
    assert "AP@0.5 val c130.250" in page.text


@pytest.mark.parametrize(
    ("epochs", "said"), [(30, "the dense one for 30"), (0, "the dense one has the given weights")]
)
def test_unequal_training_is_said_beside_the_gain(slim_run: Path, epochs: int, said: str) -> None:
    path = slim_run / "results.json"
    results = json.loads(path.read_text())
    results["stages"][0]["epochs"], results["stages"][-1]["epochs"] = epochs, 60
    path.write_text(json.dumps(results))
    page = Page(write_report([slim_run]))
    told = f"The slim network was trained for 60 epochs in all, {said}"
    assert f"{told}; --controls dense trains" in page.text
    assert page.text.index("Before and after") < page.text.index(f"{told}.") < page.text.index("Up is more")
    assert re.search(r'<th scope="row"><a class="term" href="#term-epochs" title="An epoch is', page.source)


def test_controls_stand_on_the_page_and_in_its_charts(slim_run: Path) -> None:
    path = slim_run / "results.json"
    results = json.loads(path.read_text())
    metrics = {"val": {"ap": 0.7, "ap50": 0.9}, "test": {"ap": 0.7, "ap50": 0.9}}
    row = {"macs": 5_000_000, "input_size": [64, 64], "metrics": metrics, "latency_ms": 2.5, "lead": {}}
    lead = {"test": {"difference": 0.1, "low": 0.05, "high": 0.15}}
    results["controls"] = [
        {"control": "slim", **row},
        {"control": "uniform", **row, "lead": lead},
        {"control": "plain", "not_possible": "nothing to cut"},
    ]
    path.write_text(json.dumps(results))
    page = Page(write_report([slim_run]))
    check_page(page)
    assert "+10.0 (5.0 to 15.0)" in page.text
    assert "plain: nothing to cut" in page.text
    assert any("uniform 0.700 at 5.00 M" in str(chart["aria-label"]) for chart in page.charts)


def test_a_run_of_an_earlier_version_is_readable(slim_run: Path) -> None:
    for name in ("curves.json", "commands.txt", "pictures/index.json", "sparse/scales.csv"):
        (slim_run / name).unlink()
    path = slim_run / "results.json"
    results = json.loads(path.read_text())
    del results["lead"], results["artefacts"]
    for stage in results["stages"]:
        del stage["epochs"]
    path.write_text(json.dumps(results))
    page = Page(write_report([slim_run]))
    check_page(page)
    assert page.images == []
    assert page.text.count(f"seyolo slim --resume {slim_run}") == 3
    assert "No confidence interval of this difference was measured" in page.text


@pytest.mark.parametrize(
    "name",
    ["commands.txt", "environment.json", "pictures/index.json", "dense/results.csv", "dense", "pictures"],
)
def test_a_fixed_name_that_links_out_of_the_run_is_not_read(
    slim_run: Path, tmp_path: Path, name: str
) -> None:
    """The target is what the run had there: without the guard a page would be made from it."""
    elsewhere = tmp_path / "elsewhere"
    (slim_run / name).rename(elsewhere)
    (slim_run / name).symlink_to(elsewhere)
    with pytest.raises(TrainingError, match=f"{name}: links to a file outside of the run; no page is made"):
        write_report([slim_run])


def test_links_inside_a_run_and_to_a_network_elsewhere_are_followed(slim_run: Path, tmp_path: Path) -> None:
    (slim_run / "environment.json").rename(slim_run / "machine.json")
    (slim_run / "environment.json").symlink_to("machine.json")
    (slim_run / "dense.onnx").symlink_to(tmp_path / "dense.onnx")
    (slim_run / "loop.txt").symlink_to("loop.txt")
    (tmp_path / "dense.onnx").write_bytes(b"a network")
    assert write_report([slim_run]).is_file()


@pytest.mark.parametrize("kind", ["samples", "misses"])
@pytest.mark.parametrize("way", ["absolute", "upwards", "link"])
def test_a_file_outside_of_the_run_is_not_read(slim_run: Path, tmp_path: Path, kind: str, way: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("not for a page")
    index = slim_run / "pictures/index.json"
    if way == "link":
        (slim_run / "pictures/link.jpg").symlink_to(secret)
    name = {"absolute": str(secret), "upwards": os.path.relpath(secret, index.parent), "link": "link.jpg"}[
        way
    ]
    values = json.loads(index.read_text())
    values[kind][0]["slim" if kind == "samples" else "picture"] = name
    index.write_text(json.dumps(values))
    with pytest.raises(TrainingError, match="a file outside of the run; no page is made from it"):
        write_report([slim_run])


def test_a_split_without_labels_is_left_out(slim_run: Path) -> None:
    path = slim_run / "results.json"
    results = json.loads(path.read_text())
    for stage in results["stages"]:
        stage["metrics"]["test"] = {"ap": math.nan, "ap50": math.nan}
    path.write_text(json.dumps(results))
    page = Page(write_report([slim_run]))
    check_page(page)
    assert "AP on val changed from 0.800 to 0.790" in page.text
    assert not any("AP on test" in str(chart["aria-label"]) for chart in page.charts)


def test_the_page_of_a_training_run(train_run: Path) -> None:
    page = Page(write_report([train_run]))
    check_page(page)
    assert "AP 0.700 on val" in page.text  # of the best epoch, not of the last
    assert "The best network" in page.source
    assert "the best of 3 epochs is epoch 1" in page.text


def test_a_sparse_training_keeps_its_last_epoch(train_run: Path, tmp_path: Path) -> None:
    """Epoch 1 has AP 0.700, the last 0.650."""
    sparse = shutil.copytree(train_run, tmp_path / "sparse")
    (sparse / "scales.csv").write_text("epoch,0%,50%,100%\n1,0.1,0.2,0.3\n3,0,0.1,0.2\n")
    page = Page(write_report([sparse]))
    check_page(page)
    assert "the last of 3 epochs is epoch 3; sparsity is complete only there" in page.text
    assert "AP 0.650 on val" in page.text
    assert "The last network" in page.source
    assert "best" not in page.text.partition("How to reproduce it")[0]
    both = Page(write_report([sparse, train_run], tmp_path / "both.html"))
    assert "trained for 3 epochs with sparsity, the last is kept: AP 0.650 on val" in both.text
    assert "the best is epoch 1: AP 0.700 on val" in both.text


def test_a_start_that_no_epoch_beats_is_named_as_the_best(train_run: Path, tmp_path: Path) -> None:
    (train_run / "epoch-0.csv").write_text("epoch,val_ap,val_ap50,ap\n0,0.8,0.9,0.8\n")
    page = Page(write_report([train_run]))
    check_page(page)
    assert "the best is the start, by AP on val; none of 3 epochs was better." in page.text
    assert "AP 0.800 on val" in page.text
    assert "val 0.650, start 0.800" in page.source
    other = shutil.copytree(train_run, tmp_path / "other")
    (other / "epoch-0.csv").unlink()
    both = Page(write_report([train_run, other], tmp_path / "both.html"))
    assert "trained for 3 epochs, the best is its start: AP 0.800 on val" in both.text
    assert "trained for 3 epochs, the best is epoch 1: AP 0.700 on val" in both.text


def test_a_slim_network_worse_than_the_pruned_one_is_said_first(slim_run: Path) -> None:
    path = slim_run / "results.json"
    value = json.loads(path.read_text())
    value["stages"][-1]["metrics"]["val"]["ap"] = value["stages"][-2]["metrics"]["val"]["ap"] - 0.2
    path.write_text(json.dumps(value))
    page = Page(write_report([slim_run]))
    assert page.text.index("Fine-tuning lowered AP on val from") < page.text.index("Before and after")
    outcome = SlimOutcome(read_results(path), slim_run)
    assert repr(outcome).startswith("<SlimOutcome: Fine-tuning lowered AP on val from ")
    assert "Fine-tuning lowered AP on val from" in outcome._repr_html_()


def test_several_runs_side_by_side(slim_run: Path, train_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "pages" / "both.html"
    write_report([slim_run])
    page = Page(write_report([slim_run, train_run], out))
    check_page(page)
    for part in ("hands · dense", "hands · slim", "baseline · trained", "2 runs side by side"):
        assert part in page.text
    assert "../hands/report.html" in page.anchors
    # Both have a model of the same name: what is equal is left out.
    assert "yolov3-tiny@0.125" not in page.text
    assert re.search(r"seed\s*7\s*0", re.sub("<[^>]+>", " ", page.source))
    # Defaults are filled in: what both leave as it is, and what only one verb has as usual, is no difference.
    for name in ("optimizer", "batch", "sparsity", "cut.scope"):
        assert f">{name}<" not in page.source


def test_runs_of_train_show_data_curves_and_cost(train_run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(train_run, tmp_path / "larger")
    command = json.loads((other / "command.json").read_text())
    (other / "command.json").write_text(json.dumps({**command, "size_px": 96}))
    start = {
        "network": "yolov3-tiny@0.125", "origin": "new weights", "images": {"train": 300, "val": 12},
        "boxes": {"train": 517, "val": 27}, "num_classes": 1, "device": "cpu", "threads": 1, "batch": 8,
        "input_size": [96, 96], "epochs": {"train": 3}, "steps": {"train": 114}, "seconds": 9.0,
    }  # fmt: skip
    (other / "start.json").write_text(json.dumps(start))
    page = Page(write_report([train_run, other], tmp_path / "both.html"))
    check_page(page)
    assert "trained for 3 epochs, the best is epoch 1: AP 0.700 on val" in page.text
    assert "0.700 on val (12 images of val with 27 objects: too few to tell)" in page.text
    for text in ("300 (517)", "12 (27)", "train 3", "114 of 8 images"):
        assert text in page.text
    labels = [str(chart["aria-label"]) for chart in page.charts]
    assert "AP on val by epoch of baseline, larger" in labels
    assert "AP on val against MACs of baseline, larger" in labels


def test_precision_over_recall_of_runs_side_by_side(slim_run: Path, tmp_path: Path) -> None:
    other = variant(slim_run, "other", batch=4)
    page = Page(write_report([slim_run, other], tmp_path / "both.html"))
    labels = [str(chart["aria-label"]) for chart in page.charts]
    assert "Precision over recall on test of hands, other" in labels


def settings_of(page: Page) -> list[str]:
    """The names of the options in the table of those that differ."""
    section = page.source.partition('<section id="settings">')[2].partition("</section>")[0]
    return re.findall(r'<th scope="row">([^<]+)</th>', section)


def variant(run: Path, name: str, **options: object) -> Path:
    """A copy of a run of `slim` with other options."""
    folder = shutil.copytree(run, run.with_name(name))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | options))
    return folder


def test_only_options_that_really_differ_are_listed(slim_run: Path, tmp_path: Path) -> None:
    """30 epochs are the default, and 11 of sparsity training follow from them."""
    other = variant(slim_run, "other", epochs=30, sparse_epochs=11, optimizer="muon", cache="1GB")
    page = Page(write_report([slim_run, other], tmp_path / "page.html"))
    assert settings_of(page) == ["optimizer", "cache"]
    assert "differ:" not in page.text


def test_other_data_and_sizes_are_warned_of(slim_run: Path, tmp_path: Path) -> None:
    other = variant(slim_run, "other", data="cups/data.yaml")
    results = json.loads((other / "results.json").read_text())
    for stage in results["stages"]:
        stage["input_size"] = [64, 96]
    (other / "results.json").write_text(json.dumps(results))
    page = Page(write_report([slim_run, other], tmp_path / "page.html"))
    check_page(page)
    assert "The data differ: other (cups/data.yaml) is not trained on the data of hands" in page.text
    assert "The input sizes differ" in page.text
    images = {"names": ["hand"], "splits": {"val": {"/a/1.jpg": [9, "x"], "/a/2.jpg": [9, "y"]}}}
    moved = {"names": ["hand"], "splits": {"val": {"/b/2.jpg": [9, "y"], "/b/1.jpg": [9, "x"]}, "test": {}}}
    (slim_run / "data.json").write_text(json.dumps(images))
    (other / "data.json").write_text(json.dumps(moved))
    page = Page(write_report([slim_run, other], tmp_path / "page.html"))
    assert "The data differ" not in page.text  # the same images at another place
    assert "data" not in settings_of(page)
    (other / "data.json").write_text(json.dumps({**moved, "names": ["cup"]}))
    assert "The data differ" in Page(write_report([slim_run, other], tmp_path / "page.html")).text


def test_seeds_are_one_row_with_mean_and_deviation(slim_run: Path, tmp_path: Path) -> None:
    runs = [variant(slim_run, f"tiny-{seed}", seed=seed) for seed in range(3)]
    for run, ap in zip(runs, (0.70, 0.75, 0.80), strict=True):
        results = json.loads((run / "results.json").read_text())
        results["stages"][-1]["metrics"]["test"]["ap"] = ap
        (run / "results.json").write_text(json.dumps(results))
    page = Page(write_report([slim_run, *runs], tmp_path / "page.html"))
    check_page(page)
    assert "hands · slim (4 seeds)" in page.text
    page = Page(write_report([*runs, variant(slim_run, "other", optimizer="muon")], tmp_path / "page.html"))
    assert "tiny · slim (3 seeds)" in page.text
    assert "0.750 ± 0.050" in page.text  # the deviation of a sample: sqrt((0.05² + 0.05²) / 2)
    assert "other · slim" in page.text
    assert re.search(r"seed\s*0, 1, 2\s*7", re.sub("<[^>]+>", " ", page.source))


def test_more_than_twelve_groups_are_refused(slim_run: Path, tmp_path: Path) -> None:
    runs = [variant(slim_run, f"run-{number}", lr=0.001 + number / 1000) for number in range(13)]
    with pytest.raises(UsageError, match="at most 12 fit on one page"):
        write_report(runs, tmp_path / "page.html")
    seeds = [variant(slim_run, f"seed-{seed}", seed=seed) for seed in range(13)]
    assert "13 seeds" in Page(write_report(seeds, tmp_path / "page.html")).text


def test_no_image_is_lazy_and_int8_is_listed(slim_run: Path) -> None:
    for name in ("slim_int8.onnx", "slim.onnx"):
        (slim_run / name).write_bytes(b"a network")
    page = Page(write_report([slim_run]))
    assert "loading=" not in page.source
    assert "slim_int8.onnx" in page.text
    assert page.text.index("slim.onnx") < page.text.index("slim_int8.onnx")
    assert "smaller than" not in page.text
    (slim_run / "slim_int8.onnx").write_bytes(b"smaller")
    assert "the slim network in int8, smaller than slim.onnx" in Page(write_report([slim_run])).text


def test_the_table_says_why_there_is_no_int8(slim_run: Path) -> None:
    path = slim_run / "results.json"
    results = json.loads(path.read_text())
    results["artefacts"]["slim_int8.onnx"] = "not applicable: nothing was found on 28 images"
    path.write_text(json.dumps(results))
    section = Page(write_report([slim_run])).source.partition('<section id="table">')[2]
    below = section.partition("</table>")[2].partition("</section>")[0]
    assert "slim_int8.onnx was not written: nothing was found on 28 images." in below


def test_the_first_columns_are_dense_slim_and_change_and_slim_is_bold(slim_run: Path) -> None:
    path = slim_run / "results.json"
    results = json.loads(path.read_text())
    results["int8"] = {**results["stages"][-1], "stage": "int8", "size_bytes": 777}
    path.write_text(json.dumps(results))
    page = Page(write_report([slim_run]))
    table = page.source.partition('<section id="table">')[2].partition("</table>")[0]
    header = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", table)
    words = [re.sub("<[^>]+>", "", cell) for cell in header]
    assert words == ["", "dense", "slim", "change", "slim int8", "sparse", "pruned"]
    (row,) = re.findall(r"<th scope=\"row\">File</th>(.*?)</tr>", table)
    cells = re.findall("<td([^>]*)>(.*?)</td>", row)
    slim_bytes = results["stages"][-1]["size_bytes"]
    assert [text for attributes, text in cells if "slim" in attributes] == [size_text(slim_bytes)]
    assert cells[3][1] == "777 B"
    assert "finetuned" not in re.sub(r"<dd>.*?</dd>", "", page.source)  # only the glossary names the folder


def test_terms_are_explained_on_hover_and_in_the_glossary(slim_run: Path, train_run: Path) -> None:
    for run in (slim_run, train_run):
        page = Page(write_report([run]))
        for term in ("AP", "MACs"):
            assert f'<a class="term" href="#{term_id(term)}" title="' in page.source
            assert f'<dt id="{term_id(term)}">{term}</dt>' in page.source
    assert str(linked("MAP of MACs, AP@0.5 & AP@0.75")).count("<a") == 2


def test_networks_that_have_not_learned_are_told_first(slim_run: Path) -> None:
    path = slim_run / "results.json"
    results = json.loads(path.read_text())
    for stage in results["stages"]:
        stage["metrics"]["val"]["ap50"] = 0.02
    path.write_text(json.dumps(results))
    page = Page(write_report([slim_run]))
    check_page(page)
    heading = re.search("<h1>(.*?)</h1>", page.source)
    assert heading is not None
    assert heading[1].startswith("Neither network has learned: AP@0.5 on val is 0.020 dense, 0.020 slim")
    assert "What it does all the same: Finds" in page.text


def test_with_noisy_timing_the_headline_counts_macs(slim_run: Path) -> None:
    path = slim_run / "results.json"
    results = json.loads(path.read_text())
    results["stages"][1]["latency_ms"]["onnxruntime"] *= 2  # dense and sparse have one shape
    path.write_text(json.dumps(results))
    page = Page(write_report([slim_run]))
    heading = re.search("<h1>(.*?)</h1>", page.source)
    assert heading is not None
    assert "of the computation" in heading[1] or "half the computation" in heading[1]
    assert "time" not in heading[1]
    assert "Timing was noisy" in page.text


@pytest.mark.parametrize("name", ["t.html", "t.csv", "t.md", "t.tex"])
def test_a_column_that_no_run_fills_is_left_out(
    name: str, slim_run: Path, train_run: Path, tmp_path: Path
) -> None:
    other = train_run.with_name("other")
    shutil.copytree(train_run, other)
    head = 'href="#term-p50"' if name == "t.html" else "p50"  # the glossary has p50 in any case
    text = write_report([train_run, other], tmp_path / name).read_text()
    assert head not in text
    assert "macs" in text.lower()
    assert head in write_report([train_run, slim_run], tmp_path / name).read_text()


@pytest.mark.parametrize("name", ["t.csv", "t.md", "t.tex", "T.CSV"])
@pytest.mark.parametrize("num", [1, 2])
def test_tables_as_files(slim_run: Path, train_run: Path, tmp_path: Path, name: str, num: int) -> None:
    out = write_report([slim_run, train_run][:num], tmp_path / name)
    text = out.read_text()
    match out.suffix.lower():
        case ".csv":
            rows = list(csv.DictReader(text.splitlines()))
            assert [row["network"] for row in rows] == ["dense", "sparse", "pruned", "slim", "trained"][
                : 3 + num
            ]
            assert (rows[0]["run"], rows[0]["seed"], rows[0]["ap_test"]) == ("hands", "7", "0.81")
            assert rows[3]["p50_ms_onnxruntime"] == "2"
            assert num == 1 or (rows[4]["p50_ms_onnxruntime"], rows[4]["ap_val"]) == ("", "0.7")
        case ".md":
            widths = {line.count("|") for line in text.splitlines()}
            assert len(widths) == 1
            assert ("| hands · slim |" if num == 2 else "| AP test |") in text
        case ".tex":
            assert text.startswith("\\begin{tabular}{l")
            assert text.count("\\\\\n") == text.count(" \\\\")
            assert ("hands $\\cdot$ slim" if num == 2 else "$-$0.010") in text


def test_another_ending_is_refused_before_anything_is_written(slim_run: Path, tmp_path: Path) -> None:
    for name in ("t.xlsx", "t", "t.doc"):
        with pytest.raises(UsageError, match=r"use \.html, \.csv, \.md or \.tex"):
            write_report([slim_run], tmp_path / name)
    assert list(tmp_path.glob("t*")) == []


def test_what_is_no_run_is_refused(tmp_path: Path, train_run: Path) -> None:
    with pytest.raises(UsageError, match="no finished run of slim or train here"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="at least one"):
        write_report([])
    (train_run / "command.json").write_text("{")
    with pytest.raises(TrainingError, match=r"command\.json: cannot be read as JSON"):
        write_report([train_run])
