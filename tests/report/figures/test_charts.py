"""Charts of quality against cost: what stands in the figure, and SVG that is the page's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from seyolo.evaluation.curves import Curves
from seyolo.report.figures.bn_scales import scales_over_time_figure
from seyolo.report.figures.cost import CostPoint, Series, comparison_figure, cost_figure
from seyolo.report.figures.curves import (
    confidence_figure,
    plot_detection_curves,
    precision_recall_figure,
)
from seyolo.report.figures.labels import spread
from seyolo.report.figures.style import DENSE, PAGE_COLOURS, SLIM, inline_svg
from seyolo.report.text import count_text

FALLING = np.linspace(1, 0, 101)
CURVES = Curves(FALLING, FALLING / 2, np.linspace(0, 1, 101), FALLING, np.minimum(FALLING, 1 - FALLING))


def test_precision_over_recall() -> None:
    figure = precision_recall_figure({"dense": (CURVES, DENSE), "slim": (CURVES, SLIM)}, "test")
    solid, dashed, *_ = figure.axes[0].lines
    assert solid.get_xydata()[[0, 50, 100]].tolist() == [[0, 1], [0.5, 0.5], [1, 0]]
    assert dashed.get_ydata()[0] == 0.5
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend[0] == "dense: AP@0.5 0.500, AP@0.75 0.250"


def test_the_best_confidence_is_marked() -> None:
    figure = confidence_figure({"val": CURVES, "test": CURVES}, "confidence")
    assert len(figure.axes) == 2
    assert figure.axes[0].get_legend().get_title().get_text() == "val: F1 0.500 at 0.50"
    assert figure.axes[1].lines[-1].get_xdata() == [0.5, 0.5]


def test_precision_ends_at_the_highest_score() -> None:
    precision, recall = np.linspace(0.5, 1, 101), FALLING.copy()
    precision[60:70], recall[60:] = 0, 0  # false positives alone, then nothing
    precision[70:] = 1
    figure = confidence_figure({"val": Curves(FALLING, FALLING, precision, recall, recall)}, "confidence")
    drawn = np.asarray(figure.axes[0].lines[0].get_ydata())
    assert np.isnan(drawn).nonzero()[0].tolist() == list(range(70, 101))
    assert drawn[:70].tolist() == precision[:70].tolist()


def test_both_images_of_curves_are_written(tmp_path: Path) -> None:
    plot_detection_curves({"val": CURVES}, tmp_path)
    for name in ("precision_recall.png", "confidence.png"):
        assert cv2.imread(str(tmp_path / name)) is not None


def covered(figure: Figure, lines: Sequence[np.ndarray]) -> list[str]:
    """What is wrong with the names of a chart: they overlap, lie on a marker or a line, or leave the axes."""
    figure.draw_without_rendering()
    (axes,) = figure.axes
    names = [text for text in axes.texts if text.get_text()]
    boxes = [name.get_window_extent() for name in names]
    found = []
    for number, box in enumerate(boxes):
        text = names[number].get_text()
        found += [f"{text} on a name" for other in boxes[:number] if box.overlaps(other)]
        dots = [
            axes.transData.transform(np.asarray(c.get_offsets()))
            for c in axes.collections
            if len(c.get_offsets())
        ]
        steps = np.linspace(0, 1, 300)[:, None, None]
        on_lines = [
            axes.transData.transform((a + steps * (b - a)).reshape(-1, 2))
            for one in lines
            for a, b in pairwise(one)
        ]
        for kind, places in (("marker", dots), ("line", on_lines)):
            if any(box.contains(*xy) for place in places for xy in place):
                found.append(f"{text} on a {kind}")
        frame = axes.get_window_extent().padded(1)
        if not (frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1)):
            found.append(f"{text} outside")
    return found


def test_names_of_points_do_not_lie_on_one_another() -> None:
    points = [
        CostPoint("dense", 1e9, 0.80, "dense"),
        CostPoint("slim", 3e8, 0.80, "slim"),
        CostPoint("uniform", 3.1e8, 0.799, "control"),
    ]
    figure = cost_figure(points, count_text, "MACs", "test")
    assert {text.get_text() for text in figure.axes[0].texts} == {"dense", "slim", "uniform"}
    assert covered(figure, [np.array([[1e9, 0.80], [3e8, 0.80]])]) == []
    assert not any(text.get_annotation_clip() for text in figure.axes[0].texts)
    dots = [c.get_offsets()[0].tolist() for c in figure.axes[0].collections]
    assert dots == [[1e9, 0.80], [3e8, 0.80], [3.1e8, 0.799]]


@pytest.mark.parametrize("seed", range(20))
def test_names_of_many_networks_cover_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stages = [(rng.uniform(2e8, 1e9), rng.uniform(0.1, 0.2 + seed / 30)) for _ in range(4)]
    controls = [(x * rng.uniform(0.9, 1.1), min(1.0, y * rng.uniform(0.95, 1.05))) for x, y in stages]
    names = ("dense", "sparse", "pruned", "slim", "uniform", "scratch", "dense control", "lowres")
    roles = ("dense", "stage", "stage", "slim", *["control"] * 4)
    points = [
        CostPoint(name, *at, role) for name, at, role in zip(names, stages + controls, roles, strict=True)
    ]
    figure = cost_figure(points, count_text, "MACs", "test")
    assert covered(figure, [np.array(stages)]) == []


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.001), (0.0, 1.0), (0.70, 0.72), (0.5, 0.5), (1.0, 1.0)])
def test_axes_of_ap_fit_the_data(low: float, high: float) -> None:
    points = [CostPoint("dense", 1e9, high, "dense"), CostPoint("slim", 3e8, low, "slim")]
    bottom, top = cost_figure(points, count_text, "MACs", "test").axes[0].get_ylim()
    assert 0 <= bottom <= low <= high <= top <= 1
    assert top - bottom <= max(1.3 * (high - low), high - low + 0.0201)


@given(st.lists(st.floats(0, 100), max_size=8))
def test_heights_are_spread_in_their_order_and_inside_the_limits(heights: list[float]) -> None:
    moved = spread(np.array(heights), 10, (0, 100))
    order = np.argsort(heights, kind="stable")
    assert np.all(np.diff(moved[order]) >= 10 - 1e-9)
    assert np.all((moved >= -1e-9) & (moved <= 100 + 1e-9))
    apart = np.diff(np.sort(heights))
    if np.all(apart >= 10):
        np.testing.assert_allclose(moved, heights)


def test_a_run_leads_from_its_dense_network_to_its_slim_one() -> None:
    runs = [Series("none", []), Series("one", [(10, 0.5), (3, 0.4)]), Series("two", [(8, 0.45)])]
    figure = comparison_figure(runs, count_text, "MACs", "test")
    assert [line.get_xydata().tolist() for line in figure.axes[0].lines] == [
        [[10, 0.5], [3, 0.4]],
        [[8, 0.45]],
    ]
    assert figure.axes[0].lines[0].get_color() == DENSE  # the second, whatever is shown of the first
    assert {text.get_text(): text.xy for text in figure.axes[0].texts} == {"one": (3, 0.4), "two": (8, 0.45)}
    assert covered(figure, [np.array([[10, 0.5], [3, 0.4]])]) == []


def test_runs_of_several_seeds_have_error_bars() -> None:
    figure = comparison_figure(
        [Series("one", [(10, 0.5), (3, 0.4)], [0.01, 0.02])], count_text, "MACs", "test"
    )
    (bars,) = [c for c in figure.axes[0].collections if hasattr(c, "get_segments")]
    np.testing.assert_allclose([np.ptp(segment[:, 1]) for segment in bars.get_segments()], [0.02, 0.04])


def test_scales_over_time_are_darkest_where_most_channels_are() -> None:
    # At first all are 1; then half of them are 0.01, or exactly zero, which has no logarithm.
    spread = [dict.fromkeys(("p0", "p25", "p50", "p75", "p100"), "1.0")]
    spread += [{"p0": low, "p25": low, "p50": "0.1", "p75": "1.0", "p100": "1.0"} for low in ("0.01", "0")]
    figure = scales_over_time_figure([{"epoch": str(epoch), **row} for epoch, row in enumerate(spread)])
    mesh, *_ = figure.axes[0].collections
    edges = mesh.get_coordinates()[:, 0, 1]
    heat = np.asarray(mesh.get_array()).reshape(len(edges) - 1, 3) ** 2
    np.testing.assert_allclose(heat.sum(axis=0), 1)

    def share(epoch: int, size: float) -> float:
        return float(heat[np.searchsorted(edges, size) - 1, epoch])

    assert share(0, 1.0) == pytest.approx(1)
    assert share(1, 0.01) >= 0.25
    assert share(1, 1.0) >= 0.25
    assert share(2, 1e-5) >= 0.25
    assert [text.get_text() for text in figure.axes[0].texts] == ["25 %", "50 %", "75 %"]
    assert figure.axes[0].lines[1].get_ydata().tolist() == [1, 0.1, 0.1]


@pytest.mark.parametrize("num_epochs", [1, 2])
def test_scales_of_a_short_run_have_an_axis_to_read(num_epochs: int) -> None:
    rows = [{"epoch": str(epoch), "p0": "0.99", "p50": "1.0", "p100": "1.01"} for epoch in range(num_epochs)]
    figure = scales_over_time_figure(rows)
    figure.canvas.draw()
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    assert high / low == pytest.approx(10)
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert ticks == pytest.approx([0.5, 1.0, 2.0])


def test_svg_has_the_pages_colours_and_no_names_of_its_own() -> None:
    figure = precision_recall_figure({"<dense>": (CURVES, DENSE)}, "title")
    svg = inline_svg(figure, 'says "it" & more')
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == 'says "it" & more'
    assert "var(--dense)" in svg
    assert "var(--ink)" in svg
    assert not any(light.lower() in svg.lower() for light, _ in PAGE_COLOURS.values())
    assert set(re.findall(r' id="([^"]+)"', svg)) <= set(re.findall(r"#([\w-]+)", svg))
    texts = [element.text for element in root.iter("text")]
    assert "<dense>: AP@0.5 0.500, AP@0.75 0.250" in texts
    assert "title" not in texts
    assert svg == inline_svg(
        precision_recall_figure({"<dense>": (CURVES, DENSE)}, "title"), 'says "it" & more'
    )


def test_a_name_from_a_file_is_shortened_in_a_chart() -> None:
    figure = precision_recall_figure({"a hand " * 20_000: (CURVES, DENSE)}, "title")
    svg = inline_svg(figure, "a chart")
    assert svg.count("a hand") == 79 // 7
    assert "…" in svg
