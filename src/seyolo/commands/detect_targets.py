"""Targets of the results of `seyolo detect`: run folder, tables and stdout."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seyolo.commands.output import STDOUT, check_target, remark
from seyolo.detecting.journal import Row, line_of
from seyolo.detecting.run import Tally
from seyolo.detecting.run_folder import RunFolder, Shard
from seyolo.detecting.tables import Rows, coco_chunks, csv_chunks, json_chunks, jsonl_chunks, write_chunks
from seyolo.errors import DataError, SeyoloError, UsageError
from seyolo.options.detect import DetectOptions
from seyolo.runs import NewRun, make_folder

SAVES = ("images", "video", "json", "jsonl", "csv", "yolo", "coco", "crops")
SAVED_BY_DEFAULT = ("images", "video", "json")


@dataclass(frozen=True)
class Targets:
    """Targets of the results."""

    out: Path | None  # the folder asked for
    resume: Path | None  # the folder of a run to resume
    shard: Shard  # this worker's part
    save: str | None  # kinds of files for the folder, as given
    json: Path | None  # a file for all detections, or stdout
    jsonl: Path | None  # a file for a line per image, or stdout

    def check(self) -> None:
        """Raises UsageError for targets that cannot be written or contradict, before any work is done."""
        check_target(self.json)
        check_target(self.jsonl, "--jsonl")
        if self.json == STDOUT and self.jsonl == STDOUT:
            raise UsageError("--json - and --jsonl - cannot share stdout; give one of them a file")
        for part in self.saved:
            if part not in SAVES:
                raise UsageError(f"--save {part}: choose from {','.join(SAVES)}, with commas between")

    @property
    def saved(self) -> Sequence[str]:
        """The kinds of files for the folder."""
        return SAVED_BY_DEFAULT if self.save is None else [part.strip() for part in self.save.split(",")]

    @property
    def is_kept(self) -> bool:
        """True where the folder is kept."""
        is_asked_for = (self.out, self.resume, self.save) != (None, None, None)
        return is_asked_for or (self.json is None and self.jsonl is None)

    @contextmanager
    def folder(self, tally: Tally, config: Mapping[str, Any]) -> Iterator[RunFolder | None]:
        """Opens the folder of the run: a temporary one for rows alone, None where not even those are needed.

        A kept one is locked. A new folder is removed where no image could be read.
        """
        path = self.resume or self.out

        def fill(prepared: Path) -> None:
            RunFolder(prepared, self.shard).write_config(config)

        if path is not None:
            if not path.exists():
                make_folder(path, fill)
            folder = RunFolder(path, self.shard)
            with folder.lock():
                yield folder
        elif self.is_kept:
            path = NewRun("detect").take(fill)
            folder = RunFolder(path, self.shard)
            try:
                with folder.lock():
                    yield folder
            finally:
                if tally.num_images == 0:
                    shutil.rmtree(path)
        elif self.json is not None or self.jsonl != STDOUT:
            with tempfile.TemporaryDirectory() as temporary:
                yield RunFolder(Path(temporary), self.shard)
        else:
            yield None

    def tell(self, row: Row) -> None:
        """Prints the detections of an image or frame."""
        if self.jsonl == STDOUT:
            print(line_of(row), end="", flush=True)
        elif "detections" in row and "frame" not in row:
            names = ", ".join(f"{item['name']} {item['score']:.2f}" for item in row["detections"])
            self.say(f"{row['picture']}: {names or 'nothing found'}")

    def say(self, text: str) -> None:
        """Prints a line, unless stdout is for JSON alone."""
        if STDOUT not in (self.json, self.jsonl):
            print(text)

    def finish(
        self,
        folder: RunFolder,
        head: Mapping[str, object],
        names: Sequence[str],
        rows: Rows,
        options: DetectOptions,
    ) -> None:
        """Writes the tables and closes the run."""
        as_json = partial(json_chunks, head, rows, bool(options.count))
        tables = {
            "json": as_json(),
            "csv": csv_chunks(rows, options.tracks),
            "coco": coco_chunks(names, rows),
        }
        if self.json == STDOUT:
            sys.stdout.writelines(as_json())
        elif self.json is not None:
            write_chunks(self.json, as_json())
        if self.jsonl is not None and self.jsonl != STDOUT:
            write_chunks(self.jsonl, jsonl_chunks(rows))
        if self.is_kept:
            folder.finish({kind: chunks for kind, chunks in tables.items() if kind in self.saved})

    @contextmanager
    def saying_how_to_resume(self, folder: RunFolder | None, tally: Tally) -> Iterator[None]:
        """Keeps finished results on Ctrl-C and errors; the message names the command that resumes."""
        if folder is None or not self.is_kept:
            yield
            return
        part = "" if self.shard.count == 1 else f" --shard {self.shard}"
        advice = f"resume with: seyolo detect --resume {folder.path}{part}"
        try:
            yield
        except KeyboardInterrupt:
            if not tally.num_images:
                raise
            raise KeyboardInterrupt(advice) from None
        except (SeyoloError, OSError):
            if tally.num_images:
                remark(f"what is done is kept; {advice}")
            raise


def check_all_read(tally: Tally) -> None:
    """Raises DataError where sources could not be read; the message lists the first few."""
    if not tally.num_unreadable:
        return
    if tally.num_sources == 1:
        raise DataError(tally.errors[0])
    listed = "\n  ".join(tally.errors)
    missing = tally.num_unreadable - len(tally.errors)
    more = f"\n  and {missing} more" if missing else ""
    rest = ", the others are done" if tally.num_unreadable < tally.num_sources else ""
    kind = "sources" if tally.num_videos else "images"
    count = f"{tally.num_unreadable} of {tally.num_sources} {kind}"
    raise DataError(f"{count} could not be read{rest}:\n  {listed}{more}")
