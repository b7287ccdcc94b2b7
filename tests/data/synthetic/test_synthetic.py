"""Synthetic hands: exact boxes, reproducible bytes, and colours that do not give the hands away."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seyolo.boxes import cxcywh_to_xyxy
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.data.near_duplicates import LEAST_SIMILARITY, Signatures, stacked, training_lines
from seyolo.data.synthetic import dataset as synthetic
from seyolo.data.synthetic.dataset import draw_scene, write_dataset
from seyolo.data.synthetic.hand import pose_hand, random_hand
from seyolo.data.synthetic.paint import LIGHTNESS_RANGE, DepthBuffer, Layer, Light, paste, skin_tone
from seyolo.data.synthetic.render import RenderedHand, mask_bounds, render_hand
from seyolo.data.writing import label_rows
from seyolo.errors import DataError, UsageError

LIGHT = Light((0.0, 0.0, 1.0), 0.4)
UPRIGHT = np.diag([1.0, -1.0, 1.0])


def scene(*seeds: int, height: int = 120, width: int = 128) -> tuple[np.ndarray, np.ndarray]:
    return draw_scene(np.random.default_rng(seeds), height, width)


def rendered_hand(
    seed: int, centre: tuple[float, float] = (80.0, 60.0), size_px: float = 70.0
) -> RenderedHand:
    generator = np.random.default_rng(seed)
    hand = random_hand(generator).placed(centre, size_px)
    result = render_hand(hand, skin_tone(generator), LIGHT, (120, 160), generator)
    assert result is not None
    return result


def file_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_bounds_of_a_mask_worked_by_hand() -> None:
    mask = np.zeros((6, 8), np.bool_)
    mask[2, 3] = mask[4, 5] = True
    # Columns 3..5 and rows 2..4; the far edge of the last pixel is one further.
    assert mask_bounds(mask).tolist() == [3, 2, 6, 5]
    assert mask_bounds(mask, left=10, top=20).tolist() == [13, 22, 16, 25]
    assert mask_bounds(np.zeros((6, 8), np.bool_)).tolist() == [0, 0, 0, 0]


def test_half_covered_pixels_count_and_less_does_not() -> None:
    alpha = np.array([[0.0, 0.5, 0.49], [0.0, 1.0, 0.2]], np.float32)
    layer = Layer(np.zeros((2, 3, 3), np.uint8), alpha, left=4, top=7)
    rendered = RenderedHand(layer, alpha, None)
    assert rendered.box_xyxy().tolist() == [5, 7, 6, 9]
    assert np.argwhere(rendered.hand_mask(10, 10)).tolist() == [[7, 5], [8, 5]]


def test_a_bone_covers_the_pixels_within_its_radius() -> None:
    buffer = DepthBuffer(9, 20, floor=-5.0)
    buffer.raise_bone(np.array([5.0, 4.5, 0.0, 3.0]), np.array([15.0, 4.5, 0.0, 3.0]))
    # A stadium from x = 5 - 3 to 15 + 3 and y = 4.5 - 3 to 4.5 + 3. Columns 2..17 are covered; rows 1
    # and 7 have their centres at distance 3 from the axis and so are covered by exactly a half.
    assert mask_bounds(buffer.alpha >= 0.5).tolist() == [2, 1, 18, 8]
    # On the axis the surface is one radius nearer than the axis; off the bone the floor stays.
    assert buffer.heights[4, 10] == pytest.approx(3.0)
    assert buffer.heights[0, 0] == -5.0


def test_the_nearer_bone_hides_the_farther() -> None:
    buffer = DepthBuffer(20, 20, floor=-50.0)
    near, far = np.array([10.0, 10.0, 7.0, 3.0]), np.array([10.0, 10.0, -7.0, 3.0])
    buffer.raise_bone(near, near)
    buffer.raise_bone(far, far)
    assert buffer.heights.max() == pytest.approx(10.0, abs=0.2)
    assert buffer.sees(np.array([[10.0, 10.0, 10.0]]), tolerance=0.1)
    assert not buffer.sees(np.array([[10.0, 10.0, -4.0]]), tolerance=0.1)
    assert not buffer.sees(np.array([[30.0, 10.0, 99.0]]), tolerance=0.1)


def test_a_paste_mixes_by_alpha() -> None:
    image = np.full((2, 3, 3), 100, np.uint8)
    paste(image, Layer(np.full((1, 2, 3), 200, np.uint8), np.array([[1.0, 0.25]], np.float32), left=1, top=1))
    # 0.25 * 200 + 0.75 * 100 = 125.
    assert image[..., 0].tolist() == [[100, 100, 100], [100, 200, 125]]


@given(st.integers(0, 10**6))
@settings(max_examples=40)
def test_the_box_is_tight_around_the_mask(seed: int) -> None:
    rendered = rendered_hand(seed)
    mask = rendered.hand_mask(120, 160)
    left, top, right, bottom = rendered.box_xyxy().astype(int)
    assert mask.sum() == mask[top:bottom, left:right].sum() > 0
    for edge in (mask[top, :], mask[bottom - 1, :], mask[:, left], mask[:, right - 1]):
        assert edge.any()


@given(st.integers(0, 10**6), st.floats(18, 100))
@settings(max_examples=40)
def test_the_box_follows_the_skeleton_not_the_forearm(seed: int, size_px: float) -> None:
    generator = np.random.default_rng(seed)
    hand = random_hand(generator).placed((150.0, 140.0), size_px)
    rendered = render_hand(hand, skin_tone(generator), LIGHT, (300, 300), generator)
    assert rendered is not None
    low, high = hand.bounds()
    # The web between thumb and palm is inside their bounds; half a pixel each way is rounding.
    assert rendered.box_xyxy() == pytest.approx(np.concatenate([low, high]), abs=1.6)


def test_a_hand_half_outside_is_clipped_and_one_outside_is_none() -> None:
    left = rendered_hand(3, centre=(0.0, 60.0)).box_xyxy()
    assert left[0] == 0
    assert 0 < left[2] < 70
    generator = np.random.default_rng(3)
    outside = random_hand(generator).placed((-400.0, 60.0), 70.0)
    assert render_hand(outside, np.full(3, 99, np.float32), LIGHT, (120, 160), generator) is None


def test_straight_fingers_are_long_and_a_fist_is_short() -> None:
    def height_over_width(curl: float) -> float:
        hand = pose_hand(np.full(5, curl), np.random.default_rng(0)).turned(UPRIGHT)
        low, high = hand.bounds()
        return float((high[1] - low[1]) / (high[0] - low[0]))

    # Hand length over breadth with the thumb aside is about 1.9 m / 1.4 m; a fist is about as high as wide.
    assert 1.2 < height_over_width(0.0) < 2.0
    assert 0.8 < height_over_width(1.0) < 1.4


def test_open_fingers_are_separate_limbs() -> None:
    generator = np.random.default_rng(0)
    hand = pose_hand(np.zeros(5), generator).turned(UPRIGHT).placed((150.0, 150.0), 250.0)
    rendered = render_hand(hand, skin_tone(generator), LIGHT, (300, 300), generator)
    assert rendered is not None
    mask = rendered.hand_mask(300, 300)
    tips = hand.joints[1:, 3, :2].astype(int)
    # Walking across the image at the height of the little finger's tip meets all four fingers, one by one.
    row = mask[tips[:, 1].max()].astype(int)
    assert np.count_nonzero(np.diff(row) == 1) == 4


@given(st.integers(0, 10**6), st.integers(64, 150), st.integers(64, 150))
@settings(max_examples=25)
def test_boxes_lie_inside_the_image(seed: int, height: int, width: int) -> None:
    image, boxes_xyxy = draw_scene(np.random.default_rng(seed), height, width)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert boxes_xyxy.dtype == np.float32
    assert boxes_xyxy.shape[1:] == (4,)
    assert (boxes_xyxy[:, :2] >= 0).all()
    assert (boxes_xyxy[:, 2:] <= (width, height)).all()
    assert (boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all()


def test_scenes_vary_in_number_and_size_of_hands() -> None:
    scenes = [scene(1, index)[1] for index in range(120)]
    counts = np.bincount([len(boxes) for boxes in scenes])
    assert counts[0] > 0
    assert len(counts) >= 5
    boxes = np.concatenate(scenes)
    longer_px = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    assert longer_px.min() < 25
    # 60 % of the shorter side of 120 is 72 px, and a partly covered rim may add a pixel at each end.
    assert 60 < longer_px.max() <= 74


def test_the_same_generator_state_draws_the_same_image() -> None:
    first, second = scene(7, 1), scene(7, 1)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], scene(7, 2)[0])


def test_skin_tones_span_human_skin() -> None:
    generator = np.random.default_rng(0)
    tones = np.stack([skin_tone(generator) for _ in range(300)])
    lab = cv2.cvtColor(tones[None] / 255, cv2.COLOR_BGR2Lab)[0]
    assert lab[:, 0].min() < 30
    assert lab[:, 0].max() > 78
    quarters = np.histogram(lab[:, 0], bins=4, range=LIGHTNESS_RANGE)[0]
    assert quarters.min() > 40
    # Always redder than grey, and yellowish: a* and b* positive.
    assert lab[:, 1:].min() > 0


def test_hands_have_many_colours_once_lit() -> None:
    hues = []
    for index in range(60):
        image, boxes = scene(2, index)
        for x0, y0, x1, y1 in boxes.astype(int):
            middle = image[(y0 + y1) // 2, (x0 + x1) // 2]
            hues.append(int(cv2.cvtColor(middle[None, None], cv2.COLOR_BGR2HSV)[0, 0, 0]))
    # Skin under white light has OpenCV hues of about 0 to 20.
    assert 0.1 < np.mean([20 < hue < 170 for hue in hues]) < 0.9


def test_a_data_set_reads_back_with_its_own_boxes(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    path = write_dataset(
        tmp_path / "hands",
        num_train=5,
        num_val=2,
        num_test=3,
        size_px=(96, 128),
        seed=5,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert path == tmp_path / "hands" / "data.yaml"
    assert calls == [(done, 10) for done in range(1, 11)]
    dataset = load_dataset(path)
    assert dataset.names == ("hand",)
    assert [len(dataset.split(name)) for name in ("train", "val", "test")] == [5, 2, 3]
    for index, sample in enumerate(dataset.split("train")):
        generator = np.random.default_rng([5, 0, index])
        height, width = generator.integers(96, 129, 2)
        _, boxes_xyxy = draw_scene(generator, int(height), int(width))
        assert cv2.imread(str(sample.image)).shape == (height, width, 3)
        read = cxcywh_to_xyxy(sample.boxes_cxcywh) * np.array([width, height, width, height])
        assert read == pytest.approx(boxes_xyxy, abs=1e-3)
        assert (sample.class_ids == 0).all()


def test_exact_labels_are_not_taken_for_clipped_ones(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "hands", num_train=20, num_val=1, num_test=1, size_px=(64, 100))
    assert check_dataset(load_dataset(path)).splits[0].num_clipped == 0


def test_a_label_line_worked_by_hand() -> None:
    # Centre (10 + 50) / 2 / 200 = 0.15 and (20 + 40) / 2 / 100 = 0.3, size 40 / 200 = 0.2 and 20 / 100 = 0.2.
    boxes_xyxy = np.array([[10, 20, 50, 40]], np.float32)
    assert label_rows(boxes_xyxy, 100, 200, decimals=7) == ["0 0.1500000 0.3000000 0.2000000 0.2000000\n"]
    assert label_rows(np.zeros((0, 4), np.float32), 100, 200, decimals=7) == []


def test_the_same_seed_gives_the_same_bytes_whatever_else_is_drawn(tmp_path: Path) -> None:
    def write(name: str, num_train: int, seed: int) -> dict[str, bytes]:
        folder = tmp_path / name
        write_dataset(folder, num_train=num_train, num_val=1, num_test=1, size_px=(64, 64), seed=seed)
        return file_bytes(folder)

    small, large, other = write("small", 2, 0), write("large", 4, 0), write("other", 2, 1)
    assert small.items() <= large.items()
    image = "images/train/000000.jpg"
    assert small[image] != other[image]
    assert small[image] != small["images/val/000000.jpg"]


def test_a_near_duplicate_of_a_training_image_is_drawn_anew(tmp_path: Path) -> None:
    size_px = (320, 320)

    def drawn(split: str, *seeds: int, earlier: Signatures) -> bytes:
        signatures.append(synthetic._write_image(tmp_path, f"{split}/{seeds[2]}", seeds, size_px, earlier))
        return (tmp_path / f"images/{split}/{seeds[2]}.jpg").read_bytes()

    signatures: list[np.ndarray] = []
    for folder in ("images/train", "images/val", "labels/train", "labels/val"):
        (tmp_path / folder).mkdir(parents=True)
    drawn("train", 1, 0, 107, earlier=stacked([]))
    train = stacked(signatures)
    alone = drawn("val", 1, 1, 69, earlier=stacked([]))  # as versions drew it that did not compare
    anew = drawn("val", 1, 1, 69, earlier=train)
    assert anew != alone
    assert drawn("val", 1, 1, 69, earlier=train) == anew
    assert drawn("val", 1, 1, 70, earlier=train) == drawn("val", 1, 1, 70, earlier=stacked([]))
    similarities = (stacked(signatures[1:]) @ train[0]).tolist()
    assert similarities[0] == pytest.approx(0.886, abs=0.005)
    assert max(similarities[1:]) < LEAST_SIMILARITY


def test_no_image_is_a_near_duplicate_of_one_in_another_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_drawn = 0

    def draw(generator: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        nonlocal num_drawn
        num_drawn += 1
        return draw_scene(np.random.default_rng([num_drawn // 2]), height, width)  # each scene twice

    monkeypatch.setattr(synthetic, "draw_scene", draw)
    path = write_dataset(tmp_path / "hands", num_train=2, num_val=2, num_test=2, size_px=(96, 96))
    assert training_lines(load_dataset(path)) == []
    assert num_drawn > 6


def test_an_empty_folder_is_filled_and_a_full_one_refused(tmp_path: Path) -> None:
    out = tmp_path / "hands"
    out.mkdir()
    counts = {"num_train": 1, "num_val": 1, "num_test": 1, "size_px": (64, 64)}
    write_dataset(out, **counts)
    before = file_bytes(out)
    with pytest.raises(DataError, match="not an empty folder"):
        write_dataset(out, **counts)
    assert file_bytes(out) == before


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "hands", num_train=3, size_px=(64, 64), progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synthetic, "write_data_yaml", full)
    with pytest.raises(DataError, match="No space left on device"):
        write_dataset(tmp_path / "hands", num_train=1, num_val=1, num_test=1, size_px=(64, 64))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"num_val": 0}, "num_val is 0"),
        ({"size_px": (32, 64)}, "at least 64"),
        ({"size_px": (320, 200)}, "320..200"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    tmp_path: Path, arguments: dict[str, object], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        write_dataset(tmp_path / "hands", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_image_too_small_is_refused() -> None:
    with pytest.raises(UsageError, match="63x320"):
        draw_scene(np.random.default_rng(0), 63, 320)
