"""Memory that decoding an image takes, by format, against what its header makes seyolo expect.

    python benchmarks/decode_memory.py [--megabytes 512] [PART OF A NAME ...]

An image is as large as the limit lets in. A process of its own decodes it, and reports its largest physical
memory less that before it read the file.
"""

from __future__ import annotations

import argparse
import io
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seyolo.media.image_header import read_header
from seyolo.media.images import LIMIT, limit_bytes, way_to_decode

Maker = Callable[[int, int], bytes]
"""Writes an image of a height and a width."""

_CHILD = """
import sys
from seyolo.media.images import decode_image
from seyolo.runtime.memory import peak_memory_mb
import cv2, numpy as np
decode_image(cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes(), "small")
before = peak_memory_mb()
image = decode_image(open(sys.argv[1], "rb").read(), "image")
print(peak_memory_mb() - before, image.shape[0], image.shape[1])
"""


def measured_mb(data: bytes) -> tuple[float, int, int]:
    """Megabytes that decoding takes in a fresh process, and height and width of the result."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image"
        path.write_bytes(data)
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    megabytes, height, width = done.stdout.split()
    return float(megabytes), int(height), int(width)


def pixels(height: int, width: int, channels: int = 3, kind: type = np.uint8) -> NDArray[Any]:
    """A sparse pattern: the memory does not depend on what the image shows."""
    image: NDArray[Any] = np.zeros((height, width, channels), kind)
    image[::7, ::5] = 200
    return image


def by_opencv(ending: str, *options: int, channels: int = 3, kind: type = np.uint8) -> Maker:
    """Writes with OpenCV."""
    return lambda height, width: bytes(
        cv2.imencode(ending, pixels(height, width, channels, kind), options)[1]
    )


def by_pillow(name: str, mode: str = "RGB", frames: int = 1, **options: object) -> Maker:
    """Writes with Pillow; several frames make an animation."""

    def write(height: int, width: int) -> bytes:
        shades = [Image.new(mode, (width, height), 40 * number) for number in range(frames)]
        more = {"save_all": True, "append_images": shades[1:]} if frames > 1 else {}
        file = io.BytesIO()
        shades[0].save(file, name, **more, **options)
        return file.getvalue()

    return write


def with_exif(make: Maker, orientation: int) -> Maker:
    """Adds an orientation to a JPEG."""
    entry = struct.pack("<IHHHIHH", 8, 1, 0x0112, 3, 1, orientation, 0)
    segment = b"Exif\0\0II*\0" + entry + bytes(4)

    def write(height: int, width: int) -> bytes:
        data = make(height, width)
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]

    return write


def png(depth: int, colour: int, interlaced: bool, height: int, width: int) -> bytes:
    """A black PNG of any depth and colour type (PNG specification, 11.2.2), interlaced by Adam7 or not."""
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    whole = [(0, 0, 1, 1)]
    adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    packer, packed = zlib.compressobj(1), []
    for left, top, step_x, step_y in adam7 if interlaced else whole:
        row = bytes(1 + -(-len(range(left, width, step_x)) * bits // 8))
        packed += [packer.compress(row) for _ in range(top, height, step_y)]
    body = b"".join(packed) + packer.flush()

    def chunk(kind: bytes, payload: bytes) -> bytes:
        return (
            struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    palette = chunk(b"PLTE", bytes(768)) if colour == 3 else b""
    return b"\x89PNG\r\n\x1a\n" + header + palette + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def tiff(
    height: int, width: int, *, bits: int = 8, samples: int = 3, rows: int = 0, tile: int = 0,
    packed: bool = True, big: bool = False,
) -> bytes:  # fmt: skip
    """A black TIFF or BigTIFF of strips of some rows (0: one strip) or of square tiles."""
    rows = rows or height
    row_bytes = (tile or width) * samples * bits // 8
    num_pieces = -(-width // tile) * -(-height // tile) if tile else -(-height // rows)
    whole = bytes(row_bytes * (tile or rows))
    piece = zlib.compress(whole, 1) if packed else whole
    start = 16 if big else 8
    last = [] if tile or height % rows == 0 else [zlib.compress(bytes(row_bytes * (height % rows)))]
    pieces = [piece] * (num_pieces - len(last)) + last
    lengths = [len(piece) for piece in pieces]
    offsets = (start + np.cumsum([0, *lengths[:-1]])).tolist()
    where = (
        {322: [tile], 323: [tile], 324: offsets, 325: lengths}
        if tile
        else {273: offsets, 278: [rows], 279: lengths}
    )
    colour, alpha = (2 if samples > 1 else 1), ({338: [2]} if samples == 4 else {})
    basic = {
        256: [width],
        257: [height],
        258: [bits] * samples,
        259: [8 if packed else 1],
        262: [colour],
        277: [samples],
    }
    return _tiff_file(b"".join(pieces), {**basic, **where, **alpha}, big)


def _tiff_file(body: bytes, tags: dict[int, list[int]], big: bool) -> bytes:
    """Puts pixels and tags into a file: tags as LONG, bits and samples as SHORT."""
    offset, count, start = ("Q", "Q", 16) if big else ("I", "H", 8)
    body += bytes(len(body) % 2)
    extra, entries = b"", b""
    extra_at = start + len(body)
    for tag, values in sorted(tags.items()):
        kind = 3 if tag in {258, 259, 262, 277, 338} else 4
        value = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(value) > struct.calcsize(offset):
            place = struct.pack(f"<{offset}", extra_at + len(extra))
            extra += value + bytes(len(value) % 2)
        else:
            place = value.ljust(struct.calcsize(offset), b"\0")
        entries += struct.pack(f"<HH{offset}", tag, kind, len(values)) + place
    directory = struct.pack(f"<{count}", len(tags)) + entries + bytes(struct.calcsize(offset))
    mark = b"II+\0\x08\0\0\0" if big else b"II*\0"
    return mark + struct.pack(f"<{offset}", extra_at + len(extra)) + body + extra + directory


def bmp(bits: int, height: int, width: int) -> bytes:
    """A black BMP; a negative height in the header means that the top row comes first."""
    palette = bytes(1024) if bits == 8 else b""
    size, start = -(-width * bits // 32) * 4 * height, 54 + len(palette)
    head = struct.pack("<2sIII", b"BM", start + size, 0, start)
    return (
        head
        + struct.pack("<IiiHHIIiiII", 40, width, -height, 1, bits, 0, 0, 0, 0, 0, 0)
        + palette
        + bytes(size)
    )


def pnm(kind: int, most: int, height: int, width: int) -> bytes:
    """A black PBM (4), PGM (5) or PPM (6)."""
    samples = {4: 1, 5: 1, 6: 3}[kind]
    size = -(-width // 8) * height if kind == 4 else height * width * samples * (2 if most > 255 else 1)
    head = f"P{kind}\n# a comment\n{width} {height}\n" + f"{most}\n" * (kind > 4)
    return head.encode() + bytes(size)


_444 = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
_PROGRESSIVE = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
_FAST = (cv2.IMWRITE_AVIF_SPEED, 10)


def _avif(depth: int, quality: int, channels: int = 3) -> Maker:
    options = (cv2.IMWRITE_AVIF_DEPTH, depth, cv2.IMWRITE_AVIF_QUALITY, quality, *_FAST)
    return by_opencv(".avif", *options, channels=channels, kind=np.uint8 if depth == 8 else np.uint16)


PNG_KINDS = (
    (1, 0, "grey"),
    (16, 0, "grey"),
    (8, 2, "RGB"),
    (16, 2, "RGB"),
    (8, 3, "palette"),
    (16, 6, "RGBA"),
)
CASES: dict[str, Maker] = {
    "JPEG": by_opencv(".jpg"),
    "JPEG grey": by_opencv(".jpg", channels=1),
    "JPEG CMYK": by_pillow("JPEG", "CMYK"),
    "JPEG turned": with_exif(by_opencv(".jpg"), 6),
    "JPEG progressive 4:2:0": by_opencv(".jpg", *_PROGRESSIVE),
    "JPEG progressive 4:4:4": by_opencv(".jpg", *_PROGRESSIVE, *_444),
    "JPEG progressive turned": with_exif(by_opencv(".jpg", *_PROGRESSIVE, *_444), 6),
    "JPEG progressive CMYK": by_pillow("JPEG", "CMYK", progressive=True),
    **{
        f"PNG {depth} bit {name}{' interlaced' * interlaced}": partial(png, depth, colour, interlaced)
        for depth, colour, name in PNG_KINDS
        for interlaced in (False, True)
    },
    "PNG animated": by_pillow("PNG", frames=3),
    "WebP lossy": by_opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 80),
    "WebP lossy alpha": by_opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 80, channels=4),
    "WebP lossless": by_opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    "WebP lossless alpha": by_opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 101, channels=4),
    "WebP animated": by_pillow("WEBP", frames=3),
    "GIF": by_pillow("GIF", "P"),
    "GIF animated": by_pillow("GIF", "P", frames=3),
    "BMP 8 bit": partial(bmp, 8),
    "BMP 24 bit": partial(bmp, 24),
    "BMP 32 bit": partial(bmp, 32),
    "PBM": partial(pnm, 4, 1),
    "PGM": partial(pnm, 5, 255),
    "PPM": partial(pnm, 6, 255),
    "PPM 16 bit": partial(pnm, 6, 65535),
    "TIFF": tiff,
    "TIFF not packed": partial(tiff, packed=False),
    "TIFF grey": partial(tiff, samples=1),
    "TIFF RGBA": partial(tiff, samples=4),
    "TIFF 16 bit": partial(tiff, bits=16),
    "TIFF 16 bit RGBA": partial(tiff, bits=16, samples=4),
    "TIFF 16 bit not packed": partial(tiff, bits=16, packed=False),
    "TIFF strips": partial(tiff, rows=16),
    "TIFF 16 bit strips": partial(tiff, bits=16, rows=16),
    "TIFF tiles": partial(tiff, tile=256),
    "TIFF large tiles": partial(tiff, tile=4096),
    "BigTIFF": partial(tiff, big=True),
    "BigTIFF tiles": partial(tiff, tile=256, big=True),
    "AVIF 8 bit": _avif(8, 50),
    "AVIF 8 bit lossless": _avif(8, 100),
    "AVIF 10 bit": _avif(10, 50),
    "AVIF 12 bit lossless": _avif(12, 100),
    "AVIF 8 bit alpha": _avif(8, 50, channels=4),
    "AVIF 12 bit lossless alpha": _avif(12, 100, channels=4),
    "JPEG 2000": by_opencv(".jp2"),
    "JPEG 2000 grey": by_opencv(".jp2", channels=1),
    "JPEG 2000 16 bit": by_opencv(".jp2", kind=np.uint16),
}  # fmt: skip


def largest(make: Maker) -> bytes:
    """An image that takes nearly the limit."""
    header = read_header(small := make(400, 600))
    assert header is not None
    num_pixels = limit_bytes() / (header.num_bytes + len(small)) * header.num_pixels
    while True:
        width = round((num_pixels * 1.5) ** 0.5)
        header = read_header(data := make(round(width / 1.5), width))
        assert header is not None
        if way_to_decode(header, len(data))[1] <= limit_bytes():
            return data
        num_pixels *= 0.97


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only those with one of these in their names")
    parser.add_argument("--megabytes", type=int, default=512)
    arguments = parser.parse_args()
    os.environ[LIMIT] = str(arguments.megabytes)
    print("| image | megapixels | file MB | expected MB | measured MB |\n|---|---:|---:|---:|---:|")
    for name, make in CASES.items():
        if arguments.names and not any(part in name for part in arguments.names):
            continue
        data = largest(make)
        header = read_header(data)
        assert header is not None
        expected = way_to_decode(header, len(data))[1] / 1e6
        taken, height, width = measured_mb(data)
        figures = f"{height * width / 1e6:.0f} | {len(data) / 1e6:.1f} | {expected:.0f} | {taken:.0f}"
        print(f"| {name} | {figures} |{' MORE THAN EXPECTED' if taken > expected + 2 else ''}", flush=True)


if __name__ == "__main__":
    main()
