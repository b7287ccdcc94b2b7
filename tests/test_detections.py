"""Detections: worked cases of the post-processing, its properties, and the ways out."""

from __future__ import annotations

import re
import sys
import types
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seyolo import boxes
from seyolo.boxes import iou_matrix
from seyolo.detections import Detection, Detections
from seyolo.errors import BackendError, DataError, UsageError
from seyolo.installing import pip_install
from seyolo.letterbox import Placement, place
from seyolo.media import annotate

SAME = Placement(scale_x=1, scale_y=1, left=0, top=0, source_height=100, source_width=200)


def raw_of(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def sample() -> Detections:
    return Detections(
        np.array([[10, 20, 50, 40], [0, 0, 100, 50]], np.float32), np.array([0.5, 0.25]), np.array([1, 0])
    )


def named() -> Detections:
    return replace(sample(), names=("cat", "dog"))


def test_score_is_objectness_times_class_probability() -> None:
    found = Detections.from_raw(raw_of([50, 40, 20, 10, 0.8, 0.5, 0.1]), SAME)
    # 0.8 * 0.5 = 0.4 stays, 0.8 * 0.1 = 0.08 goes; 50 -+ 20/2, 40 -+ 10/2
    np.testing.assert_allclose(found.scores, [0.4])
    np.testing.assert_array_equal(found.class_ids, [0])
    np.testing.assert_array_equal(found.boxes, [[40, 35, 60, 45]])
    assert (found.boxes.dtype, found.scores.dtype, found.class_ids.dtype) == (
        np.float32,
        np.float32,
        np.int64,
    )


def test_one_box_may_be_found_as_two_classes() -> None:
    found = Detections.from_raw(raw_of([50, 40, 20, 10, 1.0, 0.5, 0.75]), SAME)
    np.testing.assert_array_equal(found.class_ids, [1, 0])
    np.testing.assert_allclose(found.scores, [0.75, 0.5])


def test_a_score_equal_to_the_confidence_is_kept() -> None:
    raw = raw_of([50, 40, 20, 10, 0.5, 0.5])
    assert len(Detections.from_raw(raw, SAME, confidence=0.25)) == 1
    assert len(Detections.from_raw(raw, SAME, confidence=0.26)) == 0


def test_suppression_is_per_class_and_by_the_threshold() -> None:
    # Boxes 20 wide, shifted by 4: intersection 16, union 24, IoU 0.667.
    one = [50.0, 40, 20, 10, 1, 0.9, 0]
    near = [54.0, 40, 20, 10, 1, 0.8, 0]
    other_class = [54.0, 40, 20, 10, 1, 0, 0.7]
    raw = raw_of(one, near, other_class)
    np.testing.assert_allclose(Detections.from_raw(raw, SAME, iou_threshold=0.6).scores, [0.9, 0.7])
    np.testing.assert_allclose(Detections.from_raw(raw, SAME, iou_threshold=0.7).scores, [0.9, 0.8, 0.7])


def test_boxes_come_back_through_the_letterbox() -> None:
    # A photo of 200x400 in a 100x100 input: scale 1/4, 50 rows of image, 25 rows of grey on top.
    placement = place((200, 400), (100, 100))
    found = Detections.from_raw(raw_of([50, 50, 20, 10, 1, 1]), placement)
    # x: (50 -+ 10) * 4; y: (50 -+ 5 - 25) * 4
    np.testing.assert_allclose(found.boxes, [[160, 80, 240, 120]])


def test_a_box_on_the_padding_is_dropped_and_one_across_the_border_is_clipped() -> None:
    placement = place((200, 400), (100, 100))
    raw = raw_of([50, 10, 20, 10, 1, 1], [5, 50, 20, 10, 1, 0.9])
    found = Detections.from_raw(raw, placement)
    np.testing.assert_allclose(found.boxes, [[0, 80, 60, 120]])
    np.testing.assert_allclose(found.scores, [0.9])


def test_only_the_best_candidates_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "MAX_CANDIDATES", 3)
    raw = raw_of(*([10 + 15 * i, 50, 8, 8, 1, 0.3 + 0.1 * i] for i in range(6)))
    np.testing.assert_allclose(Detections.from_raw(raw, SAME).scores, [0.8, 0.7, 0.6], rtol=1e-6)


