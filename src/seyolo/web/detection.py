"""Answer of `POST /detect`: one image through one model.

Runs in worker threads, which share the model. Each request has its own `Detector` with its thresholds, which
costs nothing to make.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
from starlette.exceptions import HTTPException

from seyolo.detector import Detector
from seyolo.letterbox import PAD_GREY, Fit
from seyolo.media.annotate import class_colour, text_colour
from seyolo.options.detect import ServeOptions
from seyolo.runtime.choice import RUNTIMES
from seyolo.runtime.protocol import Backend
from seyolo.tiling.grid import Tiling
from seyolo.web.uploads import decode_upload


class ServedModel:
    """A named model, safe to use from several threads.

    It runs once on a grey image: a model that cannot run is a BackendError at the start, and the first image
    is as fast as the others.
    """

    def __init__(
        self, name: str, backend: Backend, tiling: Tiling | None = None, file: Path | None = None
    ) -> None:
        self.name = name
        self.file = file  # that browsers run, where they do
        self._tiling = tiling
        self._backend = backend
        is_reentrant = any(kind.reentrant for name, kind in RUNTIMES.items() if name == backend.name)
        self._turn: AbstractContextManager[object] = nullcontext() if is_reentrant else threading.Lock()
        Detector(backend).detect(np.full((*backend.input_size, 3), PAD_GREY, np.uint8))

    def describe(self) -> dict[str, object]:
        """Returns plain values for JSON: name, runtime, `input_size` (height, width), classes and colours.

        `browser` says how a page fits images, where it runs the model itself.
        """
        classes = []
        for number, name in enumerate(self._backend.names):
            colour = class_colour(number)
            classes.append({"name": name, "colour": _css(colour), "text": _css(text_colour(colour))})
        size = list(self._backend.input_size)
        told: dict[str, object] = {
            "name": self.name,
            "runtime": self._backend.name,
            "input_size": size,
            "classes": classes,
        }
        if self.file is None:
            return told
        fit = Fit.of(self._backend)
        of_page = {"letterbox": fit.mode, "pad_value": fit.pad_value, "channels": fit.channels}
        return {**told, "runtime": "onnxruntime-web", "browser": {"input_size": size, **of_page}}

    def detect(self, data: bytes, confidence: float, iou: float, limits: ServeOptions) -> dict[str, object]:
        """Returns the answer to one request as plain values for JSON."""
        detector = Detector(self._backend, confidence=confidence, iou_threshold=iou, tiling=self._tiling)
        start = time.perf_counter()
        image = decode_upload(data, limits)
        decode_s = time.perf_counter() - start
        with self._turn:
            start = time.perf_counter()  # without the wait for other requests
            found = detector.detect(image)
            detect_s = time.perf_counter() - start
        return {
            "model": self.name,
            "width": image.shape[1],
            "height": image.shape[0],
            "detections": found.to_dicts(detector.names),
            "latency_ms": {"decode": round(decode_s * 1e3, 2), "detect": round(detect_s * 1e3, 2)},
        }


def choose(name: str | None, models: Sequence[ServedModel]) -> ServedModel:
    """Returns the model of this name, the first for None; answers 404 where no model has that name."""
    for model in models:
        if name in (None, model.name):
            return model
    names = ", ".join(model.name for model in models)
    raise HTTPException(404, f"no model {name!r}; there are {names}")


def _css(colour: tuple[int, int, int]) -> str:
    blue, green, red = colour
    return f"#{red:02x}{green:02x}{blue:02x}"
