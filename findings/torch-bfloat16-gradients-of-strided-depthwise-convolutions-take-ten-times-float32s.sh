#!/usr/bin/env bash
# Gradients of depthwise convolutions on a CPU that multiplies bfloat16: with a stride, or with a kernel above 3x3, far slower
# in bfloat16 than in float32, while the forward pass and the plain 3x3 are as fast or faster.
#
# Seen with torch 2.13.0 (CPU, oneDNN), Python 3.11, Linux, a Xeon with AMX, one thread, 16 maps of 144 channels of 20x20 in
# channels-last memory, 2026-11-30:
#   the gradient of the input of a 3x3 with stride 2 takes 21 ms in bfloat16 and 0.4 ms in float32 (up to 50 times); without a
#   stride 0.9 and 0.8 ms. The gradient of a 5x5 kernel takes 44 and 7 ms, of a 3x3 kernel 1.2 and 0.6.
# Expected before: at worst float32's time and the conversion, as for all other convolutions here.
# What follows: run these few layers in float32 inside autocast; a training step of YOLO-Fastest 1.1 XL takes a fifth less.
# On a processor without bfloat16 there is nothing to show.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! grep -qwE 'avx512_bf16|amx_bf16' /proc/cpuinfo; then
    echo "needs a CPU with bfloat16 instructions: nothing to show here"
    exit 0
fi
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat >"$folder/show.py" <<'PYTHON'
import time

import torch
from torch.nn.functional import conv2d

torch.set_num_threads(1)
CHANNELS = 144


def milliseconds(dtype: torch.dtype, kernel: int, stride: int, wanted: str) -> float:
    """Processor time of one gradient, the least of seven."""
    images = torch.randn(16, CHANNELS, 20, 20).to(dtype).contiguous(memory_format=torch.channels_last)
    weights = torch.randn(CHANNELS, 1, kernel, kernel).to(dtype)
    outputs = conv2d(images, weights, None, stride, kernel // 2, 1, CHANNELS)
    which = [wanted == "input", wanted == "kernel", False]
    sizes = [stride] * 2, [kernel // 2] * 2, [1, 1], False, [0, 0], CHANNELS, which
    times = []
    for _ in range(7):
        start = time.process_time()
        torch.ops.aten.convolution_backward(torch.ones_like(outputs), images, weights, None, *sizes)
        times.append(time.process_time() - start)
    return 1e3 * min(times)


ratios = {}
print(f"torch {torch.__version__}: gradients of depthwise convolutions, ms in bfloat16 and in float32")
for kernel, stride, wanted in [(3, 1, "input"), (3, 2, "input"), (3, 1, "kernel"), (5, 1, "kernel")]:
    half, full = (milliseconds(dtype, kernel, stride, wanted) for dtype in (torch.bfloat16, torch.float32))
    ratios[kernel, stride, wanted] = half / full
    print(f"{kernel}x{kernel}, stride {stride}, of the {wanted}: {half:.1f} and {full:.1f} ({half / full:.1f} times)")
assert ratios[3, 2, "input"] > 5 > ratios[3, 1, "input"], "has changed"
assert ratios[5, 1, "kernel"] > 3 > ratios[3, 1, "kernel"], "has changed"
PYTHON
"$folder/venv/bin/python" "$folder/show.py"
