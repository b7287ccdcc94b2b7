"""Messages about packages that are needed and not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seyolo.errors import BackendError


@contextmanager
def needing(
    package: str, what: object, install: str, *, title: str = "", instead: str = ""
) -> Iterator[None]:
    """Turns a failed import of `package` in its block into a message with the install command.

    Args:
        package: its import name.
        what: start of the message, the file or option that needs it.
        install: argument of `pip install`.
        title: its name in prose; by default `package`.
        instead: end of the message, a way without the package.

    Raises:
        BackendError: the package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise BackendError(
            f"{what} needs {title or package}, which is not installed; "
            f"get it with: pip install {install}{instead}"
        ) from None
