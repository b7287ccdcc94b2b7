"""Folders with links: followed, each once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seyolo.media.folders import matches, walk


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two links that lead back, which a plain walk would follow 2^40 times, and one that leads out."""
    for name in ("album/a.jpg", "album/deep/b.jpg", "album/.hidden/c.jpg", "pool/d.jpg", "pool/deeper/e.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name, target in {
        "deep/up": "album",
        "deep/up2": "album",
        "part": "pool",
        "broken": "nowhere",
    }.items():
        os.symlink(tmp_path / target, tmp_path / "album" / name, target_is_directory=True)
    return tmp_path


def names(paths: object, tree: Path) -> list[str]:
    return sorted(os.path.relpath(path, tree) for path in paths)  # type: ignore[attr-defined]


def test_links_are_followed_once(tree: Path) -> None:
    files = [os.path.join(folder, name) for folder, found in walk(tree / "album") for name in found]
    expected = [
        "album/a.jpg",
        "album/broken",
        "album/deep/b.jpg",
        "album/part/d.jpg",
        "album/part/deeper/e.jpg",
    ]
    assert names(files, tree) == expected


def test_patterns(tree: Path) -> None:
    album = str(tree / "album")
    everything = ["album/a.jpg", "album/deep/b.jpg", "album/part/d.jpg", "album/part/deeper/e.jpg"]
    assert names(matches(f"{album}/**/*.jpg"), tree) == everything
    assert names(matches(f"{album}/**/deeper/*"), tree) == ["album/part/deeper/e.jpg"]
    assert names(matches(f"{tree}/al*/**/part/**/*.jpg"), tree) == everything[2:]
    assert names(matches(f"{album}/*.jpg"), tree) == everything[:1]
    assert names(filter(os.path.isfile, matches(f"{album}/**")), tree) == everything


def test_patterns_without_a_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "album")
    assert sorted(matches("**/*.jpg")) == ["a.jpg", "deep/b.jpg", "part/d.jpg", "part/deeper/e.jpg"]
    assert sorted(matches("./**/b.jpg")) == ["deep/b.jpg"]


def test_names_that_look_like_patterns(tmp_path: Path) -> None:
    (tmp_path / "a[1]" / "deep").mkdir(parents=True)
    (tmp_path / "a[1]" / "deep" / "x.jpg").touch()
    assert names(matches(f"{tmp_path}/**/*.jpg"), tmp_path) == ["a[1]/deep/x.jpg"]
