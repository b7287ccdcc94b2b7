"""Charts of quality against cost: what stands in the figure, and SVG that is the page's own."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from seyolo.evaluation.curves import Curves
from seyolo.report.figures.bn_scales import scales_over_time_figure
from seyolo.report.figures.cost import CostPoint, Series, comparison_figure, cost_figure
from seyolo.report.figures.curves import (
    confidence_figure,
    plot_detection_curves,
    precision_recall_figure,
)
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


def test_both_images_of_curves_are_written(tmp_path: Path) -> None:
    plot_detection_curves({"val": CURVES}, tmp_path)
    for name in ("precision_recall.png", "confidence.png"):
        assert cv2.imread(str(tmp_path / name)) is not None


def test_names_of_points_do_not_lie_on_one_another() -> None:
    points = [
        CostPoint("dense", 1e9, 0.80, "dense"),
        CostPoint("slim", 3e8, 0.80, "slim"),
        CostPoint("uniform", 3.1e8, 0.799, "control"),
    ]
    figure = cost_figure(points, count_text, "MACs", "test")
    places = {text.get_text(): text.xy for text in figure.axes[0].texts}
    height = np.ptp(figure.axes[0].get_ylim())
    assert places["uniform"][1] == 0.799
    assert places["slim"][1] - places["uniform"][1] == pytest.approx(0.075 * height)
    assert places["dense"][1] == 0.80  # far to the right of both
    assert not any(text.get_annotation_clip() for text in figure.axes[0].texts)
    dots = [c.get_offsets()[0].tolist() for c in figure.axes[0].collections]
    assert dots == [[1e9, 0.80], [3e8, 0.80], [3.1e8, 0.799]]


def test_a_run_leads_from_its_dense_network_to_its_slim_one() -> None:
    runs = [Series("none", []), Series("one", [(10, 0.5), (3, 0.4)]), Series("two", [(8, 0.45)])]
    figure = comparison_figure(runs, count_text, "MACs", "test")
    assert [line.get_xydata().tolist() for line in figure.axes[0].lines] == [
        [[10, 0.5], [3, 0.4]],
        [[8, 0.45]],
    ]
    assert figure.axes[0].lines[0].get_color() == DENSE  # the second, whatever is shown of the first
    assert {text.get_text(): text.xy for text in figure.axes[0].texts} == {"one": (3, 0.4), "two": (8, 0.45)}


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
