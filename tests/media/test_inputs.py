"""Images in every form: the same pixels, and one line for what is none."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn

from helpers.square_finder import bright_box
from seyolo.detector import Detector
from seyolo.errors import DataError, UsageError
from seyolo.media import inputs
from seyolo.media.images import ImageTooLargeError
from seyolo.media.inputs import as_image, load_image

pillow = pytest.importorskip("PIL.Image")


def photo() -> np.ndarray:
    """A dark BGR image 40x60 of three shades, with a bright box."""
    image = np.full((40, 60, 3), (10, 60, 110), np.uint8)
    image[8:20, 12:36] = (150, 200, 250)
    return image


def encoded(image: np.ndarray, ending: str = ".png") -> bytes:
    return cv2.imencode(ending, image)[1].tobytes()


class Answers(BaseHTTPRequestHandler):
    """Answers by the path asked for; `served` are bytes by path."""

    def __init__(self, served: dict[str, bytes], *args: object) -> None:
        self.served = served
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.path == "/moved.png":
            self.send_response(302)
            self.send_header("Location", "/a%20b.png")
            self.end_headers()
            return
        if self.path not in self.served:
            self.send_error(404)
            return
        data = self.served[self.path]
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8" if self.path == "/page" else "image/png")
        if self.path != "/long":
            self.send_header("Content-Length", "999000000" if self.path == "/declared" else str(len(data)))
        self.end_headers()
        with suppress(ConnectionError):  # of a client that has read enough
            for start in range(0, len(data), 1000):
                if self.path == "/slow":
                    time.sleep(0.1)
                self.wfile.write(data[start : start + 1000])

    def log_message(self, *args: object) -> None:
        """Prints nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    image = encoded(photo())
    served = {"/photo.png": image, "/a%20b.png": image, "/page": b"<html>", "/text": b"no image at all"}
    served |= {
        "/half.png": image[:-20],
        "/declared": image,
        "/long": bytes(3_000_000),
        "/slow": bytes(20_000),
    }
    web = ThreadingHTTPServer(("127.0.0.1", 0), partial(Answers, served))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{web.server_port}"
    web.shutdown()
    web.server_close()


def forms(image: np.ndarray, folder: Path, address: str) -> dict[str, object]:
    """The same image in every form that is taken, and that loses nothing."""
    path, data, rgb = folder / "photo.png", encoded(image), image[..., ::-1]
    path.write_bytes(data)
    alpha = np.full((*image.shape[:2], 1), 77, np.uint8)
    return {
        "path": path,
        "text": str(path),
        "bytes": data,
        "address": f"{address}/photo.png",
        "address with a blank": f"{address}/a b.png",
        "address that moved": f"{address}/moved.png",
        "array": image,
        "view": np.pad(image, ((1, 1), (1, 1), (0, 0)))[1:-1, 1:-1],
        "float": image / 255,
        "float16": (image / 255).astype(np.float16),
        "uint16": image.astype(np.uint16) * 257,
        "big-endian uint16": (image.astype(np.uint16) * 257).astype(">u2"),
        "alpha": np.concatenate([image, alpha], axis=2),
        "pillow file": pillow.open(path),
        "pillow": pillow.fromarray(np.ascontiguousarray(rgb)),
        "pillow RGBA": pillow.fromarray(np.concatenate([rgb, alpha], axis=2)),
        "pillow RGBX": pillow.fromarray(np.ascontiguousarray(rgb)).convert("RGBX"),
        "pillow CMYK": pillow.fromarray(np.ascontiguousarray(rgb)).convert("CMYK"),
    }


class Boxed:
    """A backend that boxes what is brighter than half in all channels, with the mean red as the score."""

    name, input_size, names, letterbox_mode = "boxed", (40, 60), ("spot",), "letterbox"

    def infer(self, batch: np.ndarray) -> np.ndarray:
        return np.stack([self._find(image) for image in batch])

    @staticmethod
    def _find(image: np.ndarray) -> np.ndarray:
        return np.array([[*bright_box(image), 1.0, image[0].mean()]], np.float32)


