"""Amount of work in the sources of a run, and a few of their images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice

import numpy as np
from jaxtyping import UInt8

from seyolo.errors import DataError
from seyolo.media.images import read_image
from seyolo.media.sources import is_live, kind_of
from seyolo.media.video import VideoReader, quiet_opencv
from seyolo.options.count import Area

MANY = 10_000  # from here on the exact number makes no difference
NUM_SAMPLES = 4


def count_images(names: Sequence[str], max_frames: int | None) -> int | None:
    """Returns the number of images and frames in sources, as far as it matters; None where it is unknown."""
    if len(names) >= MANY:
        return len(names)
    counts = [1 if kind_of(name) in ("picture", "stdin") else _frames(name, max_frames) for name in names]
    return None if None in counts else sum(filter(None, counts))


def _frames(name: str, most: int | None) -> int | None:
    if is_live(name) or most is not None:
        return most
    try:
        with quiet_opencv(), closing(VideoReader(name)) as reader:
            return reader.num_declared or None
    except DataError:
        return 0  # the run reports it


def check_areas(areas: Sequence[Area], name: str) -> None:
    """Raises UsageError for a line or zone outside a video file; live sources are checked as they begin."""
    if is_live(name):
        return
    with suppress(DataError), quiet_opencv(), closing(VideoReader(name)) as reader:
        for area in areas:
            area.on(name, *reader.size)


def sample_images(names: Sequence[str]) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Returns the first few images that can be read."""

    def readable() -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        for name in islice((name for name in names if kind_of(name) == "picture"), 2 * NUM_SAMPLES):
            with suppress(DataError):
                yield read_image(name)

    return list(islice(readable(), NUM_SAMPLES))
