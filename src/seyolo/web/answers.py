"""Types of the API: options of a request and answers, from which its description is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

Share = Annotated[float, Meta(ge=0, le=1)]


@dataclass(frozen=True)
class Question:
    """Options of a request."""

    model: Annotated[str | None, Meta(description="One of the models by name.")] = None
    confidence: Annotated[Share, Meta(description="Smallest score reported.")] = 0.25
    iou: Annotated[
        Share, Meta(description="IoU above which the lower-scored of two boxes of a class is dropped.")
    ] = 0.6

    @classmethod
    def parse(cls, query: QueryParams) -> Question:
        """Parses a query string; refuses unknown options, repeated options and values out of range."""
        known = ("model", "confidence", "iou")
        for key, count in Counter(key for key, _ in query.multi_items()).items():
            if key not in known:
                raise HTTPException(400, f"unknown option {key!r}; there are {', '.join(known)}")
            if count > 1:
                raise HTTPException(400, f"{key} is given {count} times; once is enough")
        confidence, iou = (_share(query, key, getattr(cls, key)) for key in known[1:])
        return cls(query.get("model"), confidence, iou)


def _share(query: QueryParams, key: str, default: float) -> float:
    text = query.get(key, str(default))
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise HTTPException(400, f"{key} must be a number from 0 to 1, got {text!r}")
    return value


class Detection(TypedDict):
    """An object that was found."""

    name: str
    class_id: int
    score: Share
    box: Annotated[
        list[float],
        Meta(min_length=4, max_length=4, description="Left, top, right, bottom in pixels of the image."),
    ]


class Latency(TypedDict):
    """Milliseconds."""

    decode: Annotated[float, Meta(description="From bytes to pixels.")]
    detect: Annotated[float, Meta(description="Fitting to the input, network, suppression.")]


class Found(TypedDict):
    """The detections, best score first."""

    model: str
    width: Annotated[int, Meta(description="Of the image in pixels, rotated by its Exif orientation.")]
    height: int
    detections: list[Detection]
    latency_ms: Latency


class Class(TypedDict):
    """A class with the colours of its boxes, as #rrggbb."""

    name: str
    colour: Annotated[str, Meta(description="Of its boxes.")]
    text: Annotated[str, Meta(description="Of text on that colour.")]


class InBrowser(TypedDict):
    """Fitting of images for a page that runs the model itself (serve --browser)."""

    input_size: Sequence[int]
    letterbox: str
    pad_value: float
    channels: int


class Model(TypedDict):
    """A model that is served."""

    name: str
    runtime: str
    input_size: Annotated[
        list[int], Meta(min_length=2, max_length=2, description="Height and width in pixels.")
    ]
    classes: list[Class]
    browser: NotRequired[InBrowser]


class Models(TypedDict):
    """The models with their runtimes, input sizes and classes."""

    models: list[Model]


class Health(TypedDict):
    """The service runs."""

    status: Literal["ok"]
    version: str


class Refusal(TypedDict):
    """The request cannot be answered; the text says why, in one line."""

    error: str
