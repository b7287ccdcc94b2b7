"""Every verb has a page, and the glossary every word of the reports.

`test_docs_site.py` looks at the built pages: every option of a verb is on its page.
"""

from __future__ import annotations

import re

import pytest

from helpers.doc_pages import BLOCKS, PAGES, commands
from seyolo.cli import DATA_VERBS, VERBS
from seyolo.report.pages.terms import TERMS, WORDS

PARTS = ["Common commands", "Options", "What it writes", "Errors", "Related"]
ALL = [*VERBS, *(f"data {verb}" for verb in DATA_VERBS)]
GLOSSARY = PAGES["docs/reference/glossary.md"]


def page_of(verb: str) -> str:
    return f"docs/reference/verbs/{verb.partition(' ')[0]}.md"


def test_every_verb_has_a_page_and_every_page_a_verb() -> None:
    pages = {page for page in PAGES if page.startswith("docs/reference/verbs/")}
    assert pages == {page_of(verb) for verb in ALL}


@pytest.mark.parametrize("verb", [*VERBS, "data"])
def test_a_page_has_all_parts_and_three_commands(verb: str) -> None:
    text = PAGES[page_of(verb)]
    assert re.findall("^## (.*)$", text, re.MULTILINE) == PARTS
    assert text.startswith(f"# seyolo {verb}\n")
    blocks = [block for block in BLOCKS if block.page == page_of(verb) and block.language == "bash"]
    shown = [command.seyolo_words or [""] for block in blocks for command in commands(block)]
    assert sum(words[0] == verb for words in shown) >= 3


@pytest.mark.parametrize("verb", ALL)
def test_the_options_of_a_verb_are_generated_on_its_page(verb: str) -> None:
    assert f"```{{options}} {verb}\n" in PAGES[page_of(verb)]


@pytest.mark.parametrize("verb", DATA_VERBS)
def test_a_data_verb_is_shown_at_work(verb: str) -> None:
    assert re.search(rf"^seyolo data {verb} ", PAGES[page_of("data")], re.MULTILINE)


def explained() -> set[str]:
    """The titles of the glossary and the other names in bold, in lower case."""
    titles = re.findall("^### (.*)$", GLOSSARY, re.MULTILINE) + re.findall(r"\*\*(.+?)\*\*", GLOSSARY)
    return {part for title in titles for part in (title.lower(), *re.split(", | and ", title.lower()))}


@pytest.mark.parametrize("term", [*TERMS, *WORDS])
def test_a_term_of_the_report_has_an_entry(term: str) -> None:
    names = {term.lower(), f"{term.lower()} network", term.lower().removesuffix("s")}
    assert names & explained()


def test_an_entry_is_short_and_explains_something() -> None:
    for entry in re.split("^###? ", GLOSSARY, flags=re.MULTILINE)[2:]:
        title, _, text = entry.partition("\n")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert len(lines) <= 4, title
