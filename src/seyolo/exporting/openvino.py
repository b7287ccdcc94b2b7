"""Export to OpenVINO's IR, `x.xml` and `x.bin`, converted from our ONNX graph.

The export writes the metadata of the ONNX file into the model's runtime information, where
`runtime/openvino_backend.py` reads it. An int8 graph remains int8: OpenVINO reads its conversions to bytes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import openvino

from seyolo.exporting.converted import require_equal_boxes
from seyolo.exporting.onnx import export_onnx, require_equal_raw, with_rounded_kernels
from seyolo.exporting.parity import Written, sample_image
from seyolo.exporting.quantize import Image
from seyolo.files import replacing
from seyolo.options.export import FileOptions
from seyolo.progress import Progress
from seyolo.runtime.openvino_backend import SECTION, OpenVinoBackend, core
from seyolo.torchnet.build import DarknetModel


def export_openvino(
    model: DarknetModel, path: Path, options: FileOptions, images: Sequence[Image], progress: Progress | None
) -> Written:
    """Writes `x.xml` and `x.bin` as `export_onnx` does, once OpenVINO gives the model's output, too."""
    xml, weights = path, path.with_suffix(".bin")
    xml.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=xml.parent, prefix=f".{xml.stem}.") as folder:
        own = replace(options, for_runtime="openvino")
        graph = export_onnx(model, Path(folder) / "x.onnx", own, images, progress).files[0]
        new_xml = Path(folder) / xml.name
        _convert(graph, new_xml)
        backend, agreement = OpenVinoBackend(new_xml), None
        if options.int8:
            agreement = require_equal_boxes(backend, model, images, "OpenVINO", ".onnx without --for")
        else:
            sample = sample_image(
                *backend.input_size, np.random.default_rng(0), channels=backend.input_channels
            )
            reference = with_rounded_kernels(model) if options.half else model
            require_equal_raw(backend.infer(sample), reference, sample, "OpenVINO")
        with replacing(xml) as xml_place, replacing(weights) as weights_place:
            new_xml.rename(xml_place)
            new_xml.with_suffix(".bin").rename(weights_place)
    return Written((xml, weights), agreement)


def _convert(graph: Path, xml: Path) -> None:
    """Converts an ONNX file with its metadata to IR; numbers keep their precision."""
    converted = core().read_model(graph)
    for entry in onnx.load(str(graph)).metadata_props:
        converted.set_rt_info(entry.value, [SECTION, entry.key])
    openvino.save_model(converted, xml, compress_to_fp16=False)
