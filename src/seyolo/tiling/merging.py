"""Merging of detections from overlapping tiles.

A box is a part where it touches a border of its tile that lies inside the image. Two tiles see the same of an
object in the region that they share. So a part is joined with the box of the other tile that equals it best
there, one with one. An object that lies inside another differs from it there and stays. Where a tile shows an
object whole, its box counts, and the parts are dropped; else all parts together make the box. A part that the
other tile does not confirm is dropped only if it lies inside a box of that tile. At last non-maximum
suppression removes what several tiles found whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from seyolo.boxes import inside_matrix, iou_matrix, suppress
from seyolo.detections import Detections
from seyolo.tiling.grid import Tile

BORDER_SHARE = 0.01
"""A box this near to a border of its tile touches it, as a share of the tile's side."""
LEAST_EQUAL = 0.5
"""Least IoU of two parts in the region that their tiles share, along each axis."""
LEAST_INSIDE = 0.75
"""Least share of an unconfirmed part that lies inside a box of the other tile."""
LEAST_AGREEMENT = 0.7
"""Least IoU of the parts together with the box of the whole image, whose edges are coarser."""


class _Found:
    """Boxes of all tiles in pixels of the image, tile by tile, and the groups that are joined."""

    def __init__(self, found: Sequence[Detections], tiles: Sequence[Tile], size: tuple[int, int]) -> None:
        self.tiles = np.array(tiles, np.float32).reshape(-1, 4)
        counts = [len(detections) for detections in found]
        self.owners = np.repeat(np.arange(len(tiles)), counts)
        self.boxes = np.concatenate([d.boxes for d in found]) + self.tiles[self.owners][:, [0, 1, 0, 1]]
        self.scores = np.concatenate([d.scores for d in found])
        self.class_ids = np.concatenate([d.class_ids for d in found])
        self.is_part = _touches_inside(self.boxes, self.tiles[self.owners], size)
        self.is_joined = np.zeros(len(self.scores), bool)
        self._starts = np.cumsum([0, *counts])
        self._groups = np.arange(len(self.scores))

    def near(self, tile: int, region: Float32[np.ndarray, "4"]) -> Int[np.ndarray, " n"]:
        """Returns the boxes of a tile that reach into a region, which may be a line."""
        first, last = self._starts[tile : tile + 2]
        boxes = self.boxes[first:last]
        is_near = ((boxes[:, :2] <= region[2:]) & (boxes[:, 2:] >= region[:2])).all(axis=1)
        near: Int[np.ndarray, " n"] = np.flatnonzero(is_near) + first
        return near

    def group_of(self, index: int) -> int:
        while self._groups[index] != index:
            index = self._groups[index]
        return index

    def join(self, first: int, second: int) -> None:
        """Puts two boxes and those joined with them into one group."""
        self.is_joined[[first, second]] = True
        self._groups[self.group_of(first)] = self.group_of(second)

    def groups(self) -> Iterator[Int[np.ndarray, " n"]]:
        """Yields the boxes of each group."""
        roots = np.array([self.group_of(index) for index in range(len(self._groups))], np.int64)
        order = np.argsort(roots, kind="stable")
        if len(order):
            yield from np.split(order, np.flatnonzero(np.diff(roots[order])) + 1)


def merged(
    found: Sequence[Detections], tiles: Sequence[Tile], size: tuple[int, int], iou_threshold: float
) -> Detections:
    """Merges the detections of the views of an image, each in pixels of its view; best score first.

    Args:
        found: detections by view.
        tiles: the views, as of `Tiling.views`.
        size: height and width of the image.
        iou_threshold: of non-maximum suppression within each class.
    """
    if len(tiles) == 1:
        return found[0]
    every = _Found([_unsure(*pair, tiles, size) for pair in zip(found, tiles, strict=True)], tiles, size)
    pairs = list(_neighbours(every.tiles, np.unique(every.owners)))
    for first, second, region in pairs:
        _join_equal(every, every.near(first, region), every.near(second, region), region)
    for first, second, region in pairs:
        _join_inside(every, every.near(first, region), every.near(second, region))
        _join_inside(every, every.near(second, region), every.near(first, region))
    boxes, scores, class_ids = _of_groups(every, size)
    kept = suppress(boxes, scores, class_ids, iou_threshold, len(scores))
    return Detections(boxes[kept], scores[kept], class_ids[kept], found[0].names)


def _unsure(found: Detections, view: Tile, views: Sequence[Tile], size: tuple[int, int]) -> Detections:
    """Leaves out of the view that is the whole image what is small enough for a tile to show it whole."""
    if view.size != size:
        return found
    tiles = np.array([tile for tile in views if tile.size != size])
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    is_large = (sides > np.array([_least_shared(tiles[:, axis::2]) for axis in (0, 1)])).any(axis=1)
    return found[np.flatnonzero(is_large)]


def _least_shared(extents: Int[np.ndarray, "t 2"]) -> float:
    """Returns the least number of pixels that neighbours share along an axis; infinity for one tile."""
    ordered = np.unique(extents, axis=0)
    return float((ordered[:-1, 1] - ordered[1:, 0]).min()) if len(ordered) > 1 else np.inf


