"""What is said when a package of an extra is needed and not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seyolo.errors import BackendError

TITLES = {"openvino": "OpenVINO", "torch": "PyTorch", "faster_coco_eval": "faster-coco-eval"}
"""Packages whose names are not how they are imported."""


@contextmanager
def needing(package: str, what: object, install: str, instead: str = "") -> Iterator[None]:
    """Around what imports `package`, as Python calls it, for the sake of `what`.

    Args:
        package: its name in an import.
        what: stands at the start of the error's text.
        install: what `pip install` is given.
        instead: how to do without, said at the end.

    Raises:
        BackendError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        title = TITLES.get(package, package)
        raise BackendError(
            f"{what} needs {title}, which is not installed; get it with: pip install {install}{instead}"
        ) from None
