"""A MODEL opened in the fastest way: the same boxes, and the error of a smaller precision shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from seyolo.detector import Detector
from seyolo.errors import BackendError, UsageError
from seyolo.opening.detector import split_model
from seyolo.opening.running import Work, open_running, rounding_error
from seyolo.options.evaluate import EvaluateOptions
from seyolo.processor import has_bf16
from seyolo.runtime.benchmark import gradient_image
from seyolo.runtime.contest import drawn_input
from seyolo.runtime.shipped import model_file

NONE = EvaluateOptions()
HAND = model_file("hand").name


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_measured_choice_finds_the_same_boxes(fresh_cache: Path) -> None:
    said: list[str] = []
    chosen, _ = open_running("hand", NONE, Work(), said.append)
    usual, _ = open_running("hand", NONE, Work(num_images=1), said.append)
    assert usual.name == "onnxruntime"
    raw, expected = (backend.infer(drawn_input(usual)) for backend in (chosen, usual))
    np.testing.assert_allclose(raw[..., :4], expected[..., :4], rtol=0, atol=1e-5 * 320)
    np.testing.assert_allclose(raw[..., 4:], expected[..., 4:], rtol=0, atol=1e-5)
    images = [gradient_image(240, 320), np.random.default_rng(0).integers(0, 255, (99, 400, 3), np.uint8)]
    for found, other in zip(
        *(Detector(backend, confidence=0.01).detect_many(images) for backend in (chosen, usual)), strict=True
    ):
        np.testing.assert_array_equal(found.class_ids, other.class_ids)
        np.testing.assert_allclose(found.boxes, other.boxes, atol=0.01)
    if len(said) == 1:  # there was something to choose from
        assert said[0].startswith(f"{HAND}: ")
        assert f"; measured now, kept in {fresh_cache}" in said[0]
        again, _ = open_running("hand", NONE, Work(), said.append)
        assert (again.name, "measured before" in said[1]) == (chosen.name, True)


def test_int8_and_bf16_are_no_choice_of_ours(fresh_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    from seyolo.opening import running  # noqa: PLC0415

    real = running.open_detector
    monkeypatch.setattr(
        running,
        "open_detector",
        lambda asked, *a, **k: opened.append(asked.precision) or real(asked, *a, **k),
    )
    open_running("hand", NONE, Work(), lambda _: None)
    assert set(opened) == {"f32"}


def test_the_error_of_bf16_is_shown(fresh_cache: Path) -> None:
    pytest.importorskip("openvino", reason="needs seyolo[openvino]")
    if not has_bf16():
        pytest.skip("this processor has no bf16")
    said: list[str] = []
    images = [np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)] * 2
    work = Work(num_images=1, samples=lambda: images)
    open_running("hand", EvaluateOptions(runtime="openvino:bf16"), work, said.append)
    open_running("hand@openvino:bf16", NONE, Work(num_images=1), said.append)
    for line, seen in zip(said, ("2 images", "a drawn image"), strict=True):
        assert line.startswith(f"{HAND}: in bf16, boxes move by up to ")
        assert line.endswith(f" from float32, on {seen}")
    assert float(said[0].split("up to ")[1].split(" px")[0]) > 0.01


def test_a_processor_without_bf16_refuses_it_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="needs seyolo[openvino]")
    monkeypatch.setattr("seyolo.runtime.choice.has_bf16", lambda: False)
    monkeypatch.setattr("seyolo.runtime.choice.processor_name", lambda: "Atom")
    for number in (1, None):
        refused = rf"{re.escape(HAND)}: this processor \(Atom\) has no bf16; leave :bf16 out"
        with pytest.raises(BackendError, match=refused):
            open_running("hand", EvaluateOptions(runtime="openvino:bf16"), Work(number), pytest.fail)


def test_rounding_error_counts_the_best_boxes() -> None:
    exact = np.zeros((2, 300, 6), np.float32)
    exact[..., 4], exact[..., 5] = np.linspace(1, 0, 300), 0.5
    actual = exact.copy()
    actual[0, 7, 2] += 3.5  # among the best hundred
    actual[1, 99, 5] -= 0.25  # a score of (1 - 99 / 299) / 4 less
    actual[0, 100] += 50  # not among them
    shift_px, change = rounding_error(actual, exact)
    assert shift_px == 3.5
    assert change == pytest.approx((1 - 99 / 299) * 0.25)


@pytest.mark.parametrize(
    ("model", "wanted", "choice"),
    [
        ("a.onnx", "openvino", ("a.onnx", "openvino", "f32")),
        ("a.onnx", "openvino:bf16", ("a.onnx", "openvino", "bf16")),
        ("a.onnx@openvino:bf16", "openvino:bf16", ("a.onnx", "openvino", "bf16")),
        ("a.onnx@openvino", None, ("a.onnx", "openvino", "f32")),
        ("yolov3@0.25", "torch", ("yolov3@0.25", "torch", "f32")),
        ("hand", "onnxruntime", ("hand", "onnxruntime", "f32")),
    ],
)
def test_a_runtime_beside_the_model(model: str, wanted: str | None, choice: Sequence[str]) -> None:
    assert split_model(model, wanted) == choice


@pytest.mark.parametrize(
    ("model", "wanted", "text"),
    [
        ("a.onnx", "vino", "--runtime vino: 'vino' is none of onnxruntime"),
        ("a.onnx", "", "--runtime : '' is none of"),
        ("a.onnx", "openvino:int8", "--runtime openvino:int8: 'int8' is none of f32, bf16 or f16"),
        ("a.onnx", "openvino:", "'' is none of f32"),
        ("a.onnx@openvino", "onnxruntime", "a.onnx@openvino and --runtime onnxruntime name two runtimes"),
        ("a.onnx@openvino:bf16", "openvino", "name two runtimes; leave one of them out"),
    ],
)
def test_runtimes_that_do_not_exist_or_contradict(model: str, wanted: str, text: str) -> None:
    with pytest.raises((BackendError, UsageError), match=text):
        split_model(model, wanted)
