"""Images and label files that lie apart: each label file belongs to the image that it names.

A label file in its usual place belongs to the image there. Any other belongs to the image at the path that it
states, or else to the only image of that name, of several to the one with the most folder names in common.
Training images never get the labels of a folder of another split.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from seyolo.data.labels import Problem
from seyolo.data.split_names import split_of
from seyolo.data.tree import Tree
from seyolo.errors import counted, shortened
from seyolo.media.images import is_picture


@dataclass
class Pairs:
    """Label files by the image, where they lie in no usual place, and problems of those without an image."""

    label_of: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # on label files that were found by their name alone

    def folders(self) -> list[str]:
        """Returns the folders of the label files."""
        return sorted(set(map(os.path.dirname, self.label_of.values())))


def pair(
    tree: Tree, labels: Iterable[str], places: Callable[[str], Iterable[str]], stated: Callable[[str], str]
) -> Pairs:
    """Pairs the label files of a data set with its images.

    Args:
        tree: folder of the data set.
        labels: paths of the label files.
        places: returns the usual paths of an image's label file, the preferred one first.
        stated: returns the path of the image that a label file states, relative to its own folder.
    """
    there = set(labels)
    images = [
        os.path.normpath(os.path.join(tree.root, folder, file))
        for folder, files in tree.folders.items()
        for file in files
        if is_picture(file) and file[0] != "."
    ]
    taken = {image: own for image in images if (own := next(filter(there.__contains__, places(image)), None))}
    pairs, by_stem = Pairs(), _by_stem(images)
    known, moved = set(images), []
    for label in sorted(there.difference(taken.values())):
        text = stated(label).replace("\\", "/")
        exact = os.path.normpath(os.path.join(os.path.dirname(label), text))
        found = [exact] if exact in known else _named(label, text, by_stem, tree.root)
        if len(found) != 1 or found[0] in taken:
            pairs.problems.append(Problem(label, 0, _fault(label, text, found, taken, tree.root)))
            continue
        taken[found[0]] = pairs.label_of[found[0]] = label
        moved += [] if exact in known else [(label, found[0])]
    if moved:
        few = counted(len(moved), f"{os.path.splitext(moved[0][0])[1]} file")
        first = f"the first, {moved[0][0]}, with {moved[0][1]}"
        pairs.notes.append(f"{tree.root}: {few} in other folders than the images are paired by name, {first}")
    return pairs


def _by_stem(paths: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(os.path.splitext(os.path.basename(path))[0], []).append(path)
    return found


def _named(label: str, text: str, by_stem: dict[str, list[str]], root: Path) -> list[str]:
    """Returns the images of the stated name, or else of the label file's own, that fit its path best."""
    stems = (os.path.splitext(os.path.basename(path))[0] for path in (text, label))
    found = next((by_stem[stem] for stem in stems if stem in by_stem), [])
    found = [path for path in found if os.path.basename(path) == os.path.basename(text)] or found
    own = {*_parts(label, root), *text.split("/")[:-1]} - {"", ".", ".."}
    fitting = [path for path in found if not _contradict(own, _parts(path, root))]
    scores = [len(own.intersection(_parts(path, root))) for path in fitting]
    return [path for path, score in zip(fitting, scores, strict=True) if score == max(scores)]


def _parts(path: str, root: Path) -> list[str]:
    return os.path.relpath(path, root).split(os.sep)[:-1]


def _contradict(own: Iterable[str], other: Iterable[str]) -> bool:
    splits, others = ({split_of(name) for name in names} - {None} for names in (own, other))
    return bool(splits and others and not splits & others)


def _fault(label: str, text: str, found: list[str], taken: dict[str, str], root: Path) -> str:
    if len(found) > 1:
        return f"its image may be {found[0]} or {found[1]}; put it beside one of them"
    if found:
        return f"its image {found[0]} has labels in {taken[found[0]]}, too; remove one of the two files"
    stem, own = (os.path.splitext(os.path.basename(path))[0] for path in (text, label))
    said = f", nor {shortened(text)} as it says," if stem != own else ""
    return f"no image of this name{said} in {root}"
