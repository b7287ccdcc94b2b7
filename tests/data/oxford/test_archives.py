"""Archives: only wanted plain files come out, and an archive that reaches elsewhere is refused."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from seyolo.data.oxford.archives import extract
from seyolo.errors import DataError


def everything(name: PurePosixPath) -> bool:
    return True


def make_tar(path: Path, *members: tuple[str, bytes, bytes], mode: str = "w:gz") -> Path:
    """Writes members of (name, type, content or link target)."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
            else:
                info.linkname = content.decode()
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inner" / "folder"
    folder.mkdir(parents=True)
    return folder


def written(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_only_wanted_files_are_written(tmp_path: Path, folder: Path) -> None:
    members = [("x", tarfile.DIRTYPE, b""), ("x/a.jpg", b"0", b"abc"), ("x/b.py", b"0", b"import os")]
    for mode, name in (("w:gz", "x.tar.gz"), ("w", "x.tar"), ("w:bz2", "x.tar.bz2")):
        extract(make_tar(tmp_path / name, *members, mode=mode), folder, lambda name: name.suffix == ".jpg")
        assert written(folder) == {"x/a.jpg"}
        assert (folder / "x/a.jpg").read_bytes() == b"abc"


def test_zip(tmp_path: Path, folder: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as container:
        container.writestr("x/a.jpg", b"abc")
        container.writestr("x/b.py", b"import os")
    extract(tmp_path / "x.zip", folder, lambda name: name.suffix == ".jpg")
    assert written(folder) == {"x/a.jpg"}


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "x/../../evil.jpg", "/evil.jpg", "..\\evil.jpg", "C:\\evil.jpg"]
)
def test_names_that_lead_out_are_refused(tmp_path: Path, folder: Path, name: str) -> None:
    make_tar(tmp_path / "x.tar.gz", (name, tarfile.REGTYPE, b"x"))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as container:
        container.writestr(name, b"x")
    for archive in (tmp_path / "x.tar.gz", tmp_path / "x.zip"):
        with pytest.raises(DataError, match="leads out of the archive's folder"):
            extract(archive, folder, everything)
    assert written(tmp_path) == {"x.tar.gz", "x.zip"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, folder: Path, kind: bytes) -> None:
    archive = make_tar(tmp_path / "x.tar.gz", ("x.jpg", kind, b"/etc/passwd"))
    with pytest.raises(DataError, match=r"x\.jpg is a link or device"):
        extract(archive, folder, everything)
    assert written(folder) == set()


def test_links_in_a_zip_are_refused(tmp_path: Path, folder: Path) -> None:
    member = zipfile.ZipInfo("x.jpg")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as container:
        container.writestr(member, "/etc/passwd")
    with pytest.raises(DataError, match=r"x\.jpg is a link"):
        extract(tmp_path / "x.zip", folder, everything)


def test_the_limit_counts_real_bytes_over_all_files(tmp_path: Path, folder: Path) -> None:
    members = [(f"{index}.jpg", tarfile.REGTYPE, bytes(400)) for index in range(3)]
    archive = make_tar(tmp_path / "x.tar.gz", *members)
    extract(archive, folder, everything, max_bytes=1200)
    with pytest.raises(DataError, match="more than 1199 bytes"):
        extract(archive, folder, everything, max_bytes=1199)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("name", ["x.tar.gz", "x.tar", "x.zip"])
def test_a_broken_archive_is_named(tmp_path: Path, folder: Path, name: str, kept: float) -> None:
    path, content = tmp_path / name, bytes(range(256)) * 200
    if name == "x.zip":
        with zipfile.ZipFile(path, "w") as container:
            container.writestr("a.jpg", content)
    else:
        make_tar(path, ("a.jpg", tarfile.REGTYPE, content), mode="w:gz" if name.endswith("gz") else "w")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError, match=rf"{name}: the archive is broken"):
        extract(path, folder, everything)


def test_a_missing_archive_and_one_that_is_none(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match=r"x\.tar: no such file"):
        extract(tmp_path / "x.tar", folder, everything)
    (tmp_path / "x.gz").write_text("hello")
    with pytest.raises(DataError, match=r"x\.gz: the archive is broken"):
        extract(tmp_path / "x.gz", folder, everything)
