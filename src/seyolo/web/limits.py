"""Limits of the service: request size, image size and work at a time."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from seyolo.errors import UsageError
from seyolo.options.detect import ServeOptions


@dataclass(frozen=True)
class Limits:
    """Limits that keep one request from using the memory or time of all others.

    Attributes:
        max_megabytes: largest request body, in millions of bytes.
        max_megapixels: largest image by its header, in millions of pixels.
        workers: images processed at the same time.
        queue: images that may wait; further requests are refused.
        upload_s: most seconds for a request to arrive.

    Raises:
        UsageError: a limit that lets nothing through.
    """

    max_megabytes: float = 16.0
    max_megapixels: float = 50.0
    workers: int = 1
    queue: int = 32
    upload_s: float = 30.0

    def __post_init__(self) -> None:
        for name in ("max_megabytes", "max_megapixels", "upload_s"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise UsageError(f"{name} must be a number above 0, got {value}")
        if self.workers < 1 or self.queue < 0:
            raise UsageError(
                f"needs at least one worker and a queue of 0 or more, got {self.workers} and {self.queue}"
            )

    @property
    def max_bytes(self) -> int:
        """The largest request body in bytes."""
        return round(self.max_megabytes * 1e6)

    @property
    def max_pixels(self) -> int:
        """The largest image in pixels."""
        return round(self.max_megapixels * 1e6)


def workers_for(threads: int) -> int:
    """Returns the number of images that keep every core busy at this number of threads per image."""
    return max(1, (os.cpu_count() or 1) // max(1, threads))


def limits_of(options: ServeOptions) -> Limits:
    """Returns the limits that options of `serve` ask for.

    Raises:
        UsageError: a limit that lets nothing through.
    """
    workers = workers_for(options.threads) if options.workers is None else options.workers
    return Limits(options.max_megabytes, options.max_megapixels, workers, options.queue)
