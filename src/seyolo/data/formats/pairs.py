"""Images and label files that lie apart: each label file belongs to the image that it names.

A label file in its usual place belongs to the image there. Any other belongs to the image at the path that it
states, or else to the only image of its name, of several to the one with the most folder names in common; of
several label files for an image the one with the most takes it. Images never get the labels of a folder of
another split by their name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from seyolo.data.labels import Problem
from seyolo.data.split_names import WORD, split_of
from seyolo.data.tree import Tree
from seyolo.errors import counted, shortened
from seyolo.media.images import is_picture


@dataclass
class Pairs:
    """Label files by the image, where they lie in no usual place, and problems of those without an image."""

    label_of: dict[str, str] = field(default_factory=dict)  # by the normalised path of the image
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # on label files that were found by their name alone

    def folders(self) -> list[str]:
        """Returns the folders of the label files."""
        return sorted(set(map(os.path.dirname, self.label_of.values())))

    def of(self, image: str) -> str:
        """Returns the label file of an image that lies in no usual place, nothing without one."""
        return self.label_of.get(os.path.normpath(image), "")


def pair(
    tree: Tree, labels: Iterable[str], places: Callable[[str], Iterable[str]], stated: Callable[[str], str]
) -> Pairs:
    """Pairs the label files of a data set with its images.

    Args:
        tree: folder of the data set.
        labels: paths of the label files.
        places: returns the usual paths of an image's label file, the preferred one first.
        stated: returns the path of the image that a label file states, relative to its own folder; nothing
            where it states none.
    """
    raw = {os.path.normpath(label): label for label in labels}
    images = {
        os.path.normpath(os.path.join(tree.root, folder, file)): folder.split("/")
        for folder, files in tree.folders.items()
        for file in files
        if is_picture(file) and file[0] != "."
    }
    taken = {image: own for image in images if (own := next(filter(raw.__contains__, places(image)), None))}
    texts = {label: stated(path).replace("\\", "/") for label, path in sorted(raw.items())}
    pairs, beside = Pairs(), set(taken.values())
    pairs.notes += _named_others(tree, {label: texts[label] for label in sorted(beside)}, taken, images)
    _Apart(tree, images, {label: text for label, text in texts.items() if label not in beside}).share(
        taken, pairs
    )
    pairs.label_of = {image: raw[label] for image, label in taken.items() if label not in beside}
    return pairs


def _named_others(
    tree: Tree, texts: dict[str, str], taken: dict[str, str], images: Iterable[str]
) -> list[str]:
    """Returns a sentence on label files beside an image that state another one that is there, too."""
    exact = {label: _exact(label, text) for label, text in texts.items() if text}
    found = [
        (label, image) for label, image in exact.items() if image in images and taken.get(image) != label
    ]
    if not found:
        return []
    first = f"the first, {found[0][0]}, names {found[0][1]}"
    few = counted(len(found), "label file")
    said = f"{few} with an image of the same name, which gets the boxes, but stated is another one"
    return [f"{tree.root}: {said}; {first}"]


def _exact(label: str, text: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(label), text))


_EXACT = sys.maxsize  # folder names in common, where the path itself is stated


class _Apart:
    """Label files in no usual place, which share the images that have none yet."""

    def __init__(self, tree: Tree, images: dict[str, list[str]], texts: dict[str, str]) -> None:
        self.root, self.texts, self.images = tree.root, texts, images
        self._start = os.path.join(os.path.normpath(tree.root), "")
        self._start = "" if self._start == os.path.join(".", "") else self._start
        self._root_name = os.path.basename(os.path.abspath(tree.root))
        self._without_ending: dict[str, str] = {}
        self._by_name: dict[str, _Group] = {}  # by file name, and by file name without ending
        for image, parts in images.items() if texts else ():
            bare, ending = os.path.splitext(image)
            self._without_ending.setdefault(bare, image)
            stem = os.path.basename(bare)
            for name in dict.fromkeys((stem, stem + ending)):
                self._by_name.setdefault(name, _Group()).images.append((image, frozenset(parts)))
                self._by_name[name].splits.append(_split(parts))

    def share(self, taken: dict[str, str], pairs: Pairs) -> None:
        """Gives label files to images: first those at the path that is stated, then the best fitting ones."""
        exact = {label: image for label, text in self.texts.items() if (image := self._stated(label, text))}
        for label, image in exact.items():
            taken.setdefault(image, label)
        found = {
            label: (_EXACT, [exact[label]]) if label in exact else self._named(label, text)
            for label, text in self.texts.items()
        }
        moved = []
        for label in sorted(found, key=lambda label: (-found[label][0], label)):
            fitting = found[label][1]
            if len(fitting) == 1 and fitting[0] not in taken:
                taken[fitting[0]] = label
                moved.append((label, fitting[0]))
        pairs.problems += [
            Problem(label, 0, self._fault(label, found, taken))
            for label, (_, fitting) in found.items()
            if len(fitting) != 1 or taken[fitting[0]] != label
        ]
        if moved:
            label, image = min(moved)
            few = counted(len(moved), f"{os.path.splitext(label)[1]} file")
            said = f"{few} in other folders than the images are paired by name"
            pairs.notes.append(f"{self.root}: {said}, the first, {label}, with {image}")

    def _stated(self, label: str, text: str) -> str | None:
        """Returns the image at the path that a label file states, or of its own name beside it."""
        exact = _exact(label, text) if text else ""
        return exact if exact in self.images else self._without_ending.get(os.path.splitext(label)[0])

    def _named(self, label: str, text: str) -> tuple[int, list[str]]:
        """Returns the images of the stated name, or else of the label file's own, that fit its path best."""
        name = os.path.basename(text)
        stems = (name, os.path.splitext(name)[0], os.path.splitext(os.path.basename(label))[0])
        group = next((self._by_name[stem] for stem in stems if stem in self._by_name), None)
        if group is None:
            return 0, []
        own = label.removeprefix(self._start).split(os.sep)[:-1]
        said = [part for part in text.split("/")[:-1] if part not in ("", ".", "..")]
        if self._root_name in said:  # folders above the data set tell nothing
            said = said[len(said) - said[::-1].index(self._root_name) :]
        return group.best(frozenset((*own, *said)), _split(own) or _split(said))

    def _fault(self, label: str, found: dict[str, tuple[int, list[str]]], taken: dict[str, str]) -> str:
        common, fitting = found[label]
        if len(fitting) > 1:
            return f"its image may be {fitting[0]} or {fitting[1]}; put it beside one of them"
        if fitting:
            other = taken[fitting[0]]
            if other in found and common < found[other][0]:
                return f"no image of its own: {other} fits {fitting[0]} better; put it beside its image"
            return f"its image {fitting[0]} has labels in {other}, too; remove one of the two files"
        text = self.texts[label]
        stem, own = (os.path.splitext(os.path.basename(path))[0] for path in (text, label))
        said = f", nor {shortened(text)} as it says," if text and stem != own else ""
        return f"no image of this name{said} in {self.root}"


