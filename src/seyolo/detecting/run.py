"""Detection in many sources: reading, inference and writing at the same time, in order, in constant memory.

    reading threads  ->  inference (main thread)  ->  writing thread: draw, encode, files, journal

Images come before videos, each in the order given. So every worker and every resumed run assigns the same
files to the same sources.
"""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from seyolo.detecting.names import NameSet, Place, Places
from seyolo.detecting.outputs import Frame, Outputs
from seyolo.detecting.run_folder import Shard
from seyolo.detecting.tables import Rows
from seyolo.detections import Detections
from seyolo.detector import Detector
from seyolo.errors import DataError, counted
from seyolo.media.ahead import Behind, mapped_ahead, newest, read_ahead
from seyolo.media.images import decode_image, read_image
from seyolo.media.sources import Sources, kind_of
from seyolo.media.video import VideoReader, VideoWriter
from seyolo.options.detect import DetectOptions
from seyolo.progress import Advance, Progress
from seyolo.tracking.count import Counted, VideoCounts
from seyolo.tracking.tracker import Tracker

NUM_READERS = 2
MOST_LISTED = 5


@dataclass
class Tally:
    """Counts of a run."""

    num_sources: int = 0  # sources processed
    num_videos: int = 0  # those of them with frames
    num_images: int = 0  # images and frames read
    num_unreadable: int = 0  # sources with an error
    errors: list[str] = field(default_factory=list)  # the first few of the errors
    is_interrupted: bool = False  # Ctrl-C stopped a live source

    def add_past(self, rows: Rows) -> NameSet:
        """Counts the rows of an interrupted run and returns its finished sources."""
        last = None
        for row in rows():
            self.num_sources += row["picture"] != last
            self.num_videos += row["picture"] != last and "frame" in row
            last = row["picture"]
            self.add(row.get("error"))
        return NameSet(row["picture"] for row in rows())

    def add(self, error: str | None) -> None:
        """Counts an image or frame that was read, or the error of reading it."""
        if error is None:
            self.num_images += 1
            return
        self.num_unreadable += 1
        if len(self.errors) < MOST_LISTED:
            self.errors.append(error)


