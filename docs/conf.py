"""The site of the documentation, for Sphinx: `make docs`.

The pages are Markdown that reads as well without Sphinx. What is generated is the Python reference, from
docstrings, and the options on the pages of the verbs, from the command line itself.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import seyolo
from seyolo.cli import DATA_VERBS, VERBS, make_app

project = "seyolo"
release = seyolo.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["README.md"]  # index.rst includes it
html_theme = "furo"
html_title = "seyolo"
html_favicon = "../src/seyolo/web/page/icon.svg"
html_show_copyright = html_show_sphinx = False
copybutton_selector = (
    "div:not(.highlight-text) > div.highlight > pre"  # commands and code, not what they print
)
myst_heading_anchors = 3
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80


class OptionsDirective(SphinxDirective):
    """`{options} data check`: usage and options of a verb as cyclopts tells them.

    The body is for readers of the Markdown file; the site leaves it out.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        words = self.arguments[0].split()
        return self.parse_text_to_nodes(options_of(words), allow_section_headings=True)


class VerbsDirective(SphinxDirective):
    """`{verbs}`: all verbs and options on one page."""

    def run(self) -> list[nodes.Node]:
        lines = [[verb] for verb in VERBS] + [["data", verb] for verb in DATA_VERBS]
        text = "\n".join(f"## seyolo {' '.join(words)}\n\n{options_of(words)}\n" for words in lines)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def options_of(words: list[str]) -> str:
    """Returns usage, text and options of a verb as Markdown, in groups."""
    app = make_app(words)
    for word in words:
        app = app[word]
    text = app.generate_docs("markdown", heading_level=1)
    text = text[text.index("```console") :].replace(f"\n{words[-1]} ", f"\nseyolo {' '.join(words)} ", 1)
    parts = text.split("`")
    # Outside of code, options become code, or typography would make a dash of `--`.
    parts[::2] = [re.sub(r"--[a-z][a-z0-9-]*", r"`\g<0>`", part) for part in parts[::2]]
    return "`".join(parts)


def _link_inside(app: Sphinx, page: str, source: list[str]) -> None:
    """Model cards lie in the package; on the site `reference/` includes them. Examples are named only."""
    del app, page
    source[0] = re.sub(r"\[[^\]]*\]\((?:\.\./)+(examples/[^)]*)\)", r"`\1`", source[0])
    source[0] = re.sub(r"\]\(([./]*)src/seyolo/shipped/", r"](\1docs/reference/", source[0])


def _level_captions(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Gives the captions of the navigation the level that their role of a heading needs."""
    del app, page, template, doctree
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: Sphinx) -> None:
    """Adds the directives, the cards, and levels of captions."""
    app.add_directive("options", OptionsDirective)
    app.add_directive("verbs", VerbsDirective)
    app.connect("source-read", _link_inside)
    app.connect("html-page-context", _level_captions, priority=900)  # after the theme
