"""Backgrounds and distractors of synthetic images.

Both often have skin colours, and distractors resemble parts of a hand: rounded limbs, prongs in a row, a
forearm without a hand. Only the whole shape distinguishes a hand from them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from seyolo.data.synthetic import paint
from seyolo.data.synthetic.paint import Array, Canvas, Floats, Image

SKIN_SHARE = 0.7  # fraction of the distractors in skin colours


def draw_background(generator: Generator, height: int, width: int) -> Image:
    """Draws a background (height, width, 3) BGR: a base pattern, often with flat clutter over it."""
    patterns = (_gradient, _clouds, _stripes, _wood, _cells)
    image = patterns[generator.integers(len(patterns))](generator, height, width)
    if generator.random() < 0.6:
        for _ in range(generator.integers(3, 16)):
            corners = generator.normal(0, generator.uniform(0.03, 0.25), (generator.integers(3, 7), 2))
            points = (corners + generator.random(2)) * (width, height) * 16
            colour = paint.object_colour(generator).tolist()
            cv2.fillPoly(image, [points.astype(np.int32)], colour, cv2.LINE_AA, 4)
    if generator.random() < 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), generator.uniform(1, 5)), np.uint8)
    return image


def draw_distractor(canvas: Canvas, generator: Generator) -> None:
    """Draws an object that is not a hand, 5 % to 60 % of the image's shorter side long."""
    painters = (_blob, _face, _limb, _stick, _star, _leaf, _fork)
    shares = (0.2, 0.15, 0.2, 0.12, 0.13, 0.08, 0.12)
    height, width = canvas.image.shape[:2]
    centre = np.array([generator.uniform(0, width), generator.uniform(0, height)], np.float32)
    size_px = min(height, width) * np.exp(generator.uniform(np.log(0.05), np.log(0.6)))
    painter = painters[generator.choice(len(painters), p=shares)]
    painter(canvas, generator, centre, float(size_px))


def _ramp(generator: Generator, levels: Array) -> Image:
    """Returns colours (h, w, 3) for levels (h, w) in [0, 1], between two or three drawn colours."""
    count = int(generator.integers(2, 4))
    stops = np.stack([paint.object_colour(generator) for _ in range(count)])
    positions = np.linspace(0, 1, 256)
    table = np.stack([np.interp(positions, np.linspace(0, 1, count), stops[:, c]) for c in range(3)], axis=1)
    return paint.colour_levels(np.clip(levels, 0, 1), table)


def _noise(generator: Generator, height: int, width: int, coarse: int) -> Floats:
    """Draws smooth noise (h, w) in about [0, 1] of three octaves, the slowest with `coarse` cells a side."""
    total = np.zeros((height, width), np.float32)
    for octave in range(3):
        cells = coarse * 3**octave
        grid = generator.random((cells, cells), np.float32) - 0.5
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR) / (octave + 1)
    return np.asarray(np.clip(total * 0.8 + 0.5, 0, 1), np.float32)


def _coordinates(generator: Generator, height: int, width: int) -> Floats:
    """Returns the distance (h, w) along a random direction, in units of the longer side."""
    angle = generator.uniform(0, 2 * np.pi)
    xs = np.arange(width, dtype=np.float32) * np.float32(np.cos(angle) / max(height, width))
    ys = np.arange(height, dtype=np.float32)[:, None] * np.float32(np.sin(angle) / max(height, width))
    return np.asarray(xs + ys, np.float32)


def _gradient(generator: Generator, height: int, width: int) -> Image:
    corners = np.stack([paint.object_colour(generator) for _ in range(4)]).reshape(2, 2, 3)
    return np.asarray(cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _clouds(generator: Generator, height: int, width: int) -> Image:
    return _ramp(generator, _noise(generator, height, width, int(generator.integers(2, 12))))


def _stripes(generator: Generator, height: int, width: int) -> Image:
    levels = np.sin(_coordinates(generator, height, width) * np.float32(generator.uniform(20, 160)))
    return _ramp(generator, np.clip(levels * np.float32(generator.uniform(0.5, 4)) + 0.5, 0, 1))


def _wood(generator: Generator, height: int, width: int) -> Image:
    bent = _coordinates(generator, height, width) + 0.3 * _noise(generator, height, width, 2)
    return _ramp(generator, 0.5 + 0.5 * np.sin(bent * np.float32(generator.uniform(30, 120))))


def _cells(generator: Generator, height: int, width: int) -> Image:
    rows, columns = generator.integers(2, 14, 2)
    stops = np.stack([paint.object_colour(generator) for _ in range(5)])
    grid = stops[generator.integers(5, size=(rows, columns))].astype(np.uint8)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def _polar(centre: Floats, radii: Floats, turn: float) -> Floats:
    """Returns a closed outline (n, 2) xy with distances (n,) from `centre` at equal angles."""
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False) + turn
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(centre + radii[:, None] * directions, np.float32)


def _capsule(start: Floats, end: Floats, start_radius: float, end_radius: float) -> Floats:
    """Returns the outline (n, 2) xy of a limb with a radius at each end."""
    rims = [_polar(start, np.full(16, start_radius), 0), _polar(end, np.full(16, end_radius), 0)]
    return np.asarray(cv2.convexHull(np.concatenate(rims).astype(np.float32))[:, 0], np.float32)


def _heading(generator: Generator) -> Floats:
    angle = generator.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def _blob(canvas: Canvas, generator: Generator, centre: Floats, size_px: float) -> None:
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    waves = [generator.normal(0, 0.3 / k) * np.cos(k * angles + generator.uniform(0, 6)) for k in range(1, 6)]
    radii = size_px * 0.4 * np.maximum(1 + sum(waves), 0.25)
    outline = _polar(centre, radii.astype(np.float32), 0)
    canvas.paint([outline], paint.object_colour(generator, SKIN_SHARE), size_px * generator.uniform(0.1, 0.4))


