"""Options of `export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from seyolo.errors import UsageError
from seyolo.options.model import ModelOptions
from seyolo.options.parameters import Flag, check_device


@Parameter(name="*")
@dataclass(frozen=True)
class ExportOptions(ModelOptions):
    """Options of `export`.

    Raises:
        UsageError: options that contradict each other.
        BackendError: not cpu, cuda or cuda:N.
    """

    nms: Flag = False
    """non-maximum suppression inside the .onnx."""

    dynamic_batch: Flag = False
    """an .onnx that takes any number of images at once."""

    half: Flag = False
    """kernels stored in 16 bits: half an .onnx or .xml, with the same arithmetic."""

    int8: Flag = False
    """convolutions of an .onnx or .xml in bytes: a quarter of the file, and faster; needs --data."""

    data: Path | None = None
    """a data set; int8 is measured on images of its train split, and AP on val before and after."""

    pictures: int | None = None
    """number of images that int8 is measured on [default: 128]."""

    size: int | None = None
    """side of the square input in pixels; by default the model's."""

    device: str = "cpu"
    """cpu, cuda or cuda:N; where the model runs that the file is compared with."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_device(self.device)
