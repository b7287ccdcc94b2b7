"""Files that `detect` writes for each image and frame: annotated media, labels, crops, and a journal row.

    RUN/photo.jpg            images: with boxes, under its own name
    RUN/clip.mp4             video: of a video, camera or stream
    RUN/labels/photo.txt     yolo: one line per object; of a video labels/clip/000012.txt
    RUN/crops/hand/photo-1.jpg   crops: what is inside each box; of a video crops/hand/clip/000012-1.jpg, of
                                 an object with an id crops/hand/clip/id-0007/000012.jpg

A file gets its name when it is complete; the row is appended to the journal after the files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from seyolo.detecting.journal import Journal, Row
from seyolo.detecting.names import Place
from seyolo.detections import Detections
from seyolo.files import write_bytes
from seyolo.media.annotate import Marked, draw, draw_areas
from seyolo.media.video import VideoWriter
from seyolo.tracking.count import Counted


@dataclass(frozen=True)
class Frame:
    """One image, or the error of reading it."""

    source: str  # as given
    place: Place  # names for its files
    image: UInt8[np.ndarray, "H W 3"] | None = None  # BGR; None when it cannot be read
    error: str | None = None  # the message, when it cannot be read
    number: int | None = None  # of a frame of a video, from 0
    time_s: float | None = None  # of a frame of a video
    is_live: bool = False  # of a camera or stream, whose times are those of arrival

    @property
    def stem(self) -> str:
        """The stem of the names of its files."""
        return self.place.stem if self.number is None else f"{self.place.stem}/{self.number:06d}"


@dataclass(frozen=True)
class Outputs:
    """Writer of the files of each frame."""

    names: Sequence[str]  # class names
    folder: Path | None = None  # of the files; None writes none
    wanted: Iterable[str] = ()  # kinds of files: `images`, `video`, `yolo`, `crops`
    journal: Journal | None = None  # of the rows; None keeps none
    tell: Callable[[Row], None] = lambda row: None  # called with each row

    def write(
        self,
        frame: Frame,
        found: Detections,
        video: VideoWriter | None = None,
        counted: Sequence[Counted] = (),
    ) -> None:
        """Writes the files of a frame, then its row."""
        annotated = None
        if frame.image is not None and self.folder is not None:
            annotated = self._write_annotated(frame, frame.image, found, video, counted)
            if "yolo" in self.wanted:
                lines = found.to_yolo(*frame.image.shape[:2])
                text = "".join(f"{line}\n" for line in lines)
                write_bytes(self.folder / f"labels/{frame.stem}.txt", text.encode(), sync=False)
            if "crops" in self.wanted:
                self._write_crops(frame, frame.image, found, self.folder)
        row = self._row(frame, found, annotated, counted)
        if self.journal is not None:
            self.journal.append(row)
        self.tell(row)

    def video_of(self, place: Place) -> Path | None:
        """Returns the path of a source's annotated video; None when none is wanted."""
        return self.folder / place.file if self.folder is not None and "video" in self.wanted else None

    def _write_annotated(
        self,
        frame: Frame,
        image: np.ndarray,
        found: Detections,
        video: VideoWriter | None,
        counted: Sequence[Counted],
    ) -> Path | None:
        if frame.number is not None and video is not None:
            drawn = draw(image, found, self.names)
            draw_areas(drawn, [Marked(area.points, area.lines()) for area in counted])
            video.write(frame.number, drawn, None if frame.is_live else frame.time_s)
            return video.path
        if frame.number is None and self.folder is not None and "images" in self.wanted:
            _write_image(self.folder / frame.place.file, draw(image, found, self.names))
            return self.folder / frame.place.file
        return None

    def _write_crops(self, frame: Frame, image: np.ndarray, found: Detections, folder: Path) -> None:
        corners = np.concatenate([np.floor(found.boxes[:, :2]), np.ceil(found.boxes[:, 2:])], axis=1)
        track_ids = [-1] * len(found) if found.track_ids is None else found.track_ids.tolist()
        rows = zip(corners, found.class_ids.tolist(), track_ids, strict=True)
        for number, (corner, class_id, track_id) in enumerate(rows, 1):
            left, top, right, bottom = corner.astype(int).tolist()
            name = re.sub(r"[^\w .-]", "_", self.names[class_id]).strip(". ")
            file = f"{frame.stem}-{number}.jpg"
            if track_id >= 0:
                file = f"{frame.place.stem}/id-{track_id:04d}/{frame.number:06d}.jpg"
            _write_image(folder / f"crops/{name or class_id}/{file}", image[top:bottom, left:right])

    def _row(
        self, frame: Frame, found: Detections, annotated: Path | None, counted: Sequence[Counted]
    ) -> Row:
        row: dict[str, object] = {"picture": frame.source}
        if frame.number is not None and frame.time_s is not None:
            row |= {"frame": frame.number, "time_s": round(frame.time_s, 6)}
        if frame.image is None:
            return row | {"error": frame.error}
        height, width = frame.image.shape[:2]
        return row | {
            "width": width,
            "height": height,
            "annotated": None if annotated is None else str(annotated),
            "detections": found.to_dicts(self.names),
            **({"counts": [area.to_json() for area in counted]} if counted else {}),
        }


def _write_image(path: Path, image: UInt8[np.ndarray, "H W 3"]) -> None:
    """Writes a BGR image in one step, in the format of the path's ending.

    It is not synced, which would cost more than detection: losing power may lose the last few images.
    """
    _, data = cv2.imencode(path.suffix.lower(), image)
    write_bytes(path, data.tobytes(), sync=False)  # cv2.imwrite does not report a full disk
