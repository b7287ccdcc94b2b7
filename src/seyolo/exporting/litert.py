"""Export to LiteRT: `x.tflite` and `x.tflite.json`, translated from our ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx

from seyolo.exporting.converted import export_converted
from seyolo.exporting.litert_graph import litert_bytes
from seyolo.exporting.parity import Written
from seyolo.exporting.quantize import Image
from seyolo.options.export import FileOptions
from seyolo.progress import Progress
from seyolo.runtime.litert_backend import LiteRtBackend
from seyolo.runtime.onnx_mish import rewrite_mish
from seyolo.torchnet.build import DarknetModel


def export_litert(
    model: DarknetModel, path: Path, options: FileOptions, images: Sequence[Image], progress: Progress | None
) -> Written:
    """Writes both files, see `export_converted`."""
    return export_converted(model, path, options, convert, LiteRtBackend, images=images, progress=progress)


def convert(graph: onnx.ModelProto, path: Path, options: FileOptions) -> None:
    """Writes a graph as the file of a path."""
    if not options.int8:
        rewrite_mish(graph.graph)
    path.write_bytes(litert_bytes(graph, half=options.half))
