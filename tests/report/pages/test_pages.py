"""Pages: one file that loads nothing and holds what the runs found, whatever version they are of."""

from __future__ import annotations

import json
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from seyolo.errors import TrainingError, UsageError
from seyolo.report.pages.write import write_report
from seyolo.report.record import read_run

MAX_BYTES = 5_000_000
VOID = {"meta", "img", "link", "br", "path", "use"}


class Page(HTMLParser):
    """What a browser and a screen reader would look for."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.open_tags, self.headings = "", [], []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.charts: list[dict[str, str | None]] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in VOID:
            self.open_tags.append(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in values:
            self.ids.append(str(values["id"]))
        if tag == "a":
            self.anchors.append(str(values["href"]))
        if tag == "img":
            self.images.append(values)
        if tag == "svg":
            self.charts.append(values)

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open_tags.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check_page(page: Page) -> None:
    """What holds for every page."""
    assert page.open_tags == []
    assert len(page.source.encode()) < MAX_BYTES
    assert "<script" not in page.source
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*//", page.source)
    assert not re.findall(r"@import|url\((?!#)", page.source)
    assert all(image["alt"] and str(image["src"]).startswith("data:image/jpeg") for image in page.images)
    assert all(chart["aria-label"] and chart["role"] == "img" for chart in page.charts)
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(low - high <= 1 for high, low in zip(page.headings, page.headings[1:], strict=False))
    assert len(set(page.ids) & {anchor[1:] for anchor in page.anchors}) >= 3
    assert {anchor[1:] for anchor in page.anchors if anchor.startswith("#")} <= set(page.ids)
    assert "None" not in page.text
    assert "nan" not in page.text.split()


def test_the_page_of_a_slimming_run(slim_run: Path) -> None:
    assert write_report([slim_run]) == slim_run / "report.html"
    page = Page(slim_run / "report.html")
    check_page(page)
    assert "2.0x faster on ONNX Runtime, AP −1.0" in page.text
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


def test_unequal_training_is_said_beside_the_gain(slim_run: Path) -> None:
    path = slim_run / "results.json"
    results = json.loads(path.read_text())
    results["stages"][0]["epochs"], results["stages"][-1]["epochs"] = 30, 60
    path.write_text(json.dumps(results))
    page = Page(write_report([slim_run]))
    assert (
        "The slim network was trained for 60 epochs in all, the dense one for 30; --controls dense trains"
        in page.text
    )


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
    assert "the best of 3 epochs is epoch 1" in page.text


def test_several_runs_side_by_side(slim_run: Path, train_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "pages" / "both.html"
    write_report([slim_run])
    page = Page(write_report([slim_run, train_run], out))
    check_page(page)
    for part in ("hands · dense", "hands · slim", "baseline · trained", "2 runs side by side"):
        assert part in page.text
    assert "../hands/report.html" in page.anchors
    # Both have a model of the same name: what is equal is left out, what one has alone is a dash.
    assert "yolov3-tiny@0.125" not in page.text
    assert re.search(r"seed\s*7\s*0", re.sub("<[^>]+>", " ", page.source))


def test_what_is_no_run_is_refused(tmp_path: Path, train_run: Path) -> None:
    with pytest.raises(UsageError, match="no finished run of slim or train here"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="at least one"):
        write_report([])
    (train_run / "command.json").write_text("{")
    with pytest.raises(TrainingError, match=r"command\.json: cannot be read as JSON"):
        write_report([train_run])
