"""The Oxford Hand converter on a small archive of the real one's form, made with scipy's own writer."""

from __future__ import annotations

import csv
import math
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from helpers.written_oxford import HEIGHT, WIDTH, add, write_mat
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.data.oxford.annotations import CORNERS, AnnotationReader, Hand
from seyolo.data.oxford.convert import COLUMNS, PUBLISHED_COUNTS, convert
from seyolo.errors import DataError, UsageError

# Corners as (x, y). A tilted square of side sqrt(200): |d1 x d2| / 2 = 20 * 20 / 2 = 200 px².
TILTED = [(30.0, 10.0), (40.0, 20.0), (30.0, 30.0), (20.0, 20.0)]
# Reaches 10 px out at the left: clipped to 0..15 x 20..40; its own area stays 25 * 20 = 500 px².
REACHING_OUT = [(-10.0, 20.0), (15.0, 20.0), (15.0, 40.0), (-10.0, 40.0)]
OUTSIDE = [(120.0, 20.0), (140.0, 20.0), (140.0, 40.0), (120.0, 40.0)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """x.jpg is in every split, with another content each; validation holds an image of its own too."""
    root = tmp_path / "hand_dataset"
    add(root, "training", "x", 0, [TILTED, REACHING_OUT, OUTSIDE])
    add(root, "training", "empty", 1, [])
    add(root, "validation", "x", 2, [TILTED])
    add(root, "validation", "y", 3, [TILTED, TILTED[1:] + TILTED[:1]])
    add(root, "test", "x", 4, [REACHING_OUT])
    (root / "training_dataset/training_data/images/._x.jpg").write_bytes(b"a trace of another system")
    return root


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def boxes_of(out: Path) -> list[dict[str, str]]:
    with (out / "oxford_boxes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def reader() -> Iterator[AnnotationReader]:
    with AnnotationReader() as reader:
        yield reader


class TestAnnotations:
    def test_corners_are_yx_and_the_area_is_the_quadrilaterals(
        self, reader: AnnotationReader, tmp_path: Path
    ) -> None:
        write_mat(tmp_path / "x.mat", [TILTED])
        (hand,) = reader.read(tmp_path / "x.mat")
        np.testing.assert_array_equal(hand.corners_xy, TILTED)
        np.testing.assert_array_equal(hand.box_xyxy(), [20, 10, 40, 30])
        assert hand.area_px2 == 200  # half of the upright box's 400
        assert hand.side == ""

    @pytest.mark.parametrize(
        ("extra", "side"),
        [({"o": "L"}, "left"), ({"side": "Right"}, "right"), ({"R": ""}, "right"), ({"note": "blurred"}, "")],
    )
    def test_a_fifth_field(
        self, reader: AnnotationReader, tmp_path: Path, extra: dict[str, str], side: str
    ) -> None:
        write_mat(tmp_path / "x.mat", [TILTED, REACHING_OUT], extra)
        assert [hand.side for hand in reader.read(tmp_path / "x.mat")] == [side, side]

    def test_no_hands(self, reader: AnnotationReader, tmp_path: Path) -> None:
        savemat(tmp_path / "x.mat", {"boxes": np.empty((0, 0), object)})
        assert reader.read(tmp_path / "x.mat") == []

    @pytest.mark.parametrize(
        "content",
        [
            {"other": 1},
            {"boxes": np.array([[1.0, 2.0]])},
            {"boxes": np.array([[{"a": [1.0, 2.0]}]], object)},
            {"boxes": np.array([[{corner: [1.0, 2.0, 3.0] for corner in CORNERS}]], object)},
            {"boxes": np.array([[{corner: [1.0, math.nan] for corner in CORNERS}]], object)},
        ],
    )
    def test_other_contents_are_named(
        self, reader: AnnotationReader, tmp_path: Path, content: dict[str, object]
    ) -> None:
        savemat(tmp_path / "x.mat", content)
        with pytest.raises(DataError, match=r"x\.mat: cannot be read as an Oxford Hand annotation"):
            reader.read(tmp_path / "x.mat")

    @pytest.mark.parametrize("num_bytes", [0, 50, 130, 200, -1])
    def test_truncated_files_are_named(
        self, reader: AnnotationReader, tmp_path: Path, num_bytes: int
    ) -> None:
        path = tmp_path / "x.mat"
        write_mat(path, [TILTED])
        path.write_bytes(path.read_bytes()[:num_bytes])
        with pytest.raises(DataError, match=r"x\.mat: cannot be read"):
            reader.read(path)

    @given(
        st.floats(-50, 50), st.floats(-50, 50), st.floats(1, 80), st.floats(1, 80), st.floats(0, 2 * math.pi)
    )
    def test_the_area_of_a_turned_rectangle_is_that_of_the_straight_one(
        self, x: float, y: float, width: float, height: float, angle: float
    ) -> None:
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]])
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        hand = Hand(corners @ turn + [x, y], "")
        assert hand.area_px2 == pytest.approx(width * height)
        left, top, right, bottom = hand.box_xyxy()
        assert (right - left) * (bottom - top) >= hand.area_px2 * (1 - 1e-9)


