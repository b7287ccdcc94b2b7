"""How fast a network runs in float32 and in int8, on ONNX Runtime and on OpenVINO; interleaved, batch 1.

    python benchmarks/precisions.py [--model yolov3@0.25] [--size 320]

A zoo name gets random weights: speed depends on the widths alone. Ranges are measured on drawn images, and
what is found is not compared, since random weights find nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import openvino
import torch

import seyolo
from seyolo.darknet.zoo import is_zoo_name
from seyolo.exporting.onnx import describe_onnx
from seyolo.exporting.parity import sample_image
from seyolo.exporting.quantize import Calibration, fit_images, float_layers
from seyolo.letterbox import Fit
from seyolo.runtime.benchmark import benchmark
from seyolo.runtime.choice import open_backend
from seyolo.runtime.openvino_backend import OpenVinoBackend
from seyolo.runtime.protocol import Backend
from seyolo.torchnet.build import DarknetModel

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from helpers.random_weights import calibrated


def open_model(name: str, size_px: int) -> DarknetModel:
    """A checkpoint, or a zoo name with random weights."""
    model = seyolo.api.resized(seyolo.api.open_model(name, random=is_zoo_name(name)), size_px)
    if not is_zoo_name(name):
        return model
    image = sample_image(size_px, size_px, np.random.default_rng(0))
    random: DarknetModel = calibrated(model.network, torch.from_numpy(image))
    return random


def int8_of(proto: onnx.ModelProto, model: DarknetModel, size: tuple[int, int]) -> onnx.ModelProto:
    """The graph in int8, with the metadata a runtime wants."""
    drawn = sample_image(*size, np.random.default_rng(1), num_images=8).transpose(0, 2, 3, 1)
    images = fit_images(list((drawn * 255).astype(np.uint8)), Fit(size))
    calibration = Calibration(proto, float_layers(model.network, size), images)
    quantized = calibration.quantized(calibration.layers)
    onnx.helper.set_model_props(quantized, {entry.key: entry.value for entry in proto.metadata_props})
    return quantized


def main() -> None:
    """Writes every file, times them, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="yolov3@0.25")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    model = open_model(options.model, options.size)
    size = (options.size, options.size)
    plain = describe_onnx(model, size)
    backends: dict[str, Backend] = {}
    sizes_mb = {}
    with tempfile.TemporaryDirectory() as folder:
        for precision, proto in {"float32": plain, "int8": int8_of(plain, model, size)}.items():
            path = Path(folder) / f"{precision}.onnx"
            onnx.save(proto, str(path))
            sizes_mb[precision] = path.stat().st_size / 1e6
            backends[f"onnxruntime {precision}"] = open_backend(path, threads=options.threads)
            xml = path.with_suffix(".xml")
            openvino.save_model(openvino.Core().read_model(path), xml, compress_to_fp16=False)
            backends[f"openvino {precision}"] = OpenVinoBackend(xml, threads=options.threads)
        backends["openvino bfloat16"] = OpenVinoBackend(
            Path(folder) / "float32.xml", threads=options.threads, precision="bf16"
        )
        timings = benchmark(backends, options.repeats, warmup=5)
    sizes = ", ".join(f"{precision} {size_mb:.2f} MB" for precision, size_mb in sizes_mb.items())
    print(f"{options.model} at {options.size} px, .onnx files: {sizes}")
    for timing in timings:
        faster = timings[0].p50_ms / timing.p50_ms
        print(f"{timing.name:20} p50 {timing.p50_ms:7.2f} ms, p95 {timing.p95_ms:7.2f} ms, {faster:.2f}x")


if __name__ == "__main__":
    main()
