"""Class names: files, files beside a cfg, and the same classes of two lists."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from seyolo.class_names import names_beside, read_names, same_classes
from seyolo.errors import UsageError


class TestFiles:
    @pytest.mark.parametrize(
        ("content", "names"),
        [
            (b"hand\nface\n", ("hand", "face")),
            (b"\xef\xbb\xbfhand\nface", ("hand", "face")),  # byte order mark
            (b"hand\r\nface\r\n\r\n", ("hand", "face")),
            (b"\n  hand \n\n\tface\n", ("hand", "face")),
            (b"traffic light\n", ("traffic light",)),
            ("Gesicht\nHände\n".encode(), ("Gesicht", "Hände")),
        ],
    )
    def test_lines(self, tmp_path: Path, content: bytes, names: tuple[str, ...]) -> None:
        (tmp_path / "x.names").write_bytes(content)
        assert read_names(tmp_path / "x.names") == names

    @pytest.mark.parametrize("content", [b"", b"\n \n", b"h\xe4nde\n", None])
    def test_none_are_refused(self, tmp_path: Path, content: bytes | None) -> None:
        if content is not None:
            (tmp_path / "x.names").write_bytes(content)
        with pytest.raises(UsageError, match=r"--names .*x\.names: (holds no names|cannot be read as text)"):
            read_names(tmp_path / "x.names")


class TestBeside:
    @pytest.mark.parametrize(
        ("files", "names", "said"),
        [
            ({}, None, ""),
            ({"net.names": "a\nb\n"}, ("a", "b"), ""),
            ({"coco.names": "a\nb\n"}, ("a", "b"), "coco.names"),
            ({"voc.names": "a\nb\n"}, ("a", "b"), "voc.names"),
            ({"obj.names": "\ufeffa\nb\n"}, ("a", "b"), "obj.names"),
            # Another number does not fit.
            ({"coco.names": "a\nb\nc\n"}, None, ""),
            ({"coco.names": "a\nb\nc\n", "obj.names": "a\nb\n"}, ("a", "b"), "obj.names"),
            ({"net.names": "a\n"}, None, "net.names: holds 1 name, net.cfg has 2 classes, so it is not used"),
            ({"net.names": "a\n", "coco.names": "a\nb\n"}, ("a", "b"), "coco.names"),
            # Its own name decides; the same names twice are no choice.
            ({"net.names": "a\nb\n", "coco.names": "c\nd\n"}, ("a", "b"), ""),
            ({"voc.names": "a\nb\n", "coco.names": "a\nb\n"}, ("a", "b"), "coco.names"),
            ({"coco.names": "a\nb\n", "obj.names": "c\nd\n"}, None, "obj.names fit its 2 classes and differ"),
            # A .data file, with a path from its folder or from the one above.
            ({"x.data": "classes = 2\nnames = my.txt\n", "my.txt": "a\nb\n"}, ("a", "b"), "my.txt"),
            ({"x.data": "names=data/my.txt\n", "data/my.txt": "a\nb\n"}, ("a", "b"), "my.txt"),
            ({"x.data": "names = ../data/my.txt\n", "../data/my.txt": "a\nb\n"}, ("a", "b"), "my.txt"),
            ({"x.data": "names = data/my.txt\n", "../data/my.txt": "a\nb\n"}, ("a", "b"), "my.txt"),
            ({"x.data": "names = data\\my.txt\n", "../data/my.txt": "a\nb\n"}, ("a", "b"), "my.txt"),
            ({"x.data": "names = gone.txt\n"}, None, ""),
            ({"x.data": "train = a\n", "y.data": "names = my.txt", "my.txt": "a\nb\nc\n"}, None, ""),
            ({"x.data": "names = my.txt\n", "my.txt": "a\nb\n", "voc.names": "c\nd\n"}, None, "and differ"),
            # Any other file, unless it is of another model or several fit; the usual ones go first.
            ({"other.names": "a\nb\n"}, ("a", "b"), "other.names"),
            ({"other.names": "a\nb\n", "more.names": "c\n"}, ("a", "b"), "other.names"),
            ({"other.names": "a\nb\n", "more.names": "a\nb\n"}, ("a", "b"), "more.names"),
            ({"other.names": "a\nb\n", "more.names": "c\nd\n"}, None, "fit its 2 classes and differ"),
            ({"other.names": "a\nb\n", "coco.names": "c\nd\n"}, ("c", "d"), "coco.names"),
            ({"other.names": "a\nb\n", "other.cfg": ""}, None, ""),
            ({"other.names": "a\nb\n", "other.weights": ""}, None, ""),
            ({"other.names": "a\n"}, None, ""),
            ({"other.names": ""}, None, ""),
        ],
    )
    def test_what_fits_is_found_and_said(
        self,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        files: dict[str, str],
        names: tuple[str, ...] | None,
        said: str,
    ) -> None:
        folder = tmp_path / "cfg"
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        with caplog.at_level(logging.INFO, "seyolo"):
            assert names_beside(folder / "net.cfg", 2) == names
        assert said in caplog.text if said else caplog.text == ""

    def test_a_choice_of_two_names_both(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "coco.names").write_text("a\nb\n")
        (tmp_path / "obj.names").write_text("c\nd\n")
        with caplog.at_level(logging.INFO, "seyolo"):
            names_beside(tmp_path / "net.cfg", 2)
        both = f"{tmp_path / 'coco.names'} and {tmp_path / 'obj.names'}"
        assert f"{both} fit its 2 classes and differ, so these stay numbered" in caplog.text
        assert "give one of them with --names FILE" in caplog.text


@pytest.mark.parametrize(
    ("wanted", "given", "expected"),
    [
        (["a", "b"], ["a", "b"], (0, 1)),
        (["b", "a"], ["a", "b"], (1, 0)),
        (["c", "a", "b"], ["a", "b", "c"], (2, 0, 1)),
        (["b"], ["a", "b"], (1,)),
        (["a", "b"], ["b"], (None, 0)),
        (["a", "x"], ["a", "b"], (0, None)),
        (["x", "y"], ["a", "b"], (None, None)),
        # Default names are any.
        (["a", "b"], ["class 0", "class 1"], (0, 1)),
        (["class 0", "class 1"], ["a", "b"], (0, 1)),
        (["class 0", "class 1"], ["a"], (None, None)),
        (["class 1", "class 0"], ["class 0", "class 1"], (0, 1)),
        # Case and the signs between words do not matter, unless they part two classes.
        (["Hand", "traffic-light"], ["traffic light", "hand"], (1, 0)),
        (["a b", "a-b"], ["a-b", "a b"], (1, 0)),
        (["A", "a"], ["a", "A"], (1, 0)),
        (["A"], ["a", "A"], (1,)),
        (["+", "-"], ["-", "+"], (1, 0)),
    ],
)
def test_the_same_classes(wanted: list[str], given: list[str], expected: tuple[int | None, ...]) -> None:
    assert same_classes(wanted, given) == expected
