"""Options of `detect` and `serve`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from seyolo.errors import UsageError
from seyolo.options.count import Area, parse_area
from seyolo.options.model import ModelOptions
from seyolo.options.parameters import Flag, check_device, check_shares
from seyolo.options.tile import TileOptions, check_tiles


@Parameter(name="*", group="Parameters")
@dataclass(frozen=True)
class DetectOptions(ModelOptions, TileOptions):
    """Options of `detect`; raises UsageError and BackendError for values out of their range."""

    confidence: float = 0.25
    """confidence threshold: smallest score reported, 0 to 1."""

    iou: float = 0.6
    """overlap (IoU) above which the worse of two boxes of a class is dropped, 0 to 1."""

    save: str | None = None
    """what is written into the folder, with commas between: images and video (annotated), json, jsonl, csv,
    yolo, coco, crops; by default images,video,json. detections.jsonl is always there."""

    out: Path | None = None
    """the folder; by default a new one under runs/detect, or, with --json or --jsonl and without --save,
    none."""

    max_frames: int | None = None
    """stop each video, camera or stream after this number of frames."""

    track: Flag = False
    """give each object in a video an id that it keeps from frame to frame (ByteTrack); needs the package
    trackers. Images have no ids."""

    count: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = ()
    """count objects that cross a line or enter a zone of a video, in pixels or percent of the frame:
    line:X,Y,X,Y or zone:X,Y,X,Y,X,Y,...; may be repeated, implies --track."""

    strict: Flag = False
    """stop at the first image or video that cannot be read."""

    shard: str | None = None
    """this worker's part of the sources, such as 2/8."""

    resume: Path | None = None
    """the folder of a run to continue; only --shard, --json and --jsonl may be given with it."""

    batch: int = 1
    """images, or tiles, per run of the network, for models exported with --dynamic-batch."""

    device: str = "cpu"
    """cpu, cuda or cuda:N."""

    runtime: str | None = None
    """runtime to use, with a precision if wanted: onnxruntime, openvino:bf16. By default the fastest one that
    gives the same boxes, measured where there is work for seconds."""

    threads: int | None = None
    """threads of the CPU; by default the fastest number, measured as the runtime is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_device(self)
        check_tiles(self)
        check_shares(self, "confidence", "iou")
        if self.max_frames is not None and self.max_frames < 1:
            raise UsageError(f"--max-frames {self.max_frames}: at least 1")
        if self.batch < 1:
            raise UsageError(f"--batch {self.batch}: at least 1")
        _ = self.areas

    @property
    def areas(self) -> Sequence[Area]:
        """Lines and zones to count in; raises UsageError for a text that names none."""
        return [parse_area(text) for text in self.count]

    @property
    def tracks(self) -> bool:
        """True where objects in videos get ids."""
        return self.track or bool(self.count)


@Parameter(name="*", group="Parameters")
@dataclass(frozen=True)
class ServeOptions(ModelOptions, TileOptions):
    """Options of `serve`; raises UsageError and BackendError for values out of their range."""

    host: str = "127.0.0.1"
    """address to listen on; 0.0.0.0 lets other machines in."""

    port: int = 8000
    """port to listen on; 0 is any free one."""

    runtime: str | None = None
    """runtime to use, with a precision if wanted: onnxruntime, openvino:bf16. By default the fastest one that
    gives the same boxes, measured at the start."""

    threads: int = 1
    """threads of the CPU for each image."""

    workers: int | None = None
    """images worked on at the same time; by default as many as keep every core busy."""

    queue: int = 32
    """images that may wait; more are refused with 503."""

    max_megabytes: float = 16.0
    """largest upload."""

    max_total_megabytes: float = 512.0
    """all uploads in memory; above it, the unfinished upload that began first is refused with 503."""

    max_megapixels: float = 50.0
    """largest image."""

    max_connections: int = 256
    """open connections. A new one above it closes the one that has waited longest for its client, among those
    of the address with the most."""

    header_seconds: float = 10.0
    """most seconds for the header of a request to arrive."""

    upload_seconds: float = 30.0
    """most seconds for an image to arrive, and for an answer to be received."""

    idle_seconds: float = 5.0
    """most seconds that a connection stays open between two requests."""

    browser: Path | None = None
    """folder of the npm package onnxruntime-web: the page runs .onnx models itself, and images stay in the
    browser."""

    device: str = "cpu"
    """cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_device(self)
        check_tiles(self)
        for name in ("max_megabytes", "max_megapixels", "header_seconds", "upload_seconds", "idle_seconds"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise UsageError(f"{name} must be a number above 0, got {value}")
        if not self.max_megabytes <= self.max_total_megabytes < math.inf:
            least = f"at least max_megabytes, {self.max_megabytes:g}"
            raise UsageError(f"max_total_megabytes must be {least}, got {self.max_total_megabytes:g}")
        if (self.workers is not None and self.workers < 1) or self.queue < 0:
            found = f"{self.workers} and {self.queue}"
            raise UsageError(f"needs at least one worker and a queue of 0 or more, got {found}")
        if self.max_connections < 1:
            raise UsageError(f"max_connections must be at least 1, got {self.max_connections}")
