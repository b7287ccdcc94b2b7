"""Notebooks: whether there is one, and small HTML for the objects that it shows.

The HTML has no colours and no scripts of its own, so it is readable on light and dark pages.
"""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

MOST_PX = 640
"""Longest side of an image in a notebook: the notebook's file holds it."""
CELL = "padding:2px 10px;border-bottom:1px solid rgba(128,128,128,.4);text-align:"


@dataclass(frozen=True)
class Html:
    """HTML for a notebook, and the text that stands for it elsewhere."""

    html: str
    text: str = ""

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def notebook_display() -> Callable[..., Any] | None:
    """Returns IPython's `display` in a notebook; None elsewhere, a terminal of IPython included."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if not hasattr(shell, "kernel"):
        return None
    display: Callable[..., Any] = import_module("IPython.display").display
    return display


def table_html(header: Sequence[str], rows: Sequence[Sequence[str]], left: frozenset[int]) -> str:
    """Returns a table; the columns in `left` are text, the others numbers."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        sides = ("left" if number in left else "right" for number in range(len(texts)))
        pairs = zip(sides, texts, strict=True)
        return "".join(f'<{tag} style="{CELL}{side}">{escape(text)}</{tag}>' for side, text in pairs)

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    start = '<table style="border-collapse:collapse;background:none;margin:0">'
    return f"{start}<thead><tr>{cells('th', header)}</tr></thead><tbody>{body}</tbody></table>"


def file_html(path: Path, alt: str) -> str:
    """Returns a JPEG or PNG file as an inline image; nothing where there is no such file."""
    kind = path.suffix[1:].replace("jpg", "jpeg")
    return inline_html(path.read_bytes(), kind, alt) if path.is_file() else ""


def inline_html(data: bytes, kind: str, alt: str) -> str:
    """Returns an encoded image of a kind, `jpeg` or `png`, with its alternative text."""
    source = f"data:image/{kind};base64,{b64encode(data).decode('ascii')}"
    style = f"display:block;max-width:min(100%,{MOST_PX}px);height:auto;margin:6px 0"
    return f'<img src="{source}" alt="{escape(alt)}" style="{style}">'


def head_html(text: str) -> str:
    """Returns a line of text in bold."""
    return f'<p style="margin:4px 0;font-weight:600">{escape(text)}</p>'


def line_html(text: str) -> str:
    """Returns a line of text."""
    return f'<p style="margin:4px 0">{escape(text)}</p>'
