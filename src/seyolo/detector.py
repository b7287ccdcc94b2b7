"""`Detector(path).detect(photo)`: a thin façade over a runtime backend, letterbox and post-processing.

Importing this module imports no PyTorch; only opening a `.safetensors` checkpoint does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from seyolo.arguments import checked
from seyolo.detections import Detections
from seyolo.errors import UsageError
from seyolo.letterbox import letterbox, to_tensor
from seyolo.media.pictures import read_picture
from seyolo.runtime.backend import Backend, class_names, open_backend

Picture = str | Path | UInt8[np.ndarray, "H W 3"]
"""A file, or a decoded picture (H, W, 3) uint8 in OpenCV's BGR order."""


class Detector:
    """Finds objects in photos.

    Args:
        path: an `.onnx`, `.xml`, `.safetensors` or `.cfg` file, or a backend that is already open.
        weights: the `.weights` of a `.cfg`; by default the one beside it.
        confidence: smallest score reported, in [0, 1].
        iou_threshold: overlap above which the worse of two boxes of a class goes, in [0, 1].
        threads: of the CPU; by default the runtime's own choice.
        device: `cpu`, or `cuda` where the runtime has it.
        names: the classes, instead of those in the file.

    Raises:
        UsageError: a threshold outside [0, 1], or an argument of the wrong kind.
        BackendError: no such file, or a runtime that is missing or refuses it.
    """

    @checked
    def __init__(
        self,
        path: str | Path | Backend,
        weights: str | Path | None = None,
        *,
        confidence: float = 0.25,
        iou_threshold: float = 0.6,
        threads: int | None = None,
        device: str = "cpu",
        names: Sequence[str] | None = None,
    ) -> None:
        for option, value in (("confidence", confidence), ("iou_threshold", iou_threshold)):
            if not 0 <= value <= 1:
                raise UsageError(f"{option} must be between 0 and 1, got {value}")
        self.confidence = confidence
        self.iou_threshold = iou_threshold
        self.backend = (
            open_backend(path, weights, threads=threads, device=device)
            if isinstance(path, str | Path)
            else path
        )
        self.names = self.backend.names
        if names is not None:
            source = path if isinstance(path, str | Path) else f"this {path.name} model"
            self.names = class_names(names, len(self.names), source)

    @checked
    def detect(self, image: Picture) -> Detections:
        """Detections in one photo, in its own pixels, best score first.

        Raises:
            DataError: the file is missing or not a whole picture.
            UsageError: an array that is not a BGR picture.
        """
        picture = read_picture(image) if isinstance(image, str | Path) else _checked(image)
        fitted, placement = letterbox(picture, self.backend.input_size, self.backend.letterbox_mode)
        raw = self.backend.infer(to_tensor(fitted)[None])
        return Detections.from_raw(raw[0], placement, self.confidence, self.iou_threshold)

    @checked
    def detect_many(self, images: Iterable[Picture]) -> Iterator[Detections]:
        """Detections of one photo after the other, each read when its turn comes, so memory stays flat."""
        return (self.detect(image) for image in images)


def _checked(image: np.ndarray) -> UInt8[np.ndarray, "H W 3"]:
    whole = image.ndim == 3 and image.shape[2] == 3 and image.size > 0
    if not whole or image.dtype != np.uint8:
        raise UsageError(
            "a picture must be an array (height, width, 3) of uint8 in BGR order, "
            f"got {image.shape} of {image.dtype}"
        )
    return image
