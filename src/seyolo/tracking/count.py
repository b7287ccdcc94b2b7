"""Counts of tracked objects that cross a line or enter and leave a zone, by the package supervision.

The centre of a box decides. LineZone forgets an object that is missing in two frames, and would not count one
whose box flickers on the line. So it gets every object that the tracker still follows, at its last place.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from seyolo.detections import Detections
from seyolo.options.count import Area, Point
from seyolo.tracking.tracker import LOST_S

ByClass = dict[str, int]


class Counted(NamedTuple):
    """An area with its counts after a frame."""

    area: Area
    points: Sequence[Point]
    counts: Mapping[str, ByClass]  # `in` and `out` by class name; of a zone `inside`, now, and `seen`, ever

    def to_json(self) -> dict[str, object]:
        """Returns plain values."""
        return {"area": self.area.text, **self.counts}

    def lines(self) -> list[str]:
        """Returns a line of text per kind of count."""
        return [f"{kind}: {_text(counts)}" for kind, counts in self.counts.items()]


def _text(counts: ByClass) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "0"


class _Counter(Protocol):
    def update(self, found: Detections) -> Mapping[str, ByClass]: ...


class VideoCounts:
    """Counts of one video, frame by frame."""

    def __init__(self, areas: Sequence[Area], name: str, width: int, height: int) -> None:
        self._placed = [(area, area.on(name, width, height)) for area in areas]
        supervision: Any = importlib.import_module("supervision")
        self._counters: list[_Counter] = [
            (_Line if area.kind == "line" else _Zone)(supervision, points) for area, points in self._placed
        ]
        self._known: dict[int, tuple[float, Detections]] = {}

    def update(self, found: Detections, time_s: float) -> list[Counted]:
        """Counts a frame; `found` has `track_ids`, and `time_s` grows."""
        assert found.track_ids is not None
        for row, track_id in enumerate(found.track_ids.tolist()):
            if track_id >= 0:
                self._known[track_id] = time_s, found[row : row + 1]
        self._known = {key: one for key, one in self._known.items() if time_s - one[0] <= LOST_S}
        followed = _joined([one for _, one in self._known.values()], found.names)
        counted = zip(self._placed, self._counters, strict=True)
        return [Counted(area, points, counter.update(followed)) for (area, points), counter in counted]


class _Line:
    def __init__(self, supervision: Any, points: Sequence[Point]) -> None:
        start, end = (supervision.Point(x, y) for x, y in points)
        centre = [supervision.Position.CENTER]
        self._zone = supervision.LineZone(start=start, end=end, triggering_anchors=centre)

    def update(self, found: Detections) -> Mapping[str, ByClass]:
        self._zone.trigger(found.to_supervision())
        names = found.names
        both = {"in": self._zone.in_count_per_class, "out": self._zone.out_count_per_class}
        return {kind: {names[i]: count for i, count in counts.items()} for kind, counts in both.items()}


@dataclass
class _Zone:
    supervision: Any
    points: Sequence[Point]
    entered: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        corners = np.rint(np.array(self.points)).astype(int)
        centre = [self.supervision.Position.CENTER]
        self._zone = self.supervision.PolygonZone(polygon=corners, triggering_anchors=centre)
        self._was_inside: dict[int, bool] = {}
        self._seen: set[int] = set()

    def update(self, found: Detections) -> Mapping[str, ByClass]:
        assert found.track_ids is not None
        is_inside = self._zone.trigger(found.to_supervision()).tolist()
        now: Counter[str] = Counter()
        for one, inside, track_id in zip(found, is_inside, found.track_ids.tolist(), strict=True):
            before = self._was_inside.get(track_id, inside)
            self._was_inside[track_id] = inside
            now[one.name] += inside
            self.entered[one.name] += inside and not before
            self.left[one.name] += before and not inside
            self.seen[one.name] += inside and track_id not in self._seen
            self._seen |= {track_id} if inside else set()
        known = set(found.track_ids.tolist())
        self._was_inside = {key: inside for key, inside in self._was_inside.items() if key in known}
        counts = {"in": self.entered, "out": self.left, "inside": now, "seen": self.seen}
        return {kind: {name: count for name, count in each.items() if count} for kind, each in counts.items()}


def _joined(parts: Sequence[Detections], names: Sequence[str]) -> Detections:
    """Returns one of many rows, with `track_ids`."""
    columns = [(part.boxes, part.scores, part.class_ids, part.track_ids) for part in parts]
    if not columns:
        none = Detections.empty()
        return Detections(none.boxes, none.scores, none.class_ids, names, track_ids=none.class_ids)
    boxes, scores, class_ids, track_ids = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Detections(boxes, scores, class_ids, names, track_ids=track_ids)
