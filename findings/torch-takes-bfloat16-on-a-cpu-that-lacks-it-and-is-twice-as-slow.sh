#!/usr/bin/env bash
# bfloat16 autocast on a CPU with AVX-512 but without bfloat16 instructions: no warning, and slower than float32.
#
# Seen with torch 2.13.0 (CPU), Python 3.11, Linux, a Xeon with AVX-512 and VNNI, 2026-11-30:
#   PyTorch says that such a CPU supports bfloat16 (mkldnn), autocast warns of nothing, and a 3x3 convolution, forwards and
#   backwards, takes 2.8 to 3.0 times as long as in float32. Only the flags of the processor tell.
# Expected before: float32's time at worst, or that autocast turns itself off with a warning, as it does for float16 elsewhere.
# What follows: look for avx512_bf16, amx_bf16 or Arm's bf16 in /proc/cpuinfo before autocast is turned on.
# On a processor that has the instructions, or no AVX-512, there is nothing to show.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! grep -qw avx512f /proc/cpuinfo || grep -qwE 'avx512_bf16|amx_bf16' /proc/cpuinfo; then
    echo "needs a CPU with AVX-512 and without bfloat16: nothing to show here"
    exit 0
fi
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat >"$folder/show.py" <<'PYTHON'
import time
import warnings

import torch

warnings.simplefilter("error")  # a warning would end this script
torch.set_num_threads(1)
images = torch.randn(16, 64, 40, 40).contiguous(memory_format=torch.channels_last)
convolution = torch.nn.Conv2d(64, 64, 3, padding=1).to(memory_format=torch.channels_last)


def seconds(mixed: bool) -> float:
    """The fastest of nine steps."""
    times = []
    for _ in range(9):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            outputs = convolution(images)
        outputs.float().sum().backward()
        times.append(time.perf_counter() - start)
    return min(times)


supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
ratio = seconds(mixed=True) / seconds(mixed=False)
print(f"torch {torch.__version__}: bfloat16 supported: {supported}, time in bfloat16 / float32: {ratio:.2f}")
assert supported and ratio > 1.5, "has changed"
PYTHON
"$folder/venv/bin/python" "$folder/show.py"
