"""The training folder of the shipped hand detector, made of tiny data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from helpers.script_module import load_script
from seyolo.data.datasets import load_dataset
from seyolo.errors import DataError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCHMARKS))
    hand_data = load_script(BENCHMARKS / "hand_data.py")
LEFT_HAND, MIDDLE_HAND = "0 0.2 0.5 0.2 0.8\n", "0 0.5 0.5 0.4 0.4\n"


def add(folder: Path, split: str, name: str, label: str) -> None:
    """One image with one hand."""
    for kind in ("images", "labels"):
        (folder / kind / split).mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(len(name)).integers(0, 255, (100, 200, 3), np.uint8)
    cv2.imwrite(str(folder / "images" / split / f"{name}.jpg"), image)
    (folder / "labels" / split / f"{name}.txt").write_text(label, encoding="utf-8")


@pytest.fixture
def sources(tmp_path: Path) -> Any:
    """Data sets with an image or two in each split."""
    hands, more, bccd = (tmp_path / name for name in ("hands", "hands_more", "bccd"))
    for split in ("train", "val", "test", "val_small", "test_small"):
        add(hands, split, f"one_{split}", MIDDLE_HAND)
    origins = {
        "glove": "nishantpravin/glove-detection",
        "face": "a/b",
        "letter": "Al3ynaa/sign_language_yolo",
    }
    for name in origins:
        add(more, "train", name, LEFT_HAND)
    add(more, "val", "seen", MIDDLE_HAND)
    add(more, "test", "new", MIDDLE_HAND)
    lines = [f"one_{split}.jpg,webcam" for split in ("train", "val", "test", "val_small", "test_small")]
    (hands / "manifest.csv").write_text("\n".join(["file,source", *lines]), encoding="utf-8")
    rows = [f"images/train/{name}.jpg,{origin}" for name, origin in origins.items()]
    rows += ["images/val/seen.jpg,a/b", "images/test/new.jpg,a/b"]
    (more / "manifest.csv").write_text("\n".join(["file,repository", *rows]), encoding="utf-8")
    (bccd / "JPEGImages").mkdir(parents=True)
    (bccd / "ImageSets/Main").mkdir(parents=True)
    cv2.imwrite(str(bccd / "JPEGImages/smear.jpg"), np.zeros((48, 64, 3), np.uint8))
    (bccd / "ImageSets/Main/train.txt").write_text("smear\n", encoding="utf-8")
    return hand_data.Sources(hands, more, bccd)


@pytest.mark.parametrize("copy", [False, True])
def test_every_image_is_where_it_belongs(sources: Any, tmp_path: Path, copy: bool) -> None:
    counts = hand_data.write_folder(sources, tmp_path / "out", copy=copy)
    data = load_dataset(tmp_path / "out/data.yaml")
    stems = {split: sorted(path.stem for path in data.images(split)) for split in data.splits}
    kept = [stem for stem in stems.pop("train") if stem[0] in "hmn"]
    faces = [f"m{number}_face" for number in range(4)]
    assert kept == sorted(["h_one_train", *faces, "m0_glove", "m0_letter", "n_smear"])
    assert stems == {
        "val": ["h_one_val", "m0_seen", "m1_seen"],
        "test": ["one_test"],
        "val_small": ["one_val_small"],
        "test_small": ["one_test_small"],
        "val_hands": ["one_val"],
        "val_more": ["seen"],
        "test_more": ["new"],
    }
    assert counts["a/b"] == 4
    assert counts["bccd"] == 1
    assert counts.get("parts without hands", 0) == len(list((tmp_path / "out/images/train").glob("c_*")))
    hands = {sample.image.stem: len(sample.class_ids) for sample in data.split("train")}
    assert {name for name, count in hands.items() if count == 0} == {
        name for name in hands if name.startswith(("c_", "n_"))
    }
    assert (tmp_path / "out/images/train/m0_face.jpg").is_symlink() is not copy


def test_turned_images_keep_their_hands(sources: Any) -> None:
    found = {name[3:]: (name, *labelled) for name, labelled in hand_data.turned_images(sources, 0)}
    assert {"glove.jpg", "face.jpg"} <= set(found)
    for name, image, boxes in found.values():
        assert image.shape[:2] == ((100, 200) if name.startswith("r2") else (200, 100))
        assert len(boxes) == 1
    name, _, boxes = found["glove.jpg"]
    centre = {"r1": (0.5, 0.8), "r2": (0.8, 0.5), "r3": (0.5, 0.2)}[name[:2]]  # at (0.2, 0.5) before
    np.testing.assert_allclose((boxes[0, :2] + boxes[0, 2:]) / 2, centre)


def test_hands_are_pasted_beside_the_labelled_ones(sources: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pasting, pixels = hand_data.hand_pasting, np.full((60, 50, 3), 200, np.uint8)
    hand = pasting.CutOut(pixels, np.ones((60, 50), np.uint8))
    monkeypatch.setattr(pasting, "cut_out", lambda _image, _box: hand)
    monkeypatch.setattr(hand_data, "NUM_PASTED", 12)
    part = np.zeros((80, 80, 3), np.uint8)
    found = list(hand_data.pasted_images(sources, [part], 0))
    assert [name for name, _ in found] == [f"p_{number:04}.jpg" for number in range(12)]
    shapes = {image.shape[:2] for _, (image, _) in found}
    assert shapes == {(416, 416), (208, 416)}  # on the part, and beside the hand of an image
    for _, (image, boxes) in found:
        assert len(boxes) >= (image.shape[0] == 208)
    monkeypatch.setattr(pasting, "cut_out", lambda _image, _box: None)
    assert list(hand_data.pasted_images(sources, [part], 0)) == []


def test_the_same_seed_draws_the_same_parts(sources: Any, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        hand_data.write_folder(sources, tmp_path / name, seed=seed)
    found = {
        name: {path.name: path.read_bytes() for path in (tmp_path / name / "images/train").glob("c_*")}
        for name in ("one", "two")
    }
    assert found["one"] == found["two"]
    drawn = {seed: [name for name, _ in hand_data.crops(sources, seed)] for seed in range(8)}
    assert len({tuple(names) for names in drawn.values()}) > 1
    assert set().union(*drawn.values()) == {
        "c_glove.jpg",
        "c_face.jpg",
        "c_letter.jpg",
    }  # a hand in the middle


def test_a_part_is_beside_all_hands() -> None:
    """Hands from 10 to 40 % of the width: right of them are 60 %; two hands leave 30 % at most."""
    part = hand_data.free_part(np.array([[0.1, 0.1, 0.3, 0.9], [0.2, 0.0, 0.4, 1.0]]))
    np.testing.assert_allclose(part, [0.4, 0, 1, 1])
    assert hand_data.free_part(np.array([[0.1, 0.3, 0.3, 0.9], [0.5, 0.0, 0.8, 1.0]])) is None
    assert hand_data.free_part(np.zeros((0, 4))) is None


def test_a_folder_that_is_there_is_kept(sources: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is there already; remove it, or name another folder"):
        hand_data.write_folder(sources, tmp_path)
