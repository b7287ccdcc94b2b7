"""How long cutting a full-width network takes, how much memory, and how much faster its ONNX runs.

    python benchmarks/cut_yolov3.py --model yolov3 --budget macs=30% --size 416

The weights are random: cost and speed depend on the widths alone. The scales that rank the channels are drawn
log-normal (seeded), so the cut is uneven, as a trained network's is. Dense and slim run interleaved, batch 1.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from seyolo.darknet.edit import set_size
from seyolo.darknet.zoo import network_from_name
from seyolo.exporting.formats import export
from seyolo.pruning.cutting.repair import recalibrate
from seyolo.pruning.prune import prune
from seyolo.runtime.benchmark import benchmark
from seyolo.runtime.choice import open_backend
from seyolo.torchnet.build import DarknetModel, build


def random_model(name: str, size_px: int, seed: int) -> DarknetModel:
    """A network of the zoo with random kernels and log-normal batch-normalisation scales."""
    generator = torch.Generator().manual_seed(seed)
    network = set_size(network_from_name(name, num_classes=1), size_px, size_px)
    model = build(network, generator=generator).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(torch.exp(0.5 * torch.randn(len(module.weight), generator=generator)))
    return model


def calibrate(model: DarknetModel, size_px: int) -> None:
    """Statistics from noise: without them random weights let activations explode."""
    recalibrate(model, [torch.rand(1, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))])


def main() -> None:
    """Cuts, exports, times, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="yolov3")
    parser.add_argument("--budget", default="macs=30%")
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--multiple", type=int, help="as in seyolo prune; by default 8, 16 in wide groups")
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    dense = random_model(arguments.model, arguments.size, seed=0)
    start = time.perf_counter()
    slim, plan = prune(dense, arguments.budget, multiple=arguments.multiple)
    seconds = time.perf_counter() - start
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"cut {arguments.model} to {arguments.budget}: {seconds:.2f} s, peak memory {peak_gb:.2f} GB")
    share = plan.macs / plan.dense_macs
    print(f"MACs {plan.dense_macs / 1e9:.2f} G -> {plan.macs / 1e9:.2f} G ({share:.1%})")
    print(f"parameters {plan.dense_params / 1e6:.2f} M -> {plan.params / 1e6:.2f} M")
    calibrate(dense, arguments.size)
    calibrate(slim, arguments.size)
    with tempfile.TemporaryDirectory() as folder:
        files = {"dense": Path(folder) / "dense.onnx", "slim": Path(folder) / "slim.onnx"}
        export(dense, files["dense"])
        export(slim, files["slim"])
        backends = {name: open_backend(path) for name, path in files.items()}
        timings = {timing.name: timing for timing in benchmark(backends, arguments.repeats, warmup=3)}
    for name, timing in timings.items():
        print(f"{name:5} ONNX Runtime p50 {timing.p50_ms:.1f} ms, p95 {timing.p95_ms:.1f} ms")
    print(f"slim is {timings['dense'].p50_ms / timings['slim'].p50_ms:.2f}x faster")


if __name__ == "__main__":
    main()
