"""Reader of ONNX files of any exporter."""

from __future__ import annotations

from pathlib import Path

from seyolo.errors import BackendError, UsageError
from seyolo.runtime import onnx_graph
from seyolo.runtime.onnx_file import OnnxFile
from seyolo.sizes import InputSize, input_text, size_hw


def read_onnx_file(path: str | Path, size: InputSize | None = None) -> OnnxFile:
    """Reads an ONNX file without running it.

    `size` is that of the input in pixels, for a file that leaves its size open.

    Raises:
        BackendError: there is no such file, or it is no ONNX file.
        UsageError: the file is made for another size.
    """
    path = Path(path)
    if not path.is_file():
        raise BackendError(f"{path}: there is no such model file")
    file = onnx_graph.read(path, size)
    if size is not None and file.input_size not in (None, size_hw(size)):
        height, width = file.input_size or (0, 0)
        made = f"{path} is made for {width}x{height} pixels"
        raise UsageError(f"--size {input_text(size)}: {made}; leave --size out")
    return file
