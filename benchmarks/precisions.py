"""How fast a network runs in float32 and in int8, on ONNX Runtime and on OpenVINO; interleaved, batch 1.

    python benchmarks/precisions.py [--model yolov3@0.25] [--size 320] [--activation relu] [--threads 1]

Several models are timed in one run. A zoo name gets random weights: speed depends on the widths alone. Ranges
are measured on drawn images, and what is found is not compared. `--activation` is that of int8 alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch

import seyolo
from seyolo.darknet.edit import set_activation
from seyolo.darknet.zoo import is_zoo_name
from seyolo.exporting.onnx import describe_onnx
from seyolo.exporting.parity import sample_image
from seyolo.exporting.quantize import (
    FUSED,
    STEPWISE,
    Calibration,
    Form,
    fit_images,
    float_layers,
    with_windows,
)
from seyolo.letterbox import Fit
from seyolo.runtime.benchmark import benchmark
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Backend
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint

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


def int8_of(model: DarknetModel, size: tuple[int, int], form: Form) -> onnx.ModelProto:
    """The graph in int8, with the metadata a runtime wants."""
    proto = describe_onnx(model, size)
    drawn = sample_image(*size, np.random.default_rng(1), num_images=8).transpose(0, 2, 3, 1)
    images = fit_images(list((drawn * 255).astype(np.uint8)), Fit(size))
    calibration = Calibration(proto, float_layers(model.network, size, form), images, form)
    quantized = with_windows(calibration.quantized(calibration.layers), model.network, size, form)
    onnx.helper.set_model_props(quantized, {entry.key: entry.value for entry in proto.metadata_props})
    return quantized


def open_all(name: str, folder: Path, options: argparse.Namespace) -> dict[str, Backend]:
    """The backends of a model in every precision, from files in a folder."""
    model, size, title = open_model(name, options.size), (options.size, options.size), Path(name).stem
    changed = model
    if options.activation:
        stored = to_checkpoint(model)
        changed = from_checkpoint(replace(stored, network=set_activation(model.network, options.activation)))
    opened: dict[str, Backend] = {}
    plain, fused = folder / f"{title}.onnx", folder / f"{title}-fused.onnx"
    onnx.save(describe_onnx(model, size), str(plain))
    opened[f"{title} onnxruntime float32"] = open_backend(plain, threads=options.threads)
    opened[f"{title} openvino float32"] = open_backend(plain, runtime="openvino", threads=options.threads)
    opened[f"{title} openvino bfloat16"] = open_backend(
        plain, runtime="openvino", precision="bf16", threads=options.threads
    )
    int8 = folder / f"{title}-int8.onnx"
    onnx.save(int8_of(changed, size, STEPWISE), str(int8))
    opened[f"{title} onnxruntime int8"] = open_backend(int8, threads=options.threads)
    onnx.save(int8_of(changed, size, FUSED), str(fused))
    opened[f"{title} openvino int8"] = open_backend(fused, runtime="openvino", threads=options.threads)
    for path in (plain, int8, fused):
        print(f"{path.name} at {options.size} px: {path.stat().st_size / 1e6:.2f} MB")
    return opened


def main() -> None:
    """Writes every file, times them, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=["yolov3@0.25"], nargs="+")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--activation", choices=["relu", "relu6", "leaky"])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    backends: dict[str, Backend] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.model:
            backends |= open_all(name, Path(folder), options)
        timings = benchmark(backends, options.repeats, warmup=5)
    for timing in timings:
        faster = timings[0].p50_ms / timing.p50_ms
        print(f"{timing.name:30} p50 {timing.p50_ms:7.2f} ms, p95 {timing.p95_ms:7.2f} ms, {faster:.2f}x")


if __name__ == "__main__":
    main()
