"""Figures of exported files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.spot_detector import SIZE_PX, spot_detector, spot_images
from seyolo.errors import ExportError
from seyolo.exporting.formats import FORMATS, export
from seyolo.options.export import FileOptions
from seyolo.verbs.export_rows import exported_rows

BLACK = [np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)] * 32
PACKAGES = {".onnx": "onnxruntime", ".xml": "openvino", ".tflite": "ai_edge_litert"}


@pytest.mark.parametrize(("ending", "package"), PACKAGES.items())
def test_int8_is_compared_on_all_images_though_the_first_show_nothing(
    tmp_path: Path, ending: str, package: str
) -> None:
    pytest.importorskip(package, reason="needs seyolo[openvino,litert]")
    model, images = spot_detector(), [*BLACK, *spot_images(8)]
    options = FileOptions(int8=True)
    written = FORMATS[ending].write(model, tmp_path / f"x{ending}", options, images, None)
    (row,) = exported_rows(model, [(written, options)])
    assert row.agreement == 1.0


@pytest.mark.parametrize(("ending", "package"), PACKAGES.items())
def test_int8_that_cannot_be_compared_is_not_written(tmp_path: Path, ending: str, package: str) -> None:
    pytest.importorskip(package, reason="needs seyolo[openvino,litert]")
    with pytest.raises(ExportError, match="nothing was found on 32 images, so int8 cannot be compared"):
        export(spot_detector(), tmp_path / f"x{ending}", int8=True, pictures=BLACK)
    assert not list(tmp_path.iterdir())
