"""Divisions into splits: shares, rare classes, scenes, seeds, and the own division of a run."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.written_datasets import write_image, write_text
from helpers.written_exports import cvat_voc, labelimg_yolo
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.data.scenes import numbers_of, remarks, scene_namer
from seyolo.data.splitting import deal, divide, for_training, shares_of
from seyolo.errors import DataError, UsageError


def dealt(
    classes: list[list[int]], shares: list[float], seed: int = 0, scenes: list[int] | None = None
) -> list[int]:
    ids = [np.array(found, np.int64) for found in classes]
    return deal(ids, list(range(len(ids))) if scenes is None else scenes, shares, seed)


def shares_in(found: list[int], num_parts: int) -> list[int]:
    return np.bincount(found, minlength=num_parts).tolist()


class TestDeal:
    def test_the_shares_are_kept(self) -> None:
        assert shares_in(dealt([[0]] * 100, [0.7, 0.2, 0.1]), 3) == [70, 20, 10]
        assert shares_in(dealt([[]] * 10, [0.8, 0.2]), 2) == [8, 2]

    def test_each_class_has_its_share(self) -> None:
        classes = [[0], [1], [0, 1], [2], []] * 20
        found = dealt(classes, [0.75, 0.25])
        for one in range(3):
            assert sum(part for part, ids in zip(found, classes, strict=True) if one in ids) in (
                (9, 10, 11) if one < 2 else (5,)
            )

    def test_a_rare_class_reaches_val(self) -> None:
        classes = [[0]] * 98 + [[0, 1]] * 2
        for seed in range(20):
            assert sorted(dealt(classes, [0.8, 0.2], seed)[-2:]) == [0, 1]

    def test_the_only_image_of_a_class_is_trained_on(self) -> None:
        for seed in range(10):
            assert dealt([[0]] * 20 + [[1]], [0.8, 0.2], seed)[-1] == 0

    def test_three_images_of_a_class_reach_three_splits(self) -> None:
        assert sorted(dealt([[0]] * 50 + [[1]] * 3, [0.7, 0.2, 0.1])[-3:]) == [0, 1, 2]

    def test_scenes_stay_whole(self) -> None:
        scenes = [number // 10 for number in range(100)]
        found = dealt([[0]] * 100, [0.8, 0.2], scenes=scenes)
        assert {len(set(found[start : start + 10])) for start in range(0, 100, 10)} == {1}
        assert shares_in(found, 2) == [80, 20]

    def test_few_scenes_reach_every_split_near_their_shares(self) -> None:
        sizes = (35, 17, 4, 2, 1, 1)
        scenes = [scene for scene, size in enumerate(sizes) for _ in range(size)]
        asked = np.array([0.65, 0.2, 0.15]) * 60
        ways = [np.bincount(way, sizes, 3) for way in product(range(3), repeat=6) if {*way} == {0, 1, 2}]
        nearest = min(((way - asked) ** 2 / asked).sum() for way in ways)
        for seed in range(30):
            counts = np.array(shares_in(dealt([[0]] * 60, [0.65, 0.2, 0.15], seed, scenes), 3))
            assert ((counts - asked) ** 2 / asked).sum() == pytest.approx(nearest), (seed, counts)

    def test_many_scenes_come_near_their_shares(self) -> None:
        sizes = [40, 30, 20, *range(1, 13)]
        scenes = [scene for scene, size in enumerate(sizes) for _ in range(size)]
        for seed in range(10):
            counts = shares_in(dealt([[0]] * 168, [0.65, 0.2, 0.15], seed, scenes), 3)
            assert np.allclose(counts, [109.2, 33.6, 25.2], atol=3), (seed, counts)

    def test_the_seed_decides_among_equal_scenes(self) -> None:
        scenes = [scene for scene in range(6) for _ in range(5)]
        found = {tuple(dealt([[0]] * 30, [0.8, 0.2], seed, scenes)) for seed in range(20)}
        assert len(found) == 6

    def test_a_single_split_takes_every_scene(self) -> None:
        assert dealt([[0]] * 4, [1.0], scenes=[0, 0, 1, 1]) == [0, 0, 0, 0]

    def test_images_of_a_class_each_reach_every_split(self) -> None:
        for seed in range(10):
            assert sorted(dealt([[0], [1], [2]], [0.65, 0.2, 0.15], seed)) == [0, 1, 2]

    def test_a_class_of_two_scenes_reaches_val_whatever_the_shares(self) -> None:
        scenes = [scene for scene, size in enumerate((30, 20, 9, 8, 7)) for _ in range(size)]
        classes = [[0, int(scene in (0, 1))] for scene in scenes]
        for seed in range(20):
            found = dealt(classes, [0.8, 0.1, 0.1], seed, scenes)
            assert {0, 1} == {found[scenes.index(0)], found[scenes.index(1)]}, seed

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(1, 20), min_size=3, max_size=12), st.integers(2, 3), st.integers(0, 99))
    def test_no_split_is_empty(self, sizes: list[int], num_parts: int, seed: int) -> None:
        scenes = [scene for scene, size in enumerate(sizes) for _ in range(size)]
        shares = [0.9, 0.06, 0.04] if num_parts == 3 else [0.9, 0.1]
        found = dealt([[scene % 4] for scene in scenes], shares, seed, scenes)
        assert {*found} == set(range(num_parts))
        assert len({*zip(scenes, found, strict=True)}) == len(sizes)

    def test_the_seed_decides(self) -> None:
        classes = [[0]] * 50
        assert dealt(classes, [0.8, 0.2], 1) == dealt(classes, [0.8, 0.2], 1)
        assert dealt(classes, [0.8, 0.2], 1) != dealt(classes, [0.8, 0.2], 2)


@pytest.mark.parametrize(
    ("by", "path", "scene"),
    [
        (None, "a/b_1.jpg", "a/b_1.jpg"),
        ("folder", "a/b_1.jpg", "a"),
        ("prefix", "a/video 3_frame-0012.jpg", "a/video 3_frame"),
        ("prefix", "a/0012.jpg", "a/"),
        ("prefix", "a/x.jpg", "a/x"),
        (r"cam(\d+)", "a/cam7_12.jpg", "7"),
        (r"(cam\d+)", "a/cam7_12.jpg", "cam7"),
        (r"cam(\d+)", "a/other.jpg", None),
        (r"cam(\d*)", "a/cam_1.jpg", None),
    ],
)
def test_scenes_by_name(by: str | None, path: str, scene: str | None) -> None:
    assert scene_namer(by)(path) == scene


def test_what_makes_no_sense_is_said() -> None:
    with pytest.raises(UsageError, match=r"--by \(: folder, prefix, or a regular expression"):
        scene_namer("(")
    with pytest.raises(UsageError, match=r"--by cam\\d: has no group; put what names a scene in parentheses"):
        scene_namer(r"cam\d")
    with pytest.raises(UsageError, match=r"--by cam\(\\d\): matches none of 2 images, such as a/1.jpg"):
        numbers_of(["a/1.jpg", "a/2.jpg"], r"cam(\d)")
    for val, test in (("60%", "40%"), ("0.5", "50%")):
        with pytest.raises(UsageError, match="nothing is left to train on"):
            shares_of(val, test)
    for text in ("20", "-5%", "many", "100%", "nan"):
        with pytest.raises(UsageError, match=f"--val {text}: a share of the images such as 20%"):
            shares_of(text, "0%")
    assert shares_of("20%", "0") == {"train": 0.8, "val": 0.2}


def test_what_a_division_by_scenes_says() -> None:
    assert numbers_of(["7.jpg", "cam7_1.jpg", "cam7_2.jpg", "x.jpg"], r"cam(\d)") == [1, 0, 0, 2]
    parts = {"train": ["cam1_1.jpg", "cam1_2.jpg", "cam1_3.jpg", "x.jpg"], "val": ["cam2_1.jpg"]}
    assert remarks(parts, {"train": 0.8, "val": 0.2}, r"cam(\d)") == [
        r"1 of 5 images does not match --by cam(\d): it counts as a scene of its own",
    ]
    assert remarks(parts, {"train": 0.6, "val": 0.4}, "prefix") == [
        "3 scenes (3, 1, 1 images), each in one split: train 80%, val 20%; asked for: 60%, 40%"
    ]
    alone = {"train": ["a.jpg", "b.jpg", "c.jpg", "d.jpg"], "val": ["e.jpg"]}
    assert remarks(alone, {"train": 0.8, "val": 0.2}, None) == []
    assert remarks(alone, {"train": 0.5, "val": 0.5}, None) == [
        "5 images: train 80%, val 20%; asked for: 50%, 50%"
    ]


@pytest.fixture
def frames(tmp_path: Path) -> Dataset:
    """Five videos of four frames; the class `rare` is in two of them."""
    for video in range(5):
        for frame in range(4):
            write_image(tmp_path / f"v{video}_{frame}.png", video * 4 + frame)
            write_text(tmp_path / f"v{video}_{frame}.txt", f"{int(video in (1, 3))} 0.5 0.5 0.2 0.2\n")
    write_text(tmp_path / "classes.txt", "hand\nrare\n")
    return load_dataset(tmp_path)


class TestDivide:
    def test_by_prefix(self, frames: Dataset) -> None:
        divided = divide(frames, {"train": 0.6, "val": 0.4}, 0, "prefix")
        assert list(divided.splits) == ["train", "val"]
        videos = [{path.stem[:2] for path in divided.images(split)} for split in divided.splits]
        assert not videos[0] & videos[1]
        assert [len(divided.images(split)) for split in divided.splits] == [12, 8]
        assert {1} <= {int(i) for sample in divided.split("val") for i in sample.class_ids}

    def test_samples_are_those_of_before(self, frames: Dataset) -> None:
        divided = divide(frames, {"train": 0.5, "val": 0.25, "test": 0.25}, 3)
        before = {sample.image: sample.class_ids.tolist() for sample in frames.split("train")}
        after = {s.image: s.class_ids.tolist() for split in divided.splits for s in divided.split(split)}
        assert after == before
        assert divided.names == frames.names

    def test_too_few_scenes(self, frames: Dataset) -> None:
        with pytest.raises(
            DataError, match=r"1 scene \(20 images\) cannot be divided into 2 splits; add images of"
        ):
            divide(frames, {"train": 0.5, "val": 0.5}, 0, "folder")

    def test_scenes_that_are_enough_without_test_say_so(self, frames: Dataset) -> None:
        shares = {"train": 0.6, "val": 0.2, "test": 0.2}
        with pytest.raises(DataError, match=r"1 scene .* into 3 splits; add images of other scenes$"):
            divide(frames, shares, 0, "folder")
        for path in frames.images("train")[2:]:
            path.unlink()
        with pytest.raises(DataError, match=r"2 images .* 3 splits; add images, or leave out --test$"):
            divide(load_dataset(frames.source), shares, 0)

    def test_of_several_splits_and_other_formats(self, tmp_path: Path) -> None:
        cvat_voc(tmp_path)
        divided = divide(load_dataset(tmp_path), {"train": 0.5, "val": 0.5}, 0)
        assert sum(len(divided.split(split)) for split in divided.splits) == 6


class TestForTraining:
    def test_a_single_split_is_divided_and_said(self, frames: Dataset) -> None:
        divided, (line,) = for_training(frames, 0, {})
        assert [len(divided.images(split)) for split in divided.splits] == [16, 4]
        assert line.startswith("only one split, train: divided by class with seed 0 into train 16, val 4;")
        again, _ = for_training(frames, 0, {})
        assert again.images("val") == divided.images("val")
        other, _ = for_training(frames, 1, {})
        assert other.images("val") != divided.images("val")

    def test_several_splits_stay(self, tmp_path: Path) -> None:
        labelimg_yolo(tmp_path / "train")
        labelimg_yolo(tmp_path / "val")
        dataset = load_dataset(tmp_path)
        assert for_training(dataset, 0, {}) == (dataset, [])

    def test_a_run_keeps_its_own(self, frames: Dataset) -> None:
        divided, _ = for_training(frames, 0, {})
        kept = {split: [str(image) for image in divided.images(split)] for split in divided.splits}
        write_image(frames.source / "v9_0.png", 99)
        resumed, (line,) = for_training(load_dataset(frames.source), 5, kept)
        assert resumed.images("val") == divided.images("val")
        assert len(resumed.images("train")) == 17
        assert line == "only one split, train: divided as the run began"
