"""Options of `val` and `benchmark`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from seyolo.options.model import ModelOptions
from seyolo.options.parameters import Size, check_device, check_size
from seyolo.options.tile import TileOptions, check_tiles


@Parameter(name="*", group="Parameters")
@dataclass(frozen=True)
class EvaluateOptions(ModelOptions, TileOptions):
    """Options of `val`; raises BackendError for a device that is not cpu, cuda or cuda:N."""

    split: str | None = None
    """by default every split but train."""

    protocol: Literal["coco", "oxford"] = "coco"
    """coco, or oxford for all hands and the official ones (over 1,500 px²)."""

    size: Size = None
    """input in pixels: 416, or 416x256 (width x height); by default the model's."""

    out: Path | None = None
    """a folder for the curves of precision, recall and F1, and images with ground truth and detections."""

    runtime: str | None = None
    """runtime to use, with a precision if wanted: onnxruntime, openvino:bf16. By default the fastest one that
    gives the same boxes, measured where there is work for seconds."""

    threads: int | None = None
    """threads of the CPU; by default the fastest number, measured as the runtime is."""

    device: str = "cpu"
    """cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_device(self)
        check_size(self)
        check_tiles(self)


@Parameter(name="*", group="Parameters")
@dataclass(frozen=True)
class BenchmarkOptions(ModelOptions):
    """Options of `benchmark`; raises BackendError for a device that is not cpu, cuda or cuda:N."""

    data: Path | None = None
    """a data set; its images are used, and AP is measured on every split but train."""

    repeats: int = 50
    """timed rounds."""

    batch: int = 1
    """also measure images per second at this number of images per run; a file that takes one image runs once
    for each."""

    threads: int | None = None
    """threads of the CPU."""

    device: str = "cpu"
    """cpu, cuda or cuda:N."""

    chart: Path | None = None
    """draw AP against latency into this .png, .svg or .pdf; needs --data."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_device(self)
