"""`export`: one function for every format, chosen by the ending."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seyolo.errors import UsageError
from seyolo.exporting.darknet import export_darknet
from seyolo.exporting.onnx import export_onnx
from seyolo.exporting.quantize import Image
from seyolo.runtime.choice import needing_openvino
from seyolo.torchnet.build import DarknetModel


def export(
    model: DarknetModel,
    path: str | Path,
    *,
    nms: bool = False,
    dynamic_batch: bool = False,
    half: bool = False,
    int8: bool = False,
    pictures: Sequence[Image] = (),
) -> tuple[Path, ...]:
    """Writes the model for other programs: `.onnx`, `.xml` with its `.bin`, or `.cfg` with its `.weights`.

    Args:
        model: stays as it is.
        path: the ending chooses the format.
        nms: non-maximum suppression inside; ONNX only.
        dynamic_batch: any number of images at once; ONNX only, Darknet files take any as they are.
        half: kernels stored in 16 bits, half the file; not for Darknet.
        int8: convolutions in bytes, a quarter of the file and faster; not for Darknet.
        pictures: to measure int8 on, files or decoded images (H, W, 3) in OpenCV's BGR order: at least
            eight, best a hundred of the training data.

    Returns:
        The files written.

    Raises:
        UsageError: another ending, or an option the format does not have.
        ExportError: a network the format cannot hold, or an output that differs from the model's.
        BackendError: `.xml` without OpenVINO.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        onnx_path = export_onnx(
            model, path, nms=nms, dynamic_batch=dynamic_batch, half=half, int8=int8, images=pictures
        )
        return (onnx_path,)
    if path.suffix not in (".xml", ".cfg"):
        raise UsageError(
            f"{path}: a model is exported to .onnx, .xml (with .bin beside it) or .cfg (with .weights)"
        )
    if nms:
        raise UsageError(f"{path}: only ONNX holds non-maximum suppression; export to .onnx")
    if path.suffix == ".xml":
        if dynamic_batch:
            raise UsageError(f"{path}: a dynamic batch is for .onnx")
        with needing_openvino(path):
            # Not part of any install but `seyolo[openvino]`.
            from seyolo.exporting.openvino import export_openvino  # noqa: PLC0415
        return export_openvino(model, path, half=half, int8=int8, images=pictures)
    if half or int8 or pictures:
        raise UsageError(f"{path}: Darknet files hold float32 only; export int8 and half to .onnx or .xml")
    return export_darknet(model, path)
