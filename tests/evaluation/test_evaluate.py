"""Whole splits through a model: boxes come back in source pixels, whatever runs and however it is batched."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import cv2
import numpy as np
import pytest
import torch

from helpers.boxes import found
from helpers.written_datasets import write_text, write_voc
from seyolo.darknet.zoo import network_from_name
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.data.samples import Sample
from seyolo.detector import Detector
from seyolo.errors import DataError
from seyolo.evaluation.ap import Metrics, average_precision
from seyolo.evaluation.evaluate import evaluate, judge_splits, judged, metrics_of, truth_of
from seyolo.runtime.torch_backend import TorchBackend
from seyolo.torchnet.build import build

SIZE_HW = (96, 128)
BOXES_XYXY = {(200, 300): [60, 40, 180, 120], (300, 150): [30, 90, 120, 210], (90, 90): [10, 10, 50, 80]}
"""Height and width of each image, and its one object."""


class RedFinder:
    """A backend that predicts the extent of pure red, at every place of a batch it is asked about."""

    name = "red"
    input_size = SIZE_HW
    names = ("red",)

    def __init__(self, letterbox_mode: str) -> None:
        self.letterbox_mode = letterbox_mode

    def infer(self, batch: np.ndarray) -> np.ndarray:
        assert batch.dtype == np.float32
        return np.stack([self._find(image) for image in batch])

    @staticmethod
    def _find(image: np.ndarray) -> np.ndarray:
        rows, columns = np.nonzero((image[0] > 0.5) & (image[2] < 0.25))
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        centre = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        return np.array([[*centre, 0.9, 1.0]], dtype=np.float32)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    out = []
    for (height, width), (left, top, right, bottom) in BOXES_XYXY.items():
        image = np.full((height, width, 3), 60, dtype=np.uint8)
        image[top:bottom, left:right] = (0, 0, 255)
        path = tmp_path / f"{height}.png"
        cv2.imwrite(str(path), image)
        centre = [(left + right) / 2 / width, (top + bottom) / 2 / height]
        box = [*centre, (right - left) / width, (bottom - top) / height]
        out.append(Sample(path, np.array([box], dtype=np.float32), np.zeros(1, dtype=np.int64)))
    return out


@pytest.fixture
def model():
    network = network_from_name("yolov3-tiny@0.125", num_classes=1)
    return build(network, ["red"], torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_boxes_come_back_in_source_pixels(samples: list[Sample], mode: str) -> None:
    found = judged(RedFinder(mode), samples, SIZE_HW, batch_size=2).found
    for detections, expected in zip(found, BOXES_XYXY.values(), strict=True):
        # One pixel of the input is at most 300 / 96 = 3.1 of the source.
        np.testing.assert_allclose(detections.boxes, [expected], atol=3.2)


class ChainFinder(RedFinder):
    """Predicts it three times, each box farther right: neighbours have IoU 0.63 and 0.67, the ends 0.40."""

    @staticmethod
    def _find(image: np.ndarray) -> np.ndarray:
        rows = np.repeat(RedFinder._find(image), 3, axis=0)
        rows[:, 0] += np.float32([0, 0.225, 0.425]) * rows[:, 2]
        rows[:, 4] = [0.9, 0.8, 0.7]
        return rows


def test_what_detect_finds_is_found_by_its_own_suppression(samples: list[Sample]) -> None:
    backend = ChainFinder("letterbox")
    _, for_ap, detected = judged(backend, samples, SIZE_HW)
    # At IoU 0.65 the third box falls to the second, which `detect` drops itself.
    assert [one.scores.tolist() for one in for_ap] == [pytest.approx([0.9, 0.8])] * 3
    detector = Detector(backend)
    for sample, one in zip(samples, detected, strict=True):
        assert one.scores.tolist() == pytest.approx([0.9, 0.7])
        expected = detector.detect(sample.image)
        np.testing.assert_array_equal(one.boxes, expected.boxes)
        np.testing.assert_array_equal(one.scores, expected.scores)


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_a_perfect_detector_scores_one(samples: list[Sample], mode: str) -> None:
    metrics = evaluate(RedFinder(mode), samples, SIZE_HW)
    assert metrics.ap50 == pytest.approx(1)
    assert metrics.ap > 0.7
    assert (metrics.num_images, metrics.num_objects) == (3, 3)


def test_a_label_the_model_does_not_know_is_refused(samples: list[Sample]) -> None:
    strange = Sample(samples[0].image, samples[0].boxes_cxcywh, np.ones(1, dtype=np.int64))
    with pytest.raises(DataError, match="class 1"):
        evaluate(RedFinder("letterbox"), [strange], SIZE_HW)


def test_truth_in_pixels_by_hand() -> None:
    # Centre (0.5, 0.5) of 200x100 (width x height) is (100, 50); half sizes are 20 and 25.
    sample = Sample(Path("x"), np.array([[0.5, 0.5, 0.2, 0.5]], dtype=np.float32), np.array([0]))
    np.testing.assert_allclose(truth_of(sample, 100, 200).boxes_xyxy, [[80, 25, 120, 75]], rtol=1e-6)


def test_network_and_backend_agree_for_any_batch_size(samples: list[Sample], model) -> None:
    once = judged(model, samples, SIZE_HW, batch_size=3).found
    assert all(len(detections) > 20 for detections in once)
    singly = judged(model, samples, SIZE_HW, batch_size=1).found
    for one, other in zip(once, singly, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4)
    backend = judged(TorchBackend(model), samples, SIZE_HW, batch_size=3).found
    for one, other in zip(once, backend, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_a_network_is_left_as_it_was(samples: list[Sample], model, training: bool) -> None:
    model.train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate(model, samples, SIZE_HW)
    assert model.training is training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_progress_counts_every_image(samples: list[Sample]) -> None:
    class Recorder:
        def __init__(self) -> None:
            self.total, self.counts = 0, []

        def message(self, text: str) -> None:
            raise AssertionError(text)

        @contextmanager
        def task(self, title: str, total: int):
            self.total = total
            yield lambda count, note: self.counts.append(count)

    recorder = Recorder()
    judged(RedFinder("letterbox"), samples, SIZE_HW, batch_size=2, progress=recorder)
    assert (recorder.total, recorder.counts) == (3, [2, 1])


class Painter:
    """A backend of any classes that finds the colour of each, at the place of `RedFinder`."""

    name = "painter"
    input_size = SIZE_HW
    letterbox_mode = "letterbox"

    def __init__(self, names: tuple[str, ...], score_of: dict[str, float]) -> None:
        self.names = names
        self._scores = [score_of.get(name.casefold(), 0.0) for name in names]

    def infer(self, batch: np.ndarray) -> np.ndarray:
        rows = [RedFinder._find(image)[0, :5] for image in batch]
        return np.array([[[*row, *self._scores]] for row in rows], dtype=np.float32)


class TestClassOrder:
    """Labels are of class `red`, number 0 of (red, green)."""

    def measured(self, samples: list[Sample], names: tuple[str, ...], data=("red", "green")) -> Metrics:
        contents = SimpleNamespace(names=data, splits={"val": ()})
        dataset = Dataset(data, contents.splits, Path("data.yaml"), contents)
        shown = [replace(sample, class_ids=sample.class_ids) for sample in samples]
        with patch.object(Dataset, "split", lambda self, name: shown):
            judgement = judge_splits(Painter(names, {"red": 0.9}), dataset, "val", SIZE_HW)
        return metrics_of(judgement, data)["val"]

    @pytest.mark.parametrize("names", [("red", "green"), ("green", "red"), ("Green", "RED")])
    def test_classes_count_by_name(self, samples: list[Sample], names: tuple[str, ...]) -> None:
        metrics = self.measured(samples, names)
        assert metrics.per_class[0].ap50 == pytest.approx(1)
        assert len(metrics.per_class) == 2

    def test_detections_of_other_classes_are_left_out_and_said(self, samples: list[Sample]) -> None:
        with pytest.warns(UserWarning, match="classes that the data set lacks are left out: blue, grey"):
            metrics = self.measured(samples, ("blue", "green", "grey", "red"))
        assert metrics.per_class[0].ap50 == pytest.approx(1)
        assert len(metrics.per_class) == 2

    def test_a_class_that_the_model_lacks_is_never_found_and_said(self, samples: list[Sample]) -> None:
        with pytest.warns(UserWarning, match="the model does not have are never found: red"):
            metrics = self.measured(samples, ("green",))
        assert (metrics.per_class[0].ap50, metrics.num_objects) == (0, 3)

    def test_other_names_count_by_number_and_are_said(self, samples: list[Sample]) -> None:
        with pytest.warns(UserWarning, match="by number: red, green here, rouge, vert in the model"):
            self.measured(samples, ("rouge", "vert"))

    def test_default_names_count_by_number(self, samples: list[Sample]) -> None:
        self.measured(samples, ("class 0", "class 1"))

    @pytest.mark.parametrize("names", [("rouge",), ("class 0", "class 1", "class 2")])
    def test_nothing_in_common_is_refused(self, samples: list[Sample], names: tuple[str, ...]) -> None:
        with pytest.raises(DataError, match=rf"has 2 classes \(red, green\), the model {len(names)} \("):
            self.measured(samples, names)

    def test_a_refused_list_of_many_classes_says_that_it_is_cut(self, samples: list[Sample]) -> None:
        said = (
            r"the model 6 \(a, b, c, d, e, … \(6\)\); train it on these classes first: seyolo train --data "
        )
        with pytest.raises(DataError, match=said):
            self.measured(samples, tuple("abcdef"))


def test_difficult_objects_of_voc_neither_help_nor_hurt(tmp_path: Path) -> None:
    folder = write_voc(tmp_path / "voc")
    boxes = ((1, 1, 20, 20), (31, 11, 60, 40))
    objects = "".join(
        f"<object><name>hand</name><difficult>{number}</difficult><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}"
        f"</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for number, box in enumerate(boxes)
    )
    size = "<size><width>80</width><height>40</height></size>"
    write_text(folder / "Annotations/b1.xml", f"<annotation>{size}{objects}</annotation>")
    sample = load_dataset(folder).split("val")[0]
    truth = truth_of(sample, 40, 80)
    assert (truth.boxes_xyxy.tolist(), truth.ignored.boxes_xyxy.tolist()) == (
        [[0, 0, 20, 20]],
        [[30, 10, 60, 40]],
    )
    twice = [[30, 10, 60, 40], [32, 10, 60, 40]]  # the difficult one, found again
    for others, ap in (([], 1.0), (twice, 1.0), ([[62, 0, 80, 20]], 0.5)):
        detections = found(
            [*others, [0, 0, 20, 20]], np.linspace(0.9, 0.5, 1 + len(others)), [1] * (1 + len(others))
        )
        assert average_precision([truth], [detections], 2).ap == pytest.approx(ap)
    missed = average_precision([truth], [found([], [])], 2)
    assert (missed.ap, missed.num_objects) == (0, 1)
