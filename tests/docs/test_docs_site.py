"""The site of the documentation is whole: no warning, no broken link, every public name and every verb."""

from __future__ import annotations

import html
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import seyolo
from helpers.doc_pages import PAGES, ROOT
from seyolo.cli import DATA_VERBS, VERBS

LINK = re.compile(r"\]\(([^)#\s]+)")
LISTS = ["docs/reference/verbs.md", "docs/reference/python.md", "docs/decisions/index.md"]
ALL_VERBS = [*VERBS, *(f"data {verb}" for verb in DATA_VERBS)]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages."""
    pytest.importorskip("furo", reason='needs the site\'s packages: pip install "seyolo[docs]"')
    folder = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*line, "docs", str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def text_of(part: str) -> str:
    """HTML as a reader sees it, in one line, with plain apostrophes."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", part)).replace("’", "'").split())


@pytest.fixture(scope="session")
def python_pages(site: Path) -> str:
    """The pages of all topics of the Python reference."""
    pages = [site / "reference/python.html", *sorted((site / "reference/python").glob("*.html"))]
    return "".join(page.read_text(encoding="utf-8") for page in pages)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in seyolo.__all__ if name != "api"])
def test_a_public_name_has_its_signature_and_docstring(python_pages: str, name: str) -> None:
    found = re.search(
        rf'<dt class="[^"]*" id="seyolo\.{name}">(.*?)</dt>(.*?)(?=<dt |\Z)', python_pages, flags=re.DOTALL
    )
    assert found is not None
    value = getattr(seyolo, name)
    if name == "__version__":
        return
    if name != "SeyoloError":
        for parameter in inspect.signature(value).parameters:
            assert parameter in text_of(found[1])
    sentence = (inspect.getdoc(value) or "").partition("\n\n")[0].replace("`", "")
    assert " ".join(sentence.split()) in text_of(found[2])


@pytest.mark.slow
def test_every_function_of_the_api_has_a_topic(python_pages: str) -> None:
    for name in set(seyolo.api.__all__) - set(seyolo.__all__):
        assert python_pages.count(f'id="seyolo.api.{name}"') == 1, name


@pytest.mark.slow
@pytest.mark.parametrize("verb", ALL_VERBS)
def test_every_option_stands_on_the_page_of_its_verb(verb: str, site: Path) -> None:
    shown = (ROOT / f"tests/regression/help/{verb.replace(' ', '-')}.txt").read_text(encoding="utf-8")
    names = set(re.findall(r"^│ [* ]*(?:[A-Z]\w* )?(--[a-z][a-z0-9-]*)", shown, re.MULTILINE))
    assert names
    for page in (f"reference/verbs/{verb.partition(' ')[0]}.html", "reference/cli.html"):
        told = text_of((site / page).read_text(encoding="utf-8"))
        assert {name for name in names if name not in told} == set()
        assert f"seyolo {verb} " in told


@pytest.mark.slow
def test_commands_can_be_copied_and_output_cannot(site: Path) -> None:
    script = (site / "_static/copybutton.js").read_text(encoding="utf-8")
    assert "div:not(.highlight-text) > div.highlight > pre" in script


def test_the_map_names_every_page() -> None:
    """Itself, or by a page that lists those of a folder and is named in it."""
    lists = ["docs/README.md", *LISTS]
    named = {((ROOT / page).parent / link).resolve() for page in lists for link in LINK.findall(PAGES[page])}
    in_map = {(ROOT / "docs" / link).resolve() for link in LINK.findall(PAGES["docs/README.md"])}
    assert {ROOT / page for page in LISTS} <= in_map
    named = {path for path in named if path.suffix == ".md"}
    there = {(ROOT / page).resolve() for page in PAGES} - {ROOT / "README.md", ROOT / "docs/README.md"}
    assert named - {ROOT / "README.md"} == there


@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_to_a_file(page: str) -> None:
    for link in LINK.findall(PAGES[page]):
        if "://" not in link:
            assert ((ROOT / page).parent / link).exists(), link
