#!/usr/bin/env bash
# One Exif object, saved with several formats in turn: AVIF takes the orientation out of it, and the next file lies on its side.
#
# Seen with Pillow 13.0.0, Python 3.11, Linux, 2026-11-29:
#   image.save(file, "AVIF", exif=exif) writes the orientation as irot and imir, reads it back right, and deletes tag 274
#   from the object that was passed. A JPEG, PNG or WebP saved with the same object afterwards has no orientation.
#   JPEG, PNG, WebP and TIFF leave the object as it was; so does AVIF when it gets exif.tobytes().
#   Beside it: a TIFF says its turned size and still orientation 6 until load(), which turns the pixels and drops the tag.
# Expected before: that no save changes what it is given.
# What follows: pass bytes, or AVIF last, when one photo is written in several formats.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
cat > "$folder/check.py" <<'PY'
import io

from PIL import Image, ImageOps

ORIENTATION, TURNED = 0x0112, 6
image = Image.new("RGB", (8, 4), "red")


def saved(form: str, exif: "Image.Exif | bytes") -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, form, exif=exif)
    file.seek(0)
    return file


def upright_size(file: io.BytesIO) -> tuple[int, int]:
    return ImageOps.exif_transpose(Image.open(file)).size


def new_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED
    return exif


left = {}
for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
    exif = new_exif()
    assert upright_size(saved(form, exif)) == (4, 8), form
    left[form] = exif.get(ORIENTATION)
print("orientation left in the caller's Exif:", left)
assert left == {"JPEG": TURNED, "PNG": TURNED, "WEBP": TURNED, "TIFF": TURNED, "AVIF": None}

exif = new_exif()
saved("AVIF", exif)
print("a JPEG saved with it afterwards:", upright_size(saved("JPEG", exif)), "instead of (4, 8)")
assert upright_size(saved("JPEG", exif)) == (8, 4)
data = new_exif().tobytes()
assert upright_size(saved("AVIF", data)) == upright_size(saved("JPEG", data)) == (4, 8)

tiff = Image.open(saved("TIFF", new_exif()))
before = tiff.size, tiff.getexif().get(ORIENTATION)
tiff.load()
print("TIFF before and after load():", before, (tiff.size, tiff.getexif().get(ORIENTATION)))
assert before == ((4, 8), TURNED)
assert (tiff.size, tiff.getexif().get(ORIENTATION)) == ((4, 8), None)
PY
"$folder/venv/bin/python" "$folder/check.py"
