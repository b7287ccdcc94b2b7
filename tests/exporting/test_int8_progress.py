"""Progress of fitting int8."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.spot_detector import spot_detector, spot_images
from seyolo.exporting.formats import FORMATS
from seyolo.options.export import FileOptions
from seyolo.progress import Advance


class Recorder:
    """Keeps the title of each task and the runs that it counted."""

    def __init__(self) -> None:
        self.tasks: dict[str, int] = {}

    def message(self, text: str) -> None:
        raise AssertionError(text)

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Advance]:
        assert total is None
        self.tasks[title] = 0

        def advance(count: int, note: str) -> None:
            assert note == ""
            self.tasks[title] += count

        yield advance


@pytest.mark.parametrize(
    ("ending", "package"), [(".onnx", "onnxruntime"), (".xml", "openvino"), (".tflite", "ai_edge_litert")]
)
def test_the_runs_on_the_images_are_shown(tmp_path: Path, ending: str, package: str) -> None:
    pytest.importorskip(package, reason="needs seyolo[openvino,litert]")
    recorder, images = Recorder(), spot_images(30)
    FORMATS[ending].write(spot_detector(), tmp_path / f"x{ending}", FileOptions(int8=True), images, recorder)
    # Ranges, boxes in float32 and in int8; kernels are rounded on 24 images; a fusing form tries three on 8.
    runs = 3 * 30 + 24 + 3 * 8 * (ending == ".xml")
    assert recorder.tasks == {"fitting int8 on 30 images, 3 runs or more on each:": runs}