def test_at_most_max_detections() -> None:
    raw = raw_of(*([10 + 15 * i, 50, 8, 8, 1, 0.3 + 0.1 * i] for i in range(6)))
    np.testing.assert_allclose(Detections.from_raw(raw, SAME, max_detections=2).scores, [0.8, 0.7], rtol=1e-6)


def test_nothing_found() -> None:
    for raw in (np.zeros((0, 6), np.float32), raw_of([50, 40, 20, 10, 0, 0.9]), raw_of([np.nan] * 6)):
        found = Detections.from_raw(raw, SAME)
        assert (len(found), found.boxes.shape) == (0, (0, 4))


@pytest.mark.parametrize("shape", [(6,), (2, 5), (1, 3, 6)])
def test_raw_of_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"\(boxes, 5 \+ classes\), got"):
        Detections.from_raw(np.zeros(shape, np.float32), SAME)


raw_rows = st.lists(
    st.tuples(
        *[st.floats(-50, 250, width=32)] * 2,
        *[st.floats(0, 300, width=32)] * 2,
        *[st.floats(0, 1, width=32)] * 3,
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(raw_rows, st.integers(1, 300), st.integers(1, 300), st.floats(0.05, 0.9), st.floats(0.1, 0.9))
def test_properties(rows: list[tuple[float, ...]], height: int, width: int, low: float, iou: float) -> None:
    raw = np.array(rows, dtype=np.float32).reshape(-1, 7)
    found = Detections.from_raw(raw, place((height, width), (200, 200), "stretch"), low, iou)
    assert np.all(np.diff(found.scores) <= 0)
    assert np.all(found.scores >= np.float32(low))
    assert np.all(found.boxes[:, :2] < found.boxes[:, 2:])
    assert np.all(found.boxes >= 0)
    assert np.all(found.boxes <= [width, height, width, height])
    assert set(found.class_ids.tolist()) <= {0, 1}


@settings(max_examples=60)
@given(raw_rows, st.floats(0.1, 0.9))
def test_kept_boxes_of_a_class_overlap_no_more_than_the_threshold(
    rows: list[tuple[float, ...]], iou: float
) -> None:
    raw = np.array(rows, dtype=np.float32).reshape(-1, 7)
    # An image so large that nothing is clipped, since clipping changes overlaps.
    far = Placement(scale_x=1, scale_y=1, left=-1000, top=-1000, source_height=3000, source_width=3000)
    found = Detections.from_raw(raw, far, 0.05, iou)
    overlaps = iou_matrix(found.boxes, found.boxes)
    same_class = found.class_ids[:, None] == found.class_ids[None]
    assert np.all(overlaps[np.triu(same_class, k=1)] <= iou + 1e-3)


def test_columns_are_checked_and_converted() -> None:
    with pytest.raises(UsageError, match=r"boxes must have shape \(2, 4\), got \(2, 5\)"):
        Detections(np.zeros((2, 5)), np.zeros(2), np.zeros(2))
    with pytest.raises(UsageError, match=r"class_ids must have shape \(2,\), got \(3,\)"):
        Detections(np.zeros((2, 4)), np.zeros(2), np.zeros(3))
    with pytest.raises(UsageError, match=r"scores must have shape"):
        Detections(np.zeros((2, 4)), np.zeros((2, 1)), np.zeros(2))
    converted = Detections(np.zeros((2, 4)), np.zeros(2), np.zeros(2, np.int32))
    assert converted.class_ids.dtype == np.int64


def test_brackets_with_a_mask_indices_or_a_slice_keep_columns_and_names_together() -> None:
    found = named()
    for index in (found.class_ids == 0, np.array([1]), [-1], slice(1, None)):
        np.testing.assert_array_equal(found[index].boxes, [[0, 0, 100, 50]])
        np.testing.assert_array_equal(found[index].scores, [0.25])
        assert (found[index].class_ids.tolist(), found[index].names) == ([0], ("cat", "dog"))
    assert len(found[found.scores > 0.9]) == len(Detections.empty()[:5]) == 0


def test_a_loop_and_a_number_in_brackets_give_plain_values() -> None:
    dog, cat = named()
    assert dog == ("dog", 1, 0.5, (10.0, 20.0, 50.0, 40.0))
    assert cat == named()[-1] == named()[np.int64(1)] == Detection("cat", 0, 0.25, (0.0, 0.0, 100.0, 50.0))
    assert {type(value) for value in (dog.class_id, dog.score, *dog.box)} == {int, float}
    with pytest.raises(IndexError):
        named()[2]
    assert list(Detections.empty()) == []
    assert [row.name for row in sample()] == ["class 1", "class 0"]


def test_filter_by_score_and_class() -> None:
    found = named()
    assert [row.name for row in found.filter(0.5)] == ["dog"]
    assert [row.name for row in found.filter(classes=["cat"])] == ["cat"]
    assert [row.name for row in found.filter(classes=[1, "cat"])] == ["dog", "cat"]
    assert len(found.filter(0.5, classes=["cat"])) == len(found.filter(classes=[])) == 0
    with pytest.raises(UsageError, match="no class is called 'cow'; there are: cat, dog"):
        found.filter(classes=["cow"])
    assert [row.name for row in found.filter(classes="cat")] == ["cat"]
    assert [row.name for row in found.filter(classes=1)] == ["dog"]
    with pytest.raises(UsageError, match="filter: classes must be a str, an int, a sequence"):
        found.filter(classes=1.5)  # type: ignore[arg-type]


def test_filter_by_area() -> None:
    """The dog has 40 x 20 pixels, the cat 100 x 50; both limits are included."""
    found = named()
    assert [row.name for row in found.filter(min_area=800)] == ["dog", "cat"]
    assert [row.name for row in found.filter(min_area=801)] == ["cat"]
    assert [row.name for row in found.filter(max_area=4999)] == ["dog"]
    assert len(found.filter(0.4, min_area=801, max_area=5000)) == 0


def test_repr_says_what_was_found() -> None:
    assert repr(Detections.empty()) == "<Detections: none>"
    assert repr(named()) == "<Detections: 1 cat, 1 dog; scores 0.50 to 0.25>"
    class_ids = np.array([0, 4, 4, 4, 2, 1, 1])
    found = Detections(np.zeros((7, 4)), np.linspace(0.9, 0.3, 7), class_ids, ["a", "b", "c"])
    assert repr(found) == "<Detections: 3 class 4, 2 b, 1 a, …; scores 0.90 to 0.30>"


def test_draw_is_what_detect_draws_and_leaves_the_photo_alone(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)
    before = photo.copy()
    drawn = named().draw(photo)
    np.testing.assert_array_equal(photo, before)
    np.testing.assert_array_equal(drawn, annotate.draw(photo, sample(), ["cat", "dog"]))
    assert np.any(drawn != photo)
    cv2.imwrite(str(tmp_path / "photo.png"), photo)
    np.testing.assert_array_equal(named().draw(tmp_path / "photo.png"), drawn)
    np.testing.assert_array_equal(Detections.empty().draw(photo), photo)
    # A detector without names still says which class it was.
    np.testing.assert_array_equal(
        sample().draw(photo), annotate.draw(photo, sample(), ["class 0", "class 1"])
    )


def test_draw_refuses_what_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"1, 3 or 4 channels, got \(4,\) of uint8"):
        named().draw(np.zeros(4, np.uint8))
    with pytest.raises(UsageError, match=r"know no image; give it: draw\(image\), show\(image\), save"):
        named().draw()
    with pytest.raises(DataError, match="there is no such image"):
        named().draw(tmp_path / "none.png")


def test_to_dicts() -> None:
    assert sample().to_dicts(["cat", "dog"]) == [
        {"name": "dog", "class_id": 1, "score": 0.5, "box": [10, 20, 50, 40]},
        {"name": "cat", "class_id": 0, "score": 0.25, "box": [0, 0, 100, 50]},
    ]
    assert named().to_dicts() == sample().to_dicts(["cat", "dog"])
    assert named().to_dicts(["Katze", "Hund"])[0]["name"] == "Hund"


def test_to_coco_gives_left_top_width_height() -> None:
    assert sample().to_coco(7) == [
        {"image_id": 7, "category_id": 1, "bbox": [10, 20, 40, 20], "score": 0.5},
        {"image_id": 7, "category_id": 0, "bbox": [0, 0, 100, 50], "score": 0.25},
    ]


def test_to_yolo_gives_fractions_of_the_photo() -> None:
    # In a photo of 200x100: centre (30, 30), size 40x20 and centre (50, 25), size 100x50.
    assert sample().to_yolo(100, 200) == [
        "1 0.150000 0.300000 0.200000 0.200000",
        "0 0.250000 0.250000 0.500000 0.500000",
    ]


def test_to_supervision(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Theirs:
        xyxy: np.ndarray
        confidence: np.ndarray
        class_id: np.ndarray
        tracker_id: np.ndarray | None
        data: dict[str, np.ndarray]

    module = types.ModuleType("supervision")
    monkeypatch.setattr(module, "Detections", Theirs, raising=False)
    monkeypatch.setitem(sys.modules, "supervision", module)
    theirs = named().to_supervision()
    np.testing.assert_array_equal(theirs.xyxy, sample().boxes)
    np.testing.assert_array_equal(theirs.confidence, [0.5, 0.25])
    np.testing.assert_array_equal(theirs.class_id, [1, 0])
    assert theirs.data["class_name"].tolist() == ["dog", "cat"]


def test_the_library_supervision_takes_them() -> None:
    supervision = pytest.importorskip("supervision", reason="needs seyolo[supervision]")
    theirs = named().to_supervision()
    assert isinstance(theirs, supervision.Detections)
    assert theirs[theirs.confidence > 0.3].data["class_name"].tolist() == ["dog"]
    back = Detections.from_supervision(theirs)
    for column in ("boxes", "scores", "class_ids"):
        np.testing.assert_array_equal(getattr(back, column), getattr(named(), column))
    assert back.names == named().names
    assert back.track_ids is None
    tracked = replace(named(), track_ids=np.array([7, -1]))
    assert Detections.from_supervision(tracked.to_supervision()).track_ids.tolist() == [7, -1]


def test_detections_of_supervision_without_scores_and_classes() -> None:
    supervision = pytest.importorskip("supervision", reason="needs seyolo[supervision]")
    boxes = np.array([[1, 2, 3, 4]], np.float32)
    bare = Detections.from_supervision(supervision.Detections(xyxy=boxes))
    assert (bare.scores.tolist(), bare.class_ids.tolist(), bare.names) == ([1], [0], ())
    assert len(Detections.from_supervision(supervision.Detections.empty())) == 0
    theirs = supervision.Detections(
        xyxy=boxes, class_id=np.array([2]), data={"class_name": np.array(["dog"])}
    )
    assert Detections.from_supervision(theirs).names == ("class 0", "class 1", "dog")
    assert Detections.from_supervision(theirs, ["a", "b", "c"])[0].name == "c"


def test_to_pandas() -> None:
    pytest.importorskip("pandas")
    frame = named().to_pandas()
    assert frame.to_dict("records") == [
        {"name": "dog", "class_id": 1, "score": 0.5, "left": 10, "top": 20, "right": 50, "bottom": 40},
        {"name": "cat", "class_id": 0, "score": 0.25, "left": 0, "top": 0, "right": 100, "bottom": 50},
    ]
    assert len(Detections.empty().to_pandas()) == 0
    tracked = replace(named(), track_ids=np.array([7, -1]))
    assert tracked.to_pandas()["track_id"].tolist() == [7, -1]


def test_to_pandas_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BackendError, match=r"pandas is not installed; get it with: pip install pandas$"):
        sample().to_pandas()


def test_to_supervision_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(BackendError, match=re.escape(pip_install("seyolo[supervision]"))):
        sample().to_supervision()


def test_track_ids_stay_with_their_rows() -> None:
    tracked = replace(named(), track_ids=[7, -1])
    assert tracked[::-1].track_ids.tolist() == [-1, 7]
    assert tracked.filter(classes=["dog"]).track_ids.tolist() == [7]
    assert [row["track_id"] for row in tracked.to_dicts()] == [7, None]
    assert [row["track_id"] for row in tracked.to_coco(1)] == [7, None]
    assert tracked.to_yolo(100, 200) == named().to_yolo(100, 200)
    with pytest.raises(UsageError, match=r"track_ids must have shape \(2,\), got \(3,\)"):
        replace(named(), track_ids=[1, 2, 3])
    supervision = pytest.importorskip("supervision", reason="needs seyolo[supervision]")
    theirs = tracked.to_supervision()
    assert isinstance(theirs, supervision.Detections)
    assert theirs.tracker_id.tolist() == [7, -1]
    assert named().to_supervision().tracker_id is None
