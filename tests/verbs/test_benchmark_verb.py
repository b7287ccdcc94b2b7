"""Models by name with a runtime behind, and what a comparison of them tells."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from seyolo.errors import BackendError
from seyolo.verbs import benchmark as comparison
from seyolo.verbs.benchmark import Choice, open_detector, split_model


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("a/slim.onnx", ("a/slim.onnx", None, "f32")),
        ("a/slim.onnx@openvino", ("a/slim.onnx", "openvino", "f32")),
        ("slim.onnx@openvino:bf16", ("slim.onnx", "openvino", "bf16")),
        ("slim.cfg@torch", ("slim.cfg", "torch", "f32")),
        ("yolov3@0.25", ("yolov3@0.25", None, "f32")),
        ("yolov3@0.25@torch:bf16", ("yolov3@0.25", "torch", "bf16")),
        ("me@home/slim.onnx", ("me@home/slim.onnx", None, "f32")),
    ],
)
def test_what_stands_behind_a_model(text: str, choice: tuple[str, str | None, str]) -> None:
    assert split_model(text) == Choice(*choice)  # type: ignore[arg-type]
    assert split_model(Path(text)) == split_model(text)


def test_a_file_of_that_name_is_the_file(tmp_path: Path) -> None:
    path = tmp_path / "slim.onnx@openvino"
    path.touch()
    assert split_model(path) == Choice(str(path), None, "f32")


@pytest.mark.parametrize("wanted", ["vino", "openvino:bf17", "openvino:", ":bf16", ""])
def test_a_choice_that_does_not_exist(wanted: str) -> None:
    with pytest.raises(BackendError, match=rf"slim\.onnx@{wanted}: '.*' is none of"):
        split_model(f"slim.onnx@{wanted}")


def test_files_alone_run_on_other_runtimes() -> None:
    with pytest.raises(BackendError, match="opencv runs files as they are; with model options torch does"):
        open_detector("net.cfg@opencv", num_classes=2)


def test_ap_is_left_out_where_its_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "find_spec", lambda name: None)
    with pytest.warns(match="AP is left out: it needs faster-coco-eval.*pip install faster-coco-eval"):
        assert not comparison._can_measure_ap()


def test_without_its_package_ap_alone_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tiny_hands: Path
) -> None:
    for module in [name for name in sys.modules if name.startswith("seyolo.evaluation.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    monkeypatch.setitem(sys.modules, "faster_coco_eval.core.coco", None)
    with pytest.raises(BackendError, match="AP needs faster-coco-eval, which is not installed"):
        comparison.evaluate_backend(None, tiny_hands)  # type: ignore[arg-type]
