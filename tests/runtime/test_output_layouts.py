"""Files of other exporters: their layouts, class names and sizes, on the runtimes that read ONNX."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from helpers.foreign_models import (
    BOXES_XYXY,
    CLASS_IDS,
    NAMES,
    SCORES,
    SIZE_PX,
    columns_output,
    rows_output,
    suppressed_output,
    ultralytics_metadata,
    write_constant,
)
from helpers.onnx_models import write_model
from seyolo.detector import Detector
from seyolo.errors import BackendError
from seyolo.runtime.choice import open_backend
from seyolo.runtime.layouts import Layout
from seyolo.runtime.metadata import read_any_names

RUNTIMES = ["onnxruntime", *(["openvino"] if find_spec("openvino") else [])]
IMAGE = np.full((SIZE_PX, SIZE_PX, 3), 90, np.uint8)
YOLOV5 = {"stride": "32", "names": str(dict(enumerate(NAMES)))}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize(
    ("output", "metadata", "num_found"),
    [
        (columns_output(), ultralytics_metadata(), 2),
        (columns_output(), {"names": json.dumps(NAMES), "imgsz": "[64, 64]"}, 2),
        (rows_output(), YOLOV5 | {"imgsz": "[64, 64]"}, 2),
        (suppressed_output(), ultralytics_metadata(nms=True), 3),
        (suppressed_output(), ultralytics_metadata(end2end=True), 3),
        (suppressed_output(), ultralytics_metadata(), 3),
    ],
)
def test_every_layout_gives_the_same_boxes(
    output: np.ndarray,
    metadata: dict[str, str],
    num_found: int,
    *,
    is_open: bool,
    runtime: str,
    tmp_path: Path,
) -> None:
    """What is suppressed inside the file is not suppressed again: there the overlapping box stays."""
    path = write_constant(tmp_path / "m.onnx", output, metadata, is_open=is_open)
    found = Detector(path, runtime=runtime).detect(IMAGE)
    assert [row.name for row in found] == [NAMES[class_id] for class_id in CLASS_IDS[:num_found]]
    np.testing.assert_allclose(found.scores, SCORES[:num_found], rtol=1e-6)
    np.testing.assert_allclose(found.boxes, BOXES_XYXY[:num_found], atol=1e-4)


def test_boxes_are_those_of_the_photo_and_not_of_the_input(tmp_path: Path) -> None:
    path = write_constant(tmp_path / "m.onnx", columns_output(), ultralytics_metadata())
    wide = Detector(path).detect(np.full((SIZE_PX, 2 * SIZE_PX, 3), 90, np.uint8))
    # The photo fills the middle half of the input: twice as large, and 16 px from the top.
    expected = [[16, 0, 48, 16], [60, 0, 120, 64]]
    np.testing.assert_allclose(wide.boxes, expected, atol=1e-4)


@pytest.mark.parametrize("num_classes", [1, 2, 80])
def test_the_number_of_classes_follows_from_the_shape_without_metadata(
    num_classes: int, tmp_path: Path
) -> None:
    for name, output in (("a", columns_output(num_classes, 8400)), ("b", rows_output(num_classes, 8400))):
        backend = open_backend(write_constant(tmp_path / f"{name}.onnx", output))
        assert len(backend.names) == num_classes
        assert Detector(backend).detect(IMAGE).scores[0] == pytest.approx(0.9, rel=1e-6)


def test_a_small_input_has_fewer_boxes_than_classes(tmp_path: Path) -> None:
    metadata = ultralytics_metadata() | {"names": str({index: f"name {index}" for index in range(80)})}
    path = write_constant(tmp_path / "m.onnx", columns_output(80, 21), metadata)
    assert len(open_backend(path).names) == 80


def test_one_class_before_suppression_is_told_from_boxes_after_it(tmp_path: Path) -> None:
    """Both have six columns; the values on a black image decide."""
    one = write_constant(tmp_path / "one.onnx", rows_output(1))
    assert open_backend(one).names == ("class 0",)
    after = write_constant(tmp_path / "after.onnx", suppressed_output())
    with pytest.raises(BackendError, match="suppression inside and no class names; give them with --names"):
        open_backend(after)
    assert open_backend(after, names=NAMES).names == NAMES


def test_ours_with_one_class_is_never_asked(tmp_path: Path) -> None:
    path = write_constant(tmp_path / "m.onnx", suppressed_output(), {"producer": "seyolo"})
    assert open_backend(path).layout == Layout("rows", 1)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("task", ["segment", "pose", "obb", "classify"])
def test_another_task_is_named(task: str, runtime: str, tmp_path: Path) -> None:
    metadata = ultralytics_metadata(task=task)
    path = write_constant(tmp_path / "m.onnx", columns_output(), metadata, num_outputs=2)
    with pytest.raises(BackendError, match=f"m.onnx: was made for the task '{task}'"):
        open_backend(path, runtime=runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_unknown_layout_says_what_to_do(runtime: str, tmp_path: Path) -> None:
    detr = write_constant(tmp_path / "detr.onnx", np.zeros((1, 300, 7), np.float32), ultralytics_metadata())
    several = write_model(tmp_path / "several.onnx", num_outputs=4)
    for path, part in (
        (detr, "300 x 7 is none that seyolo knows"),
        (several, "expected one output of shape"),
    ):
        with pytest.raises(BackendError, match=f"{part}.*; seyolo reads YOLO detectors as seyolo"):
            open_backend(path, runtime=runtime)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{0: 'hand', 1: 'cup'}", ("hand", "cup")),
        ("{1: 'cup', 0: 'hand'}", ("hand", "cup")),
        ('{"10": "k", "2": "c", "0": "a"}', ("a", "c", "k")),
        ("['hand', 'cup']", ("hand", "cup")),
        ('["hand"]', ("hand",)),
        ('{0: "driver\'s hand"}', ("driver's hand",)),
        ("('hand', 'cup')", ("hand", "cup")),
        (f"{{'{'1' * 9000}': 'b', 0: 'a'}}", ("a", "b")),
        ("{", None),
        ("__import__('os')", None),
        ("", None),
        ("3", None),
    ],
)
def test_names_in_their_order(text: str, names: tuple[str, ...] | None) -> None:
    assert read_any_names({"names": text}) == names
