"""Reader of ONNX files of any exporter; parameters and MACs need the package onnx."""

from __future__ import annotations

from pathlib import Path

from seyolo.errors import BackendError, UsageError
from seyolo.runtime.onnx_file import OnnxFile, OnnxValue
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
    try:
        from seyolo.runtime import onnx_graph  # noqa: PLC0415 (part of the train install only)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("onnx", "google"):
            raise
        return _from_runtime(path)
    file = onnx_graph.read(path, size)
    if size is not None and file.input_size not in (None, size_hw(size)):
        height, width = file.input_size or (0, 0)
        made = f"{path} is made for {width}x{height} pixels"
        raise UsageError(f"--size {input_text(size)}: {made}; leave --size out")
    return file


def _from_runtime(path: Path) -> OnnxFile:
    from seyolo.runtime.onnxruntime_backend import open_session  # noqa: PLC0415 (slow)

    session = open_session(path)
    inputs, outputs = (
        tuple(OnnxValue(value.name, _dtype(value.type), tuple(value.shape)) for value in values)
        for values in (session.get_inputs(), session.get_outputs())
    )
    return OnnxFile(inputs, outputs, dict(session.get_modelmeta().custom_metadata_map))


def _dtype(text: str) -> str:
    name = text.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, name)
