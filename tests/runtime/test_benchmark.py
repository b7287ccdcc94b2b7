"""The timing core under a clock that the test winds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from seyolo.errors import UsageError
from seyolo.letterbox import Mode
from seyolo.runtime.benchmark import Clock, benchmark, time_interleaved

MILLISECOND = 1_000_000


class HandClock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class Paced:
    """A backend whose inference takes the times it is given, in milliseconds, by the hand clock."""

    input_size = (32, 32)
    names = ("thing",)
    letterbox_mode: Mode = "stretch"

    def __init__(self, name: str, clock: HandClock, durations_ms: Sequence[float], log: list[str]) -> None:
        self.name = name
        self._clock = clock
        self._durations_ms = list(durations_ms)
        self._log = log

    def infer(self, batch: np.ndarray) -> np.ndarray:
        assert batch.shape[1:] == (3, 32, 32)
        self._log.append(self.name)
        self._clock.now += round(self._durations_ms.pop(0) * MILLISECOND)
        return np.zeros((len(batch), 4, 6), np.float32)


def test_medians_and_percentiles_without_the_warm_up() -> None:
    clock, log = HandClock(), []
    fast = Paced("fast", clock, [500, 1, 2, 3, 4, 100], log)
    slow = Paced("slow", clock, [900, 10, 10, 10, 10, 20], log)
    timings = benchmark({"a": fast, "b": slow}, repeats=5, warmup=1, clock=clock)
    assert [timing.name for timing in timings] == ["a", "b"]
    assert [timing.p50_ms for timing in timings] == [3, 10]
    # numpy's linear percentile: position 0.95 * 4 = 3.8 of (1, 2, 3, 4, 100): 4 + 0.8 * 96
    assert timings[0].p95_ms == pytest.approx(80.8)
    # positions 0.4 and 3.6: 1 + 0.4 * 1, and 4 + 0.6 * 96; half of their distance by the median
    assert timings[0].noise == timings[0].total_noise == pytest.approx((61.6 - 1.4) / 2 / 3)
    assert timings[1].noise == pytest.approx((16 - 10) / 2 / 10)
    assert timings[0].total_p50_ms == 3  # nothing else moves this clock
    assert timings[0].preprocess_p50_ms == timings[0].postprocess_p50_ms == 0
    assert timings[0].repeats == 5
    assert timings[0].pictures_per_s == pytest.approx(5 / 0.110)  # 1 + 2 + 3 + 4 + 100 ms
    assert (timings[0].batch, timings[0].batch_pictures_per_s) == (1, None)


def test_batches_are_timed_in_the_same_rounds() -> None:
    clock, sizes = HandClock(), []

    class Counting(Paced):
        def infer(self, batch: np.ndarray) -> np.ndarray:
            sizes.append((len(batch), [round(float(value) * 255) for value in batch[:, 0, 0, 0]]))
            return super().infer(batch)

    images = [np.full((8, 8, 3), grey, np.uint8) for grey in (10, 20, 30)]
    backend = Counting("a", clock, [7, 40, 9, 60], [])
    (timing,) = benchmark({"a": backend}, 2, 0, images, batch=4, clock=clock)
    assert sizes == [(1, [10]), (4, [10, 20, 30, 10]), (1, [20]), (4, [20, 30, 10, 20])]
    assert timing.p50_ms == 8  # of one alone: 7 and 9
    assert timing.pictures_per_s == pytest.approx(2 / 0.016)
    assert (timing.batch, timing.batch_pictures_per_s) == (4, pytest.approx(8 / 0.100))


def test_rounds_are_interleaved() -> None:
    clock, log = HandClock(), []
    backends = {name: Paced(name, clock, [1] * 4, log) for name in "xyz"}
    benchmark(backends, repeats=3, warmup=1, clock=clock)
    assert log == list("xyz") * 4


def test_threads_of_one_model_come_to_rest_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, log = HandClock(), []
    monkeypatch.setattr("seyolo.runtime.benchmark.REST_S", 0.01)
    monkeypatch.setattr("seyolo.runtime.benchmark.time.sleep", lambda seconds: log.append(str(seconds)))
    backends = {name: Paced(name, clock, [1] * 4, log) for name in "xy"}
    benchmark(backends, repeats=1, warmup=1, clock=clock)
    assert log == ["0.01", "x", "0.01", "y"] * 2
    log.clear()
    benchmark({"x": backends["x"]}, repeats=2, warmup=0, clock=clock)
    assert log == ["0.01", "x"] * 2  # alone as beside others


def test_parts_are_the_differences_of_the_readings() -> None:
    def turn(number: int, clock: Clock) -> list[int]:
        assert clock() == 0
        return [0, 2 * MILLISECOND, 5 * MILLISECOND + number, 9 * MILLISECOND]

    parts = time_interleaved({"t": turn}, 2, 0, HandClock())["t"]
    np.testing.assert_allclose(parts, [[2, 3, 4], [2, 3.000001, 3.999999]])


def test_images_are_taken_in_turn() -> None:
    seen: list[int] = []

    class Watching(Paced):
        def infer(self, batch: np.ndarray) -> np.ndarray:
            seen.append(round(float(batch[0, 0, 0, 0]) * 255))
            return super().infer(batch)

    clock = HandClock()
    images = [np.full((8, 8, 3), grey, np.uint8) for grey in (10, 20)]
    benchmark({"w": Watching("w", clock, [1] * 4, [])}, repeats=3, warmup=1, images=images, clock=clock)
    assert seen == [10, 10, 20, 10]


def test_the_real_clock_gives_parts_that_fit_the_total() -> None:
    clock = HandClock()
    (timing,) = benchmark({"a": Paced("a", clock, [1] * 4, [])}, repeats=3, warmup=1)
    assert timing.preprocess_p50_ms > 0
    assert timing.p50_ms > 0
    assert timing.total_p50_ms >= max(timing.preprocess_p50_ms, timing.p50_ms, timing.postprocess_p50_ms)


@pytest.mark.parametrize(
    "options",
    [{"repeats": 0}, {"repeats": 1, "images": []}, {"repeats": 1, "warmup": -1}, {"repeats": 1, "batch": 0}],
)
def test_a_benchmark_of_nothing_is_refused(options: dict[str, object]) -> None:
    backend = Paced("a", HandClock(), [], [])
    with pytest.raises(UsageError, match="at least one model, one image, one repeat and a batch of 1"):
        benchmark({"a": backend}, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="got 0 models"):
        benchmark({})
