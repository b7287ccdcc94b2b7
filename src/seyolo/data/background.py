"""Work done ahead by threads, as `media.ahead` does it, with OpenCV kept to one thread each.

Threads suffice, since OpenCV and numpy release the interpreter lock while they work on pixels. At most
`prefetch` results wait, so memory is bounded; an error in a thread is raised where its result is consumed;
closing the iterator (or leaving its loop) stops the threads.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import TypeVar

import cv2

from seyolo.media.ahead import mapped_ahead

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_background(
    function: Callable[[Job], Result], jobs: Iterable[Job], workers: int, prefetch: int
) -> Generator[Result]:
    """The results of `function` for each job, in order, computed by threads up to `prefetch` jobs ahead."""
    # Parallel by picture already: OpenCV's own threads would only contend with the network for cores.
    cv2.setNumThreads(1)
    depth = max(prefetch, workers)
    with closing(mapped_ahead(function, jobs, workers, depth, "seyolo-loader")) as results:
        yield from results