@dataclass(frozen=True)
class DetectRun:
    """A run over sources."""

    detector: Detector
    outputs: Outputs
    sources: Sources
    options: DetectOptions  # `strict`, `max_frames`, `track`, `count`, and `batch`, 1 for live sources
    progress: Progress
    say: Callable[[str], None]  # prints a line about each video
    shard: Shard  # this worker's part of the sources
    done: NameSet  # finished sources, which are skipped
    tally: Tally

    def run(self) -> None:
        """Detects in all sources; Ctrl-C ends a live source normally.

        Raises DataError in a strict run for a source that cannot be read, OSError for a failed write.
        """
        names = sorted(self.sources.names, key=lambda name: not _is_image(name))
        mine = (name for index, name in enumerate(names) if self.shard.has(index))
        num_images = sum(_is_image(name) and name not in self.done for name in mine)
        todo = self._with_places(names)
        with Behind() as behind:
            if num_images:
                self._detect_images(islice(todo, num_images), num_images, behind)
            for name, place in todo:
                if not self.tally.is_interrupted:
                    self._detect_video(name, place, behind)

    def _with_places(self, names: Sequence[str]) -> Iterator[tuple[str, Place]]:
        """Yields this worker's unfinished sources."""
        places = Places(names)
        for index, name in enumerate(names):
            if self.shard.has(index) and name not in self.done:
                yield name, places.take(name)
            else:
                places.skip(name)

    def _detect_images(self, images: Iterable[tuple[str, Place]], total: int, behind: Behind) -> None:
        ahead = closing(mapped_ahead(self._read, images, NUM_READERS))
        with self.progress.task("detecting", total) as advance, ahead as frames:
            for frame, found in self._detected(frames, self.options.batch, self.detector):
                behind.call(self.outputs.write, frame, found)
                self.tally.num_sources += 1
                advance(1, Path(frame.source).name)

    def _read(self, numbered: tuple[str, Place]) -> Frame:
        name, place = numbered
        try:
            is_stdin = kind_of(name) == "stdin"
            image = decode_image(self.sources.stdin, "stdin") if is_stdin else read_image(name)
        except DataError as error:
            return Frame(name, place, error=str(error))
        return Frame(name, place, image)

    def _detect_video(self, name: str, place: Place, behind: Behind) -> None:
        self.tally.num_sources += 1
        self.tally.num_videos += 1
        try:
            reader = VideoReader(name)
        except DataError as error:
            frame = self._counted(Frame(name, place, error=str(error)))
            behind.call(self.outputs.write, frame, Detections.empty())
            return
        path = self.outputs.video_of(place)
        num_frames = min(filter(None, (reader.num_declared, self.options.max_frames)), default=None)
        with (
            closing(reader),
            nullcontext() if path is None else VideoWriter(path, reader.fps) as video,
            self.progress.task(f"detecting in {name}", num_frames) as advance,
            behind.settled(),
        ):
            self._detect_frames(reader, place, video, behind, advance)

    def _detect_frames(
        self, reader: VideoReader, place: Place, video: VideoWriter | None, behind: Behind, advance: Advance
    ) -> None:
        ahead = newest if reader.is_live else read_ahead
        # Frames of a live source would wait for a full batch.
        batch = 1 if reader.is_live else self.options.batch
        start, num_frames, num_with = time.perf_counter(), 0, 0
        following = _Following(self.options, self.detector, reader)
        try:
            with closing(ahead(_frames(reader, place))) as frames:
                some = islice(frames, self.options.max_frames)
                for frame, weak in self._detected(some, batch, following.detector):
                    found = following.update(frame, weak)
                    behind.call(self.outputs.write, frame, found, video, following.counted)
                    num_frames += frame.image is not None
                    num_with += len(found) > 0
                    advance(1, f"{num_frames / (time.perf_counter() - start):.1f} frames/s")
        except KeyboardInterrupt:
            if not reader.is_live:
                raise
            self.tally.is_interrupted = True
        behind.finish()
        rate = num_frames / (time.perf_counter() - start)
        self.say(
            f"{reader.name}: objects in {num_with} of {counted(num_frames, 'frame')}, {rate:.1f} frames/s"
        )
        for area in following.counted:
            self.say(f"{reader.name}: {area.area.text}: {'; '.join(area.lines())}")

    def _detected(
        self, frames: Iterable[Frame], batch: int, detector: Detector
    ) -> Iterator[tuple[Frame, Detections]]:
        """Yields the frames with their detections; a frame that cannot be read has none."""
        waiting: deque[Frame] = deque()

        def images() -> Iterator[Any]:
            for frame in frames:
                waiting.append(frame)
                if frame.image is not None:
                    yield frame.image
                elif self.options.strict:
                    return

        for found in detector.detect_many(images(), batch_size=batch):
            while waiting[0].image is None:
                yield self._counted(waiting.popleft()), Detections.empty()
            yield self._counted(waiting.popleft()), found
        for frame in waiting:
            yield self._counted(frame), Detections.empty()

    def _counted(self, frame: Frame) -> Frame:
        if self.options.strict and frame.error is not None:
            raise DataError(frame.error)
        self.tally.add(frame.error)
        return frame


class _Following:
    """Tracker and counts of one video, where they are wanted."""

    def __init__(self, options: DetectOptions, detector: Detector, reader: VideoReader) -> None:
        self.detector = detector
        self.counted: Sequence[Counted] = ()
        self._areas = options.areas
        self._name = reader.name
        self._counts: VideoCounts | None = None
        self._tracker: Tracker | None = None
        if options.tracks:
            self._tracker = Tracker(detector.confidence, reader.fps)
            self.detector = copy.copy(detector)
            self.detector.confidence = self._tracker.weak_confidence

    def update(self, frame: Frame, found: Detections) -> Detections:
        """Returns the detections of the next frame with ids, and counts them."""
        if self._tracker is None or frame.image is None:
            return found
        tracked = self._tracker.update(found, frame.time_s)
        if self._areas and self._counts is None:
            height, width = frame.image.shape[:2]
            self._counts = VideoCounts(self._areas, self._name, width, height)
        if self._counts is not None:
            self.counted = self._counts.update(tracked, self._tracker.time_s)
        return tracked


def _frames(reader: VideoReader, place: Place) -> Iterator[Frame]:
    try:
        for frame in reader.frames():
            yield Frame(reader.name, place, frame.image, None, frame.number, frame.time_s, reader.is_live)
    except DataError as error:
        yield Frame(reader.name, place, error=str(error))


def _is_image(name: str) -> bool:
    return kind_of(name) in ("picture", "stdin")
