"""A full-width YOLOv3 on a GPU: ours beside plain PyTorch, dense and cut to 30 %, at batch 1 and 32.

    python benchmarks/gpu.py [--device cuda] [--repeats 50]

All in turns in one run. The weights are random, with scales drawn as in `cut_yolov3.py`: speed depends on the
widths alone.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable

import torch
from cut_yolov3 import calibrate, random_model
from jaxtyping import Float32
from numpy import ndarray

from seyolo.letterbox import Mode
from seyolo.pruning.prune import prune
from seyolo.runtime.benchmark import benchmark
from seyolo.runtime.protocol import Backend, Precision, Session
from seyolo.runtime.torch_backend import TYPES, TorchBackend
from seyolo.torchnet.build import DarknetModel

SIZE_PX = 416
BATCH = 32
PRECISIONS: tuple[Precision, ...] = ("f32", "bf16", "f16")
Batch = Float32[ndarray, "n 3 h w"]


class Eager:
    """Plain PyTorch with autocast, in channels-last, timed as a backend."""

    input_size = (SIZE_PX, SIZE_PX)
    names = ("thing",)
    letterbox_mode: Mode = "letterbox"

    def __init__(self, name: str, model: DarknetModel, device: str, precision: Precision) -> None:
        self.name = name
        self.infer = plain_pytorch(model, device, TYPES[precision])


def plain_pytorch(model: DarknetModel, device: str, kind: torch.dtype) -> Callable[[Batch], Batch]:
    """What anybody would write first."""
    model = copy.deepcopy(model).eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(batch: Batch) -> Batch:
        with torch.inference_mode(), torch.autocast("cuda", kind, enabled=kind != torch.float32):
            images = torch.from_numpy(batch).to(device).contiguous(memory_format=torch.channels_last)
            raw: Batch = model(images).float().cpu().numpy()
        return raw

    return run


def main() -> None:
    """Builds, cuts, times, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--repeats", type=int, default=50)
    options = parser.parse_args()
    dense = random_model("yolov3", SIZE_PX, seed=0)
    slim, _ = prune(dense, "macs=30%")
    backends: dict[str, Backend] = {}
    for width, model in {"dense": dense, "slim": slim}.items():
        calibrate(model, SIZE_PX)
        for precision in PRECISIONS:
            name = f"{width} {precision}"
            backends[f"{name} PyTorch eager"] = Eager(name, model, options.device, precision)
            backends[f"{name} ours"] = TorchBackend(
                model, Session(device=options.device, precision=precision)
            )
    # Random weights find anything: with a confidence of 1 post-processing does not get in the way.
    for timing in benchmark(backends, options.repeats, confidence=1.0, batch=BATCH):
        print(
            f"{timing.name:25} p50 {timing.p50_ms:6.2f} ms, p95 {timing.p95_ms:6.2f} ms, "
            f"{timing.batch_network_per_s:6.0f} images/s by {BATCH}; "
            f"with letterbox and boxes {timing.total_p50_ms:6.2f} ms, {timing.batch_pictures_per_s:5.0f}/s"
        )


if __name__ == "__main__":
    main()
