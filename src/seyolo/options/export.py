"""Options of an export: the form of the file, and the images that int8 is calibrated on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from seyolo.errors import UsageError
from seyolo.options.parameters import Flag, Size, check_size
from seyolo.options.tile import TileOptions, check_tiles
from seyolo.runtime.protocol import ForRuntime
from seyolo.runtime.shipped import CHECKPOINT

ENDINGS = {
    ".onnx": "", ".xml": " (with .bin beside it)", ".ncnn.param": " (with .bin and .json)",
    ".mnn": " (with .json)", ".tflite": " (with .json)", ".cfg": " (with .weights)", CHECKPOINT: "",
}  # fmt: skip
"""Endings of the export formats in the order of `exporting/formats.py`, with the files beside."""


def export_ending(path: Path) -> str:
    """Returns which of `ENDINGS` a path has; a UsageError refuses another one."""
    for ending in ENDINGS:
        if path.name.endswith(ending):
            return ending
    *names, last = (ending + beside for ending, beside in ENDINGS.items())
    raise UsageError(f"{path}: a model is exported to {', '.join(names)} or {last}")


@Parameter(name="*")
@dataclass(frozen=True)
class FileOptions:
    """Options of the form of an exported file; `exporting/formats.py` lists which format has which."""

    nms: Flag = False
    """non-maximum suppression inside the .onnx."""

    dynamic_batch: Flag = False
    """an .onnx that takes any number of images at once."""

    half: Flag = False
    """kernels stored in 16 bits: half an .onnx, .xml, .ncnn.param or .tflite; arithmetic is the same."""

    int8: Flag = False
    """convolutions of an .onnx, .xml or .tflite in bytes: a quarter to half of a large file. Processor and
    runtime decide whether it is faster (hardly on processors with AMX): seyolo benchmark measures it."""

    for_runtime: Annotated[ForRuntime | None, Parameter(name="--for")] = None
    """an .onnx in the form for this runtime: for onnxruntime Mish without Softplus, and for openvino int8 as
    it fuses it, which are faster there; for opencv5 int8 only where OpenCV 5 computes it right."""

    def __post_init__(self) -> None:
        if self.half and self.int8:
            raise UsageError("a file holds 16-bit kernels or int8, not both")


@Parameter(name="*")
@dataclass(frozen=True)
class ExportOptions(FileOptions, TileOptions):
    """Options of the verb `export`; raises UsageError for a number of images without int8."""

    data: Path | None = None
    """a data set or a folder of images without labels; int8 is measured on images of train, and AP on val
    before and after [default: the data of the run in whose folder MODEL lies]."""

    pictures: int | None = None
    """how many images int8 is measured on [default: 128]."""

    size: Size = None
    """input in pixels: 416, or 416x256 (width x height); by default the model's."""

    device: str = "cpu"
    """cpu, cuda or cuda:N; where the model runs that the file is compared with."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self)
        check_tiles(self)
        if self.pictures is not None and not self.int8:
            raise UsageError("a number of images is for int8; leave --pictures out")