def test_every_form_of_an_image_gives_the_same_boxes(tmp_path: Path, server: str) -> None:
    detector = Detector(Boxed())  # type: ignore[arg-type]
    given_forms = forms(photo(), tmp_path, server)
    expected = detector.detect(photo())
    np.testing.assert_array_equal(expected.boxes, [[12, 8, 36, 20]])
    # The mean red: 110 everywhere, 250 in 12 x 24 of 40 x 60 pixels.
    assert expected.scores[0] == pytest.approx((110 + 140 * 288 / 2400) / 255)
    for name, form in given_forms.items():
        for found in (detector.detect(form), detector(form)):  # type: ignore[call-overload]
            np.testing.assert_array_equal(found.boxes, expected.boxes, name)
            np.testing.assert_array_equal(found.scores, expected.scores, name)
    in_rgb = detector.detect(photo()[..., ::-1], order="rgb")
    np.testing.assert_array_equal(in_rgb.scores, expected.scores)
    several = detector.detect(list(given_forms.values()))
    assert [found.scores.tolist() for found in several] == [expected.scores.tolist()] * len(given_forms)


COLOUR = drawn.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))
GREY = drawn.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)))


@settings(max_examples=40)
@given(COLOUR)
def test_arrays_bytes_and_pillow_images_give_the_same_pixels(image: np.ndarray) -> None:
    rgb = np.ascontiguousarray(image[..., ::-1])
    for form in (image, encoded(image), image / 255, image.astype(np.uint16) << 8, pillow.fromarray(rgb)):
        np.testing.assert_array_equal(as_image(form), image)
    for array in (rgb, rgb / 255, np.dstack([rgb, rgb[..., 0]])):
        np.testing.assert_array_equal(as_image(array, "rgb"), image)


@settings(max_examples=40)
@given(GREY)
def test_grey_is_the_same_in_all_channels(image: np.ndarray) -> None:
    expected = np.dstack([image] * 3)
    wide = pillow.fromarray(image.astype(np.uint16) * 256)
    assert wide.mode == "I;16"
    for form in (image, image[..., None], encoded(image), pillow.fromarray(image), wide):
        np.testing.assert_array_equal(as_image(form), expected)


def test_16_bits_lose_the_lower_byte_as_in_a_file() -> None:
    image = np.arange(0, 65536, 97, np.uint16)[:640].reshape(20, 32)
    np.testing.assert_array_equal(as_image(image), as_image(encoded(image)))


@pytest.mark.parametrize(
    "mode", ["L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_every_mode_of_pillow_is_converted(mode: str) -> None:
    rgb = pillow.fromarray(np.ascontiguousarray(photo()[..., ::-1]))
    by = {"La": "LA", "RGBa": "RGBA", "PA": "P"}
    image = rgb.convert(by[mode]).convert(mode) if mode in by else rgb.convert(mode)
    is_grey = mode in ("L", "LA", "La")
    near = as_image(image)
    expected = np.dstack([cv2.cvtColor(photo(), cv2.COLOR_BGR2GRAY)] * 3) if is_grey else photo()
    most = 26 if mode in ("P", "PA") else 3  # a palette is coarse; elsewhere conversions round
    assert np.abs(near[10, 20].astype(int) - expected[10, 20]).max() <= most
    assert near.shape == (40, 60, 3)


def test_one_bit_is_black_or_white() -> None:
    mask = photo()[..., 0] > 100
    image = pillow.fromarray(mask)
    assert image.mode == "1"
    np.testing.assert_array_equal(as_image(image)[..., 1], mask * np.uint8(255))


def test_a_palette_with_transparency_is_taken_without_a_warning() -> None:
    image = pillow.fromarray(np.ascontiguousarray(photo()[..., ::-1])).convert("P")
    image.info["transparency"] = bytes([0, 128])
    assert as_image(image).shape == (40, 60, 3)


def test_an_image_of_a_camera_is_turned_as_its_file_is(tmp_path: Path) -> None:
    path, exif = tmp_path / "turned.jpg", pillow.Exif()
    exif[0x0112] = 6  # a quarter to the right
    pillow.fromarray(np.ascontiguousarray(photo()[..., ::-1])).save(path, exif=exif, quality=95)
    from_file, from_pillow = as_image(path), as_image(pillow.open(path))
    assert from_file.shape == from_pillow.shape == (60, 40, 3)
    assert np.abs(from_file.astype(int) - from_pillow).max() <= 2  # two JPEG decoders


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"1, 3 or 4 channels, got \(4, 4, 2\) of uint8"),
        (np.zeros((3, 20, 30), np.uint8), r"if the channels come first: image.transpose\(1, 2, 0\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), "give a batch as a list of images"),
        (np.zeros((0, 4, 3), np.uint8), r"got \(0, 4, 3\)"),
        (np.zeros(4, np.uint8), r"got \(4,\) of uint8$"),
        (np.full((4, 4, 3), 200.0), "floats has values from 0 to 1, these are from 200 to 200; scale them"),
        (np.full((4, 4, 3), -0.1), "these are from -0.1 to -0.1"),
        (np.full((4, 4, 3), np.nan), "these are from nan to nan"),
        (np.zeros((4, 4, 3), np.int64), "uint8, uint16 of 0 to 65535, or floats of 0 to 1, got int64"),
        (np.zeros((4, 4), bool), "got bool; convert them first"),
        (pillow.new("I", (4, 4)), "Pillow image of mode I has no known range of values"),
        (
            pillow.new("F", (4, 4)),
            "Pillow image of mode F has no known range of values; convert it to L or RGB",
        ),
    ],
)
def test_what_cannot_be_converted_is_refused_in_one_line(image: object, text: str) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        as_image(image)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_an_order_that_is_none() -> None:
    with pytest.raises(UsageError, match="order 'gbr': the channels of an array are in the order 'bgr' or"):
        as_image(photo(), "gbr")  # type: ignore[arg-type]


