"""The folder of a run: shards, settings, starting, resuming, finishing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from seyolo.detecting.run_folder import RunFolder, Shard, parse_shard
from seyolo.errors import DataError, TrainingError, UsageError


def test_shards_share_everything_once() -> None:
    shards = [parse_shard(f"{number}/3") for number in (1, 2, 3)]
    for index in range(10):
        assert [shard.has(index) for shard in shards].count(True) == 1
    assert str(shards[1]) == "2/3"
    assert all(Shard().has(index) for index in range(10))


@pytest.mark.parametrize("text", ["0/3", "4/3", "2", "a/b", "-1/2", "1/0", "2/8/1"])
def test_what_names_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match=f"--shard {text}: .*such as 2/8"):
        parse_shard(text)


def test_a_run_from_start_to_end(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    journal = folder.start({"model": "x.onnx"})
    journal.append({"picture": "a.jpg"})
    journal.close()
    assert folder.config() == {"model": "x.onnx"}
    with pytest.raises(UsageError, match=r"holds an interrupted run.*--resume"):
        folder.start({"model": "y.onnx"})
    journal = folder.resume()
    journal.append({"picture": "b.jpg"})
    folder.finish({"csv": iter(["a\n", "b\n"]), "coco": iter(["{}"])})
    journal.close()
    names = ["config.json", "detections.coco.json", "detections.csv", "detections.jsonl"]
    assert sorted(path.name for path in folder.path.iterdir()) == names
    rows = [json.loads(line) for line in (folder.path / "detections.jsonl").read_text().splitlines()]
    assert rows == [{"picture": "a.jpg"}, {"picture": "b.jpg"}]
    with pytest.raises(UsageError, match="finished"):
        folder.resume()
    RunFolder(folder.path, Shard(1, 2)).start({}).close()
    assert {path.name for path in folder.path.iterdir()} > set(names), "of another worker"
    folder.start({"model": "z.onnx"}).close()  # anew, over the finished one
    assert folder.config() == {"model": "z.onnx"}
    left = {"config.json", "detections.1-of-2.partial.jsonl", "detections.partial.jsonl"}
    assert {path.name for path in folder.path.iterdir()} == left, "tables of two runs"


def test_workers_do_not_meet(tmp_path: Path) -> None:
    first, second = (RunFolder(tmp_path, Shard(number, 2)) for number in (1, 2))
    for folder in (first, second):
        journal = folder.start({"model": "x.onnx"})
        journal.append({"picture": folder.shard.tag})
        journal.close()
    (tmp_path / ".a.123.partial.jpg").touch()
    with first.lock():
        second.resume().close()
        assert (tmp_path / ".a.123.partial.jpg").exists(), "another worker may be writing it"
        with pytest.raises(TrainingError, match=rf"process {os.getpid()} on .* works in this folder"):
            first.lock().__enter__()
    first.finish({})
    assert not (tmp_path / ".a.123.partial.jpg").exists()
    second.finish({})
    names = ["config.json", "detections.1-of-2.jsonl", "detections.2-of-2.jsonl"]
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == names
    for shard in (Shard(), Shard(1, 3)):
        with pytest.raises(UsageError, match="started with 2 workers; give --shard N/2"):
            RunFolder(tmp_path, shard).config()


def test_half_written_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    RunFolder(tmp_path).start({}).close()
    for name in (".a.123.partial.jpg", "labels/.a.123.partial.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    RunFolder(tmp_path).resume().close()
    assert [path.name for path in tmp_path.rglob("*.partial*")] == ["detections.partial.jsonl"]


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_damaged_config(tmp_path: Path, text: str) -> None:
    with pytest.raises(TrainingError, match="no run to resume here"):
        RunFolder(tmp_path).config()
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(DataError, match=r"config\.json: damaged"):
        RunFolder(tmp_path).config()


def finished_run(folder: Path) -> RunFolder:
    """A finished run with two images and a video, beside files that it did not write."""
    run = RunFolder(folder)
    journal = run.start({})
    for name in ("a.jpg", "b.jpg", "clip.mp4", "mine.jpg"):
        (folder / name).write_text(name)
    for picture in ("a.jpg", "b.jpg", "clip.mp4"):
        journal.append({"picture": f"in/{picture}", "annotated": f"elsewhere/then/{picture}"})
    journal.append({"picture": "in/broken.jpg", "error": "truncated"})
    journal.append({"picture": "in/c.jpg", "annotated": None})
    journal.close()
    run.finish({})
    return run


def media(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".jpg", ".mp4"))


def test_annotated_media_of_a_finished_run_are_removed(tmp_path: Path) -> None:
    finished_run(tmp_path).start({}, ["in/d.jpg"]).close()
    assert media(tmp_path) == ["mine.jpg"]


def test_what_the_user_changed_and_what_is_a_source_stays(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    later_s = (tmp_path / "detections.jsonl").stat().st_mtime + 1
    os.utime(tmp_path / "a.jpg", (later_s, later_s))
    run.start({}, [str(tmp_path / "b.jpg")]).close()
    assert media(tmp_path) == ["a.jpg", "b.jpg", "mine.jpg"]


def test_a_run_that_writes_no_media_removes_none(tmp_path: Path) -> None:
    finished_run(tmp_path).start({}).close()
    assert media(tmp_path) == ["a.jpg", "b.jpg", "clip.mp4", "mine.jpg"]


def test_labels_and_crops_of_a_finished_run_stay_with_a_warning(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    for name in ("labels", "crops"):
        (tmp_path / name).mkdir()
    with pytest.warns(UserWarning, match="labels/ and crops/ of the earlier run stay; remove them first"):
        run.start({}, []).close()
