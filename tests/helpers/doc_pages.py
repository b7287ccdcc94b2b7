"""The pages of the documentation and the commands on them, as a reader sees them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
"""The text of every page by its path."""

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:seyolo|python) [^`]*)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line of its first line, its language and its text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """`page:line`."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command line of a `bash` block, continued lines joined, and where it stands."""

    place: str
    text: str

    @property
    def seyolo_words(self) -> list[str] | None:
        """The words behind `seyolo`, also where torchrun starts it or something is piped into it."""
        words = shlex.split(self.text)
        while "|" in words and "seyolo" not in words[: words.index("|")]:
            words = words[words.index("|") + 1 :]
        if words[0] not in ("seyolo", "torchrun"):
            return None
        words = words[words.index("seyolo") + 1 :]
        return words[: words.index("|")] if "|" in words else words


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page in order."""
    text = PAGES[page]
    return [
        Block(page, text.count("\n", 0, match.start()) + 2, match[1], match[2])
        for match in FENCE.finditer(text)
    ]


def commands(block: Block) -> list[Command]:
    """The command lines of a block of the language `bash`."""
    assert block.language == "bash", block.place
    joined = re.sub(r" \\\n\s*", " ", block.text)
    return [Command(block.place, line.strip()) for line in joined.splitlines() if line.strip()]


BLOCKS = [block for page in PAGES for block in blocks(page)]
COMMANDS = [command for block in BLOCKS if block.language == "bash" for command in commands(block)]
