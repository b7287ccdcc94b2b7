"""Limits of the service, and upload of an image within them: reading of a request, and decoding.

The service counts bytes while they arrive, and decodes an image only after its header gives an accepted size.
It accepts the three formats whose headers it reads; the page converts every other format that the browser
shows to JPEG. File names are ignored.
"""

from __future__ import annotations

import asyncio
import math
import os
from dataclasses import dataclass

import numpy as np
import python_multipart  # noqa: F401 (Starlette takes forms only where it is, and says so only when one comes)
from jaxtyping import UInt8
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from seyolo.errors import DataError, UsageError
from seyolo.media.image_header import read_header
from seyolo.media.images import ImageTooLargeError, decode_image
from seyolo.options.detect import ServeOptions


@dataclass(frozen=True)
class Limits:
    """Limits that keep one request from using the memory or time of all others."""

    max_megabytes: float = 16.0  # largest request body, in millions of bytes
    max_megapixels: float = 50.0  # largest image by its header, in millions of pixels
    workers: int = 1  # images processed at the same time
    queue: int = 32  # images that may wait; further requests are refused
    upload_s: float = 30.0  # most seconds for a request to arrive

    def __post_init__(self) -> None:
        for name in ("max_megabytes", "max_megapixels", "upload_s"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise UsageError(f"{name} must be a number above 0, got {value}")
        if self.workers < 1 or self.queue < 0:
            found = f"{self.workers} and {self.queue}"
            raise UsageError(f"needs at least one worker and a queue of 0 or more, got {found}")

    @property
    def max_bytes(self) -> int:
        return round(self.max_megabytes * 1e6)


def workers_for(threads: int) -> int:
    """Returns the number of images that keep every core busy at this number of threads per image."""
    return max(1, (os.cpu_count() or 1) // max(1, threads))


def limits_of(options: ServeOptions) -> Limits:
    """Returns the limits that options of `serve` ask for; raises UsageError for one that admits nothing."""
    workers = workers_for(options.threads) if options.workers is None else options.workers
    return Limits(options.max_megabytes, options.max_megapixels, workers, options.queue)


async def read_upload(request: Request, limits: Limits) -> bytes:
    """Returns the bytes of the image in a request: the whole body, or the only file of a form.

    Answers 400 for no image or other form fields, 408 for a slow one, 413 for a large one.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.max_bytes:
        raise _too_large(limits)
    limited = Request(request.scope, _counting(request.receive, limits))
    try:
        async with asyncio.timeout(limits.upload_s):
            data = await _read(limited)
    except TimeoutError:
        raise HTTPException(408, f"the image took longer than {limits.upload_s:g} s to arrive") from None
    if not data:
        raise HTTPException(400, "no image: send it as the body, or as the one file of multipart/form-data")
    return data


def decode_upload(data: bytes, limits: Limits) -> UInt8[np.ndarray, "H W 3"]:
    """Decodes as 8-bit BGR; answers 413 for too many pixels, 415 for other formats, 422 for damaged files."""
    header = read_header(data)
    if header is None or header.kind not in {"JPEG", "PNG", "WebP"}:
        raise HTTPException(415, "not an accepted image; send a JPEG, PNG or WebP")
    if header.num_pixels > round(limits.max_megapixels * 1e6):
        limit = f"at most {limits.max_megapixels:g} are taken"
        raise HTTPException(413, f"the image has {header.num_pixels / 1e6:.1f} megapixels, {limit}")
    try:
        return decode_image(data, "upload")
    except ImageTooLargeError as error:
        raise HTTPException(413, str(error)) from None
    except DataError as error:
        raise HTTPException(422, str(error)) from None


async def _read(request: Request) -> bytes:
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await request.body()
    async with request.form(max_files=1, max_fields=0) as form:
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        return await files[0].read() if files else b""


def _counting(receive: Receive, limits: Limits) -> Receive:
    """Returns `receive` with a limit: it refuses the request when the body grows too large."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limits.max_bytes:
            raise _too_large(limits)
        return message

    return counted


def _too_large(limits: Limits) -> HTTPException:
    limit = f"at most {limits.max_megabytes:g} megabytes are taken"
    return HTTPException(413, f"the request is too large; {limit}")
