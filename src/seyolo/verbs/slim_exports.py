"""Exported files of a slimming run: the slim network in every format, and the dense one as ONNX."""

from __future__ import annotations

from pathlib import Path

from seyolo.checkpoint import write_checkpoint
from seyolo.data.datasets import Dataset
from seyolo.errors import ExportError, UsageError
from seyolo.exporting.formats import export
from seyolo.exporting.quantize import calibration_images
from seyolo.torchnet.build import DarknetModel, to_checkpoint

INT8_FILE = "slim_int8.onnx"
DARKNET_FILES = "slim.cfg + slim.weights"
WRITTEN = "written"


def write_exports(folder: Path, dense: DarknetModel, slim: DarknetModel, dataset: Dataset) -> dict[str, str]:
    """Writes slim.safetensors, .onnx, .cfg and .weights, slim_int8.onnx and dense.onnx.

    Args:
        folder: of the run.
        dense, slim: the networks.
        dataset: its `train` split calibrates int8.

    Returns:
        By file `written`, or why it does not exist.
    """
    write_checkpoint(folder / "slim.safetensors", to_checkpoint(slim))
    export(dense, folder / "dense.onnx")
    export(slim, folder / "slim.onnx")
    return {
        **dict.fromkeys(("slim.safetensors", "dense.onnx", "slim.onnx"), WRITTEN),
        INT8_FILE: write_int8(slim, folder / INT8_FILE, dataset),
        DARKNET_FILES: _write_darknet(slim, folder / "slim.cfg"),
    }


def write_int8(model: DarknetModel, path: Path, dataset: Dataset) -> str:
    """Writes a network in int8, calibrated on training images.

    Args:
        model: the network in float32.
        path: of the `.onnx` file.
        dataset: its `train` split is the calibration set.

    Returns:
        `written`, or why int8 is not applicable: too few images, or the detections change too much.
    """
    try:
        export(model, path, int8=True, pictures=calibration_images(dataset.images("train")))
    except (ExportError, UsageError) as error:
        return f"not applicable: {error}"
    return WRITTEN


def _write_darknet(model: DarknetModel, path: Path) -> str:
    try:
        export(model, path)
    except ExportError as error:
        return f"not applicable: {error}"
    return WRITTEN
