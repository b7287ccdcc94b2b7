"""The web server on a socket, until Ctrl-C."""

from __future__ import annotations

import ipaddress
import os
import socket

import uvicorn
from starlette.types import ASGIApp

from seyolo.errors import UsageError

MOST_PORT = 65_535
GRACE_S = 5  # seconds for the images in work after Ctrl-C


def listen(host: str, port: int) -> socket.socket:
    """Opens a listening socket, for port 0 at any free one; raises UsageError where that is impossible."""
    if not 0 <= port <= MOST_PORT:
        raise UsageError(f"--port {port}: ports are numbers from 0 to {MOST_PORT}")
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, port), family=family)
    except socket.gaierror as error:
        raise UsageError(f"--host {host}: no such address ({error.strerror})") from None
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)  # str repeats the address
        advice = "choose another --port, or 0 for a free one"
        raise UsageError(f"cannot listen on {host} port {port}: {reason}; {advice}") from None


def address(listener: socket.socket) -> str:
    """Returns the URL of the page."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_loopback(listener: socket.socket) -> bool:
    """Tells whether only programs of this machine reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def run(app: ASGIApp, listener: socket.socket) -> None:
    """Serves until Ctrl-C, which raises KeyboardInterrupt when the requests in work are answered."""
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
