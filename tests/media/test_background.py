"""Work ahead in threads: in order, and OpenCV's number of threads is as it was before afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import pytest

from seyolo.media.ahead import in_background


@pytest.fixture
def three_threads() -> Iterator[None]:
    """OpenCV as a user has it who wants three threads."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield
    cv2.setNumThreads(before)


def threads_seen(_: int) -> int:
    return cv2.getNumThreads()


@pytest.mark.usefixtures("three_threads")
def test_opencv_has_one_thread_only_meanwhile() -> None:
    assert list(in_background(threads_seen, range(5), threads=2, prefetch=3)) == [1] * 5
    assert cv2.getNumThreads() == 3


@pytest.mark.usefixtures("three_threads")
def test_a_loop_that_is_left_and_an_error_restore_it_too() -> None:
    left = in_background(threads_seen, range(5), threads=1, prefetch=1)
    assert next(left) == 1
    left.close()
    assert cv2.getNumThreads() == 3
    with pytest.raises(ZeroDivisionError):
        list(in_background(lambda job: 1 // job, [1, 0], threads=1, prefetch=1))
    assert cv2.getNumThreads() == 3


@pytest.mark.usefixtures("three_threads")
def test_of_two_the_last_one_restores_it_whichever_began() -> None:
    first, second = (in_background(threads_seen, range(9), threads=1, prefetch=1) for _ in range(2))
    next(first)
    next(second)
    first.close()
    assert cv2.getNumThreads() == next(second) == 1
    second.close()
    assert cv2.getNumThreads() == 3
