"""Folder of a `detect` run: settings, journal and tables.

    config.json                 the settings
    detections.partial.jsonl    the journal of an unfinished run
    detections.jsonl            the journal of a finished run, the last file to get its name
    detections.json, .csv, .coco.json   the tables

Each of several workers on one folder has its own files, such as `detections.2-of-8.jsonl`.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seyolo.detecting.journal import Journal, repair
from seyolo.detecting.tables import write_chunks
from seyolo.errors import DataError, SeyoloError, UsageError
from seyolo.files import remove_leftovers, write_json
from seyolo.json_files import Positive, from_json, read_json
from seyolo.runs import LOCK_FILE, existing_run, locked

CONFIG = "config.json"
TABLES = ("json", "jsonl", "csv", "coco")
OF_ONE_WORKER = ("runtime", "threads", "batch")


@dataclass(frozen=True)
class _Started:
    """The part of config.json that is no option of `detect`."""

    num_shards: Positive


@dataclass(frozen=True)
class Shard:
    """A worker's part of the sources: every `count`-th."""

    number: int = 1  # of the worker, from 1
    count: int = 1  # of all workers

    @property
    def tag(self) -> str:
        """The part of the file names that differs between workers."""
        return "" if self.count == 1 else f".{self.number}-of-{self.count}"

    def has(self, index: int) -> bool:
        """Tells whether the source of this index belongs to the worker."""
        return index % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str | Shard) -> Shard:
    """Parses a shard such as `2/8`, and returns one as it is; raises UsageError for another text."""
    if isinstance(text, Shard):
        return text
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard {text}: give this worker's number and how many there are, such as 2/8")
    return Shard(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class RunFolder:
    """The files of a run, for one worker."""

    path: Path
    shard: Shard = Shard()

    def lock(self) -> AbstractContextManager[None]:
        """Locks this worker's part; raises TrainingError where another process works on it."""
        return locked(self.path, self._lock_name)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Writes the settings, from which the run can be resumed."""
        write_json(self.path / CONFIG, {**config, "num_shards": self.shard.count})

    def shared_runtime(self, config: Mapping[str, Any]) -> str | None:
        """Returns the runtime of the workers that do the same job in this folder; None without any."""
        path = self.path / CONFIG
        if self.shard.count == 1 or not path.is_file():
            return None
        try:
            theirs = read_json(path, dict, DataError)
        except DataError:
            return None
        ours = {**config, "num_shards": self.shard.count}
        same = all(ours.get(key) == theirs.get(key) for key in {*ours, *theirs} - {*OF_ONE_WORKER})
        runtime = theirs.get("runtime")
        return runtime if same and isinstance(runtime, str) else None

    def start(self, config: Mapping[str, Any], sources: Iterable[str] | None = None) -> Journal:
        """Starts a new run and returns its journal; raises UsageError where there is an interrupted run.

        The tables that a finished run left are removed, so that all tables are of one run. `sources` of a run
        that writes annotated media are given: then the media that the finished run wrote are removed, too.
        """
        if self._partial.is_file() and self._partial.stat().st_size > 0:
            advice = f"give another --out, or remove {self._partial.name}"
            resume = f"continue it with --resume {self.path}"
            raise UsageError(f"{self.path}: holds an interrupted run; {resume}, {advice}")
        self.write_config(config)
        if sources is not None and self.table("jsonl").is_file():
            self._remove_annotated({os.path.realpath(name) for name in sources})
        for kind in TABLES:
            self.table(kind).unlink(missing_ok=True)
        self._tidy()
        return Journal(self._partial)

    def resume(self) -> Journal:
        """Returns the journal of an unfinished run, repaired; raises UsageError where the run is finished."""
        if self._partial.is_file():
            repair(self._partial)
        elif self.table("jsonl").is_file():
            raise UsageError(f"{self.path}: this run is finished; there is nothing to resume")
        self._tidy()
        return Journal(self._partial)

    def config(self) -> dict[str, Any]:
        """Returns the settings of the run.

        Raises TrainingError where there is no run, DataError for a damaged file, and UsageError for a run
        with another number of workers.
        """
        path = existing_run(self.path, CONFIG) / CONFIG
        try:
            values = read_json(path, dict, DataError)
            count = from_json(values, _Started).num_shards
        except SeyoloError as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise DataError(
                f"{path}: damaged, or not of a detect run ({reason}); it cannot be resumed"
            ) from None
        del values["num_shards"]
        if count != self.shard.count:
            share = f"--shard N/{count}" if count > 1 else "no --shard"
            raise UsageError(f"{self.path}: was started with {count} workers; give {share}")
        return values

    def table(self, kind: str) -> Path:
        """Returns the path of a table, by its kind in `TABLES`."""
        ending = "coco.json" if kind == "coco" else kind
        return self.path / f"detections{self.shard.tag}.{ending}"

    def finish(self, tables: Mapping[str, Iterator[str]]) -> None:
        """Writes the tables, then gives the journal its final name."""
        for kind, chunks in tables.items():
            write_chunks(self.table(kind), chunks)
        os.replace(self._partial, self.table("jsonl"))
        os.utime(self.table("jsonl"))  # media that are newer were changed by the user
        self._tidy()

    def _remove_annotated(self, sources: Container[str]) -> None:
        """Removes the media in the journal of a finished run, but for sources and what was changed since."""
        finished_ns = self.table("jsonl").stat().st_mtime_ns
        with closing(Journal(self.table("jsonl"))) as journal:
            names = {Path(row["annotated"]).name for row in journal.rows() if row.get("annotated")}
        for file in (self.path / name for name in names):
            is_its = file.is_file() and not file.is_symlink() and file.stat().st_mtime_ns <= finished_ns
            if is_its and os.path.realpath(file) not in sources:
                file.unlink()
        if left := [f"{name}/" for name in ("labels", "crops") if (self.path / name).is_dir()]:
            advice = "remove them first, or give another --out"
            warnings.warn(
                f"{self.path}: {' and '.join(left)} of the earlier run stay; {advice}", stacklevel=3
            )

    def _tidy(self) -> None:
        """Removes what killed processes left, unless other workers, maybe on other machines, are writing."""
        remove_leftovers(self.path.absolute().parent, is_ours=False)
        if all(path.name == self._lock_name for path in self.path.glob(f"{LOCK_FILE}*")):
            remove_leftovers(self.path)

    @property
    def _lock_name(self) -> str:
        return LOCK_FILE + self.shard.tag

    @property
    def _partial(self) -> Path:
        return self.path / f"detections{self.shard.tag}.partial.jsonl"
