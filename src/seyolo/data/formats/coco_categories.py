"""Categories of COCO jsons, and those among them that only group others.

Roboflow writes the name of the project as category 0 and as `supercategory` of all others, and no object has
it. A category is a grouping one if it is the supercategory of another, or the only one with the supercategory
`none`, and no annotation of any split has it. It is no class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeGuard

from seyolo.errors import DataError, shortened

NO_PARENT = frozenset({None, "", "none"})


class Category(NamedTuple):
    """A category as a file lists it."""

    name: str
    parent: str | None  # its `supercategory`


def read_categories(values: Iterable[dict[str, Any]], where: str) -> dict[int, Category]:
    """Returns the categories by id; raises DataError for an invalid one and for a repeated id."""
    categories: dict[int, Category] = {}
    for number, value in enumerate(values):
        place = f"{where}: categories[{number}]"
        for key in ("id", "name"):
            if key not in value:
                raise DataError(f"{place}: no `{key}`")
        category, name, parent = value["id"], value["name"], value.get("supercategory")
        if not is_int(category) or not isinstance(name, str):
            raise DataError(f"{place}: expected a number as id and text as name, found {shortened(value)}")
        if category in categories:
            raise DataError(f"{place}: the id {shortened(category)} is repeated")
        categories[category] = Category(name, parent if isinstance(parent, str) else None)
    if not categories:
        raise DataError(f"{where}: categories: names no class")
    return categories


def grouping(categories: Mapping[int, Category], used: Iterable[object]) -> frozenset[int]:
    """Returns the ids of the categories that group others, where only `used` ones have objects."""
    return frozenset(number for number in categories.keys() - set(used) if _groups(number, categories))


def _groups(number: int, categories: Mapping[int, Category]) -> bool:
    own = categories[number]
    parents = {category.parent for other, category in categories.items() if other != number}
    return own.name in parents or (own.parent == "none" and bool(parents) and not parents & NO_PARENT)


def class_ids(
    categories: Mapping[int, Category], left_out: frozenset[int], where: str
) -> tuple[tuple[str, ...], dict[object, int]]:
    """Returns class names in the order of the ids, and classes by id.

    Raises DataError for a repeated name.
    """
    ids = sorted(categories.keys() - left_out)
    names = tuple(categories[number].name for number in ids)
    for position, name in enumerate(names):
        if name in names[:position]:
            raise DataError(f"{where}: categories: the name {shortened(name)} is repeated")
    return names, {number: position for position, number in enumerate(ids)}


def is_int(value: object) -> TypeGuard[int]:
    """Tells whether a value of a JSON is a whole number; `true` is none."""
    return type(value) is int
