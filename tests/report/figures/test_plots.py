"""Figures of channels, training curves and BN scales, and sheets of samples.

The tests read texts and points of a figure when it is saved.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import seyolo
from seyolo.detections import Detections
from seyolo.errors import UsageError
from seyolo.media.annotate import class_colour
from seyolo.pruning.groups.groups import find_groups
from seyolo.report.figures import bn_scales, channels, curves
from seyolo.report.figures.bn_scales import plot_scales
from seyolo.report.figures.channels import plot_channels
from seyolo.report.figures.curves import epochs_figure, plot_training_curves, training_curves_figure
from seyolo.report.figures.samples import GAP_PX, LABEL_PX, plot_samples
from seyolo.report.figures.style import FAINT, INK, SPLITS, save


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures in the order they are saved; saving still happens."""
    seen: list[Figure] = []

    def remember(figure: Figure, path: Path) -> None:
        seen.append(figure)
        save(figure, path)

    for module in (bn_scales, channels, curves):
        monkeypatch.setattr(module, "save", remember)
    return seen


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def offsets(axes, index: int) -> list[list[float]]:
    dots = [collection for collection in axes.collections if hasattr(collection, "get_sizes")]
    return np.asarray(dots[index].get_offsets()).tolist()


def test_channels_before_after_and_removed(tmp_path: Path, figures: list[Figure]) -> None:
    before = [(0, "stem", 32), (1, "stage 1", 64), (4, "stage 1", 128), (7, "head", 18)]
    plot_channels(before, [(0, "stem", 16), (4, "stage 1", 128), (7, "head", 18)], tmp_path / "c.png")
    upper, lower = figures[0].axes
    # 16 + 0 + 128 + 18 = 162 of 32 + 64 + 128 + 18 = 242, or 66.9 %.
    assert figures[0].get_suptitle() == "Channels of all convolutions: 162 of 242 kept (67 %)"
    assert offsets(upper, 0) == [[0, 32], [1, 64], [2, 128], [3, 18]]
    assert offsets(upper, 1) == [[0, 16], [2, 128], [3, 18]]
    assert [row[0] for row in offsets(upper, 2)] == [1]
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == [
        "before",
        "after",
        "removed whole",
    ]
    assert [label.get_text() for label in lower.get_xticklabels()] == ["0", "1", "4", "7"]
    bars = [bar for bar in lower.patches if bar.get_width() == pytest.approx(0.7)]
    assert [bar.get_height() for bar in bars] == pytest.approx([0.5, 0, 1, 1])
    assert texts(figures[0]) == ["stem", "stage 1", "head"]


def test_a_budget_on_channels_says_what_it_counts(tmp_path: Path, figures: list[Figure]) -> None:
    model = seyolo.load("yolov3@0.125", num_classes=1)
    _, plan = seyolo.prune(
        model, ["channels=60%", "macs=70%"], importance="norm", scope="plain", multiple=1, keep=(10,)
    )
    found = channels.prunable_part(model.network, plan)
    assert found is not None
    groups = find_groups(model.network).groups
    free = [g for g in groups if not (g.fixed or g.in_shortcut or 10 in g.layers)]
    total, prunable = 3350, sum(len(group.layers) * group.num_channels for group in free)
    assert found[0] == {layer for group in free for layer in group.layers}
    removed = sum(width["before"] - width["after"] for width in plan.widths)
    assert found[1] == f"channels=60% removes {removed:,} of the {prunable:,} channels that may be pruned"
    share = f"these {prunable:,} are {100 * prunable / total:.0f} % of all 3,350"
    assert found[2] == f"{share}; none that a shortcut touches (scope plain)"
    plot_channels(*channels.channel_rows(model.network, plan.widths), tmp_path / "c.png", found)
    lower = figures[0].axes[1]
    grey = [bar for bar in lower.patches if to_hex(bar.get_facecolor()) == FAINT.lower()]
    assert len(grey) == len(plan.widths) - len(found[0])
    assert {bar.get_height() for bar in grey} == {1.0}
    assert [text.get_text() for text in lower.texts] == [found[1], found[2]]


