"""One image through one model: what `POST /detect` is asked for, and what it answers.

Runs in worker threads. They share the model; what differs from request to request, the thresholds, is in a
`Detector` of the request's own, which costs nothing to make.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from seyolo.detector import Detector
from seyolo.letterbox import PAD_GREY
from seyolo.media.annotate import class_colour, text_colour
from seyolo.runtime.choice import RUNTIMES
from seyolo.runtime.protocol import Backend
from seyolo.web.limits import Limits
from seyolo.web.uploads import decode_upload


class ServedModel:
    """A model under its name, safe to use from several threads.

    Args:
        name: what requests call it.
        backend: is run once, on grey, so that a model that cannot run is an error at the start and the
            first image is no slower than the others.

    Raises:
        BackendError: the runtime fails on it.
    """

    def __init__(self, name: str, backend: Backend) -> None:
        self.name = name
        self._backend = backend
        is_reentrant = any(kind.reentrant for name, kind in RUNTIMES.items() if name == backend.name)
        self._turn: AbstractContextManager[object] = nullcontext() if is_reentrant else threading.Lock()
        Detector(backend).detect(np.full((*backend.input_size, 3), PAD_GREY, np.uint8))

    def describe(self) -> dict[str, object]:
        """Plain values for JSON: name, runtime, `input_size` (height, width), classes with their colours."""
        classes = [
            {
                "name": name,
                "colour": _css(class_colour(number)),
                "text": _css(text_colour(class_colour(number))),
            }
            for number, name in enumerate(self._backend.names)
        ]
        return {
            "name": self.name,
            "runtime": self._backend.name,
            "input_size": list(self._backend.input_size),
            "classes": classes,
        }

    def detect(self, data: bytes, confidence: float, iou: float, limits: Limits) -> dict[str, object]:
        """The answer to one request, as plain values for JSON.

        Args:
            data: the image as it was sent.
            confidence, iou: thresholds as `Detector` takes them.
            limits: of the images that are decoded.

        Raises:
            HTTPException: it is no image that is taken.
        """
        detector = Detector(self._backend, confidence=confidence, iou_threshold=iou)
        start = time.perf_counter()
        image = decode_upload(data, limits)
        decoded = time.perf_counter()
        with self._turn:
            begun = time.perf_counter()
            found = detector.detect(image)
            done = time.perf_counter()
        return {
            "model": self.name,
            "width": image.shape[1],
            "height": image.shape[0],
            "detections": found.to_dicts(detector.names),
            "latency_ms": {
                "decode": round((decoded - start) * 1e3, 2),
                "detect": round((done - begun) * 1e3, 2),
            },
        }


@dataclass(frozen=True)
class Question:
    """The options of a request.

    Attributes:
        model: the name of a model, or None for the first.
        confidence: smallest score reported, 0 to 1.
        iou: overlap above which the worse of two boxes of a class goes, 0 to 1.
    """

    model: str | None = None
    confidence: float = 0.25
    iou: float = 0.6

    @classmethod
    def parse(cls, query: QueryParams) -> Question:
        """The options in a query string.

        Raises:
            HTTPException: 400, an unknown option, one given twice, or a value that makes no sense.
        """
        known = ("model", "confidence", "iou")
        for key, count in Counter(key for key, _ in query.multi_items()).items():
            if key not in known:
                raise HTTPException(400, f"unknown option {key!r}; there are {', '.join(known)}")
            if count > 1:
                raise HTTPException(400, f"{key} is given {count} times; once is enough")
        return cls(
            query.get("model"),
            _fraction(query, "confidence", cls.confidence),
            _fraction(query, "iou", cls.iou),
        )

    def choose(self, models: Sequence[ServedModel]) -> ServedModel:
        """The model that is meant.

        Raises:
            HTTPException: 404, there is none of that name.
        """
        for model in models:
            if self.model in (None, model.name):
                return model
        names = ", ".join(model.name for model in models)
        raise HTTPException(404, f"no model {self.model!r}; there are {names}")


def _fraction(query: QueryParams, key: str, default: float) -> float:
    text = query.get(key)
    if text is None:
        return default
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