def _touches_inside(
    boxes: Float32[np.ndarray, "n 4"], tiles: Float32[np.ndarray, "n 4"], size: tuple[int, int]
) -> Bool[np.ndarray, " n"]:
    """Tells which boxes touch a border of their tile that is not one of the image."""
    sides = np.tile(tiles[:, 2:] - tiles[:, :2], 2)
    touches = np.abs(boxes - tiles) <= BORDER_SHARE * sides
    is_touching: Bool[np.ndarray, " n"] = (touches & (tiles != [0, 0, size[1], size[0]])).any(axis=1)
    return is_touching


def _neighbours(
    tiles: Float32[np.ndarray, "t 4"], chosen: Int[np.ndarray, " c"]
) -> Iterator[tuple[int, int, Float32[np.ndarray, "4"]]]:
    """Yields the pairs of the chosen tiles that share a region or a border, and the region."""
    for position, first in enumerate(chosen.tolist(), start=1):
        others = chosen[position:]
        low = np.maximum(tiles[first, :2], tiles[others, :2])
        high = np.minimum(tiles[first, 2:], tiles[others, 2:])
        for index in np.flatnonzero((high >= low).all(axis=1)):
            yield first, int(others[index]), np.concatenate([low[index], high[index]])


def _join_equal(
    every: _Found,
    first: Int[np.ndarray, " n"],
    second: Int[np.ndarray, " m"],
    region: Float32[np.ndarray, "4"],
) -> None:
    """Joins the boxes of two tiles that are equal in the region, best pairs first, where one is a part."""
    if not every.is_part[first].any() and not every.is_part[second].any():
        return
    limits = np.tile(region[:2], 2), np.tile(region[2:], 2)
    equal = _equality(*(np.clip(every.boxes[rows], *limits) for rows in (first, second)))
    equal[every.class_ids[first][:, None] != every.class_ids[second]] = 0
    rows, columns = np.nonzero(equal)
    free_rows, free_columns = np.ones(len(first), bool), np.ones(len(second), bool)
    for index in np.argsort(-equal[rows, columns], kind="stable"):
        row, column = rows[index], columns[index]
        if free_rows[row] and free_columns[column]:
            free_rows[row] = free_columns[column] = False
            if every.is_part[first[row]] or every.is_part[second[column]]:
                every.join(int(first[row]), int(second[column]))


def _equality(first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Returns the product of the IoU along x and along y; 0 where one is below `LEAST_EQUAL`.

    Boxes clipped to a line have no extent across it, and are equal there.
    """
    low = np.minimum(first[:, None], second[None])
    high = np.maximum(first[:, None], second[None])
    shared, together = low[..., 2:] - high[..., :2], high[..., 2:] - low[..., :2]
    along = np.divide(shared, together, out=np.ones_like(shared), where=together > 0)
    product: Float[np.ndarray, "n m"] = np.where((along >= LEAST_EQUAL).all(axis=2), along.prod(axis=2), 0.0)
    return product


def _join_inside(every: _Found, parts: Int[np.ndarray, " n"], others: Int[np.ndarray, " m"]) -> None:
    """Joins parts that no other tile confirms with a box of the other tile that they lie inside."""
    parts = parts[every.is_part[parts] & ~every.is_joined[parts]]
    if not len(parts) or not len(others):
        return
    inside = inside_matrix(every.boxes[parts], every.boxes[others])
    inside[every.class_ids[parts][:, None] != every.class_ids[others]] = 0
    for part, row in zip(parts.tolist(), inside, strict=True):
        best = int(row.argmax())
        if row[best] >= LEAST_INSIDE and not every.is_joined[part]:
            every.join(part, int(others[best]))


def _of_groups(
    every: _Found, size: tuple[int, int]
) -> tuple[Float32[np.ndarray, "g 4"], Float32[np.ndarray, " g"], Int[np.ndarray, " g"]]:
    """Returns box, score and class of each group."""
    is_whole_view = (every.tiles[every.owners] == [0, 0, size[1], size[0]]).all(axis=1)
    groups = list(every.groups())
    boxes = [_box_of(every, group, is_whole_view[group]) for group in groups]
    scores = np.array([every.scores[group].max() for group in groups], np.float32)
    class_ids = np.array([every.class_ids[group[0]] for group in groups], np.int64)
    return np.array(boxes, np.float32).reshape(-1, 4), scores, class_ids


def _box_of(
    every: _Found, group: Int[np.ndarray, " n"], is_whole_view: Bool[np.ndarray, " n"]
) -> Float32[np.ndarray, "4"]:
    """Returns the box of a group: of a tile that shows the object whole, else of all parts together.

    Where the whole image shows another box than the parts make, that one counts.
    """
    in_tile, in_whole = (group[~every.is_part[group] & mask] for mask in (~is_whole_view, is_whole_view))
    parts = every.boxes[group[every.is_part[group]]]
    if len(parts) and not len(in_tile):
        together = np.concatenate([parts[:, :2].min(axis=0), parts[:, 2:].max(axis=0)])
        if not len(in_whole) or iou_matrix(together[None], every.boxes[in_whole]).max() >= LEAST_AGREEMENT:
            return together
    whole = in_tile if len(in_tile) else in_whole
    return np.asarray(every.boxes[whole[every.scores[whole].argmax()]], np.float32)
