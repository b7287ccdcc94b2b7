"""Formats by the endings of their files."""

from __future__ import annotations

import subprocess
import sys

from seyolo.exporting.formats import FORMATS
from seyolo.options.export import ENDINGS


def test_each_ending_has_its_format() -> None:
    assert {ending: kind.title for ending, kind in FORMATS.items()} == {
        ".onnx": "ONNX",
        ".xml": "OpenVINO",
        ".ncnn.param": "ncnn",
        ".mnn": "MNN",
        ".tflite": "LiteRT",
        ".cfg": "Darknet",
        ".safetensors": "a checkpoint",
    }
    assert list(FORMATS) == list(ENDINGS)


def test_the_endings_are_known_without_the_exporters() -> None:
    script = (
        "import sys, seyolo.options.export\nprint({'torch', 'onnx', 'seyolo.exporting'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
