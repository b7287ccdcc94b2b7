"""Scenes of images, named by their paths: what a division into splits keeps together."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from os.path import splitext

from seyolo.errors import UsageError, counted

MOST_SIZES = 10  # that a message lists
_NUMBER = re.compile(r"(_|[^\w/\\])*\d+$")


def scene_namer(by: str | None) -> Callable[[str], str | None]:
    """Returns a function that names the scene of an image path, or None where a pattern does not match.

    Raises UsageError for a pattern that is invalid or has no group.
    """
    if by is None:
        return str
    if by == "folder":
        return os.path.dirname
    if by == "prefix":
        return lambda image: _NUMBER.sub("", splitext(image)[0])
    try:
        pattern = re.compile(by)
    except re.error as error:
        raise UsageError(f"--by {by}: folder, prefix, or a regular expression ({error})") from None
    if not pattern.groups:
        raise UsageError(rf"--by {by}: has no group; put what names a scene in parentheses: 'cam(\d+)'")
    return lambda image: next((match[1] or None for match in pattern.finditer(image)), None)


def numbers_of(images: Sequence[str], by: str | None) -> list[int]:
    """Returns the number of the scene of each image; one without a scene is a scene of its own.

    Raises UsageError for an invalid pattern, or one that matches no image.
    """
    named = [*map(scene_namer(by), images)]
    if images and named.count(None) == len(images):
        raise UsageError(f"--by {by}: matches none of {counted(len(images), 'image')}, such as {images[0]}")
    keys = [
        (name is None, image if name is None else name) for image, name in zip(images, named, strict=True)
    ]
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    return [numbers[key] for key in keys]


def described(numbers: Sequence[int], by: str | None) -> str:
    """Returns how many scenes, of how many images, these are: `2 scenes (30, 12 images)`."""
    sizes = sorted(Counter(numbers).values(), reverse=True)
    if by is None:
        return counted(len(sizes), "image")
    listed = ", ".join([f"{size:,}" for size in sizes[:MOST_SIZES]] + ["..."] * (len(sizes) > MOST_SIZES))
    return f"{counted(len(sizes), 'scene')} ({listed} image{'' if sizes == [1] else 's'})"


def remarks(parts: Mapping[str, Sequence[str]], shares: Mapping[str, float], by: str | None) -> list[str]:
    """Returns lines on images without a scene, and on shares that miss those asked for by over a fifth.

    `parts` are the images, `shares` the shares asked for of each split.
    """
    images = [image for split in parts.values() for image in split]
    lines = []
    if alone := [*map(scene_namer(by), images)].count(None):
        verb, each = ("does", "it") if alone == 1 else ("do", "each")
        said = f"{alone:,} of {counted(len(images), 'image')} {verb} not match --by {by}"
        lines += [f"{said}: {each} counts as a scene of its own"]
    got = {split: len(own) / len(images) for split, own in parts.items()}
    if any(abs(got[split] - share) > share / 5 for split, share in shares.items()):
        what = described(numbers_of(images, by), by) + ("" if by is None else ", each in one split")
        asked = ", ".join(f"{share:.0%}" for share in shares.values())
        lines += [f"{what}: {', '.join(f'{name} {got[name]:.0%}' for name in shares)}; asked for: {asked}"]
    return lines