def test_other_budgets_and_older_plans_say_nothing_of_channels() -> None:
    model = seyolo.load("yolov3-tiny@0.25", num_classes=1)
    _, plan = seyolo.prune(model, "macs=50%", importance="norm")
    assert channels.prunable_part(model.network, plan) is None
    older = plan.changed(budget="channels=50%")  # as version 0.1.0 wrote it
    assert channels.prunable_part(model.network, older) is None


def test_many_parts_are_not_named(tmp_path: Path, figures: list[Figure]) -> None:
    before = [(index, str(index), 8) for index in range(20)]
    plot_channels(before, before, tmp_path / "c.png")
    assert texts(figures[0]) == []
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["before", "after"]


def test_the_name_of_a_curve_of_ap_gives_the_best_beside_the_last() -> None:
    rows = [
        {"box": 1.0, "val_ap": val, "test_ap": test} for val, test in ((0.2, 0.1), (0.409, 0.3), (0.303, 0.5))
    ]
    _, lower = training_curves_figure({"finetuned": rows}).axes
    assert {"val 0.303, best 0.409", "test 0.500"} <= {text.get_text() for text in lower.texts}


def test_a_start_that_is_kept_stands_before_the_first_epoch() -> None:
    dense = [{"epoch": "1", "box": "2", "val_ap": "0.5"}]
    rows = [{"epoch": "0", "val_ap": "0.4"}] + [
        {"epoch": str(number), "box": "1.0", "objectness": "0", "classes": "0", "val_ap": ap}
        for number, ap in ((1, ""), (2, "0.303"))
    ]
    upper, lower = training_curves_figure({"dense": dense, "finetuned": rows}).axes
    scores = [line.get_xydata().tolist() for line in lower.lines if line.get_color() == SPLITS[0]]
    assert scores == [[[1, 0.5]], [[1.5, 0.4], [3, 0.303]]]  # 1.5 is where the stages meet
    assert "val 0.303, start 0.400" in {text.get_text() for text in lower.texts}
    losses = [line.get_xdata().tolist() for line in upper.lines if line.get_color() == INK]
    assert losses[-1] == [2, 3]
    assert lower.get_xlim() == (0.5, 3.5)
    (axes,) = epochs_figure({"one": rows, "other": rows[1:]}, "val").axes
    assert [line.get_xdata().tolist() for line in axes.lines] == [[0.5, 2], [2]]
    assert axes.get_xlim() == (0.5, 2.5)


def test_curves_run_on_from_stage_to_stage(tmp_path: Path, figures: list[Figure]) -> None:
    # Values are text, as csv.DictReader gives them; the first epoch was not evaluated.
    dense = [
        {"epoch": "1", "box": "2.0", "objectness": "0.5", "classes": "0.5", "val_ap": "", "val_ap50": ""},
        {
            "epoch": "2",
            "box": "1.0",
            "objectness": "0.25",
            "classes": "0.25",
            "val_ap": "0.4",
            "val_ap50": "0.8",
        },
    ]
    slim = [{"epoch": 1, "box": 1.0, "objectness": 0.0, "classes": 0.0, "val_ap": 0.6}]
    plot_training_curves({"dense": dense, "finetuned": slim}, tmp_path / "curves.png")
    upper, lower = figures[0].axes
    losses = [
        line.get_xydata().tolist()
        for line in upper.lines
        if len(line.get_xdata()) and line.get_color() == INK
    ]
    assert losses == [[[1, 3.0], [2, 1.5]], [[3, 1.0]]]
    scores = [line.get_xydata().tolist() for line in lower.lines if line.get_color() == SPLITS[0]]
    assert scores == [[[2, 0.4]], [[3, 0.6]]]
    assert texts(figures[0]) == ["dense", "slim", "val 0.600"]


