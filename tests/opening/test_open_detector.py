"""A MODEL with a runtime behind it, opened to detect."""

from __future__ import annotations

from pathlib import Path

import pytest

from seyolo.errors import BackendError
from seyolo.opening.detector import Choice, open_detector, split_model
from seyolo.options.model import ModelOptions


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
    with pytest.raises(
        BackendError, match="opencv runs files without model options; leave them out, or use torch"
    ):
        open_detector("net.cfg@opencv", ModelOptions(num_classes=2))
