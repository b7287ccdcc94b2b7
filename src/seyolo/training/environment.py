"""What a run ran on: versions, processor, threads, processes. Kept beside its results."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import torch

from seyolo.training.distributed import current_team

PACKAGES = ("seyolo", "torch", "numpy", "opencv-python-headless", "onnxruntime", "onnx", "faster-coco-eval")


def describe_environment() -> dict[str, object]:
    """Versions of what computes, the processor, threads and processes, as JSON values."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "processes": current_team().size,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
