"""Label files that are read many at a time give what the reader of single files gives."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.written_datasets import write_image, write_text
from seyolo.data.datasets import load_dataset
from seyolo.data.formats.yolo_many import read_many

SIDE = st.sampled_from(
    ["0.5", "0.25", ".125", "1", "1.0", "5e-1", "0", "-0.1", "nan", "0.1e", "1_0", "x", "0,5", "3"]
)
ROW = st.builds(" ".join, st.lists(SIDE, min_size=4, max_size=5))
LINE = st.one_of(
    st.builds("{} {}".format, st.sampled_from(["0", "1", "2", "-0", "1.0", "1.5", "9"]), ROW), st.just("")
)
TEXT = st.builds(
    "{}{}".format, st.lists(LINE, max_size=4).map("\n".join), st.sampled_from(["", "\n", "\r\n", "\t"])
)


@given(st.lists(TEXT, min_size=1, max_size=6))
def test_both_readers_agree(texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for number, text in enumerate(texts):
            write_image(root / f"images/{number}.png")
            path = root / f"labels/{number}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
        dataset = load_dataset(write_text(root / "data.yaml", "train: images\nnames: [a, b, c]\n"))
        images = dataset.listed("train").images
        for image, found in zip(images, dataset.contents.readings("train", images), strict=True):
            single = dataset.contents.read("train", Path(image), lambda: (40, 80))
            np.testing.assert_array_equal(found.labels.boxes_cxcywh, single.labels.boxes_cxcywh, strict=True)
            np.testing.assert_array_equal(found.labels.class_ids, single.labels.class_ids, strict=True)
            assert list(found.problems) == list(single.problems)
            assert found.labels.num_duplicates == single.labels.num_duplicates


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        ("0 0.5 0.5 0.25 0.25\n1 0.5 0.5 0.25 0.25\r\n\n", True),
        ("", True),
        (" \n", True),
        ("0 0.5 0.5 1 1", True),
        ("0 0.5 0.5 0.25 0.25\n0 .50 0.5 0.25 2.5e-1\n", False),
        ("0 0.5 0.5 0.25\n0 0.5 0.5 0.25 0.25 0.5\n", False),
        ("0 0.1 0.5 0.25 0.25", False),
        ("2 0.5 0.5 0.25 0.25", False),
        ("0 0.5 0.5 0.25 0", False),
        ("\ufeff0 0.5 0.5 0.25 0.25", False),
        ("0 0.5 0.5 0.25 1e", False),
        ("0,0.5,0.5,0.25,0.25", False),
    ],
)
def test_what_is_parsed_together(tmp_path: Path, text: str, is_plain: bool) -> None:
    path = tmp_path / "x.txt"
    path.write_text(text, encoding="utf-8")
    (found,) = read_many(["x"], lambda _: iter([str(tmp_path / "gone.txt"), str(path)]), 2)
    assert (found is not None) == is_plain


def test_each_image_has_its_own_rows(tmp_path: Path) -> None:
    for number in range(5):
        if number != 2:
            (tmp_path / f"{number}.txt").write_text(f"{number} 0.5 0.5 0.5 0.5\n" * (number != 3))
    names = [str(tmp_path / f"{number}.txt") for number in range(5)]
    found = read_many(names, lambda name: iter([name]), 9)
    assert [reading.labels.class_ids.tolist() for reading in found if reading] == [[0], [1], [], [], [4]]
