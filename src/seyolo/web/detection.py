"""Options and answer of `POST /detect`: one image through one model.

Runs in worker threads, which share the model. Each request has its own `Detector` with its thresholds, which
costs nothing to make.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from starlette.datastructures import QueryParams
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


@dataclass(frozen=True)
class Question:
    """Options of a request."""

    model: str | None = None  # name of a model; None is the first
    confidence: float = 0.25  # smallest score reported, 0 to 1
    iou: float = 0.6  # IoU above which the lower-scored of two boxes of a class is dropped, 0 to 1

    @classmethod
    def parse(cls, query: QueryParams) -> Question:
        """Parses a query string; refuses unknown options, repeated options and values out of range."""
        known = ("model", "confidence", "iou")
        for key, count in Counter(key for key, _ in query.multi_items()).items():
            if key not in known:
                raise HTTPException(400, f"unknown option {key!r}; there are {', '.join(known)}")
            if count > 1:
                raise HTTPException(400, f"{key} is given {count} times; once is enough")
        confidence, iou = (_fraction(query, key, getattr(cls, key)) for key in known[1:])
        return cls(query.get("model"), confidence, iou)

    def choose(self, models: Sequence[ServedModel]) -> ServedModel:
        """Returns the model of the request; answers 404 where no model has that name."""
        for model in models:
            if self.model in (None, model.name):
                return model
        names = ", ".join(model.name for model in models)
        raise HTTPException(404, f"no model {self.model!r}; there are {names}")


def _fraction(query: QueryParams, key: str, default: float) -> float:
    text = query.get(key, str(default))
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise HTTPException(400, f"{key} must be a number from 0 to 1, got {text!r}")
    return value


def _css(colour: tuple[int, int, int]) -> str:
    blue, green, red = colour
    return f"#{red:02x}{green:02x}{blue:02x}"
