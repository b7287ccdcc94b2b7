"""The service on a socket, until Ctrl-C."""

from __future__ import annotations

import ipaddress
import os
import socket

import uvicorn
from starlette.types import ASGIApp

from seyolo.errors import UsageError

MOST_PORT = 65_535
GRACE_S = 5
"""How long images that are being worked on may take after Ctrl-C."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one.

    Raises:
        UsageError: the address is taken, not this machine's, not allowed, or none at all.
    """
    if not 0 <= port <= MOST_PORT:
        raise UsageError(f"--port {port}: ports are numbers from 0 to {MOST_PORT}")
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, port), family=family)
    except socket.gaierror as error:
        raise UsageError(f"--host {host}: no such address ({error.strerror})") from None
    except OSError as error:
        # The error's own text repeats the address.
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise UsageError(
            f"cannot listen on {host} port {port}: {reason}; choose another --port, or 0 for a free one"
        ) from None


def address(listener: socket.socket) -> str:
    """The page's URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only programs of this machine reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def run(app: ASGIApp, listener: socket.socket) -> None:
    """Serves until it is interrupted; images that are being worked on are still answered.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when everything is done.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=GRACE_S,
    )
    uvicorn.Server(config).run([listener])
