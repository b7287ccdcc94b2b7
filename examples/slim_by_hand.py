"""Every step of slimming by itself: load, attach gates, prune to a budget, save, export, and use the file.

The weights are random here, so that it takes seconds; with trained ones (`seyolo.load("best.safetensors")`)
fine-tune after the cut, for which `seyolo.train(data, "slim.safetensors")` is there. It prints

    dense     3.86 M parameters   306.6 M MACs
    gated     3.92 M parameters   306.6 M MACs
    slim      0.82 M parameters    92.0 M MACs
    the plan promised 92.0 M MACs in 72 groups of channels
    wrote slim.onnx
    wrote slim.cfg
    wrote slim.weights
    wrote slim.names
    <Detector: slim.onnx on onnxruntime, 160x160 px, finds hand>
"""

from __future__ import annotations

import torch

import seyolo
from seyolo.darknet.cost import cost
from seyolo.torchnet.build import DarknetModel

SIZE_PX = 160


def describe(name: str, model: DarknetModel) -> None:
    """Prints what a network costs."""
    counted = cost(model.network, SIZE_PX, SIZE_PX)
    print(f"{name:<8}{counted.params / 1e6:>6.2f} M parameters{counted.macs / 1e6:>8.1f} M MACs")


def main() -> None:
    """The whole way; files go to where it is run."""
    dense = seyolo.load(
        "yolov3@0.25", num_classes=1, names=["hand"], generator=torch.Generator().manual_seed(0)
    )
    dense = seyolo.api.resized(dense, SIZE_PX)
    describe("dense", dense)
    gated = seyolo.attach(dense, "se", at="residual")
    describe("gated", gated)
    slim, plan = seyolo.prune(gated, budget="macs=30%")
    describe("slim", slim)
    print(f"the plan promised {plan.macs / 1e6:.1f} M MACs in {len(plan.groups)} groups of channels")
    seyolo.save(slim, "slim.safetensors")
    for path in (*seyolo.export(slim, "slim.onnx"), *seyolo.export(slim, "slim.cfg")):
        print("wrote", path)
    print(seyolo.Detector("slim.onnx"))


if __name__ == "__main__":
    main()
