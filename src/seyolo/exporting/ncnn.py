"""Export to ncnn: `x.ncnn.param`, `x.ncnn.bin` and `x.ncnn.json`, converted from our ONNX graph by pnnx."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import ncnn
import numpy as np
import onnx

from seyolo.errors import ExportError
from seyolo.exporting.converted import export_converted, last_line, layers_with, run_converter
from seyolo.exporting.parity import Written
from seyolo.options.export import FileOptions
from seyolo.runtime.ncnn_backend import NcnnBackend
from seyolo.torchnet.build import DarknetModel

LEAST_HALF = float(np.finfo(np.float16).smallest_normal)  # what is smaller becomes zero on the way to ncnn
# pnnx takes ONNX's SpaceToDepth for pixel_unshuffle, whose channels come in another order.
_SHUFFLE = re.compile(r"^(\w+ +pixelunshuffle_.* 1=)0", re.MULTILINE)


def export_ncnn(model: DarknetModel, path: Path, options: FileOptions, *_: object) -> Written:
    """Writes the three files, see `export_converted`."""
    return export_converted(model, path, options, convert, NcnnBackend, least_half=LEAST_HALF)


def convert(graph: onnx.ModelProto, path: Path, options: FileOptions) -> None:
    """Writes a graph as the file of a path."""
    onnx.save(graph, str(path.with_name("x.onnx")))
    shape = [dim.dim_value for dim in graph.graph.input[0].type.tensor_type.shape.dim]
    command = [
        str(_pnnx()), "x.onnx", f"inputshape=[{','.join(map(str, shape))}]", f"fp16={int(options.half)}"
    ]  # fmt: skip
    printed = run_converter(command, path.parent)
    made = path.with_name("x.ncnn.param")
    if not made.is_file():
        raise ExportError(f"pnnx cannot convert this network ({last_line(printed)})")
    text = _SHUFFLE.sub(r"\g<1>1", made.read_text(encoding="utf-8"))
    for kind in re.findall(r"^([A-Z][\w.]*) ", text, re.MULTILINE):
        if ncnn.layer_to_index(kind) < 0:
            raise ExportError(f"ncnn has no {layers_with(graph, kind.rpartition('.')[2])}; export to .onnx")
    made.with_suffix(".bin").rename(path.with_suffix(".bin"))
    made.unlink()
    path.write_text(text, encoding="utf-8")


def _pnnx() -> Path:
    """Returns pnnx's program; importing its package would need PyTorch."""
    spec = find_spec("pnnx")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("no module pnnx", name="pnnx")
    return Path(spec.submodule_search_locations[0]) / ("pnnx.exe" if sys.platform == "win32" else "pnnx")
