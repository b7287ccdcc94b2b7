#!/usr/bin/env bash
# Torch-Pruning removes a channel and, behind a channel shuffle, the input of another one: other results, no error.
#
# Seen with torch-pruning 1.6.1, torch 2.13.0 (CPU), numpy 2.4.6, Python 3.11, 2026-11-30:
#   A convolution has channels that are zero, so that cutting them and the inputs that read them leaves all outputs as
#   they are. BasePruner finds them by their magnitude and does so for a plain connection and a concatenation. Where
#   the channels change their order on the way - view, transpose and reshape, as in ShuffleNet and GSConv, or flip - it
#   cuts the inputs at the old places: the shapes fit, the network runs, its outputs are wrong. The same for a Linear
#   behind permute(0, 2, 3, 1).flatten(1), whose inputs of one channel lie apart: it cuts those of the first places
#   instead.
# Expected before: its graph follows the order of channels, or a refusal where it cannot.
# What follows: set channels to zero first and compare the outputs before and after the cut, for each architecture;
#   leave layers before a shuffle whole (ignored_layers).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torch-pruning==1.6.1 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
from importlib import metadata

import torch
import torch_pruning
from torch import Tensor, nn

CHANNELS, SIDE, ZERO = 8, 4, [0, 1]
torch.manual_seed(0)
image = torch.randn(2, 3, SIDE, SIDE)


def shuffle(x: Tensor) -> Tensor:
    return x.view(x.size(0), 2, -1, SIDE, SIDE).transpose(1, 2).reshape(x.size(0), -1, SIDE, SIDE)


WAYS = {
    "plain": lambda x: x,
    "concatenated": lambda x: torch.cat([x, x], 1),
    "shuffled": shuffle,
    "flipped": lambda x: x.flip(1),
    "flattened": lambda x: x.flatten(1),
    "permuted and flattened": lambda x: x.permute(0, 2, 3, 1).flatten(1),
}


class Network(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = WAYS[way]
        self.first = nn.Conv2d(3, CHANNELS, 3, padding=1)
        features = CHANNELS * (2 if way == "concatenated" else 1)
        flat = "flattened" in way
        self.second = nn.Linear(features * SIDE * SIDE, 5) if flat else nn.Conv2d(features, 5, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.way(torch.relu(self.first(x))))


@torch.no_grad()
def change(way: str) -> float:
    """Largest change of an output when the channels that are zero are cut."""
    network = Network(way).eval()
    network.first.weight[ZERO] = 0
    network.first.bias[ZERO] = 0
    before = network(image)
    with torch.enable_grad():
        torch_pruning.pruner.BasePruner(
            network,
            image,
            importance=torch_pruning.importance.MagnitudeImportance(p=2),
            pruning_ratio=len(ZERO) / CHANNELS,
            ignored_layers=[network.second],
        ).step()
    assert network.first.out_channels == CHANNELS - len(ZERO)
    return float((network(image) - before).abs().max())


changes = {way: change(way) for way in WAYS}
print("torch-pruning", metadata.version("torch-pruning"), "torch", torch.__version__, "| largest change of an output:")
print({way: round(size, 4) for way, size in changes.items()})
wrong = [way for way, size in changes.items() if size > 1e-2]
right = [way for way, size in changes.items() if size < 1e-5]
same = wrong == ["shuffled", "flipped", "permuted and flattened"] and len(wrong) + len(right) == len(WAYS)
raise SystemExit(0 if same else "other outputs now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
