#!/usr/bin/env bash
# Fused AdamW on the CPU, resumed with moments that lie in another memory format than the weights: wrong steps, no error.
#
# Seen with torch 2.13.0 (CPU), safetensors 0.8.0, numpy 2.4.6, Python 3.11, Linux, 2026-11-29:
#   A convolution in channels_last is trained five steps; weights and moments go through safetensors, which stores plain
#   row-major tensors, and load_state_dict keeps those strides. All values are equal then (torch.equal). The next step of
#   AdamW(fused=True) moves the weights elsewhere, by more than a whole learning rate: it reads weights, gradients and
#   moments as flat memory, element by element, in whatever order each one lies. AdamW(fused=False) takes exactly the
#   step of the run that was not interrupted. torch.save keeps strides, so a state in that form resumes exactly, too.
# Expected before: the same step, or the error that the CUDA kernel gives where strides differ.
# What follows: after reading moments copy them into the memory format of their weights (torch.empty_like(p).copy_(m)).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 safetensors==0.8.0 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import io
import sys

import torch
from safetensors.torch import load_file, save_file

RATE = 0.01
path = f"{sys.argv[1]}/moments.safetensors"


def begin(fused: bool) -> tuple[torch.nn.Conv2d, torch.optim.AdamW]:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    return conv, torch.optim.AdamW(conv.parameters(), lr=RATE, fused=fused)


def train(conv: torch.nn.Conv2d, optimizer: torch.optim.AdamW, steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        conv(torch.randn(2, 3, 8, 8, generator=generator)).square().sum().backward()
        optimizer.step()


def by_safetensors(state: dict) -> dict:
    named = {f"{number}/{name}": value.contiguous() for number, row in state["state"].items() for name, value in row.items()}
    save_file(named, path)
    rows: dict = {}
    for key, value in load_file(path).items():
        number, name = key.split("/")
        rows.setdefault(int(number), {})[name] = value
    return {"state": rows, "param_groups": state["param_groups"]}


def by_torch_save(state: dict) -> dict:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file)


def off(fused: bool, stored) -> float:
    """Returns how far the sixth step of a resumed run lies from that of the run that goes on."""
    conv, optimizer = begin(fused)
    train(conv, optimizer, 5, seed=1)
    other, resumed = begin(fused)
    other.load_state_dict(conv.state_dict())
    resumed.load_state_dict(stored(optimizer.state_dict()))
    for theirs, ours in zip(other.parameters(), conv.parameters(), strict=True):
        assert all(torch.equal(resumed.state[theirs][name], value) for name, value in optimizer.state[ours].items())
    train(conv, optimizer, 1, seed=2)
    train(other, resumed, 1, seed=2)
    return float((conv.weight - other.weight).detach().abs().max())


found = {(fused, stored.__name__): off(fused, stored) for fused in (True, False) for stored in (by_safetensors, by_torch_save)}
for (fused, stored), error in found.items():
    print(f"fused={fused}, moments {stored}: the next step is off by {error:.4f} (learning rate {RATE})")
wrong = found.pop((True, "by_safetensors"))
assert wrong > RATE, "fused AdamW is right now"
assert not any(found.values()), "another way is wrong, too"
PY
"$folder/venv/bin/python" "$folder/check.py" "$folder"
