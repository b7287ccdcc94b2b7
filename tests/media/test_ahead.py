"""Threads beside the main one: order, short queues, errors, and an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count, islice

import pytest

from seyolo.media.ahead import Behind, mapped_ahead, newest, read_ahead


def test_results_keep_their_order() -> None:
    def slow_if_even(number: int) -> int:
        time.sleep(0.002 if number % 2 == 0 else 0)
        return number * 10

    assert list(mapped_ahead(slow_if_even, range(20), workers=3)) == [number * 10 for number in range(20)]
    assert list(read_ahead(iter("abc"))) == ["a", "b", "c"]


def test_no_more_than_depth_is_read_ahead() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for number in count():
            read.append(number)
            yield number

    with closing(read_ahead(items(), depth=3)) as ahead:
        assert [next(ahead), next(ahead)] == [0, 1]
        time.sleep(0.05)
        # Two were taken; behind the last one two more may lie ready and one be made.
        assert len(read) <= 4
    num_read = len(read)
    time.sleep(0.02)
    assert len(read) == num_read


def test_reading_overlaps_with_use() -> None:
    # Each item waits for the one before it to be in use: without a thread this would never end.
    in_use = [threading.Event() for _ in range(5)]

    def items() -> Iterator[int]:
        for number in range(5):
            if number:
                assert in_use[number - 1].wait(5)
            yield number

    for number in read_ahead(items(), depth=2):
        in_use[number].set()
    assert all(event.is_set() for event in in_use)


def test_an_error_comes_after_what_was_read_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("no more")

    ahead = read_ahead(items())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(OSError, match="no more"):
        next(ahead)


def test_only_the_newest_item_waits() -> None:
    go_on, all_there = threading.Event(), threading.Event()

    def camera() -> Iterator[int]:
        yield 0
        assert go_on.wait(5)
        yield from range(1, 10)
        all_there.set()
        # The end of a live source may be long in coming.
        time.sleep(0.02)

    with closing(newest(camera())) as frames:
        assert next(frames) == 0
        go_on.set()
        assert all_there.wait(5)
        assert list(frames) == [9]


def test_a_live_source_that_never_ends_is_left() -> None:
    before = threading.active_count()
    with closing(newest(count())) as numbers:
        assert len(list(islice(numbers, 3))) == 3
    assert threading.active_count() == before


def test_an_error_of_a_live_source_arrives() -> None:
    def camera() -> Iterator[int]:
        yield 0
        raise OSError("unplugged")

    with pytest.raises(OSError, match="unplugged"), closing(newest(camera())) as frames:
        list(frames)


def test_calls_are_made_in_order_and_a_few_behind() -> None:
    done: list[int] = []
    gate = threading.Event()
    with Behind(depth=2) as behind:
        behind.call(lambda: done.append(0) if gate.wait(5) else None)
        behind.call(done.append, 1)
        assert done == []
        gate.set()
        for number in range(2, 50):
            behind.call(done.append, number)
        behind.finish()
        assert done == list(range(50))


def test_nothing_is_called_after_an_error() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("full")

    def ask(behind: Behind) -> None:
        behind.call(done.append, 1)
        behind.call(fail)
        behind.call(done.append, 2)

    with pytest.raises(OSError, match="full"), Behind() as behind:
        ask(behind)
    assert done == [1]


def test_nothing_is_in_use_after_a_settled_block() -> None:
    in_use = True

    def use() -> None:
        time.sleep(0.01)
        assert in_use

    def ask_and_stop(behind: Behind) -> None:
        with behind.settled():
            for _ in range(3):
                behind.call(use)
            raise KeyboardInterrupt

    with Behind() as behind:
        with pytest.raises(KeyboardInterrupt):
            ask_and_stop(behind)
        in_use = False


def test_what_was_asked_for_is_done_when_the_block_fails() -> None:
    done: list[int] = []

    def ask_and_stop(behind: Behind) -> None:
        for number in range(3):
            behind.call(done.append, number)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Behind() as behind:
        ask_and_stop(behind)
    assert done == [0, 1, 2]
