"""Twenty thousand images over four workers that are killed: each image once, and work that grows linearly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from helpers.videos import BrightSquare
from seyolo.detecting import names as naming
from seyolo.detecting import run as detecting
from seyolo.detecting.journal import Row
from seyolo.detecting.names import NameSet
from seyolo.detecting.outputs import Outputs
from seyolo.detecting.run import DetectRun, Tally
from seyolo.detecting.run_folder import RunFolder, Shard
from seyolo.detections import Detections
from seyolo.detector import Detector
from seyolo.media.sources import Sources
from seyolo.options.detect import DetectOptions
from seyolo.progress import Silent

NUM_IMAGES, NUM_WORKERS = 20_000, 4


class Killed(BaseException):
    """The end of a process."""


class Nothing(Detector):
    """Finds nothing, at once: here reading, inference and writing cost nothing."""

    def detect_many(self, images: object, batch_size: int = 1) -> Iterator[Detections]:  # type: ignore[override]
        for _ in images:  # type: ignore[attr-defined]
            yield Detections.empty()


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    monkeypatch.setattr(detecting, "read_image", lambda name: image)


def work(names: Sequence[str], folder: RunFolder, *, resume: bool, killed_after: int | None = None) -> Tally:
    """One process of one worker, up to its end or until it is killed."""
    rows, tally = count(1), Tally()

    def tell(row: Row) -> None:
        if next(rows) == killed_after:
            raise Killed

    opened = folder.resume() if resume else folder.start({})
    with closing(opened) as journal:
        DetectRun(
            detector=Nothing(BrightSquare()),
            outputs=Outputs(BrightSquare.names, journal=journal, tell=tell),
            sources=Sources(names),
            options=DetectOptions(),
            progress=Silent(),
            say=print,
            shard=folder.shard,
            done=tally.add_past(journal.rows),
            tally=tally,
        ).run()
        folder.finish({})
    return tally


def pictures(path: Path) -> list[str]:
    """The images whose rows stand in a journal."""
    return [json.loads(line)["picture"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_four_workers_that_are_killed_leave_each_image_once(tmp_path: Path) -> None:
    names = [f"in/{number:07d}.jpg" for number in range(NUM_IMAGES)]
    found: list[str] = []
    for number in range(1, NUM_WORKERS + 1):
        folder = RunFolder(tmp_path, Shard(number, NUM_WORKERS))
        journal = tmp_path / f"detections.{number}-of-4.partial.jsonl"
        for start, rows in enumerate((1, 2000 + number, 700)):
            with pytest.raises(Killed):
                work(names, folder, resume=start > 0, killed_after=rows)
            with journal.open("a", encoding="utf-8") as file:
                file.write('{"picture": "in/000')  # a row that the end of the process cut
        assert work(names, folder, resume=True).num_images == NUM_IMAGES // NUM_WORKERS
        found += pictures(folder.table("jsonl"))
    assert sorted(found) == names


def counted(monkeypatch: pytest.MonkeyPatch, calls: Counter[str], place: object, name: str) -> None:
    """Counts the calls of a function."""
    function: Callable[..., object] = getattr(place, name)

    def call(*arguments: object) -> object:
        calls[name] += 1
        return function(*arguments)

    monkeypatch.setattr(place, name, call)


def starts(monkeypatch: pytest.MonkeyPatch, folder: Path, num_images: int) -> Counter[str]:
    """The calls of a start that has one image left."""
    names = [f"in/{number:07d}.jpg" for number in range(num_images)]
    calls: Counter[str] = Counter()
    with monkeypatch.context() as patch:
        for place in (detecting, naming):
            counted(patch, calls, place, "kind_of")
        for name in ("_holds", "_file_name"):
            counted(patch, calls, naming, name)
        DetectRun(
            detector=Nothing(BrightSquare()),
            outputs=Outputs(BrightSquare.names),
            sources=Sources(names),
            options=DetectOptions(),
            progress=Silent(),
            say=print,
            shard=Shard(1, NUM_WORKERS),
            done=NameSet(names[4:]),
            tally=(tally := Tally()),
        ).run()
    assert tally.num_images == 1
    return calls


def test_a_start_looks_at_every_name_a_few_times(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = starts(monkeypatch, tmp_path, NUM_IMAGES)
    assert calls["kind_of"] <= 4.5 * NUM_IMAGES  # order, count, names of files and of their stems
    assert calls["_file_name"] <= 2 * NUM_IMAGES + 1
    assert calls["_holds"] <= 0.6 * NUM_IMAGES  # only of this worker's images
