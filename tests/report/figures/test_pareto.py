"""AP against latency: who is on the front, and that the image names all."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from seyolo.report.figures import cost as pareto
from seyolo.report.figures.cost import Point, pareto_front, plot_pareto

POINTS = [
    Point("dense", 10.0, 0.80),
    Point("slim", 5.0, 0.79),
    Point("int8", 4.0, 0.78),
    Point("slower", 6.0, 0.79),  # as good as slim, and slower
    Point("worse", 12.0, 0.70),
]


def test_the_front_worked_by_hand() -> None:
    assert [point.name for point in pareto_front(POINTS)] == ["int8", "slim", "dense"]


@given(st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 1)), min_size=1, max_size=8))
def test_the_front_is_what_nothing_beats(pairs: list[tuple[float, float]]) -> None:
    points = [Point("", *pair) for pair in pairs]
    front = pareto_front(points)

    def beats(one: Point, other: Point) -> bool:
        no_worse = one.latency_ms <= other.latency_ms and one.ap >= other.ap
        return no_worse and one != other

    assert not any(beats(one, other) for one in points for other in front)
    for point in points:
        assert point in front or any(beats(one, point) for one in front)


def test_every_model_is_named_and_no_name_lies_on_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    save = pareto.save
    monkeypatch.setattr(pareto, "save", lambda figure, path: (figures.append(figure), save(figure, path)))
    plot_pareto(POINTS, "test", tmp_path / "chart.png")
    assert cv2.imread(str(tmp_path / "chart.png")) is not None
    (axes,) = figures[0].axes
    assert "test" in figures[0].get_suptitle()
    assert "3 of 5" in figures[0].get_suptitle()
    assert sorted(text.get_text() for text in axes.texts) == sorted(point.name for point in POINTS)
    boxes = [text.get_window_extent() for text in axes.texts]
    frame = axes.get_window_extent()
    for number, box in enumerate(boxes):
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert not any(box.overlaps(other) for other in boxes[:number])
