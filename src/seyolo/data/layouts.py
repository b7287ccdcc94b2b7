"""Layouts of data sets, recognised in the files of a folder.

A layout is a function that finds its readings in a folder, and a row of LAYOUTS. It looks at names and at
the start of a few files, and opens no image. A folder that fits two readings is refused; a data set in
a folder inside another data set does not count.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from seyolo.data.contents import Contents
from seyolo.data.formats.coco import read_coco
from seyolo.data.formats.coco_layout import find_splits
from seyolo.data.formats.darknet_data import read_darknet_data, read_darknet_list
from seyolo.data.formats.data_yaml import read_data_yaml
from seyolo.data.formats.foreign import foreign, without_images
from seyolo.data.formats.labelme import read_labelme
from seyolo.data.formats.pictures import Unlabelled
from seyolo.data.formats.voc import read_voc, read_voc_beside
from seyolo.data.formats.yolo_apart import elsewhere
from seyolo.data.formats.yolo_names import read_yolo_names
from seyolo.data.oxford.layout import has_oxford, read_oxford
from seyolo.data.split_names import REST, SPLITS, by_part, by_split, split_of
from seyolo.data.text import read_start
from seyolo.data.tree import Finder, Tree
from seyolo.errors import DataError, counted
from seyolo.media.images import is_picture

Splits = dict[str, tuple[Path, ...]]


class Found(NamedTuple):
    """A reading of a folder: the file or folder that it starts from, and how to read it."""

    layout: str
    path: Path
    read: Callable[[], Contents]

    def depth(self) -> int:
        """Returns how deep the folder of the data set lies, which the file may be in a part of."""
        folder = self.path if self.path.is_dir() else self.path.parent
        while folder.name in _PARTS or split_of(folder.name):
            folder = folder.parent
        return len(folder.parts)


_PARTS = frozenset({"annotations", "cfg", "data", "images", "labels"})
NAME_FILES = ("classes.txt", "_darknet.labels", "obj.names")
"""Files of class names beside YOLO labels."""
_MAKESENSE = "labels.txt"  # other tools write a file of this name, too
_NO_NAMES = "write classes.txt beside them, one name per line"
_SPEAKS = frozenset({".data", ".json", ".labels", ".mat", ".names", ".txt", ".xml", ".yaml", ".yml"})
_NO_LABELS = "images without labels get some from a model: seyolo data label MODEL IMAGES OUT"
_EXPECTED = (
    "expected are a data.yaml, a Darknet .data, a COCO .json, the folders JPEGImages and Annotations, "
    "or a classes.txt, an .xml or labelme's .json beside the images: export as YOLO, COCO or Pascal VOC"
)
_MOST_PROBED = 200  # files that may tell a format that is not read
_MOST_SNIFFED = 20  # jsons of a folder; one with more holds a json for each image
_YAML_KEY = re.compile(r"^[\"']?(\w+)[\"']?\s*:", re.MULTILINE)  # at the left
_FIRST_KEY = re.compile(r'\s*\{\s*"([^"]*)"')
_KINDS = {
    "coco": {"info", "licenses", "images", "annotations", "categories", "type"},
    "labelme": {
        "version",
        "flags",
        "shapes",
        "imagePath",
        "imageData",
        "imageHeight",
        "imageWidth",
        "lineColor",
    },
}


def recognised(root: Path, given: Path, *, or_images: bool = False) -> Found:
    """Returns the only reading of a folder or unpacked archive; `or_images` reads one of images alone, too.

    Raises DataError where the folder fits none, or several: the message names them.
    """
    tree = Tree(root)
    top = _top(tree)
    found = [reading for layout in LAYOUTS for reading in layout(tree, top)]
    found = found or [reading for layout in WEAKER for reading in layout(tree, top)]
    found = [reading for reading in found if reading.depth() == min(other.depth() for other in found)]
    if len(found) == 1:
        return found[0]
    if not found:
        missing = _missing(tree)
        if or_images and missing.startswith(_EXPECTED):
            parts = (root, (), {"train": (root,)}, (root,), "images without labels", Finder(root))
            return Found(parts[4], root, partial(Unlabelled, *parts))
        raise DataError(f"{given}: no known layout of a data set fits; {missing}")
    ways = " and ".join(f"{reading.layout} ({reading.path})" for reading in found[:4])
    advice = "give the file or folder of the one you mean, or move the files of the other away"
    raise DataError(f"{given}: fits {len(found)} layouts, {ways}; {advice}")


def _top(tree: Tree) -> str:
    """Returns the folder of the data set: the first one with more in it than a single folder."""
    top = ""
    while len(below := tree.below(top)) == 1 and not any(map(_speaks, tree.folders[top])):
        top = f"{top}/{below[0]}" if top else below[0]
    return top


def _speaks(file: str) -> bool:
    is_about = file.lower().startswith(("readme", "license", "attribution", "manifest")) or file[0] == "."
    return not is_about and (is_picture(file) or os.path.splitext(file)[1].lower() in _SPEAKS)


def _missing(tree: Tree) -> str:
    """Returns what a folder without known layout lacks."""
    firsts = (str(tree.path(name, file)) for name, files in tree.folders.items() for file in _some(files))
    some = list(islice(firsts, _MOST_PROBED))
    tables = [path for path in some if path.endswith(".csv")]  # may be anything beside the labels
    if (other := foreign(path for path in some if path not in tables)) is not None:
        return other
    images = [str(path) for path in _files(tree, "", is_picture)]
    names = "" if _files(tree, "", lambda file: file in (*NAME_FILES, _MAKESENSE)) else _NO_NAMES
    if not images:
        return f"there is no image in it; {without_images(' '.join(some))}"
    if _is_labelled(tree, ".txt", ("labels",)):
        return f"there are YOLO labels but no class names: {_NO_NAMES}"
    if (other := foreign(tables)) is not None:
        return other
    if apart := elsewhere(images, set(), [str(tree.root)]):
        return f"{apart[0]}{names and '; '}{names}"
    return _EXPECTED if some else f"{_EXPECTED}; {_NO_LABELS}"


def has_json(image: Path) -> bool:
    """Tells whether a json of labels lies beside an image."""
    json = image.with_suffix(".json")
    return json.is_file() and _kind_of(json) == "labelme"


def _some(files: Iterable[str]) -> list[str]:
    """Returns the first files of each ending, but for images and hidden ones."""
    by_ending: dict[str, list[str]] = {}
    for file in files:
        if file[0] != "." and not is_picture(file):
            by_ending.setdefault(os.path.splitext(file)[1], []).append(file)
    return [file for found in by_ending.values() for file in found[:_MOST_SNIFFED]]


def _yolo(tree: Tree, top: str) -> Iterator[Found]:
    yamls = {
        Found("YOLO", path, partial(read_data_yaml, path, tree.path(top))): keys
        for path in _files(tree, top, lambda file: file.lower().endswith((".yaml", ".yml")))
        if "names" in (keys := _YAML_KEY.findall(read_start(path, 1 << 20)))
    }
    described = [found for found, keys in yamls.items() if "path" in keys or any(map(_is_split, keys))]
    described += [
        Found("YOLO of Darknet", path, partial(read_darknet_data, path, tree.path(top)))
        for path in _files(tree, top, lambda file: file.endswith(".data"))
        if re.search(r"^\s*names\s*=", read_start(path), re.MULTILINE)
    ]
    deepest = min((found.depth() for found in described), default=math.inf)
    described += [found for found in _named_yolo(tree, top) if found.depth() < deepest]
    if not described and _is_labelled(tree, ".txt", ("labels",)):
        described += yamls  # whose reader says that they name no split
    yield from described


def _is_split(key: str) -> bool:
    return split_of(key) is not None or key.lower() == REST


def _named_yolo(tree: Tree, top: str, names: Collection[str] = NAME_FILES) -> Iterator[Found]:
    by_text: dict[str, Path] = {}
    for path in _files(tree, top, names.__contains__):
        by_text.setdefault("\n".join(read_start(path, 1 << 16).split()), path)
    if by_text and _is_labelled(tree, ".txt", ("labels",)):
        splits, notes = split_folders(tree, top)
        for path in by_text.values():
            yield Found("YOLO", path, partial(read_yolo_names, path, tree.path(top), splits, notes))


def _coco(tree: Tree, top: str) -> Iterator[Found]:
    paths = [
        path for path in _jsons(tree, top, "coco") if path.name != "notes.json"
    ]  # Label Studio's classes
    instances = [path for path in paths if path.name.startswith("instances")]
    seen: set[Path] = set()
    for path in instances or paths:
        if path not in seen:
            seen.update(find_splits(path)[1].values())
            yield Found("COCO", path, partial(read_coco, path, tree.path(top)))


def _xmls(tree: Tree, top: str) -> list[str]:
    found = _files(tree, top, lambda file: file.lower().endswith(".xml") and file[0] != ".")
    return [str(path) for path in found]


def _voc(tree: Tree, top: str) -> Iterator[Found]:
    folders = [name for name in tree.folders if {"JPEGImages", "Annotations"} <= set(tree.below(name))]
    if folders:
        yield from (Found("VOC", tree.path(name), partial(read_voc, tree.path(name))) for name in folders)
        return
    xmls = _xmls(tree, top)
    firsts = {os.path.dirname(path): path for path in reversed(xmls)}.values()
    starts = {path: read_start(Path(path)) for path in firsts}
    for path, text in starts.items():
        if "<annotations>" in text:
            way = "export the task again as YOLO, COCO or Pascal VOC"
            raise DataError(f"{path}: CVAT's own xml of all images is not read; {way}")
    if xmls and _is_labelled(tree, ".xml", ("annotations", "Annotations", "xmls", "labels")):
        yield _beside(tree, top, xmls)


def _beside(tree: Tree, top: str, xmls: list[str]) -> Found:
    splits, notes = split_folders(tree, top)
    read = partial(read_voc_beside, tree.path(top), splits, tree, xmls, notes)
    return Found("VOC, an xml for each image", tree.path(top), read)


def _voc_apart(tree: Tree, top: str) -> Iterator[Found]:
    xmls = _xmls(tree, top)
    firsts = {os.path.dirname(path): path for path in reversed(xmls)}.values()
    is_voc = any(re.search(r"<annotation[\s>]", read_start(Path(path))) for path in firsts)
    if is_voc and tree.num_images[top]:
        yield _beside(tree, top, xmls)


def _labelme(tree: Tree, top: str) -> Iterator[Found]:
    jsons = [str(path) for path in _jsons(tree, top, "labelme")]
    if jsons and tree.num_images[top]:
        splits, notes = split_folders(tree, top)
        read = partial(read_labelme, tree.path(top), splits, tree, jsons, notes)
        yield Found("labelme", tree.path(top), read)


def _oxford(tree: Tree, top: str) -> Iterator[Found]:
    if has_oxford(tree.folders):
        yield Found("Oxford Hand", tree.root, partial(read_oxford, tree.root))


_Layouts = tuple[Callable[[Tree, str], Iterator[Found]], ...]
LAYOUTS: _Layouts = (_yolo, _coco, _voc, _labelme, _oxford)
WEAKER: _Layouts = (_voc_apart, partial(_named_yolo, names=(_MAKESENSE,)))
"""Layouts whose marks are left from other work as well; tried where no other fits."""


def read_named(path: Path) -> Contents:
    """Reads YOLO labels by the file of their class names, or by a list of images beside such a file."""
    if path.is_file() and is_picture(read_start(path).strip().partition("\n")[0].strip()):
        return read_darknet_list(path, NAME_FILES)
    tree = Tree(path.parent)
    splits, notes = split_folders(tree, "")
    return read_yolo_names(path, path.parent, splits, notes)


def split_folders(tree: Tree, top: str) -> tuple[Splits, list[str]]:
    """Returns the folder of each split by its name, else all images as `train`; and what is left out."""
    inside = f"{top}/images" if top else "images"
    bases = [base for base in (inside, top) if base in tree.folders]
    splits: Splits = {}
    for base in bases:
        images = {}
        for name in tree.below(base):
            folder = f"{base}/{name}" if base else name
            inside = f"{folder}/images" if f"{folder}/images" in tree.folders else folder
            if tree.num_images[inside]:
                images[name] = tree.path(inside)
        whole = any(map(split_of, images))
        named = by_split(images, tree.path(base)) if whole else by_part(images)
        if named:
            splits = {split: (images[named[split]],) for split in SPLITS if split in named}
            break
    if not splits:
        return {"train": (tree.path(bases[0] if tree.num_images[bases[0]] else top),)}, []
    taken = [path.relative_to(tree.root).as_posix() for (path,) in splits.values()]
    left_out = tree.num_images[top] - sum(tree.num_images[folder] for folder in taken)
    notes = (
        [f"{tree.path(top)}: {counted(left_out, 'image')} outside {', '.join(taken)} left out"]
        if left_out
        else []
    )
    return splits, notes


def _is_labelled(tree: Tree, ending: str, label_folders: Iterable[str]) -> bool:
    """Tells whether an image has a label file of this ending, beside it or in a folder of their own."""
    for folder, files in tree.folders.items():
        stems = {os.path.splitext(file)[0] for file in files if is_picture(file)}
        parts = folder.split("/")
        at = len(parts) - 1 - parts[::-1].index("images") if "images" in parts else None
        swapped = (
            [] if at is None else ["/".join([*parts[:at], name, *parts[at + 1 :]]) for name in label_folders]
        )
        for place in (folder, *swapped):
            labels = map(os.path.splitext, tree.folders.get(place, ()))
            if any(found == ending and stem in stems for stem, found in labels):
                return True
    return False


def _files(tree: Tree, top: str, is_one: Callable[[str], bool]) -> list[Path]:
    folders = [name for name in tree.folders if name == top or name.startswith(f"{top}/" if top else "")]
    return [tree.path(name, file) for name in folders for file in tree.folders[name] if is_one(file)]


def _jsons(tree: Tree, top: str, kind: str) -> list[Path]:
    """Returns the jsons of a kind, told by their first key; of many in a folder some do, if they agree."""
    found: list[Path] = []
    for folder in tree.folders:
        files = [
            tree.path(folder, f) for f in tree.folders[folder] if f.lower().endswith(".json") and f[0] != "."
        ]
        if (folder == top or folder.startswith(f"{top}/" if top else "")) and files:
            some = files[:: math.ceil(len(files) / _MOST_SNIFFED)]
            kinds = {_kind_of(path) for path in some}
            if len(kinds) > 1:
                found += [path for path in files if _kind_of(path) == kind]
            elif kind in kinds:
                found += files
    return found


def _kind_of(path: Path) -> str | None:
    match = _FIRST_KEY.match(read_start(path))
    return next((kind for kind, keys in _KINDS.items() if match and match[1] in keys), None)
