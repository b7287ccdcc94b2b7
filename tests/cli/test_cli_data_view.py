"""`seyolo data view`: a page from every format, and what makes none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.html_page import Page, check_page
from helpers.pictured import write_scenes
from helpers.running import Run, assert_refused
from helpers.written_datasets import FORMATS


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_has_a_page(kind: str, run: Run) -> None:
    path = FORMATS[kind](Path("written"))
    outcome = run("data", "view", path, "--out", "page.html", "--images", 3)
    assert (outcome.code, outcome.out.strip()) == (0, "page.html"), outcome.err
    page = Page(Path("page.html"))
    check_page(page)
    assert "6 images, 7 boxes, 2 classes" in page.text


def test_the_command_refuses_what_makes_no_page(run: Run) -> None:
    data = write_scenes(Path("hands"), {"train": [1, 2], "val": [3]})
    assert_refused(run("data", "view", data, "--out", "page.png"), "a page is a file .html")
    assert_refused(run("data", "view", data, "--images", 0), "--images 0")
    assert_refused(run("data", "view", data, "--seed", -1), "--seed -1")
    assert_refused(run("data", "view", "gone"), "gone")
    assert run("data", "view", data).code == 0
    assert Path("data.html").exists()


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("torch onnx", ""),
        ("torch matplotlib jinja2 faster_coco_eval scipy", "matplotlib"),
        ("torch jinja2", "jinja2"),
        ("torch faster_coco_eval", "faster_coco_eval"),
    ],
)
def test_a_page_needs_no_pytorch_and_names_what_it_needs(tmp_path: Path, missing: str, named: str) -> None:
    """A process of its own, since the modules of the page are imported once."""
    data = write_scenes(tmp_path / "hands", {"train": [1, 2]})
    script = (
        f"import sys\nfor name in {missing.split()}: sys.modules[name] = None\n"
        "from seyolo.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    line = [sys.executable, "-c", script, "data", "view", str(data)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert done.returncode == (2 if named else 0), done.stderr
    advice = "get it with: pip install matplotlib jinja2 faster-coco-eval scipy\n"
    assert (f"this needs {named}, which is not installed; {advice}" in done.stderr) is bool(named)
    assert (tmp_path / "data.html").exists() is not bool(named)
