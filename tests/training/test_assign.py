"""Task-aligned assignment against cases worked by hand."""

from __future__ import annotations

import torch

from seyolo.training.assign import Assignment, Level, assign, candidates


def test_candidates_of_one_cell_per_axis() -> None:
    # 4x4 cells of 8 px, 2 anchors: centre (20, 9) lies in column 2, row 1 -> cell 6 -> predictions 12 and 13.
    indices, valid = candidates(torch.tensor([[20.0, 9.0]]), [Level(4, 4, 8, 8, 2)])
    assert indices.tolist() == [[12, 13]]
    assert valid.all()


def test_candidates_reach_the_nearest_neighbours_and_stop_at_the_border() -> None:
    # Reach 2: the cells whose centres are nearest, floor(c - 0.5) and the next one.
    # x = 20/8 = 2.5 -> columns 2, 3; y = 2/8 = 0.25 -> rows -1 (outside), 0.
    indices, valid = candidates(torch.tensor([[20.0, 2.0]]), [Level(4, 4, 8, 8, 1, reach=2)])
    assert valid.tolist() == [[False, False, True, True]]
    assert indices[valid].tolist() == [2, 3]


def test_second_level_starts_behind_the_first() -> None:
    levels = [Level(2, 2, 16, 16, 1), Level(4, 4, 8, 8, 1)]
    indices, _ = candidates(torch.tensor([[20.0, 9.0]]), levels)
    # first level: column 1, row 0 -> 1; second: 4 predictions of the first + cell 6.
    assert indices.tolist() == [[1, 10]]


def _assign_two(iou: torch.Tensor, top_k: int = 2):
    scores = torch.full((1, 6, 1), 0.25)
    indices = torch.tensor([[0, 1, 2], [2, 3, 4]])
    valid = torch.ones(2, 3, dtype=torch.bool)
    zeros = torch.zeros(2).long()
    return assign(scores, iou, indices, valid, image=zeros, class_ids=zeros, top_k=top_k)


def _positives(result: Assignment) -> dict[tuple[int, int], float]:
    """The quality of each (object, prediction) that is to learn."""
    target, rank = result.quality.nonzero(as_tuple=True)
    pairs = zip(target.tolist(), result.prediction[target, rank].tolist(), strict=True)
    return dict(zip(pairs, result.quality[target, rank].tolist(), strict=True))


def test_best_candidates_win_and_their_quality_peaks_at_their_own_iou() -> None:
    pairs = _positives(_assign_two(torch.tensor([[0.8, 0.4, 0.1], [0.2, 0.6, 0.3]])))
    assert set(pairs) == {(0, 0), (0, 1), (1, 3), (1, 4)}
    assert pairs[0, 0] == torch.tensor(0.8).item()
    # equal scores cancel: (0.4 / 0.8)^6 * 0.8
    assert abs(pairs[0, 1] - 0.5**6 * 0.8) < 1e-6
    assert abs(pairs[1, 3] - 0.6) < 1e-6


def test_a_prediction_two_objects_want_goes_to_the_one_it_overlaps_most() -> None:
    result = _assign_two(torch.tensor([[0.3, 0.2, 0.5], [0.7, 0.1, 0.1]]), top_k=1)
    assert list(_positives(result)) == [(1, 2)]


def test_invalid_candidates_are_never_chosen() -> None:
    scores = torch.full((1, 2, 1), 0.5)
    valid = torch.tensor([[False, True]])
    result = assign(
        scores,
        torch.tensor([[0.9, 0.1]]),
        torch.tensor([[0, 1]]),
        valid,
        image=torch.zeros(1).long(),
        class_ids=torch.zeros(1).long(),
    )
    assert list(_positives(result)) == [(0, 1)]


def test_no_objects_give_no_positives() -> None:
    empty = torch.zeros(0).long()
    result = assign(
        torch.zeros(2, 6, 1),
        torch.zeros(0, 3),
        torch.zeros(0, 3).long(),
        torch.zeros(0, 3).bool(),
        image=empty,
        class_ids=empty,
    )
    assert not len(result.quality)