class TestReaderThatEnds:
    """A reader that ends its own process stands for a damaged file that ends it."""

    @pytest.fixture(autouse=True)
    def ending_reader(self, monkeypatch: pytest.MonkeyPatch) -> None:
        code = """
import os, sys
from seyolo.data.oxford import mat
read = mat.loadmat
mat.loadmat = lambda path: os._exit(9) if "y.mat" in path else read(path)
mat.main()
"""
        monkeypatch.setattr("seyolo.data.oxford.annotations.READER", ("-c", code))

    def test_the_file_is_named_and_the_next_one_is_read(self, tmp_path: Path) -> None:
        for name in ("x.mat", "y.mat"):
            write_mat(tmp_path / name, [TILTED])
        with AnnotationReader() as reader:
            for _ in range(2):
                with pytest.raises(
                    DataError, match=r"y\.mat: .*ends the process that reads it.*archive again"
                ):
                    reader.read(tmp_path / "y.mat")
                assert len(reader.read(tmp_path / "x.mat")) == 1

    def test_the_conversion_stops_cleanly(self, source: Path) -> None:
        before = files_in(source.parent)
        archive = source.parent / "h.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(source, "hand_dataset")
        for given_source in (source, archive):
            with pytest.raises(DataError, match=r"y\.mat: .*ends the process"):
                convert(given_source, source.parent / "out")
        assert files_in(source.parent) == before | {"h.tar.gz"}
        assert {path.name for path in source.parent.iterdir()} == {"hand_dataset", "h.tar.gz"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")
def test_a_file_that_takes_too_much_memory_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from seyolo.data.oxford import mat; mat.loadmat = lambda _: bytes(1 << 31); mat.main()"
    monkeypatch.setattr("seyolo.data.oxford.annotations.READER", ("-c", code))
    with AnnotationReader() as reader, pytest.raises(DataError, match=r"x\.mat: .*MemoryError"):
        reader.read(tmp_path / "x.mat")


class TestOfficial:
    def test_files_and_their_contents(self, source: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        convert(source, out)
        places = {"train/x", "train/empty", "val/x", "val/y", "test/x"}
        expected = {f"images/{p}.jpg" for p in places} | {f"labels/{p}.txt" for p in places}
        assert files_in(out) == expected | {"data.yaml", "oxford_boxes.csv"}
        original = source / "validation_dataset/validation_data/images/x.jpg"
        assert (out / "images/val/x.jpg").read_bytes() == original.read_bytes()
        # TILTED: 20..40 of 100 and 10..30 of 60; REACHING_OUT: 0..15 and 20..40; OUTSIDE is dropped.
        rows = ["0 0.300000 0.333333 0.200000 0.333333", "0 0.075000 0.500000 0.150000 0.333333"]
        assert (out / "labels/train/x.txt").read_text().splitlines() == rows
        assert (out / "labels/train/empty.txt").read_text() == ""

    def test_the_result_is_a_sound_data_set(self, source: Path, tmp_path: Path) -> None:
        convert(source, tmp_path / "out")
        dataset = load_dataset(tmp_path / "out/data.yaml")
        assert dataset.names == ("hand",)
        assert list(dataset.splits) == ["train", "val", "test"]
        report = check_dataset(dataset)
        assert report.problems == ()
        # Two annotations around the same corners are one row to a reader, and counted as such.
        assert [(s.num_objects, s.num_duplicates) for s in report.splits] == [(2, 0), (2, 1), (1, 0)]

    def test_the_table_keeps_corners_and_area(self, source: Path, tmp_path: Path) -> None:
        convert(source, tmp_path / "out")
        rows = boxes_of(tmp_path / "out")
        assert tuple(rows[0]) == COLUMNS
        assert [(row["split"], row["image"]) for row in rows] == [
            ("train", "x.jpg"),
            ("train", "x.jpg"),
            ("val", "x.jpg"),
            ("val", "y.jpg"),
            ("val", "y.jpg"),
            ("test", "x.jpg"),
        ]
        assert [float(row["area_px2"]) for row in rows] == [200, 500, 200, 200, 200, 500]
        corners = [float(rows[1][f"{corner}_{axis}"]) for corner in CORNERS for axis in "xy"]
        assert corners == np.ravel(REACHING_OUT).tolist()
        assert (rows[0]["width"], rows[0]["height"]) == (str(WIDTH), str(HEIGHT))

    def test_counts_beside_the_published_ones(self, source: Path, tmp_path: Path) -> None:
        report = convert(source, tmp_path / "out")
        assert [(c.split, c.num_pictures, c.num_hands) for c in report.counts] == [
            ("train", 2, 2),
            ("val", 2, 3),
            ("test", 1, 1),
        ]
        assert [c.num_clipped for c in report.counts] == [1, 0, 1]
        assert [c.num_dropped for c in report.counts] == [1, 0, 0]
        assert report.rows()[2]["published_hands"] == 2031
        assert report.warnings[:2] == (
            "train: found 2 images with 2 hands, published are 4,069 with 9,163",
            "train: dropped 1 hand outside their image or under 1 px",
        )

    @pytest.mark.parametrize(("name", "mode"), [("hand_dataset.tar.gz", "w:gz"), ("x.tar", "w")])
    def test_an_archive_gives_the_same(self, source: Path, tmp_path: Path, name: str, mode: str) -> None:
        with tarfile.open(tmp_path / name, mode) as tar:  # type: ignore[call-overload]
            tar.add(source, "hand_dataset")
        convert(source, tmp_path / "from_folder")
        convert(tmp_path / name, tmp_path / "from_archive")
        names = files_in(tmp_path / "from_folder")
        assert files_in(tmp_path / "from_archive") == names
        for path in names:
            assert (tmp_path / "from_folder" / path).read_bytes() == (
                tmp_path / "from_archive" / path
            ).read_bytes()


class TestReference:
    def test_train_and_validation_together_against_test(self, source: Path, tmp_path: Path) -> None:
        report = convert(source, tmp_path / "out", split="reference")
        dataset = load_dataset(tmp_path / "out/data.yaml")
        names = {name: [image.name for image in dataset.images(name)] for name in dataset.splits}
        assert names == {
            "train": ["empty.jpg", "validation_x.jpg", "x.jpg", "y.jpg"],
            "val": ["x.jpg"],
            "test": ["x.jpg"],
        }
        assert dataset.images("val") == dataset.images("test")
        original = source / "validation_dataset/validation_data/images/x.jpg"
        assert (tmp_path / "out/images/train/validation_x.jpg").read_bytes() == original.read_bytes()
        assert ("train", "validation_x.jpg") in {(r["split"], r["image"]) for r in boxes_of(tmp_path / "out")}
        assert [c.num_hands for c in report.counts] == [2, 3, 1]
        assert "val is test here" in report.warnings[-1]


class TestTrouble:
    """What is wrong is named, and nothing is left behind."""

    def refused(self, source: Path, message: str) -> None:
        parent = source.parent
        before = files_in(parent)
        with pytest.raises(DataError, match=message):
            convert(source, parent / "out")
        assert files_in(parent) == before
        assert not (parent / "out").exists()
        assert not list(parent.glob(".out*"))

    def test_a_missing_annotation(self, source: Path) -> None:
        (source / "test_dataset/test_data/annotations/x.mat").rename(source / "x.mat")
        self.refused(source, r"test_data.annotations: no \.mat files")
        (source / "x.mat").rename(source / "test_dataset/test_data/annotations/z.mat")
        self.refused(source, r"x\.jpg: its annotation is missing")

    def test_a_missing_image(self, source: Path) -> None:
        (source / "validation_dataset/validation_data/images/y.jpg").unlink()
        self.refused(source, r"y\.mat: its image is missing")

    def test_a_missing_split(self, source: Path) -> None:
        (source / "test_dataset").rename(source / "tests")
        self.refused(source, r"test_dataset.test_data.images: this folder is missing")

    def test_a_bad_annotation(self, source: Path) -> None:
        (source / "test_dataset/test_data/annotations/x.mat").write_bytes(b"not a mat file at all" * 20)
        self.refused(source, r"x\.mat: cannot be read")

    def test_a_truncated_image(self, source: Path) -> None:
        path = source / "test_dataset/test_data/images/x.jpg"
        path.write_bytes(path.read_bytes()[:-50])
        self.refused(source, r"x\.jpg: the image is truncated")

    def test_another_folder_and_no_file(self, source: Path) -> None:
        self.refused(source / "training_dataset/training_data", "not the Oxford Hand data set")
        self.refused(source.parent / "gone.tar.gz", r"gone\.tar\.gz: no such file")

    def test_an_error_inside_an_archive_names_the_archive(self, source: Path) -> None:
        (source / "validation_dataset/validation_data/images/y.jpg").unlink()
        archive = source.parent / "h.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(source, "hand_dataset")
        self.refused(archive, r"h\.tar\.gz.hand_dataset.validation_dataset.*y\.mat: its image is missing")

    def test_an_interruption(self, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("seyolo.data.oxford.convert.write_data_yaml", interrupted)
        with pytest.raises(KeyboardInterrupt):
            convert(source, source.parent / "out")
        assert [path.name for path in source.parent.iterdir()] == ["hand_dataset"]

    def test_a_full_disk(self, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("seyolo.data.oxford.convert.write_data_yaml", full)
        self.refused(source, r"out: cannot be written .*No space left")

    def test_an_output_folder_that_is_not_empty(self, source: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()
        convert(source, out)  # empty is fine
        with pytest.raises(DataError, match="out: already there and not an empty folder"):
            convert(source, out)
        with pytest.raises(DataError, match="already there"):
            convert(source, out / "data.yaml")

    def test_an_unknown_split(self, source: Path) -> None:
        with pytest.raises(UsageError, match="unknown split 'k-fold'; use official or reference"):
            convert(source, source.parent / "out", split="k-fold")  # type: ignore[arg-type]


def test_published_counts_are_those_of_the_statistics(shared_data: Path) -> None:
    counts = {split: [0, 0] for split in PUBLISHED_COUNTS}
    with (shared_data / "oxford_stats" / "oxford_images.csv").open() as file:
        for row in csv.DictReader(file):
            counts[row["split"]][0] += 1
            counts[row["split"]][1] += int(row["hands"])
    assert {split: tuple(count) for split, count in counts.items()} == PUBLISHED_COUNTS
