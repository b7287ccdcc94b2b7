"""Upload of an image within the limits of the service: reading of a request, and decoding.

The service counts bytes while they arrive, and decodes an image only after its header gives an accepted size.
It accepts the three formats whose headers it reads; the page converts every other format that the browser
shows to JPEG. File names are ignored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import python_multipart  # noqa: F401 (Starlette takes forms only where it is, and says so only when one comes)
from jaxtyping import UInt8
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from seyolo.errors import DataError
from seyolo.media.image_header import read_header
from seyolo.media.images import ImageTooLargeError, decode_image
from seyolo.options.detect import ServeOptions
from seyolo.processor import usable_cores

RETRY_AFTER_S = 1


def workers_for(threads: int) -> int:
    """Returns the number of images that keep every core busy at this number of threads per image."""
    return max(1, usable_cores() // max(1, threads))


class Uploads:
    """Images of all requests in memory, together at most `max_total_megabytes`.

    Past that limit the unfinished upload that began first is refused: a stalled one takes no memory from the
    others.
    """

    def __init__(self, limits: ServeOptions) -> None:
        self._limits = limits
        self._unfinished: dict[asyncio.Timeout, int] = {}  # number of bytes by upload, in order of start
        self._num_finished_bytes = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Yields the image in a request: the whole body, or the only file of a form.

        Answers 400 for no image or other form fields, 408 for a slow one, 413 for a large one, 503 for one
        that had to make room.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > _num_bytes(self._limits.max_megabytes):
            raise _too_large(self._limits)
        data = await self._read(request)
        if not data:
            raise HTTPException(
                400, "no image: send it as the body, or as the one file of multipart/form-data"
            )
        self._num_finished_bytes += len(data)
        try:
            yield data
        finally:
            self._num_finished_bytes -= len(data)

    async def _read(self, request: Request) -> bytes:
        seconds = self._limits.upload_seconds
        try:
            async with asyncio.timeout(seconds) as upload:
                self._unfinished[upload] = 0
                return await _image(Request(request.scope, self._counting(request.receive, upload)))
        except TimeoutError:
            if upload not in self._unfinished:
                raise busy("too many bytes are arriving") from None
            raise HTTPException(408, f"the image took longer than {seconds:g} s to arrive") from None
        finally:
            self._unfinished.pop(upload, None)

    def _counting(self, receive: Receive, upload: asyncio.Timeout) -> Receive:
        """Returns `receive` with limits: it refuses the request when the body grows too large."""

        async def counted() -> Message:
            message = await receive()
            if upload in self._unfinished:
                self._unfinished[upload] += len(message.get("body", b""))
                if self._unfinished[upload] > _num_bytes(self._limits.max_megabytes):
                    raise _too_large(self._limits)
                self._make_room()
            return message

        return counted

    def _make_room(self) -> None:
        """Ends unfinished uploads until all together are within the limit."""
        most = _num_bytes(self._limits.max_total_megabytes)
        while self._unfinished and self._num_finished_bytes + sum(self._unfinished.values()) > most:
            first = next(iter(self._unfinished))
            del self._unfinished[first]
            if not first.expired():
                first.reschedule(0)


def busy(reason: str) -> HTTPException:
    """Returns the refusal that asks the client to come back."""
    return HTTPException(503, f"busy: {reason}; try again", {"Retry-After": str(RETRY_AFTER_S)})


def decode_upload(data: bytes, limits: ServeOptions) -> UInt8[np.ndarray, "H W 3"]:
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


async def _image(request: Request) -> bytes:
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await request.body()
    async with request.form(max_files=1, max_fields=0) as form:
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        return await files[0].read() if files else b""


def _num_bytes(megabytes: float) -> int:
    return round(megabytes * 1e6)


def _too_large(limits: ServeOptions) -> HTTPException:
    limit = f"at most {limits.max_megabytes:g} megabytes are taken"
    return HTTPException(413, f"the request is too large; {limit}")
