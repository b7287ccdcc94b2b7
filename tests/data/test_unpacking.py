"""Archives as data sets: unpacked once into the cache, as strictly as Oxford Hand, and read like a folder."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from helpers.written_datasets import write_image
from helpers.written_exports import EXPORTS, roboflow_yolo
from seyolo.data import unpacking
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.errors import DataError

KINDS = {
    ".zip": "zip",
    ".tar": "tar",
    ".tar.gz": "gztar",
    ".tgz": "gztar",
    ".tar.bz2": "bztar",
    ".tar.xz": "xztar",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def packed(folder: Path, archive: Path) -> Path:
    ending = next(ending for ending in sorted(KINDS, key=len, reverse=True) if archive.name.endswith(ending))
    made = shutil.make_archive(str(archive) + ".made", KINDS[ending], folder)
    return Path(made).rename(archive)


@pytest.mark.parametrize("ending", KINDS)
def test_an_archive_of_each_kind(tmp_path: Path, cache: Path, ending: str) -> None:
    roboflow_yolo(tmp_path / "in/hands")
    archive = packed(tmp_path / "in", tmp_path / f"hands{ending}")
    dataset = load_dataset(archive)
    assert dataset.source == archive
    first, note = dataset.described()
    assert first == "data: YOLO as Roboflow exports it, data.yaml; train 3 images, val 2 images, test 1 image"
    assert note == f"{archive}: read from its unpacked copy in {next((cache / 'unpacked').glob('hands-*'))}"
    assert check_dataset(dataset).problems == ()


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export_as_zip(tmp_path: Path, name: str) -> None:
    write, layout = EXPORTS[name]
    write(tmp_path / "in" / name)
    dataset = load_dataset(packed(tmp_path / "in", tmp_path / f"{name}.zip"))
    assert dataset.layout == layout
    assert all(len(dataset.split(split)) for split in dataset.splits)


def test_it_is_unpacked_once_and_again_when_it_changes(tmp_path: Path, cache: Path) -> None:
    roboflow_yolo(tmp_path / "in")
    archive = packed(tmp_path / "in", tmp_path / "a.zip")
    image = load_dataset(archive).images("val")[0]
    made = image.stat().st_ino
    assert load_dataset(archive).images("val")[0].stat().st_ino == made
    write_image(tmp_path / "in/valid/images/new.png", 9)
    archive.unlink()
    assert len(load_dataset(packed(tmp_path / "in", archive)).images("val")) == 3
    assert len(list((cache / "unpacked").iterdir())) == 2
    os.utime(archive, ns=(1, 1))
    load_dataset(archive)
    assert len(list((cache / "unpacked").iterdir())) == 3


def test_only_images_and_labels_are_written(tmp_path: Path, cache: Path) -> None:
    roboflow_yolo(tmp_path / "in")
    for name in ("setup.py", ".hidden.txt", "__MACOSX/train/images/x.png", "model.pt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("x")
    load_dataset(packed(tmp_path / "in", tmp_path / "a.zip"))
    names = {path.name for path in cache.rglob("*")}
    assert "data.yaml" in names
    assert not names & {"setup.py", ".hidden.txt", "x.png", "model.pt", "__MACOSX"}


class TestRefused:
    def refused(self, archive: Path, message: str) -> None:
        with pytest.raises(DataError, match=message):
            load_dataset(archive)
        assert not list((archive.parent / "cache").rglob("*.*"))
        assert not (archive.parent / "out.txt").exists()

    @pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "x/../../out.txt", "C:\\out.txt"])
    def test_a_path_that_leads_out(self, tmp_path: Path, name: str) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as container:
            container.writestr(name, b"x")
        self.refused(tmp_path / "a.zip", "leads out of the archive's folder; do not trust this archive")

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
    def test_links_and_devices(self, tmp_path: Path, kind: bytes) -> None:
        with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
            info = tarfile.TarInfo("x/a.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        self.refused(tmp_path / "a.tar.gz", "is a link or device; do not trust this archive")

    def test_more_than_the_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unpacking, "MAX_BYTES", 10_000)
        with tarfile.open(tmp_path / "a.tar", "w") as tar:
            info = tarfile.TarInfo("a.jpg")
            info.size = 20_000
            tar.addfile(info, io.BytesIO(bytes(20_000)))
        self.refused(tmp_path / "a.tar", "holds more than 10000 bytes")

    @pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar"])
    def test_a_broken_one(self, tmp_path: Path, name: str) -> None:
        roboflow_yolo(tmp_path / "in")
        archive = packed(tmp_path / "in", tmp_path / name)
        archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
        self.refused(archive, r"the archive is broken \(.*\); download it again")

    def test_a_missing_one(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"gone\.zip: no such file"):
            load_dataset(tmp_path / "gone.zip")

    def test_one_without_data(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as container:
            container.writestr("readme.txt", b"x")
        with pytest.raises(DataError, match=r"a\.zip: no known layout .*there is no image in it"):
            load_dataset(tmp_path / "a.zip")

    def test_a_cache_that_cannot_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        roboflow_yolo(tmp_path / "in")
        archive = packed(tmp_path / "in", tmp_path / "a.zip")
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("SEYOLO_CACHE", str(tmp_path / "file"))
        with pytest.raises(
            DataError, match=r"cannot be written .*; free space, or set SEYOLO_CACHE to another folder"
        ):
            load_dataset(archive)