def _face(canvas: Canvas, generator: Generator, centre: Floats, size_px: float) -> None:
    up = _heading(generator) if generator.random() < 0.3 else np.array([0, -1], np.float32)
    side, half = np.array([-up[1], up[0]]), size_px / 2
    angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)[:, None]

    def oval(across: float, along: float, half_width: float, half_height: float) -> Floats:
        middle = centre + half * (across * side + along * up)
        rim = half_width * np.cos(angles) * side + half_height * np.sin(angles) * up
        return np.asarray(middle + half * rim, np.float32)

    dark = paint.object_colour(generator, 0.1) * 0.4
    canvas.paint([oval(0, 0.18, 0.82, 0.95)], dark, half * 0.2)
    tone = paint.skin_tone(generator)
    canvas.paint([oval(0, 0, 0.72, 0.95)], tone, half * 0.6)
    for across in (-0.3, 0.3):
        canvas.paint([oval(across, 0.15, 0.14, 0.07)], np.full(3, 225, np.float32), 1)
        canvas.paint([oval(across, 0.15, 0.06, 0.07)], tone * 0.15, 1)
    canvas.paint([oval(0, -0.48, 0.26, generator.uniform(0.04, 0.14))], tone * 0.55, 2)
    canvas.paint([oval(0, -0.12, 0.09, 0.2)], tone * 0.88, half * 0.1)


def _limb(canvas: Canvas, generator: Generator, centre: Floats, size_px: float) -> None:
    reach = _heading(generator) * size_px * generator.uniform(0.5, 1.2)
    thick = size_px * generator.uniform(0.1, 0.22)
    elbow = centre + reach
    tone = paint.skin_tone(generator)
    canvas.paint([_capsule(centre, elbow, thick, thick * 1.3)], tone, thick)
    if generator.random() < 0.5:
        cuff = centre + reach * generator.uniform(0.3, 0.8)
        sleeve = _capsule(cuff, elbow, thick * 1.4, thick * 1.6)
        canvas.paint([sleeve], paint.object_colour(generator, 0.15), thick)


def _stick(canvas: Canvas, generator: Generator, centre: Floats, size_px: float) -> None:
    colour, thick = paint.object_colour(generator, SKIN_SHARE), size_px * generator.uniform(0.03, 0.09)
    for _ in range(generator.integers(1, 5)):
        reach = _heading(generator) * size_px * 0.5
        start = centre + generator.normal(0, size_px * 0.15, 2).astype(np.float32)
        canvas.paint([_capsule(start - reach, start + reach, thick, thick)], colour, thick)


def _star(canvas: Canvas, generator: Generator, centre: Floats, size_px: float) -> None:
    arms, turn = int(generator.integers(3, 9)), generator.uniform(0, 6)
    colour, thick = paint.object_colour(generator, SKIN_SHARE), size_px * generator.uniform(0.04, 0.1)
    if generator.random() < 0.5:
        tips = _polar(centre, np.full(arms, size_px * 0.5, np.float32), turn)
        canvas.paint([_capsule(centre, tip, thick * 1.6, thick) for tip in tips], colour, thick)
    else:
        radii = np.tile(np.array([0.5, generator.uniform(0.18, 0.32)], np.float32) * size_px, arms)
        canvas.paint([_polar(centre, radii, turn)], colour, thick)


def _leaf(canvas: Canvas, generator: Generator, centre: Floats, size_px: float) -> None:
    along = _heading(generator) * size_px * 0.5
    side = np.array([-along[1], along[0]]) * generator.uniform(0.3, 0.6)
    steps = np.linspace(-1, 1, 15)[:, None]
    swell = np.cos(steps * np.pi / 2) * (1 - 0.3 * steps)
    middle = centre + steps * along
    outline = np.concatenate([middle + swell * side, (middle - swell * side)[::-1]])
    colour = paint.object_colour(generator, SKIN_SHARE)
    canvas.paint([outline.astype(np.float32)], colour, size_px * 0.12)
    for step in np.linspace(-0.6, 0.5, 5):
        root = centre + step * along
        for tip in (root + 0.3 * along + 0.6 * side, root + 0.3 * along - 0.6 * side):
            ends = (np.stack([root, tip]) * 16).astype(np.int32)
            cv2.polylines(canvas.image, [ends], False, (colour * 0.7).tolist(), 1, cv2.LINE_AA, 4)


def _fork(canvas: Canvas, generator: Generator, centre: Floats, size_px: float) -> None:
    up = _heading(generator) * size_px
    side = np.array([-up[1], up[0]], np.float32)
    prongs, half_width = int(generator.integers(2, 8)), generator.uniform(0.12, 0.3)
    thick = size_px * half_width / prongs * generator.uniform(0.4, 0.9)
    base = centre + 0.05 * up
    parts = [_capsule(base - half_width * side, base + half_width * side, thick * 1.2, thick * 1.2)]
    for offset in np.linspace(-half_width, half_width, prongs):
        foot = base + np.float32(offset) * side
        parts.append(_capsule(foot, foot + np.float32(generator.uniform(0.4, 0.45)) * up, thick, thick * 0.8))
    if generator.random() < 0.6:
        parts.append(_capsule(base, centre - 0.5 * up, thick * 1.3, thick))
    canvas.paint(parts, paint.object_colour(generator, SKIN_SHARE), thick)
