"""The slim network in eight bits: what else the same pictures buy, without any training."""

from __future__ import annotations

from pathlib import Path

from seyolo.data.datasets import Dataset
from seyolo.errors import ExportError, UsageError
from seyolo.exporting.formats import export
from seyolo.exporting.quantize import USUAL_PICTURES
from seyolo.network.build import DarknetModel
from seyolo.pipeline.repair import calibration_samples

INT8_FILE = "slim_int8.onnx"
WRITTEN = "written"


def write_int8(model: DarknetModel, path: Path, dataset: Dataset, seed: int) -> str:
    """Writes the network in int8, measured on training pictures.

    Args:
        model: the network in float32.
        path: of the `.onnx` file.
        dataset: its `train` split gives the pictures.
        seed: of their choice.

    Returns:
        `written`, or why it could not be: too few pictures, or what is found changes too much.
    """
    pictures = [sample.image for sample in calibration_samples(dataset, USUAL_PICTURES, seed)]
    try:
        export(model, path, int8=True, pictures=pictures)
    except (ExportError, UsageError) as error:
        return f"not applicable: {error}"
    return WRITTEN
