"""Pages from templates: self-contained HTML in the colours of the house."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import escape

from seyolo.report.figures.style import PAGE_COLOURS
from seyolo.report.pages.terms import glossary, linked

PAGE_ENDINGS = (".html", ".htm")


def rendered(template: str, context: Mapping[str, Any], *, has_glossary: bool = True) -> str:
    """Returns the page of a template; terms in its texts are linked to the glossary of the page, if any."""
    environment = Environment(
        loader=PackageLoader("seyolo.report.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["terms"] = linked if has_glossary else escape
    environment.globals["glossary_entries"] = glossary()
    return environment.get_template(template).render(colours=PAGE_COLOURS, **context)
