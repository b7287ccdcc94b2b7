"""Messages about packages that are needed and not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seyolo.errors import BackendError

TITLES = {"openvino": "OpenVINO", "torch": "PyTorch", "faster_coco_eval": "faster-coco-eval"}
"""Names of packages that differ from their import names."""


@contextmanager
def needing(package: str, what: object, install: str, instead: str = "") -> Iterator[None]:
    """Turns a failed import of `package` in its block into a message with the install command.

    Args:
        package: its import name.
        what: start of the message, the file or option that needs it.
        install: argument of `pip install`.
        instead: end of the message, a way without the package.

    Raises:
        BackendError: the package is not installed.
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
