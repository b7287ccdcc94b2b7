"""Detections of one image: boxes, scores and classes as columns, with conversions to other formats.

`Detections` is the only result type of the project. `Detections.from_raw` is the post-processing, from
network output to boxes in pixels of the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, Self, overload

import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt8

from seyolo.arguments import checked
from seyolo.boxes import area_xyxy, candidates, cxcywh_to_xyxy, suppress, xyxy_to_cxcywh
from seyolo.errors import UsageError
from seyolo.installing import needed_package
from seyolo.letterbox import Placement
from seyolo.media import annotate, showing
from seyolo.media.inputs import Image, as_image

MOST_SHOWN = 3


class Detection(NamedTuple):
    """One row of `Detections` as plain Python values; `name` is that of the class."""

    name: str
    class_id: int  # from 0
    score: float  # in [0, 1]
    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the image


@dataclass(frozen=True, eq=False, repr=False)
class Detections:
    """Detections of one image, best score first when a detector made them.

    Iterating yields one `Detection` per row, and an integer index returns one. A boolean mask, indices or a
    slice return fewer `Detections`: `found[found.scores > 0.5]`, `found[:10]`.

    Attributes:
        boxes: (n, 4) float32: left, top, right, bottom in pixels of the image.
        scores: (n,) float32 in [0, 1].
        class_ids: (n,) int64 from 0.
        names: class names by class id; a detector sets those of its model.
        track_ids: (n,) int64: ids of the objects in a video; -1 where an object has none yet. None without
            tracking; `seyolo.Tracker` sets them.
        image: where the boxes are, for `draw`, `show` and `save`; a detector sets it.

    Raises:
        UsageError: the columns do not have these shapes; the message states expected and actual shape.

    Example:
        >>> found = seyolo.Detections([[10, 20, 50, 80], [0, 0, 9, 9]], [0.9, 0.4], [0, 0], ["hand"])
        >>> found
        <Detections: 2 hand; scores 0.90 to 0.40>
        >>> [row.name for row in found[found.scores > 0.5]]
        ['hand']
    """

    boxes: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]
    class_ids: Int64[np.ndarray, " n"]
    names: Sequence[str] = ()
    track_ids: Int64[np.ndarray, " n"] | None = None
    image: Image | None = None

    def __post_init__(self) -> None:
        num = len(np.atleast_1d(self.scores))
        columns = {"boxes": (num, 4), "scores": (num,), "class_ids": (num,), "track_ids": (num,)}
        for name, expected in columns.items():
            if getattr(self, name) is None:
                continue
            dtype = np.int64 if name.endswith("ids") else np.float32
            column = np.asarray(getattr(self, name), dtype=dtype)
            if column.shape != expected:
                raise UsageError(f"Detections: {name} must have shape {expected}, got {column.shape}")
            object.__setattr__(self, name, column)

    @classmethod
    def empty(cls) -> Self:
        """Returns no detections.

        Example:
            >>> len(seyolo.Detections.empty())
            0
        """
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    @classmethod
    def from_raw(
        cls,
        raw: Float32[np.ndarray, "p columns"],
        placement: Placement,
        confidence: float = 0.25,
        iou_threshold: float = 0.6,
        max_detections: int = 300,
        *,
        names: Sequence[str] = (),
    ) -> Self:
        """Post-processes the raw output for one image.

        Every (box, class) pair whose score, objectness times class probability, reaches `confidence` is a
        candidate, so one box may have several classes. Suppression uses the boxes on the input, before they
        are clipped; boxes outside the image (on the padding) are dropped after it.

        Args:
            raw: (p, 5 + classes) rows of cx, cy, w, h in pixels of the network's input, objectness, class
                probabilities.
            placement: position of the image in that input.
            confidence: smallest score kept, in [0, 1].
            iou_threshold: IoU above which the lower-scored of two boxes of a class is dropped, in [0, 1].
            max_detections: number of best boxes kept.
            names: class names.

        Raises:
            UsageError: `raw` does not have at least six columns.

        Example:
            >>> import numpy as np
            >>> from seyolo.letterbox import place
            >>> raw = np.array([[32, 32, 20, 10, 0.9, 1.0]], np.float32)
            >>> seyolo.Detections.from_raw(raw, place((64, 64), (64, 64)), names=["hand"])
            <Detections: 1 hand; scores 0.90 to 0.90>
        """
        if raw.ndim != 2 or raw.shape[1] < 6:
            raise UsageError(f"raw output must have shape (boxes, 5 + classes), got {raw.shape}")
        rows, class_ids, scores = candidates(raw, confidence)
        boxes = cxcywh_to_xyxy(raw[rows, :4])
        kept = suppress(boxes, scores, class_ids, iou_threshold, max_detections)
        photo_boxes = placement.to_source(boxes[kept])
        visible = np.all(photo_boxes[:, 2:] > photo_boxes[:, :2], axis=1)
        return cls(photo_boxes[visible], scores[kept][visible], class_ids[kept][visible], names)

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        if len(self) == 0:
            return "<Detections: none>"
        class_ids, counts = np.unique(self.class_ids, return_counts=True)
        most_first = np.argsort(-counts, kind="stable")[:MOST_SHOWN]
        parts = [f"{counts[index]} {self._name(int(class_ids[index]))}" for index in most_first]
        more = ["…"] if len(class_ids) > MOST_SHOWN else []
        scores = f"scores {self.scores.max():.2f} to {self.scores.min():.2f}"
        return f"<Detections: {', '.join(parts + more)}; {scores}>"

    def __iter__(self) -> Iterator[Detection]:
        columns = zip(self.class_ids.tolist(), self.scores.tolist(), self.boxes.tolist(), strict=True)
        for class_id, score, (left, top, right, bottom) in columns:
            yield Detection(self._name(class_id), class_id, score, (left, top, right, bottom))

    @overload
    def __getitem__(self, index: int) -> Detection: ...

    @overload
    def __getitem__(self, index: slice | Shaped[np.ndarray, " m"] | Sequence[int]) -> Self: ...

    def __getitem__(self, index: int | slice | Shaped[np.ndarray, " m"] | Sequence[int]) -> Detection | Self:
        if isinstance(index, int | np.integer):
            return next(iter(self[np.array([index])]))
        columns = {name: getattr(self, name)[index] for name in ("boxes", "scores", "class_ids")}
        tracks = None if self.track_ids is None else self.track_ids[index]
        return replace(self, **columns, track_ids=tracks)

    @checked
    def filter(
        self,
        confidence: float = 0.0,
        classes: str | int | Sequence[str | int] | None = None,
        *,
        min_area: float = 0.0,
        max_area: float = inf,
    ) -> Self:
        """Returns the detections of at least this score, of these classes and sizes, in the same order.

        Args:
            confidence: smallest score kept, in [0, 1].
            classes: a name or id, or several; all by default.
            min_area: smallest area of a box kept, in square pixels of the image.
            max_area: largest area of a box kept.

        Raises:
            UsageError: a name that is not one of `names`.

        Example:
            >>> boxes = [[10, 20, 50, 80], [0, 0, 9, 9]]
            >>> found = seyolo.Detections(boxes, [0.9, 0.4], [0, 1], ["hand", "face"])
            >>> found.filter(classes="face")
            <Detections: 1 face; scores 0.40 to 0.40>
            >>> found.filter(0.5, min_area=1000)
            <Detections: 1 hand; scores 0.90 to 0.90>
        """
        areas = area_xyxy(self.boxes)
        kept = (self.scores >= confidence) & (areas >= min_area) & (areas <= max_area)
        if classes is not None:
            labels = [classes] if isinstance(classes, str | int) else classes
            kept &= np.isin(self.class_ids, [self._class_id(label) for label in labels])
        return self[kept]

    @checked
    def draw(self, image: Image | None = None) -> UInt8[np.ndarray, "H W 3"]:
        """Draws box, class and score of each detection on a copy of the image, as `seyolo detect` does.

        Lines and text scale with the image, a class has the same colour in every image, and the best
        detections are on top. `cv2.imwrite` writes the result.

        Args:
            image: the image of the detections, in any form that `Detector.detect` takes; by default the one
                that a detector found them in. Arrays are in BGR order.

        Returns:
            A new array (H, W, 3) uint8 in BGR order.

        Raises:
            DataError: the file is missing or not a whole image.
            UsageError: what is not an image, or none where none is known.

        Example:
            >>> import numpy as np
            >>> found = seyolo.Detections([[10, 20, 50, 80]], [0.9], [0], ["hand"])
            >>> found.draw(np.zeros((100, 100, 3), np.uint8)).shape
            (100, 100, 3)
        """
        image = self.image if image is None else image
        if image is None:
            raise UsageError(
                "these detections know no image; give it: draw(image), show(image), save(path, image)"
            )
        present = range(int(self.class_ids.max(initial=-1)) + 1)
        return annotate.draw(as_image(image), self, [self._name(class_id) for class_id in present])

    @checked
    def show(self, image: Image | None = None) -> None:
        """Shows the annotated image: in a notebook there, else in the system's viewer.

        Without a display it is written to a new file, whose path is printed.

        Args:
            image: as in `draw`.

        Example:
            >>> import numpy as np
            >>> found = seyolo.Detections([[10, 20, 50, 80]], [0.9], [0], ["hand"])
            >>> print(found.show(np.zeros((100, 100, 3), np.uint8)))
            None
        """
        showing.show_image(self.draw(image), repr(self)[1:-1])

    @checked
    def save(self, path: str | Path, image: Image | None = None) -> Path:
        """Writes the annotated image and returns its path; a file that is there is replaced.

        Args:
            path: of the file; its ending is that of an image, such as .jpg or .png.
            image: as in `draw`.

        Raises:
            UsageError: the ending is none of an image that can be written.

        Example:
            >>> import numpy as np
            >>> found = seyolo.Detections([[10, 20, 50, 80]], [0.9], [0], ["hand"])
            >>> found.save("found.jpg", np.zeros((100, 100, 3), np.uint8)).name
            'found.jpg'
        """
        return showing.write_image(path, self.draw(image))

    def _repr_html_(self) -> str:
        """Returns the annotated image and a table, for notebooks."""
        return showing.detections_html(self)

    def _name(self, class_id: int) -> str:
        return self.names[class_id] if class_id < len(self.names) else f"class {class_id}"

    def _class_id(self, label: str | int) -> int:
        if not isinstance(label, str):
            return int(label)
        if label not in self.names:
            known = ", ".join(self.names) or "no names"
            raise UsageError(f"no class is called {label!r}; there are: {known}")
        return list(self.names).index(label)

    def to_dicts(self, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Returns plain values for JSON: `name`, `class_id`, `score` and `box` (xyxy in pixels) of each row.

        With `track_ids` also `track_id`, which is None for an object without one.

        Args:
            names: class names instead of the detections' own.

        Example:
            >>> seyolo.Detections([[10, 20, 50, 80]], [0.5], [0], ["hand"]).to_dicts()
            [{'name': 'hand', 'class_id': 0, 'score': 0.5, 'box': [10.0, 20.0, 50.0, 80.0]}]
        """
        named = self if names is None else replace(self, names=names)
        return self._with_ids([{**row._asdict(), "box": list(row.box)} for row in named])

    def to_coco(self, image_id: int | str) -> list[dict[str, Any]]:
        """Returns rows of a COCO results file: `bbox` is left, top, width, height in pixels.

        With `track_ids` also `track_id`, as in `to_dicts`.

        Example:
            >>> seyolo.Detections([[10, 20, 50, 80]], [0.5], [0]).to_coco(7)
            [{'image_id': 7, 'category_id': 0, 'bbox': [10.0, 20.0, 40.0, 60.0], 'score': 0.5}]
        """
        sizes = self.boxes[:, 2:] - self.boxes[:, :2]
        boxes_ltwh = np.concatenate([self.boxes[:, :2], sizes], axis=1).tolist()
        columns = zip(boxes_ltwh, self.scores.tolist(), self.class_ids.tolist(), strict=True)
        rows = [
            {"image_id": image_id, "category_id": class_id, "bbox": box, "score": score}
            for box, score, class_id in columns
        ]
        return self._with_ids(rows)

    def _with_ids(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.track_ids is None:
            return rows
        ids = [track_id if track_id >= 0 else None for track_id in self.track_ids.tolist()]
        return [row | {"track_id": track_id} for row, track_id in zip(rows, ids, strict=True)]

    def to_yolo(self, height: int, width: int) -> list[str]:
        """Returns lines of a YOLO label file: class id, then cx, cy, w, h as fractions of the image's size.

        Example:
            >>> seyolo.Detections([[10, 20, 50, 80]], [0.5], [0]).to_yolo(100, 200)
            ['0 0.150000 0.500000 0.200000 0.600000']
        """
        limit = np.array([width, height, width, height], dtype=np.float32)
        boxes_cxcywh = (xyxy_to_cxcywh(self.boxes) / limit).tolist()
        rows = zip(self.class_ids.tolist(), boxes_cxcywh, strict=True)
        return [" ".join([str(class_id), *(f"{value:.6f}" for value in box)]) for class_id, box in rows]

    def to_pandas(self) -> Any:
        """Returns a `pandas.DataFrame`: name, class_id, score, and left, top, right, bottom in pixels.

        `track_id` follows the score where there are track ids.

        Raises:
            BackendError: pandas is not installed.

        Example:
            >>> frame = seyolo.Detections([[10, 20, 50, 80]], [0.5], [0], ["hand"]).to_pandas()
            >>> list(frame.columns)
            ['name', 'class_id', 'score', 'left', 'top', 'right', 'bottom']
        """
        pandas = needed_package("pandas")
        names = [self._name(class_id) for class_id in self.class_ids.tolist()]
        tracks = {} if self.track_ids is None else {"track_id": self.track_ids}
        columns = {"name": names, "class_id": self.class_ids, "score": self.scores, **tracks}
        sides = dict(zip(("left", "top", "right", "bottom"), self.boxes.T, strict=True))
        return pandas.DataFrame(columns | sides)

    def to_supervision(self) -> Any:
        """Returns the detections as `supervision.Detections`, for that library's annotators.

        Raises:
            BackendError: supervision is not installed.

        Example:
            >>> len(seyolo.Detections([[10, 20, 50, 80]], [0.5], [0]).to_supervision())
            1
        """
        supervision = needed_package("supervision", "seyolo[supervision]")
        names = np.array([self._name(class_id) for class_id in self.class_ids.tolist()], dtype=np.str_)
        return supervision.Detections(
            xyxy=self.boxes,
            confidence=self.scores,
            class_id=self.class_ids,
            tracker_id=self.track_ids,
            data={"class_name": names},
        )

    @classmethod
    def from_supervision(cls, theirs: Any, names: Sequence[str] | None = None) -> Self:
        """Returns the detections of a `supervision.Detections`, with class ids, class names and track ids.

        Args:
            theirs: scores that it lacks are 1, class ids that it lacks are 0.
            names: class names by class id, instead of those in `data["class_name"]`.

        Example:
            >>> found = seyolo.Detections([[10, 20, 50, 80]], [0.5], [1], ["face", "hand"])
            >>> seyolo.Detections.from_supervision(found.to_supervision())
            <Detections: 1 hand; scores 0.50 to 0.50>
        """
        count = len(theirs.xyxy)
        scores = np.ones(count) if theirs.confidence is None else theirs.confidence
        class_ids = np.zeros(count, np.int64) if theirs.class_id is None else theirs.class_id
        if names is None:
            known = dict(zip(class_ids.tolist(), theirs.data.get("class_name", ()), strict=False))
            ids = range(max(known, default=-1) + 1)
            names = tuple(str(known.get(class_id, f"class {class_id}")) for class_id in ids)
        return cls(theirs.xyxy, scores, class_ids, names, theirs.tracker_id)
