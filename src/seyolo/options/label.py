"""Options of `data label`."""

from dataclasses import dataclass

from cyclopts import Parameter

from seyolo.options.model import ModelOptions
from seyolo.options.parameters import check_device, check_shares
from seyolo.options.tile import TileOptions, check_tiles


@Parameter(name="*", group="Parameters")
@dataclass(frozen=True)
class LabelOptions(ModelOptions, TileOptions):
    """Options of `data label`; raises UsageError and BackendError for values out of their range."""

    confidence: float = 0.25
    """confidence threshold: smallest score of a box that becomes a label, 0 to 1."""

    iou: float = 0.6
    """overlap (IoU) above which the worse of two boxes of a class is dropped, 0 to 1."""

    device: str = "cpu"
    """cpu, cuda or cuda:N."""

    runtime: str | None = None
    """runtime to use, with a precision if wanted: onnxruntime, openvino:bf16; by default as in detect."""

    threads: int | None = None
    """threads of the CPU; by default the fastest number, measured as the runtime is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_device(self)
        check_tiles(self)
        check_shares(self, "confidence", "iou")
