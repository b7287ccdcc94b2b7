"""Articulated hand in three dimensions: anatomy, poses and views, no pixels.

The hand lies in the plane z = 0 with the wrist at the origin, fingers along +y, thumb at -x and the palm
facing +z. Lengths are in units of 100 mm and follow an average adult hand. A pose bends the joints; a view
rotates the hand into image axes (x right, y down, z towards the viewer).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]

KNUCKLES = np.array([[-0.31, 0.88, 0.0], [-0.09, 0.93, 0.0], [0.12, 0.89, 0.0], [0.31, 0.79, 0.0]])
PHALANGES = np.array([[0.43, 0.26, 0.20], [0.48, 0.30, 0.21], [0.44, 0.29, 0.21], [0.34, 0.21, 0.19]])
FINGER_RADII = np.array([[110, 95, 85, 70], [112, 98, 87, 72], [107, 93, 82, 68], [95, 80, 70, 58]]) / 1000
THUMB_BASE = np.array([-0.20, 0.20, 0.06])
THUMB_BONES = np.array([0.42, 0.34, 0.26])
THUMB_RADII = np.array([0.170, 0.125, 0.110, 0.085])
PALM_RIM_MM = np.array(
    [[-17, 10, 0, 13], [19, 10, 0, 14], [-30, 82, 0, 12], [-9, 86, 0, 12], [30, 74, 0, 11], [29, 40, 0, 14]]
)  # spheres (x, y, z, radius) whose hull is the palm

POSES = {
    "open": (0.0, 0.0, 0.0, 0.0, 0.0),
    "flat": (0.25, 0.03, 0.03, 0.03, 0.03),
    "relaxed": (0.3, 0.2, 0.28, 0.33, 0.38),
    "grab": (0.45, 0.5, 0.5, 0.5, 0.5),
    "fist": (1.0, 1.0, 1.0, 1.0, 1.0),
    "point": (1.0, 0.0, 1.0, 1.0, 1.0),
    "victory": (1.0, 0.0, 0.0, 1.0, 1.0),
    "thumb": (0.0, 1.0, 1.0, 1.0, 1.0),
    "three": (1.0, 0.0, 0.0, 0.0, 1.0),
    "four": (1.0, 0.0, 0.0, 0.0, 0.0),
    "horns": (1.0, 0.0, 1.0, 1.0, 0.0),
    "call": (0.0, 1.0, 1.0, 1.0, 0.0),
    "pinch": (0.6, 0.6, 0.2, 0.15, 0.1),
}
"""Curl of thumb, index, middle, ring and little finger: 0 straight, 1 folded into the palm."""

POSE_WEIGHTS = (4.0, 1.5, 2.0, 2.0, 2.0, 1.5, 1.5, 1.0, 1.0, 1.0, 0.7, 0.7, 1.0)


@dataclass(frozen=True)
class Hand:
    """A posed hand; positions are in units of 100 mm, or in pixels after `placed`."""

    joints: Array  # (5, 4, 3) xyz, thumb first, from the base joint to the tip
    radii: Array  # (5, 4) radius at each joint
    dorsal: Array  # (5, 3, 3) unit vectors, for each bone the direction of its nail or knuckle side
    palm: Array  # (6, 4) spheres xyz, radius, whose hull is the palm
    palm_lines: Array  # (3, 6, 3) three creases of the palm
    forearm: Array  # (2, 4) spheres xyz, radius, at the wrist and where the forearm ends

    def bounds(self) -> tuple[Array, Array]:
        """Returns the smallest and largest xy of the hand without its forearm."""
        centres = np.concatenate([self.joints.reshape(-1, 3), self.palm[:, :3]])[:, :2]
        radii = np.concatenate([self.radii.reshape(-1), self.palm[:, 3]])[:, None]
        return (centres - radii).min(axis=0), (centres + radii).max(axis=0)

    def placed(self, centre_xy: tuple[float, float], size_px: float) -> Hand:
        """Returns the hand with its bounds centred on `centre_xy` and their longer side `size_px` long."""
        low, high = self.bounds()
        scale = size_px / float((high - low).max())
        offset = np.append(np.array(centre_xy) - (low + high) / 2 * scale, 0.0)
        return self.moved(scale, offset)

    def moved(self, scale: float, offset: Array) -> Hand:
        """Returns the hand scaled about the origin, then shifted by `offset` (3,)."""
        joints, palm_lines = self.joints * scale + offset, self.palm_lines * scale + offset
        # The radius of a sphere only scales.
        palm, forearm = (spheres * scale + np.append(offset, 0.0) for spheres in (self.palm, self.forearm))
        return Hand(joints, self.radii * scale, self.dorsal, palm, palm_lines, forearm)

    def turned(self, rotation: Array) -> Hand:
        """Returns the hand multiplied by a rotation or mirror matrix (3, 3) about its wrist."""
        turn = rotation.T
        return replace(
            self,
            joints=self.joints @ turn,
            dorsal=self.dorsal @ turn,
            palm=np.concatenate([self.palm[:, :3] @ turn, self.palm[:, 3:]], axis=1),
            palm_lines=self.palm_lines @ turn,
            forearm=np.concatenate([self.forearm[:, :3] @ turn, self.forearm[:, 3:]], axis=1),
        )


def random_hand(generator: Generator) -> Hand:
    """Draws a left or right hand of random build, pose and view; the wrist is at the origin."""
    weights = np.array(POSE_WEIGHTS) / sum(POSE_WEIGHTS)
    pose = list(POSES.values())[generator.choice(len(POSES), p=weights)]
    curls = np.clip(np.array(pose) + generator.normal(0, 0.06, 5), 0, 1)
    return pose_hand(curls, generator).turned(_random_view(generator))


def pose_hand(curls: Array, generator: Generator) -> Hand:
    """Returns a right hand, palm to the viewer, with curls (5,) as in `POSES`; draws build and splay."""
    length, thickness = generator.uniform(0.9, 1.1), generator.uniform(0.88, 1.15)
    splay = np.deg2rad([-9.0, -2.0, 6.0, 15.0]) * generator.uniform(0.2, 1.6) * (1 - 1.2 * curls[1:])
    chains = [_thumb_chain(curls[0], generator)]
    for knuckle, lengths, aside, curl in zip(KNUCKLES, PHALANGES * length, splay, curls[1:], strict=True):
        bends = np.deg2rad(np.array([82.0, 100.0, 60.0]) * curl + generator.normal(0, 3, 3))
        chains.append(_finger_chain(knuckle, lengths, aside, np.cumsum(bends)))
    return Hand(
        joints=np.stack([joints for joints, _ in chains]),
        radii=np.concatenate([THUMB_RADII[None], FINGER_RADII]) * thickness,
        dorsal=np.stack([dorsal for _, dorsal in chains]),
        palm=PALM_RIM_MM / 100 * np.array([1, 1, 1, thickness]),
        palm_lines=_palm_lines(),
        forearm=_forearm(generator, thickness),
    )


def _finger_chain(knuckle: Array, lengths: Array, splay: float, bends: Array) -> tuple[Array, Array]:
    along = np.array([np.sin(splay), np.cos(splay), 0.0])
    palmar = np.array([0.0, 0.0, 1.0])
    cosine, sine = np.cos(bends)[:, None], np.sin(bends)[:, None]
    steps = (cosine * along + sine * palmar) * lengths[:, None]
    return np.concatenate([knuckle[None], knuckle + np.cumsum(steps, axis=0)]), sine * along - cosine * palmar


def _thumb_chain(curl: float, generator: Generator) -> tuple[Array, Array]:
    out = generator.uniform(28, 52) - 6 * curl
    degrees = np.array([out, out - 8 - 40 * curl, out - 12 - 95 * curl])
    outward = np.deg2rad(degrees + generator.normal(0, 4, 3))
    degrees = np.array([14 + 24 * curl, 8 + 24 * curl, 4 + 8 * curl])
    forward = np.deg2rad(degrees + generator.normal(0, 4, 3))
    aside, along = -np.sin(outward) * np.cos(forward), np.cos(outward) * np.cos(forward)
    directions = np.stack([aside, along, np.sin(forward)], axis=1)
    ends = THUMB_BASE + np.cumsum(directions * THUMB_BONES[:, None], axis=0)
    joints = np.concatenate([THUMB_BASE[None], ends])
    nail = np.array([-0.55, 0.2, -0.8])
    dorsal = nail - directions * (directions @ nail)[:, None]  # Gram-Schmidt: square to each bone
    return joints, dorsal / np.linalg.norm(dorsal, axis=1, keepdims=True)


def _palm_lines() -> Array:
    steps = np.linspace(0, 1, 6)
    heart = np.stack([0.33 - 0.46 * steps, 0.60 + 0.16 * steps**2, 0.14 + 0 * steps], axis=1)
    head = np.stack([-0.36 + 0.56 * steps, 0.60 - 0.20 * steps**1.6, 0.14 + 0 * steps], axis=1)
    life = np.stack([-0.36 + 0.34 * np.sin(steps * 1.8), 0.58 - 0.46 * steps, 0.14 + 0 * steps], axis=1)
    return np.stack([heart, head, life])


def _forearm(generator: Generator, thickness: float) -> Array:
    aside, bend = np.deg2rad(generator.normal(0, 14)), np.deg2rad(generator.normal(0, 22))
    length = generator.uniform(0.35, 2.4)
    direction = np.array([np.sin(aside) * np.cos(bend), -np.cos(aside) * np.cos(bend), np.sin(bend)])
    wrist, elbow = 0.25 * thickness, (0.25 + 0.07 * length) * thickness
    return np.array([[0.0, 0.01, 0.0, wrist], [*(direction * length), elbow]])


def _random_view(generator: Generator) -> Array:
    side = np.diag([generator.choice([-1.0, 1.0]), 1.0, 1.0])
    yaw = np.deg2rad(np.clip(generator.normal(0, 28), -62, 62)) + np.pi * generator.integers(2)
    pitch = np.deg2rad(np.clip(generator.normal(0, 20), -50, 50))
    roll = generator.uniform(0, 2 * np.pi)
    stretch = np.diag([generator.uniform(0.9, 1.1), 1.0, 1.0])
    to_image = np.diag([1.0, -1.0, 1.0])
    return np.asarray(to_image @ _turn(2, roll) @ stretch @ _turn(0, pitch) @ _turn(1, yaw) @ side)


def _turn(axis: int, angle: float) -> Array:
    """Returns the rotation matrix (3, 3) about one of the axes x, y, z (0, 1, 2)."""
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[second, first] = np.sin(angle)
    matrix[first, second] = -np.sin(angle)
    return matrix
