"""The site of the documentation, for Sphinx: `make docs`.

The pages are Markdown that reads as well without Sphinx. What is generated is the Python reference, from
docstrings, and the page of all verbs and options, from the command line itself.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import seyolo
from seyolo.cli import make_app

project = "seyolo"
release = seyolo.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["README.md"]  # index.rst includes it
html_theme = "furo"
html_title = "seyolo"
html_show_copyright = html_show_sphinx = False
myst_heading_anchors = 3
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80


class VerbsDirective(SphinxDirective):
    """`{verbs}`: all verbs and options as cyclopts tells them."""

    def run(self) -> list[nodes.Node]:
        text = make_app().generate_docs("markdown", heading_level=1)
        parts = text[text.index("## seyolo ") :].split("`")
        # Outside of code, options become code, or typography would make a dash of `--`.
        parts[::2] = [re.sub(r"--[a-z][a-z0-9-]*", r"`\g<0>`", part) for part in parts[::2]]
        return self.parse_text_to_nodes("`".join(parts), allow_section_headings=True)


def _link_inside(app: Sphinx, page: str, source: list[str]) -> None:
    """Model cards lie in the package; on the site `reference/` includes them. Examples are named only."""
    del app, page
    source[0] = re.sub(r"\[[^\]]*\]\((?:\.\./)+(examples/[^)]*)\)", r"`\1`", source[0])
    source[0] = re.sub(r"\]\(([./]*)src/seyolo/shipped/", r"](\1docs/reference/", source[0])


def setup(app: Sphinx) -> None:
    """Adds the directive, and the cards."""
    app.add_directive("verbs", VerbsDirective)
    app.connect("source-read", _link_inside)
