"""Archives: only wanted plain files come out, and an archive that reaches elsewhere is refused."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from seyolo.data.archives import extract
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
    needed = 2 * (512 + 512) + 512 + 400  # a header and a file in blocks, and what is read of the last
    extract(archive, folder, everything, max_bytes=needed)
    with pytest.raises(DataError, match="more than 2959 bytes"):
        extract(archive, folder, everything, max_bytes=needed - 1)


def test_the_limit_counts_what_a_zip_holds(tmp_path: Path, folder: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as container:
        for index in range(3):
            container.writestr(f"{index}.jpg", bytes(400))
    extract(tmp_path / "x.zip", folder, everything, max_bytes=1200)
    with pytest.raises(DataError, match="more than 1199 bytes"):
        extract(tmp_path / "x.zip", folder, everything, max_bytes=1199)


def test_a_declared_size_is_refused_before_anything_is_written(tmp_path: Path, folder: Path) -> None:
    info = tarfile.TarInfo("large.txt")
    info.size = 5 << 30
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(info.tobuf()))
    with pytest.raises(DataError, match="holds more than"):
        extract(tmp_path / "x.tar.gz", folder, lambda _: False)


def test_members_that_nobody_wants_count(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seyolo.data.archives.MAX_FILES", 5)
    archive = make_tar(tmp_path / "x.tar.gz", *[(f"{index}.py", tarfile.REGTYPE, b"") for index in range(6)])
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as container:
        for index in range(6):
            container.writestr(f"{index}.py", b"")
    for path in (archive, tmp_path / "x.zip"):
        with pytest.raises(DataError, match="or 5 files"):
            extract(path, folder, lambda _: False)


def declared(kind: bytes, size: int, content: bytes = b"") -> bytes:
    """A header that declares so many bytes, and the few that are there."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf() + content


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_large_header_is_not_read(tmp_path: Path, folder: Path, kind: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(declared(kind, 1 << 30) + bytes(1 << 20))
    with pytest.raises(DataError, match=r"the archive is broken \(its headers are too large\)"):
        extract(tmp_path / "x.tar", folder, everything)


def test_headers_in_front_of_headers_count_together(tmp_path: Path, folder: Path) -> None:
    comment = b"20 comment=harmless\n"
    (tmp_path / "x.tar").write_bytes(declared(tarfile.XHDTYPE, 20, comment + bytes(492)) * 1200)
    with pytest.raises(DataError, match="the archive is broken"):
        extract(tmp_path / "x.tar", folder, everything)


def test_long_names_are_read(tmp_path: Path, folder: Path) -> None:
    name = "/".join(["a" * 90] * 4) + "/x.jpg"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(tmp_path / "x.tar", "w", format=form) as tar:
            tar.addfile(tarfile.TarInfo(name))
        extract(tmp_path / "x.tar", folder, everything)
        assert written(folder) == {name}


def test_a_sparse_file_is_refused(tmp_path: Path, folder: Path) -> None:
    records = b"".join(
        b"%d %s\n" % (len(text) + 4, text)
        for text in (
            b"GNU.sparse.major=0",
            b"GNU.sparse.minor=1",
            b"GNU.sparse.map=0,1",
            b"GNU.sparse.size=9999",
        )
    )
    header = declared(tarfile.XHDTYPE, len(records), records + bytes(512 - len(records)))
    (tmp_path / "x.tar").write_bytes(header + declared(tarfile.REGTYPE, 1, bytes(512)) + bytes(1024))
    with pytest.raises(DataError, match="x is a sparse file"):
        extract(tmp_path / "x.tar", folder, everything)


def test_an_index_of_a_zip_has_a_limit(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as container:
        for index in range(1000):
            container.writestr(f"{index}.py", b"")
    monkeypatch.setattr("seyolo.data.archives.MAX_INDEX_BYTES", 40_000)
    with pytest.raises(DataError, match="headers are too large"):
        extract(tmp_path / "x.zip", folder, everything)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_of_a_zip_are_refused(tmp_path: Path, folder: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as container:
        container.writestr("x.jpg", b"abc")
    with pytest.raises(DataError, match=r"x\.jpg is compressed in another way"):
        extract(tmp_path / "x.zip", folder, everything)


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