def test_names_at_line_ends_keep_their_distance(tmp_path: Path, figures: list[Figure]) -> None:
    row = {"box": 1, "objectness": 0, "classes": 0, "val_ap": 0.501, "val_small_ap": 0.5}
    plot_training_curves({"dense": [row, row]}, tmp_path / "curves.png")
    one, other = (text.get_window_extent() for text in figures[0].axes[1].texts)
    assert not one.overlaps(other)
    assert min(one.x0, other.x0) > figures[0].axes[1].get_window_extent().x1  # no line is there


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_scales_at_zero_are_in_the_first_bin(
    tmp_path: Path, figures: list[Figure], precision: type[np.floating]
) -> None:
    dense = np.array([1.0, -1.0, 1.0, 1.0], precision)
    plot_scales(dense, np.array([0.0, 0.0, 1e-9, -1.0], precision), tmp_path / "scales.png")
    steps = [patch for patch in figures[0].axes[0].patches if not patch.get_fill()]
    shares = [patch.get_data().values for patch in steps]
    # All dense scales have size 1; three of four sparse ones are at or below 1e-5, below 1 % of 1.
    assert shares[0].max() == pytest.approx(1)
    assert shares[1][0] == pytest.approx(0.75)
    assert [values.sum() for values in shares] == pytest.approx([1, 1])
    assert figures[0].get_suptitle() == "BN scales: 75 % of the channels end below 1 % of the dense median"


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_the_ending_chooses_the_format(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "new folder" / f"scales{ending}"
    plot_scales(np.ones(4), np.ones(4), path)
    start = path.read_bytes()[:5]
    assert start == {".png": b"\x89PNG\r", ".svg": b"<?xml"}[ending]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


class TestSamples:
    IMAGE = np.full((50, 100, 3), 90, dtype=np.uint8)
    FOUND = Detections(np.array([[20, 10, 60, 40], [70, 10, 90, 20]]), np.array([0.9, 0.1]), np.array([0, 0]))

    def sheet(self, tmp_path: Path, num: int, **options) -> np.ndarray:
        path = tmp_path / "samples.png"
        images, found = [self.IMAGE] * num, [self.FOUND] * num
        nothing = [Detections.empty()] * num
        plot_samples(images, found, nothing, ["hand"], path, columns=2, cell_px=200, **options)
        return cv2.imread(str(path))

    def test_pairs_of_rows(self, tmp_path: Path) -> None:
        # Images of 100x50 become 200x100; three of them make two pairs of rows.
        row_px = LABEL_PX + 100 + GAP_PX
        assert self.sheet(tmp_path, 3).shape == (4 * row_px, GAP_PX + 2 * (200 + GAP_PX), 3)

    def test_the_dense_row_shows_its_box_and_the_slim_row_none(self, tmp_path: Path) -> None:
        sheet = self.sheet(tmp_path, 1)
        colour = class_colour(0)
        row_px = LABEL_PX + 100 + GAP_PX
        # The box's left side: x = 20 * 2 on the image, half way down.
        assert tuple(sheet[LABEL_PX + 50, GAP_PX + 40]) == colour
        assert not (sheet[row_px:] == colour).all(axis=2).any()
        # The detection of score 0.1 is below the threshold: nothing at its left side.
        assert tuple(sheet[LABEL_PX + 30, GAP_PX + 140]) == (90, 90, 90)
        low = self.sheet(tmp_path, 1, confidence=0.05)
        assert tuple(low[LABEL_PX + 30, GAP_PX + 140]) == colour

    def test_no_images(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="at least one image"):
            plot_samples([], [], [], ["hand"], tmp_path / "s.png")

    def test_an_ending_that_is_no_image_writes_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"is written as \.jpg, \.png or \.webp"):
            plot_samples([self.IMAGE], [self.FOUND], [self.FOUND], ["hand"], tmp_path / "s.doc")
        assert list(tmp_path.iterdir()) == []
