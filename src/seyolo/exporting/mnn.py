"""Export to MNN: `x.mnn` and `x.mnn.json`, converted from our ONNX graph by MNN's converter.

The converter's function is called, not its program `mnnconvert`: that installs a package and reports each
conversion to a server. Its 16-bit form also rounds the constants of the decoding, so there is none here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx

from seyolo.errors import ExportError
from seyolo.exporting.converted import export_converted, last_line, run_converter
from seyolo.exporting.parity import Written
from seyolo.exporting.rewriting import without_space_to_depth
from seyolo.options.export import FileOptions
from seyolo.runtime.mnn_backend import MnnBackend
from seyolo.torchnet.build import DarknetModel

_CALL = "import sys, _tools; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"


def export_mnn(model: DarknetModel, path: Path, options: FileOptions, *_: object) -> Written:
    """Writes both files, see `export_converted`."""
    return export_converted(model, path, options, convert, MnnBackend)


def convert(graph: onnx.ModelProto, path: Path, _: FileOptions) -> None:
    """Writes a graph as the file of a path."""
    source = path.with_name("x.onnx")
    onnx.save(without_space_to_depth(graph), str(source))
    names = ["--modelFile", source.name, "--MNNModel", path.name, "--bizCode", "seyolo"]
    printed = run_converter([sys.executable, "-c", _CALL, "-f", "ONNX", *names], path.parent)
    if not path.is_file():
        raise ExportError(f"MNN cannot convert this network ({last_line(printed)})")
