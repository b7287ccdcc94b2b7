"""Depth buffer of rounded solids: height of the nearest surface and coverage of each pixel.

Bones are capsules with a radius at each end, a palm is a rounded slab; each pixel stores the greatest height.
Edges are smooth because coverage is computed from the distance to the outline.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from seyolo.data.synthetic.hand import Array
from seyolo.data.synthetic.paint import Floats, rounded_heights


class DepthBuffer:
    """Heights towards the viewer and coverage of a window, both (h, w)."""

    def __init__(self, height: int, width: int, floor: float) -> None:
        self.heights = np.full((height, width), floor, np.float32)
        self.alpha = np.zeros((height, width), np.float32)

    def raise_bone(self, start: Array, end: Array, flatness: float = 1.0) -> None:
        """Adds a capsule between two spheres (4,), xyz and radius in pixels; `flatness` scales its height."""
        window = self._window(np.stack([start, end]))
        if window is None:
            return
        rows, columns = window
        xs = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5 - start[0])
        ys = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5 - start[1])
        dx, dy, dz, dr = (end - start).tolist()
        base, thick = float(start[2]), float(start[3])
        along = np.clip((xs * dx + ys * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
        radius = thick + along * dr
        away_squared = (xs - along * dx) ** 2 + (ys - along * dy) ** 2
        alpha = np.clip(radius - np.sqrt(away_squared) + 0.5, 0, 1)
        round_heights = np.sqrt(np.maximum(radius * radius - away_squared, 0))
        heights = np.asarray(base + along * dz + flatness * round_heights, np.float32)
        self._merge(rows, columns, heights, np.asarray(alpha, np.float32))

    def raise_hull(self, spheres: Array) -> None:
        """Adds the hull of spheres (n, 4) near a common plane, as a slab of their mean radius."""
        window = self._window(spheres)
        if window is None:
            return
        rows, columns = window
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        rim = (spheres[:, None, :2] + circle * spheres[:, None, 3:]).reshape(-1, 2)
        rim -= (columns.start, rows.start)
        # In OpenCV, pixel centres have integer coordinates.
        outline = cv2.convexHull(np.round((rim - 0.5) * 16).astype(np.int32))
        cover = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        cv2.fillConvexPoly(cover, outline, 255, cv2.LINE_AA, 4)
        heights = rounded_heights(cover, float(spheres[:, 3].mean())) + _plane(spheres, rows, columns)
        self._merge(rows, columns, heights, np.asarray(cover / 255, np.float32))

    def sees(self, points: Array, tolerance: float) -> bool:
        """Returns whether all points (n, 3) are in the window and none is hidden by more than `tolerance`."""
        columns, rows = np.floor(points[:, :2]).astype(int).T
        height, width = self.heights.shape
        if min(rows.min(), columns.min()) < 0 or rows.max() >= height or columns.max() >= width:
            return False
        return bool((self.heights[rows, columns] <= points[:, 2] + tolerance).all())

    def _window(self, spheres: Array) -> tuple[slice, slice] | None:
        height, width = self.heights.shape
        low = (spheres[:, :2] - spheres[:, 3:]).min(axis=0).tolist()
        high = (spheres[:, :2] + spheres[:, 3:]).max(axis=0).tolist()
        left, top = (max(math.floor(value) - 1, 0) for value in low)
        right, bottom = min(math.ceil(high[0]) + 1, width), min(math.ceil(high[1]) + 1, height)
        if left >= right or top >= bottom:
            return None
        return slice(top, bottom), slice(left, right)

    def _merge(self, rows: slice, columns: slice, heights: Floats, alpha: Floats) -> None:
        region = self.heights[rows, columns]
        np.maximum(region, heights, out=region, where=alpha > 0)
        covered = self.alpha[rows, columns]
        np.maximum(covered, alpha, out=covered)


def _plane(spheres: Array, rows: slice, columns: slice) -> Floats:
    """Returns heights (h, w) over a window of the plane that fits the sphere centres best."""
    design = np.column_stack([spheres[:, :2], np.ones(len(spheres))])
    slope_x, slope_y, base = np.linalg.lstsq(design, spheres[:, 2], rcond=1e-3)[0]
    xs = np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5
    ys = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + 0.5
    return np.asarray(xs * slope_x + ys * slope_y + base, np.float32)
