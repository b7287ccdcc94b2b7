"""A service with a fixed model, as a process of its own, and raw connections to it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from helpers.fixed_backend import image

SERVICE = """
import json, resource, sys, time
from dataclasses import replace
from helpers.fixed_backend import FixedBackend, served
from seyolo.options.detect import ServeOptions
from seyolo.web import server
from seyolo.web.app import make_app

class Slow(FixedBackend):
    def infer(self, batch):
        time.sleep(given["infer_s"])
        return super().infer(batch)

given, options = json.loads(sys.argv[1])
options = ServeOptions(**options)
if given["files"]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (given["files"], given["files"]))
with server.listen("127.0.0.1", 0) as listener:
    app = make_app([served(Slow())], options)
    if given["is_bounded"]:
        options = replace(options, max_connections=server.connections_allowed(options.max_connections))
    print(server.address(listener), flush=True)
    try:
        server.run(app, listener, options)
    except KeyboardInterrupt:
        pass
"""
HEAD = b"POST /detect HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"


@dataclass
class Service:
    """A service that runs."""

    url: str
    process: subprocess.Popen[str]

    def connect(
        self, first: bytes = b"", source: str = "127.0.0.1", buffer_bytes: int | None = None
    ) -> socket.socket:
        """A connection on which the client has sent this; its system holds so many bytes of answers."""
        connection = socket.socket()
        if buffer_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        connection.settimeout(20)
        connection.bind((source, 0))
        connection.connect(("127.0.0.1", int(self.url.rstrip("/").rpartition(":")[2])))
        connection.sendall(first)
        return connection

    def stall(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection whose upload has stopped half way."""
        return self.connect(HEAD % len(image()) + image()[: len(image()) // 2], source)

    def detect(self, source: str = "127.0.0.1") -> httpx2.Response:
        """The answer to a whole image on a connection of its own."""
        with httpx2.Client(transport=httpx2.HTTPTransport(local_address=source), timeout=20) as client:
            return client.post(f"{self.url}detect", content=image())

    def stop(self) -> str:
        """What it wrote to stderr until it ended by Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=30)[1]


@contextmanager
def service(
    *, files: int = 0, is_bounded: bool = True, infer_s: float = 0, **options: float
) -> Iterator[Service]:
    """A service with these options and a model that takes so long.

    `files` is the limit of open files, and `is_bounded` whether connections are kept below it.
    """
    given = {"files": files, "is_bounded": is_bounded, "infer_s": infer_s}
    line = [sys.executable, "-c", SERVICE, json.dumps([given, options])]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    ) as process:
        try:
            assert process.stdout is not None
            yield Service(process.stdout.readline().strip(), process)
        finally:
            process.kill()


def rest(connection: socket.socket) -> bytes:
    """What else the service sends until it closes the connection."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)
