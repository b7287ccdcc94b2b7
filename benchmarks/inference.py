"""A full-width YOLOv3 on the CPU: what our ways to run it gain over the usual ones; interleaved, batch 1.

    python benchmarks/inference.py build/inference [--repeats 15] [--threads 2]
    python benchmarks/inference.py build/inference --threads 1 --cpu-time    on a busy machine

Writes the files into the folder unless they are there (a gigabyte), and times all of them in one run:
OpenCV's Darknet reader, PyTorch in eager mode, ONNX Runtime as it is used without us, then ours: float32,
bfloat16 and int8 on ONNX Runtime and OpenVINO, and the same network cut to 30 % of its
multiply-accumulates. The weights are random, with scales drawn as in `cut_yolov3.py`: speed depends on the
widths alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from cut_yolov3 import calibrate, random_model
from jaxtyping import Float32
from precisions import int8_of

from seyolo.exporting.onnx import describe_onnx
from seyolo.exporting.quantize import FUSED, STEPWISE
from seyolo.letterbox import Mode
from seyolo.opening.network import load, save
from seyolo.pruning.prune import prune
from seyolo.runtime.benchmark import benchmark
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Backend

SIZE_PX = 416
GOALS = {"openvino bf16": 2.0, "openvino int8": 3.8, "slim openvino int8": 10.0}
"""How many times faster than PyTorch eager they are to be."""
EAGER = ("PyTorch eager", "PyTorch eager, channels-last")
Batch = Float32[np.ndarray, "n 3 h w"]


class Outside:
    """Somebody else's way to run a network, timed as a backend."""

    input_size = (SIZE_PX, SIZE_PX)
    names = ("thing",)
    letterbox_mode: Mode = "letterbox"

    def __init__(self, name: str, run: Callable[[Batch], Float32[np.ndarray, "n p columns"]]) -> None:
        self.name = name
        self.infer = run


def write_files(folder: Path) -> None:
    """The dense and the cut network in every format that is timed."""
    dense = random_model("yolov3", SIZE_PX, seed=0)
    slim, _ = prune(dense, "macs=30%")
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in {"dense": dense, "slim": slim}.items():
        calibrate(model, SIZE_PX)
        save(model, folder / f"{name}.cfg")
        plain = describe_onnx(model, (SIZE_PX, SIZE_PX))
        onnx.save(plain, str(folder / f"{name}.onnx"))
        for runtime, form in (("onnxruntime", STEPWISE), ("openvino", FUSED)):
            int8 = int8_of(model, (SIZE_PX, SIZE_PX), form)
            onnx.save(int8, str(folder / f"{name}_int8_{runtime}.onnx"))


def eager(folder: Path, memory_format: torch.memory_format) -> Callable[[Batch], Batch]:
    """Plain PyTorch."""
    model = load(folder / "dense.cfg", folder / "dense.weights")
    model.to(memory_format=memory_format)  # type: ignore[call-overload]

    def run(batch: Batch) -> Batch:
        with torch.inference_mode():
            images = torch.from_numpy(batch).contiguous(memory_format=memory_format)
            raw: Batch = model(images).numpy()
        return raw

    return run


def plain_session(path: Path, threads: int | None) -> Callable[[Batch], Batch]:
    """ONNX Runtime as its own introduction uses it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, {"images": batch})[0]


def open_all(folder: Path, threads: int | None) -> dict[str, Backend]:
    """Everything that is timed, by its name in the table."""
    if threads is not None:
        torch.set_num_threads(threads)
    outside = {
        EAGER[0]: eager(folder, torch.contiguous_format),
        EAGER[1]: eager(folder, torch.channels_last),
        "ONNX Runtime used directly": plain_session(folder / "dense.onnx", threads),
    }
    backends: dict[str, Backend] = {name: Outside(name, run) for name, run in outside.items()}
    backends["OpenCV 4 DNN"] = open_backend(folder / "dense.cfg", runtime="opencv", threads=threads)
    for network in ("dense", "slim"):
        name = "" if network == "dense" else "slim "
        plain = folder / f"{network}.onnx"
        backends[f"{name}onnxruntime f32"] = open_backend(plain, threads=threads)
        backends[f"{name}openvino f32"] = open_backend(plain, runtime="openvino", threads=threads)
        backends[f"{name}openvino bf16"] = open_backend(
            plain, runtime="openvino", precision="bf16", threads=threads
        )
        for runtime in ("onnxruntime", "openvino"):
            int8 = folder / f"{network}_int8_{runtime}.onnx"
            backends[f"{name}{runtime} int8"] = open_backend(int8, runtime=runtime, threads=threads)
    return backends


def main() -> None:
    """Writes, times, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the files; written where they are missing")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cpu-time", action="store_true", help="of all threads, instead of the wall clock")
    options = parser.parse_args()
    if not (options.folder / "slim_int8_openvino.onnx").is_file():
        write_files(options.folder)
    backends = open_all(options.folder, options.threads)
    # Random weights find anything: with a confidence of 1 post-processing does not get in the way.
    clock = time.process_time_ns if options.cpu_time else time.perf_counter_ns
    results = benchmark(backends, options.repeats, warmup=1, confidence=1.0, clock=clock)
    timings = {timing.name: timing for timing in results}
    reference_ms = min(timings[name].p50_ms for name in EAGER)
    for name, timing in timings.items():
        times = reference_ms / timing.p50_ms
        goal = f"  (goal {GOALS[name]}x)" if name in GOALS else ""
        print(f"{name:29} p50 {timing.p50_ms:6.1f} ms, p95 {timing.p95_ms:6.1f} ms, {times:5.2f}x{goal}")


if __name__ == "__main__":
    main()
