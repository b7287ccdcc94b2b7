"""Formats of labelling tools that are not read, told by names and first bytes of files, and the way on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from seyolo.data.text import read_start
from seyolo.errors import DataError

_USUAL = "export again as YOLO, COCO or Pascal VOC"


class Foreign(NamedTuple):
    """A format that is not read."""

    name: str
    file: str  # pattern of the end of a file's path, with slashes
    start: str  # pattern in the start of the file
    advice: str = _USUAL


FORMATS = (
    Foreign(
        "VoTT's json",
        r"\.(json|vott)$",
        r'"(videoSettings|activeLearningSettings|sourceConnection)"|^\{\s*"asset"\s*:',
        "choose Pascal VOC in VoTT's export settings",
    ),
    Foreign(
        "VIA's own format",
        r"\.(json|csv)$",
        r'"(shape_attributes|_via_settings|_via_img_metadata)"|^#?\s*filename,file_size,file_attributes',
        "choose Export Annotations (COCO format) in VIA",
    ),
    Foreign(
        "Label Studio's own JSON",
        r"\.json$",
        r'"(rectanglelabels|original_width|from_name|polygonlabels)"',
        "choose `YOLO with Images`, `COCO with Images` or `Pascal VOC XML` in Label Studio's export",
    ),
    Foreign(
        "Supervisely's format",
        r"\.json$",
        r'"(classTitle|classesTags|geometryType|projectType|labelerLogin)"|"classes"\s*:\s*\[\s*\{[^}]*"shape"',
        "run Export to YOLO or Export to COCO in Supervisely",
    ),
    Foreign("CreateML's json", r"\.json$", r'"coordinates"\s*:\s*\{'),
    Foreign("Datumaro's json", r"\.json$", r'"(dm_format_version|media_type)"|"categories"\s*:\s*\{'),
    Foreign("Labelbox's format", r"\.(nd)?json$", r'"(data_row|Labeled Data|featureId)"'),
    Foreign("V7 Darwin's json", r"\.json$", r'"schema_ref"'),
    Foreign(
        "KITTI's format",
        r"(^|/)label[^/]*/[^/]+\.txt$",
        r"^\S*[^\W\d]\S* \S+ \d(\.0*)? \S+( -?[\d.]+){4}",
        "import it as KITTI into CVAT, and export as YOLO, COCO or Pascal VOC",
    ),
    Foreign("TFRecord", r"\.(tf_?records?|record)(-[\d-]+of-\d+)?$", r""),
    Foreign("Roboflow's text of all boxes", r"annotations[^/]*\.txt$", r"^\S.*? \d+,\d+,\d+,\d+,\d+"),
    Foreign("a table of boxes (.csv)", r"\.csv$", r"(?i)^.*\b(x_?min|x1|left|bbox)"),
)


_WITH_IMAGES = {
    r"CVAT|\bobj\.data\b": ", with `Save images` ticked in CVAT",
    r"Label Studio|\bnotes\.json\b|\bresult\.json\b": ", in Label Studio in a format `with Images`",
}


def without_images(told: str) -> str:
    """Returns the way on where there are labels and no images, given the layout or names of files."""
    ways = [way for pattern, way in _WITH_IMAGES.items() if re.search(pattern, told)]
    return f"export again with images{''.join(ways[:1])}, or put the images there"


def foreign(paths: Iterable[str | Path]) -> str | None:
    """Returns the first of these files that is of another tool's own format, named, with the way on."""
    for path in paths:
        text = os.fspath(path).replace(os.sep, "/")
        named = [entry for entry in FORMATS if re.search(entry.file, text.lower())]
        start = ""
        with suppress(DataError):  # a file that cannot be read is no format of another tool
            start = read_start(path) if named else ""
        for entry in named:
            if re.search(entry.start, start):
                return f"{path}: {entry.name} is not read; {entry.advice}"
    return None
