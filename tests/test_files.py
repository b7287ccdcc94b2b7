"""Writing in one step: the old file or the new one, and errors that say which file."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from seyolo.files import check_writable, replacing, write_bytes, write_json, write_text


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    write_json(path, {"a": 1})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in path.parent.iterdir()] == ["x.json"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:  # noqa: PT012
        assert temporary.suffix == ".txt"
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_system_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    with pytest.raises(OSError, match=r"x\.txt") as caught, replacing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as `write` does: without a name
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(FileNotFoundError, match=r"gone"), replacing(path):
        (tmp_path / "gone").read_text()


def test_links_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
    write_text(os.devnull, "nothing")
    assert not Path(os.devnull).is_file()
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="/dev/full") as caught:
            write_text("/dev/full", "x")
        assert caught.value.errno == errno.ENOSPC


def test_messages_never_show_the_temporary_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError, match=r"is a file, not a folder.*file"):
        write_text(tmp_path / "file" / "x.json", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_text(tmp_path / "folder", "x")
    assert caught.value.filename == str(tmp_path / "folder")


def test_what_can_be_written_is_found_out_without_a_trace(tmp_path: Path) -> None:
    for path in (tmp_path / "x.json", tmp_path / "new" / "deep" / "x.json", Path(os.devnull)):
        check_writable(path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_writable(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError) as caught:
        check_writable(tmp_path / "new" / "x.json")
    assert caught.value.filename == str(tmp_path)


def test_a_file_is_synced_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events, sync, rename = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: events.append("sync") or sync(number))
    monkeypatch.setattr(os, "replace", lambda *paths: events.append("rename") or rename(*paths))
    write_text(tmp_path / "x.json", "{}")
    assert events == ["sync", "rename"]
    write_bytes(tmp_path / "y.jpg", b"picture", sync=False)
    assert events == ["sync", "rename", "rename"]
