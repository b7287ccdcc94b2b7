"""`Detector`: a model file that detects objects in images.

Importing this module does not import PyTorch; opening a file that runs on PyTorch does.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypedDict, TypeGuard, Unpack, overload

import numpy as np
from jaxtyping import UInt8

from seyolo.arguments import checked
from seyolo.detections import Detections
from seyolo.errors import UsageError
from seyolo.media.images import find_images
from seyolo.media.inputs import Image, Loaded, Order, load_image
from seyolo.runtime.choice import check_choice, open_backend
from seyolo.runtime.inference import Thresholds, detect_images
from seyolo.runtime.protocol import Backend, Precision, Runtime, class_names
from seyolo.tiling.detecting import detect_in_tiles
from seyolo.tiling.grid import Tiling


class Running(TypedDict, total=False):
    """Keyword arguments of `Detector` about its runtime, as in `open_backend`."""

    runtime: Runtime | None
    precision: Precision
    threads: int | None
    device: str


class Detector:
    """A detector of objects in images.

    `backend.name` is the runtime; `repr` shows it with the input size and the classes.

    Args:
        path: an exported file, a `.safetensors` or `.cfg` file, the name of a shipped detector (`hand`), or
            an open backend.
        weights: the `.weights` of a `.cfg`; by default the one beside it.
        runtime: `onnxruntime`, `openvino`, `ncnn`, `mnn`, `litert`, `opencv` or `torch`; by default the
            usual one for the file, see `seyolo.runtime.choice`.
        precision: `f32`, or `bf16` or `f16` where OpenVINO or PyTorch has it.
        confidence: smallest score reported, in [0, 1].
        iou_threshold: IoU above which the lower-scored of two boxes of a class is dropped, in [0, 1].
        threads: of the CPU; by default the runtime chooses.
        device: `cpu`, or `cuda` where the runtime has it.
        names: class names instead of those in the file.
        tiling: the way in which large images are cut into tiles; by default they are not.

    Raises:
        UsageError: a threshold outside [0, 1], or an argument of the wrong kind.
        BackendError: no such file, or a runtime that refuses it or is missing; the message then names the
            package to install.

    Example:
        >>> seyolo.Detector("hand")
        <Detector: hand on onnxruntime, 320x320 px, finds hand>
    """

    @checked
    def __init__(
        self,
        path: str | Path | Backend,
        weights: str | Path | None = None,
        *,
        confidence: float = 0.25,
        iou_threshold: float = 0.6,
        names: Sequence[str] | None = None,
        tiling: Tiling | None = None,
        **running: Unpack[Running],
    ) -> None:
        Thresholds(confidence, iou_threshold)
        precision = running.get("precision", "f32")
        check_choice(running.get("runtime"), precision, "Detector")
        self.confidence = confidence
        self.iou_threshold = iou_threshold
        self.tiling = tiling
        if isinstance(path, str | Path):
            self.backend = open_backend(path, weights, **running)
            rounding = "" if precision == "f32" else f" in {precision}"
            self._source = f"{path} on {self.backend.name}{rounding}"
        else:
            self.backend = path
            self._source = f"this {self.backend.name} model"
        self.names = self.backend.names
        if names is not None:
            self.names = class_names(names, len(self.names), self._source)

    def __repr__(self) -> str:
        height, width = self.backend.input_size
        classes = ", ".join(self.names[:3]) + (", …" if len(self.names) > 3 else "")
        return f"<Detector: {self._source}, {width}x{height} px, finds {classes}>"

    @overload
    def detect(self, image: list[Any] | tuple[Any, ...], *, order: Order = "bgr") -> list[Detections]: ...

    @overload  # of a folder a list all the same: for type checkers give [folder]
    def detect(self, image: Image, *, order: Order = "bgr") -> Detections: ...

    @checked
    def detect(
        self, image: Image | Sequence[Image], *, order: Order = "bgr"
    ) -> Detections | list[Detections]:
        """Returns the detections in an image, in its own pixels, best score first; a list for several images.

        `detector(image)` does the same. The same image gives the same boxes in every form.

        Args:
            image: a file, an http or https address, the bytes of an image file, a Pillow image, or an array:
                (H, W) or (H, W, 1) grey, (H, W, 3) colour, (H, W, 4) with alpha, which is left out; uint8,
                uint16 of 0 to 65535, or floats of 0 to 1. A list of these, a folder, and a pattern such as
                `photos/*.jpg` stand for several images.
            order: of the channels of arrays: `bgr` as OpenCV reads images; `rgb` as Pillow, imageio and
                Matplotlib do.

        Raises:
            DataError: a file or an address that is missing or no whole image, or a folder without images.
            UsageError: an array or a Pillow image that is not convertible.

        Example:
            >>> import numpy as np
            >>> seyolo.Detector("hand").detect(np.zeros((240, 320, 3), np.uint8))
            <Detections: none>
        """
        is_list = isinstance(image, Sequence) and not isinstance(image, str | bytes)
        sources: Sequence[Image] = image if is_list else [image]  # type: ignore[assignment, list-item]
        loaded = map(partial(load_image, order=order), chain.from_iterable(map(_images_of, sources)))
        found = [self._detect([one])[0] for one in loaded]
        return found if is_list or _stands_for_several(image) else found[0]

    __call__ = detect

    @checked
    def detect_many(
        self, images: str | Path | Iterable[Image], *, batch_size: int = 1, order: Order = "bgr"
    ) -> Iterator[Detections]:
        """Yields the detections of one image after the other.

        Args:
            images: images in any form that `detect` takes; or a folder or a pattern such as `photos/*.jpg`,
                whose images are sorted by name. A folder among several images stands for its images.
            batch_size: images, or tiles of one image, in one run of the network. Files made for batch 1 run
                once per image; `seyolo export --dynamic-batch` writes a file for any batch.
            order: of the channels of arrays, as in `detect`.

        Yields:
            Detections in the order of the images. A batch is read only when it is needed, and only the names
            of files are kept, so memory does not grow.

        Raises:
            DataError: a file that is missing or not a whole image, or a folder without images.
            UsageError: an array that is not an image, or a batch below 1.

        Example:
            >>> import numpy as np
            >>> images = [np.zeros((240, 320, 3), np.uint8)] * 2
            >>> [len(found) for found in seyolo.Detector("hand").detect_many(images)]
            [0, 0]
        """
        if batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, got {batch_size}")
        sources = [images] if isinstance(images, str | Path) else images
        named = chain.from_iterable(map(_images_of, sources))
        decoded = map(_without_pixels, map(partial(load_image, order=order), named))
        batches = iter(lambda: list(islice(decoded, batch_size)), [])
        return chain.from_iterable(self._detect(batch, batch_size) for batch in batches)

    def _detect(self, images: Sequence[Loaded], batch_size: int = 1) -> list[Detections]:
        pixels = [image.pixels for image in images]
        if self.tiling is None:
            results = self._detect_whole(pixels)
        else:
            rest = self.tiling, self._detect_whole, self.iou_threshold, batch_size
            results = [detect_in_tiles(image, *rest) for image in pixels]
        return [replace(found, image=image.kept) for found, image in zip(results, images, strict=True)]

    def _detect_whole(self, images: Sequence[UInt8[np.ndarray, "H W 3"]]) -> list[Detections]:
        thresholds = Thresholds(self.confidence, self.iou_threshold)
        return detect_images(self.backend, images, thresholds, self.names)


def _stands_for_several(source: object) -> TypeGuard[str | Path]:
    """Tells whether a source is a folder or a pattern."""
    if not isinstance(source, str | Path) or os.path.isfile(source):
        return False
    return os.path.isdir(source) or ("://" not in str(source) and glob.has_magic(str(source)))


def _images_of(source: Image) -> Sequence[Image]:
    """Returns the image itself, or the images of a folder or pattern."""
    return find_images([source]) if _stands_for_several(source) else [source]


def _without_pixels(image: Loaded) -> Loaded:
    """Returns an image that keeps the name of its file, and nothing that takes memory."""
    return image if isinstance(image.kept, str | Path) else image._replace(kept=None)
