"""`export`: one function for every format, chosen by the ending."""

from __future__ import annotations

from pathlib import Path

from seyolo.errors import UsageError
from seyolo.exporting.darknet import export_darknet
from seyolo.exporting.onnx import export_onnx
from seyolo.network.build import DarknetModel


def export(
    model: DarknetModel, path: str | Path, *, nms: bool = False, dynamic_batch: bool = False
) -> tuple[Path, ...]:
    """Writes the model for other programs: `.onnx`, or `.cfg` with its `.weights`.

    Args:
        model: stays as it is.
        path: the ending chooses the format.
        nms: non-maximum suppression inside; ONNX only.
        dynamic_batch: any number of pictures at once; ONNX only, Darknet files take any as they are.

    Returns:
        The files written.

    Raises:
        UsageError: another ending, or an option the format does not have.
        ExportError: a network the format cannot hold, or an output that differs from the model's.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        return (export_onnx(model, path, nms=nms, dynamic_batch=dynamic_batch),)
    if path.suffix != ".cfg":
        raise UsageError(f"{path}: a model is exported to .onnx or .cfg (with .weights beside it)")
    if nms:
        raise UsageError(f"{path}: Darknet files cannot hold non-maximum suppression; export to .onnx")
    return export_darknet(model, path)
