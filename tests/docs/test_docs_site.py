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


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in seyolo.__all__ if name != "api"])
def test_a_public_name_has_its_signature_and_docstring(site: Path, name: str) -> None:
    page = (site / "reference/python.html").read_text(encoding="utf-8")
    found = re.search(
        rf'<dt class="[^"]*" id="seyolo\.{name}">(.*?)</dt>(.*?)(?=<dt |\Z)', page, flags=re.DOTALL
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
def test_the_functions_of_the_api_and_all_verbs_are_there(site: Path) -> None:
    page = (site / "reference/python.html").read_text(encoding="utf-8")
    for name in set(seyolo.api.__all__) - {"evaluate", "slim", "train"}:
        assert f'id="seyolo.api.{name}"' in page, name
    verbs = text_of((site / "reference/cli.html").read_text(encoding="utf-8"))
    for verb in [*VERBS, *(f"data {name}" for name in DATA_VERBS)]:
        assert f"seyolo {verb}" in verbs
    assert "--least-share FLOAT" in verbs


def test_the_map_names_every_page() -> None:
    named = {(ROOT / "docs" / link).resolve() for link in LINK.findall(PAGES["docs/README.md"])}
    there = {(ROOT / page).resolve() for page in PAGES} - {ROOT / "README.md", ROOT / "docs/README.md"}
    assert named == there


@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_to_a_file(page: str) -> None:
    for link in LINK.findall(PAGES[page]):
        if "://" not in link:
            assert ((ROOT / page).parent / link).exists(), link
