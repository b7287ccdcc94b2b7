"""Tables at every width: no cell is ever lost."""

from __future__ import annotations

import pytest
from rich.console import Console

from seyolo.report.tables.fitting import FittingTable, shortened_middle

HEADER = ["file", "precision", "largest error", "MB", "ms", "on"]
FILES = ["runs/slim/hands/slim.onnx", "runs/slim/hands/slim_int8.onnx", "x.tflite"]
ROWS = [
    [file, "int8", "99.5 % of boxes", "1.23", f"{number}.45", "onnxruntime"]
    for number, file in enumerate(FILES)
]
NEEDED = 89  # columns of this table


def printed(table: FittingTable, width: int) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_a_wide_terminal_shows_the_table_as_it_is() -> None:
    lines = printed(FittingTable(HEADER, ROWS), 200).splitlines()
    assert lines[1].split() == ["file", "precision", "largest", "error", "MB", "ms", "on"]
    assert max(len(line.rstrip()) for line in lines) == NEEDED
    assert all(file in line for file, line in zip(FILES, lines[3:], strict=False))


@pytest.mark.parametrize("width", [80, 78, 76])
def test_long_names_are_shortened_in_the_middle_first(width: int) -> None:
    text = printed(FittingTable(HEADER, ROWS), width)
    assert text.count("…") == 2
    assert max(map(len, text.splitlines())) <= width
    assert "_int8.onnx" in text
    assert "x.tflite" in text
    for row in ROWS:
        assert all(cell in text for cell in row[1:])


@pytest.mark.parametrize("width", [70, 40, 20, 8, 1])
def test_a_narrow_terminal_shows_a_block_for_each_row(width: int) -> None:
    text = printed(FittingTable(HEADER, ROWS, "title of it"), width)
    assert max(map(len, text.splitlines())) <= max(width, 1)
    solid = "".join(text.split())
    for cell in [*FILES, *HEADER[1:], *(cell for row in ROWS for cell in row), "title of it"]:
        assert "".join(cell.split()) in solid
    assert "…" not in text


def test_a_block_by_hand() -> None:
    text = printed(FittingTable(["", "dense", "slim"], [["Parameters", "61.5 M", "10.9 M"]]), 18)
    assert text == "Parameters\n  dense  61.5 M\n  slim   10.9 M\n\n"
    text = printed(FittingTable(["layer", "kind"], [["7", "convolutional"]], left=frozenset({1})), 16)
    assert text == "layer 7\n  kind   \nconvolutional\n\n"


def test_names_that_would_look_alike_are_not_shortened() -> None:
    rows = [[f"runs/slim/{name}/slim_int8.onnx", "1.0", "2.0"] for name in ("first", "other")]
    text = printed(FittingTable(["file", "MB", "ms"], rows), 34)
    assert "…" not in text
    assert all(row[0] in text.replace("\n", "") for row in rows)


def test_an_empty_table_is_nothing() -> None:
    assert printed(FittingTable([], []), 80) == ""


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghijk", 10, "abc…fghijk"),
        ("abcdefghijk", 5, "a…ijk"),
        ("äöüßäöüßäöüß", 6, "ä…äöüß"),
    ],
)
def test_the_middle_is_left_out(text: str, most: int, short: str) -> None:
    assert shortened_middle(text, most) == short
    assert len(short) <= most