def test_a_mode_that_pillow_cannot_convert() -> None:
    class Strange(pillow.Image):
        mode = "XYZ"

        def getexif(self) -> dict[int, int]:
            return {}

        def copy(self) -> Strange:
            return self

        def convert(self, *args: object) -> None:
            raise ValueError("conversion from XYZ to RGB not supported")

    with pytest.raises(UsageError, match="a Pillow image of mode XYZ has no way to RGB; convert it first"):
        as_image(Strange())


def test_a_pillow_image_of_half_a_file() -> None:
    image = pillow.open(io.BytesIO(encoded(photo())[:-40]))
    with pytest.raises(DataError, match="the Pillow image cannot be read"):
        as_image(image)


def test_bytes_that_are_no_image() -> None:
    with pytest.raises(DataError, match="the bytes given: the image is empty"):
        as_image(b"")
    with pytest.raises(DataError, match="the bytes given: not an image, or a damaged one"):
        as_image(b"some text")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/missing.png", "the server refuses it: 404 Not Found"),
        ("/page", "is a web page; give the address of the image itself"),
        ("/text", "not an image, or a damaged one"),
        ("/half.png", "the image is truncated"),
    ],
)
def test_addresses_without_an_image(server: str, path: str, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(server + path)}: {text}"):
        as_image(server + path)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("htps://host/a.jpg", "no address begins with htps://; did you mean https://host/a.jpg"),
        ("http:/host/a.jpg", "did you mean http://host/a.jpg"),
        ("www.host.org/a.jpg", "did you mean https://www.host.org/a.jpg"),
        ("http://", "the address names no machine behind http://"),
        ("rtsp://host/live", "is a stream, not an image; seyolo detect reads streams"),
        ("http://127.0.0.1:1/a.jpg", "cannot be read"),
        ("http://a..b/a.jpg", "cannot be read"),
        ("missing.jpg", "there is no such image"),
        ("clips/a.MP4", "is a video, not an image; `seyolo detect clips/a.MP4` reads videos"),
    ],
)
def test_addresses_that_are_none(address: str, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(address)}: .*{text}") as caught:
        as_image(address)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["/declared", "/long"])
def test_an_address_is_read_within_the_memory_limit(
    server: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEYOLO_MAX_IMAGE_MB", "1")
    start = time.monotonic()
    with pytest.raises(ImageTooLargeError, match=r"its file takes .* MB of memory, the limit is 1 MB"):
        as_image(server + path)
    assert time.monotonic() - start < 5


def test_an_address_that_takes_too_long(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "TIMEOUT_S", 0.35)
    with pytest.raises(DataError, match=r"/slow: no whole answer within 0.35 s"):
        as_image(f"{server}/slow")


def test_what_is_kept_of_an_image(tmp_path: Path, server: str) -> None:
    """Files stay files, and an address is not read twice."""
    image, path = photo(), tmp_path / "photo.png"
    path.write_bytes(encoded(image))
    keeps: dict[str, Callable[[object], bool]] = {
        "file": lambda kept: kept == path,
        "array": lambda kept: kept is image,
        "address": lambda kept: kept == encoded(image),
    }
    sources = {"file": path, "array": image, "address": f"{server}/photo.png"}
    for name, source in sources.items():
        assert keeps[name](load_image(source).kept), name  # type: ignore[arg-type]
