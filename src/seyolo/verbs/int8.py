"""The slim network in eight bits: what else the same images buy, without any training."""

from __future__ import annotations

from pathlib import Path

from seyolo.data.datasets import Dataset
from seyolo.errors import ExportError, UsageError
from seyolo.exporting.formats import export
from seyolo.exporting.quantize import calibration_images
from seyolo.torchnet.build import DarknetModel

INT8_FILE = "slim_int8.onnx"
WRITTEN = "written"


def write_int8(model: DarknetModel, path: Path, dataset: Dataset) -> str:
    """Writes the network in int8, measured on training images.

    Args:
        model: the network in float32.
        path: of the `.onnx` file.
        dataset: its `train` split gives the images.

    Returns:
        `written`, or why it could not be: too few images, or what is found changes too much.
    """
    try:
        export(model, path, int8=True, pictures=calibration_images(dataset.images("train")))
    except (ExportError, UsageError) as error:
        return f"not applicable: {error}"
    return WRITTEN
