"""How much of the MACs that a cut saves becomes speed on ONNX Runtime, at the width as it is and wider.

    python benchmarks/speedup.py dense.safetensors slim.safetensors --times 1 4 --size 416

The first network is the one the others are compared with. All layers but those that detect are made `--times`
as wide, with random weights: speed depends on the widths alone. That is how the shape of a cut that was found
on a small network is timed at full width. Everything runs interleaved in one run, batch 1.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from cut_yolov3 import calibrate

from seyolo.checkpoint import read_checkpoint
from seyolo.darknet.cfg import Network
from seyolo.darknet.cost import cost
from seyolo.darknet.edit import set_size
from seyolo.darknet.graph import detection_layers
from seyolo.darknet.sections import Convolutional
from seyolo.exporting.formats import export
from seyolo.runtime.benchmark import benchmark
from seyolo.runtime.choice import open_backend
from seyolo.torchnet.build import build


def widened(network: Network, times: int) -> Network:
    """The network with `times` as many filters in every convolution that does not detect."""
    detecting = {index - 1 for index in detection_layers(network)}
    layers = tuple(
        replace(
            layer,
            filters=layer.filters * times,
            groups=layer.groups * times if layer.groups > 1 else 1,
        )
        if isinstance(layer, Convolutional) and index not in detecting
        else layer
        for index, layer in enumerate(network.layers)
    )
    return replace(network, layers=layers)


def main() -> None:
    """Builds, exports, times, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+", help="checkpoints, the dense one first")
    parser.add_argument("--times", type=int, nargs="+", default=[1])
    parser.add_argument("--size", type=int, help="of the square input; by default as each network says")
    parser.add_argument("--repeats", type=int, default=30)
    arguments = parser.parse_args()
    backends, macs = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for times in arguments.times:
            for number, path in enumerate(arguments.models):
                network = widened(read_checkpoint(path).network, times)
                if arguments.size:
                    network = set_size(network, arguments.size, arguments.size)
                height, width = network.net.height, network.net.width
                model = build(network, generator=torch.Generator().manual_seed(0)).eval()
                calibrate(model, height)
                key, file = f"{times} {number}", Path(folder) / f"{times}-{number}.onnx"
                export(model, file)
                backends[key], macs[key] = open_backend(file), cost(network, height, width).macs
        milliseconds = {timing.name: timing.p50_ms for timing in benchmark(backends, arguments.repeats, 5)}
    for times in arguments.times:
        for number, path in enumerate(arguments.models):
            key, dense = f"{times} {number}", f"{times} 0"
            fewer, faster = macs[dense] / macs[key], milliseconds[dense] / milliseconds[key]
            print(
                f"{times} x {path}: {macs[key] / 1e6:,.0f} M MACs, {milliseconds[key]:.2f} ms; "
                f"{fewer:.2f}x fewer MACs, {faster:.2f}x faster, {faster / fewer:.2f} of it"
            )


if __name__ == "__main__":
    main()
