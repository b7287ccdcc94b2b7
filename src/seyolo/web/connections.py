"""Connections of the service: time limits for clients, and room for new connections.

uvicorn limits the time between two requests only, and the first byte of a request ends that limit.
"""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import Collection
from typing import Any, Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from seyolo.options.detect import ServeOptions
from seyolo.web.uploads import RETRY_AFTER_S

Phase = Literal["header", "upload", "answer", "idle"]


class Connection(H11Protocol):
    """Connection that knows what it awaits from its client, and since when.

    The phases are: a header, the rest of an upload, that the client receives an answer, and the next request.
    None is a request in work.
    """

    def __init__(self, limits: ServeOptions, **of_server: Any) -> None:
        super().__init__(**of_server)
        # An upload is timed where it is read, and answered with its own message.
        self._limits_s: dict[Phase | None, float] = {
            "header": limits.header_seconds,
            "answer": limits.upload_seconds,
            "idle": limits.idle_seconds,
        }
        self.phase_start_s = self.loop.time()
        self._followed: tuple[Phase | None, object] = "header", None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.follow()

    def follow(self) -> Phase | None:
        """Returns the phase, and notes the time when it has changed."""
        phase = self._phase()
        if self._followed != (phase, self.cycle):
            self._followed = (phase, self.cycle)
            self.phase_start_s = self.loop.time()
        return phase

    def _phase(self) -> Phase | None:
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            return "answer"
        if self.cycle is None or self.cycle.response_complete:
            has_begun = self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]
            return "header" if self.cycle is None or has_begun else "idle"
        return "upload" if self.conn.their_state is h11.SEND_BODY else None

    def cut_when_late(self) -> None:
        """Closes the connection when its client has taken longer than the limit of the phase."""
        limit_s = self._limits_s.get(self.follow())
        if limit_s is not None and self.loop.time() - self.phase_start_s > limit_s:
            late = f"the header took longer than {limit_s:g} s to arrive"
            self.cut(refusal("408 Request Timeout", late))

    def cut(self, answer: bytes) -> None:
        """Closes the connection at once; sends the answer to a request that was arriving."""
        if self.follow() in ("header", "upload"):
            self.transport.write(answer)
        self.transport.abort()

    def shutdown(self) -> None:
        """Closes the connection: after the answer, unless the request is still arriving."""
        if self.follow() == "upload":
            self.transport.abort()
        else:
            super().shutdown()


def owner_of(address: str) -> str:
    """Returns an IPv4 address, or the /64 network of an IPv6 address, all of which one client may have."""
    return ipaddress.IPv6Address(address.partition("%")[0]).exploded[:19] if ":" in address else address


def longest_waiting(connections: Collection[Connection], newcomer: str) -> Connection | None:
    """Returns the connection that makes room for one from the address `newcomer`; None while all are in work.

    It is one of the owner who has most, counting the newcomer, and has waited for its client longest.
    """
    owners = {connection: owner_of(connection.client[0]) for connection in connections if connection.client}
    counts = Counter([owner_of(newcomer), *owners.values()])
    most = max(counts.values())
    waiting = [c for c, owner in owners.items() if counts[owner] == most and c.follow()]
    return min(waiting, key=lambda connection: connection.phase_start_s, default=None)


def refusal(status: str, error: str) -> bytes:
    """Returns the answer to a request on a connection that is closed after it."""
    body = json.dumps({"error": error})
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Retry-After: {RETRY_AFTER_S}\r\nConnection: close\r\n\r\n{body}".encode()


TOO_MANY = refusal("503 Service Unavailable", "busy: too many connections; try again")