@dataclass
class _Group:
    """Images of one name: with the names of their folders, and the split of these."""

    images: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)
    _known: dict[tuple[frozenset[str], str | None], tuple[int, list[str]]] = field(default_factory=dict)

    @cached_property
    def _holding(self) -> dict[str, list[int]]:
        """Numbers of the images by the name of a folder."""
        found: dict[str, list[int]] = {}
        for number, (_, parts) in enumerate(self.images):
            for part in parts:
                found.setdefault(part, []).append(number)
        return found

    def best(self, own: frozenset[str], split: str | None) -> tuple[int, list[str]]:
        """Returns the most folder names in common, and the images of no other split with as many."""
        key = frozenset(part for part in own if part in self._holding), split
        if key not in self._known:
            self._known[key] = self._best(*key)
        return self._known[key]

    def _best(self, own: frozenset[str], split: str | None) -> tuple[int, list[str]]:
        most, best = 0, list[int]()
        seen = set[int]()
        # The rarest folder name first: an image with none of the first n has at most len(own) - n of them.
        for count, part in enumerate(sorted(own, key=lambda part: (len(self._holding[part]), part))):
            if most > len(own) - count:
                break
            for number in self._holding[part]:
                if number in seen or (split and self.splits[number] not in (None, split)):
                    continue
                seen.add(number)
                common = len(own & self.images[number][1])
                if common >= most:
                    best = best if common == most else []
                    best.append(number)
                    most = common
        if not best:
            best = [number for number, other in enumerate(self.splits) if not split or other in (None, split)]
        return most, [self.images[number][0] for number in sorted(best)]


def _split(parts: list[str]) -> str | None:
    """Returns the split of a folder: the last one that a folder's name is, or else has as a word."""
    whole = [split for part in parts if (split := split_of(part))]
    words = [split_of(match[0]) for part in parts for match in WORD.finditer(part)]
    return (whole or words or [None])[-1]
