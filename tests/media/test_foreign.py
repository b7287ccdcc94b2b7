"""Images of kinds that OpenCV cannot read: named, counted, never passed over."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.errors import DataError
from seyolo.media import images
from seyolo.media.images import IMAGES, decode_image, find_images, is_image, is_picture, read_image
from seyolo.media.sources import find_sources

PIXELS = cv2.resize(np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5, (96, 64))
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)
FOREIGN = {
    ".heic": (HEIC, "a HEIC image"),
    ".heif": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(99), "a HEIC image"),
    ".hif": (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix" + bytes(99), "a HEIC image"),
    ".jxl": (b"\xff\x0a" + bytes(99), "a JPEG XL image"),
    ".psd": (b"8BPS\0\x01" + bytes(99), "a Photoshop image"),
    ".cr2": (b"II*\0\x10\0\0\0CR\x02\0" + bytes(99), "a raw camera image"),
    ".dng": (b"II*\0" + struct.pack("<IHHHIII", 8, 1, 50706, 1, 4, 0x00000401, 0), "a raw camera image"),
}


def encoded(ending: str) -> bytes:
    ok, data = cv2.imencode({".jfif": ".jpg"}.get(ending, ending), PIXELS)
    assert ok
    return data.tobytes()


@pytest.mark.parametrize("ending", FOREIGN)
def test_foreign_images_are_refused_by_name_and_by_content(ending: str, tmp_path: Path) -> None:
    data, kind = FOREIGN[ending]
    assert is_picture(f"a{ending}")
    assert not is_image(f"a{ending.upper()}")
    # A phone's export often has another ending than its content.
    with pytest.raises(DataError, match=rf"x/a\.jpg: {kind}, which cannot be read here; convert such images"):
        decode_image(data, "x/a.jpg")
    path = tmp_path / f"a{ending}"
    path.write_bytes(data)
    command = f"magick mogrify -format jpg {tmp_path}/*{ending}"
    with pytest.raises(DataError) as caught:
        find_images([path])
    assert str(caught.value).endswith(
        f"cannot be read here: {ending} (1); convert such images, with ImageMagick: {command}"
    )


def test_a_raw_image_of_the_other_byte_order_and_a_plain_tiff() -> None:
    data = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 50706, 1, 4, 0x01040000, 0)
    with pytest.raises(DataError, match="a raw camera image"):
        decode_image(data, "a.tif")
    np.testing.assert_array_equal(decode_image(encoded(".tif"), "a.tif"), PIXELS)


@pytest.mark.parametrize("ending", [".jfif", ".jpe", ".jp2", ".avif", ".gif", ".JFIF"])
def test_other_endings_are_read(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(encoded(ending.lower()))
    (found,) = find_images([tmp_path])
    image = read_image(found)
    assert image.shape == PIXELS.shape
    assert np.abs(image.astype(int) - PIXELS).mean() < 20  # the encoder of GIF has few colours


def test_a_build_without_a_decoder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuses(*_: object) -> None:
        raise cv2.error("no encoder")

    (tmp_path / "a.avif").write_bytes(encoded(".avif"))
    (tmp_path / "b.jpg").write_bytes(encoded(".jpg"))
    images._can_decode.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(cv2, "imencode", refuses)
        assert not is_image("a.avif")
        assert is_image("a.jpg")
        with pytest.warns(UserWarning, match=r"1 of 2 images cannot be read here: \.avif \(1\)"):
            assert find_images([tmp_path]) == [tmp_path / "b.jpg"]
    images._can_decode.cache_clear()
    assert is_image("a.avif")


def test_every_ending_is_decided() -> None:
    assert all(map(is_image, (f"a{ending}" for ending in IMAGES.endings)))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Three images that can be read and three that cannot, with a hidden one."""
    for name in ("a.jpg", "b.jfif", "deep/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(os.path.splitext(name)[1]))
    for name in ("p.heic", "q.HEIC", "r.dng", ".s.heic", "deep/t.heic"):
        (tmp_path / name).write_bytes(HEIC)
    return tmp_path


def test_a_folder_counts_what_is_passed_over(album: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"3 of 5 images cannot be read here: \.dng \(1\), \.heic \(2\); convert"
    ):
        names = find_sources([album], None).names
    assert [Path(name).name for name in names] == ["a.jpg", "b.jfif"]


def test_a_pattern_counts_what_is_passed_over(album: Path) -> None:
    with pytest.warns(UserWarning, match=r"4 of 7 images cannot be read here: \.dng \(1\), \.heic \(3\)"):
        assert len(find_images([f"{album}/**/*"])) == 3
    with (
        pytest.warns(UserWarning, match=r"1 of 1 image "),
        pytest.raises(DataError, match="no image matches"),
    ):
        find_images([f"{album}/*.h*"])


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    from PIL import Image  # noqa: PLC0415

    frames = [Image.new("RGB", (40, 30), (200, 10 * number, 0)) for number in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    image = read_image(tmp_path / "a.gif")
    assert np.abs(image.reshape(-1, 3).mean(axis=0) - (0, 0, 200)).max() < 8


def dataset_of(album: Path) -> Path:
    (album / "data.yaml").write_text("path: .\ntrain: .\nval: deep\nnames: [hand]\n")
    for path in list(album.rglob("*.*")):
        if is_picture(path):
            path.with_suffix(".txt").write_text("0 0.5 0.5 0.5 0.5\n")
    return album / "data.yaml"


def test_a_data_set_counts_what_cannot_be_read(album: Path) -> None:
    dataset = load_dataset(dataset_of(album))
    with pytest.warns(
        UserWarning, match=r"data\.yaml: 4 of 7 images of split `train` cannot be read here: \.dng"
    ):
        assert len(dataset.split("train")) == 3
    report = check_dataset(dataset)
    train, val = report.splits
    assert (train.num_pictures, train.num_unreadable) == (7, 4)
    assert (val.num_pictures, val.num_unreadable) == (2, 1)
    assert sum("cannot be read here" in problem.text for problem in report.problems) == 4


def test_a_split_of_nothing_else_is_refused(album: Path) -> None:
    (album / "heic").mkdir()
    (album / "heic" / "a.heic").write_bytes(HEIC)
    (album / "data.yaml").write_text("path: .\ntrain: heic\nnames: [hand]\n")
    with pytest.raises(DataError, match=r"all images of split `train` cannot be read here: \.heic \(1\)"):
        load_dataset(album / "data.yaml").split("train")


def test_the_jfif_and_heic_case(shared_cases: Path) -> None:
    dataset = load_dataset(shared_cases / "data/jfif_and_heic/data.yaml")
    with pytest.warns(UserWarning, match=r"1 of 3 images of split `train` cannot be read here: \.heic"):
        assert [sample.image.name for sample in dataset.split("train")] == ["p0.jpg", "p1.jfif"]
    problems = [Path(problem.file).name for problem in check_dataset(dataset).problems]
    assert problems == ["p2.heic", "p2.heic"]


def test_the_damaged_case(shared_cases: Path) -> None:
    report = check_dataset(load_dataset(shared_cases / "data/damaged_inside/data.yaml"))
    files = [Path(problem.file).parts[-3:] for problem in report.problems]
    assert files == [("train", "images", "a.jpg")]
