"""The web server on a socket, until Ctrl-C."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import os
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from seyolo.errors import UsageError
from seyolo.options.detect import ServeOptions
from seyolo.web.connections import TOO_MANY, Connection, longest_waiting

LOG = logging.getLogger("uvicorn.error")
MOST_PORT = 65_535
GRACE_S = 5  # seconds for the images in work after Ctrl-C
BACKLOG = 1024  # connections that the system holds until the service takes them
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses of all networks, which no browser opens everywhere, and those of this machine."""
ELSEWHERE = {"0.0.0.0": ("192.0.2.1", 9), "::": ("2001:db8::1", 9)}
"""Addresses for documentation (RFC 5737, RFC 3849), which belong to no machine."""
CONTAINER = Path("/.dockerenv")
RETRY_S = 0.1  # until the next attempt to take a connection without a free file handle
SPARE_FILES = 16  # file handles that are not for connections


def listen(host: str, port: int) -> socket.socket:
    """Opens a listening socket, for port 0 at any free one; raises UsageError where that is impossible."""
    if not 0 <= port <= MOST_PORT:
        raise UsageError(f"--port {port}: ports are numbers from 0 to {MOST_PORT}")
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except socket.gaierror as error:
        raise UsageError(f"--host {host}: no such address ({error.strerror})") from None
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)  # str repeats the address
        advice = "choose another --port, or 0 for a free one"
        raise UsageError(f"cannot listen on {host} port {port}: {reason}; {advice}") from None


def address(listener: socket.socket) -> str:
    """Returns the URL of the page on this machine."""
    host, port = listener.getsockname()[:2]
    return _url(LOOPBACK.get(host, host), port)


def network_address(listener: socket.socket, container: Path = CONTAINER) -> str | None:
    """Returns the URL of the page for other machines of the network.

    None where the listener has one address only, where this machine is in no network, and in a container,
    whose address other machines do not reach.
    """
    host, port = listener.getsockname()[:2]
    if host not in LOOPBACK or container.exists():
        return None
    try:
        with socket.socket(listener.family, socket.SOCK_DGRAM) as probe:
            probe.connect(ELSEWHERE[host])  # of UDP: chooses the own address and sends nothing
            found = probe.getsockname()[0]
    except OSError:
        return None
    return None if ipaddress.ip_address(found).is_loopback else _url(found, port)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_loopback(listener: socket.socket) -> bool:
    """Tells whether only programs of this machine reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def connections_allowed(wanted: int) -> int:
    """Returns how many connections the limit of open files allows, at most `wanted`.

    Each may need a second file, for the page or for a form. Raises UsageError where it allows none.
    """
    limit = os.sysconf("SC_OPEN_MAX") if os.name == "posix" else -1
    if limit < 0:
        return wanted
    allowed = (limit - len(os.listdir("/dev/fd")) - SPARE_FILES) // 2
    if allowed < 1:
        raise UsageError(f"the limit of {limit} open files allows no connection; raise it: ulimit -n 1024")
    return min(wanted, allowed)


def run(app: ASGIApp, listener: socket.socket, limits: ServeOptions) -> None:
    """Serves until Ctrl-C, which raises KeyboardInterrupt when the requests in work are answered."""
    config = uvicorn.Config(
        app,
        log_level="error",  # a warning for each request that is no HTTP would fill the log
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=math.ceil(limits.idle_seconds),
        timeout_graceful_shutdown=GRACE_S,
    )
    _Server(config, listener, limits).run([listener])


class _Server(uvicorn.Server):
    """Server that bounds its connections and the time of each.

    It accepts them itself: without a free file handle, that of asyncio logs thousands of tracebacks a second.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket, limits: ServeOptions) -> None:
        super().__init__(config)
        self._listener = listener
        self._limits = limits
        self._connections = cast(set[Connection], self.server_state.connections)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        self._listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._accepting.cancel()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Cuts late connections, ten times a second."""
        for connection in list(self._connections):
            connection.cut_when_late()
        return await super().on_tick(counter)

    async def _accept(self) -> None:
        has_logged = False
        while True:
            try:
                accepted, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if not has_logged:
                    LOG.error(
                        "connections wait: %s; raise ulimit -n or lower --max-connections", error.strerror
                    )
                has_logged = True
                await asyncio.sleep(RETRY_S)
                continue
            with suppress(OSError):  # the client may be gone already
                await self._take(accepted)
            await asyncio.sleep(0)

    async def _take(self, accepted: socket.socket) -> None:
        """Opens a connection, in place of another while all are taken; refuses it while all are in work."""
        if len(self._connections) >= self._limits.max_connections:
            replaced = longest_waiting(self._connections, accepted.getpeername()[0])
            if replaced is None:
                accepted.send(TOO_MANY)
                accepted.close()
                return
            replaced.cut(TOO_MANY)
        state = {"server_state": self.server_state, "app_state": self.lifespan.state}
        make = partial(Connection, self._limits, config=self.config, **state)
        await asyncio.get_running_loop().connect_accepted_socket(make, accepted)
