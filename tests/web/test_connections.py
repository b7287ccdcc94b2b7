"""Clients that stall, trickle, stay or come in crowds, and the good ones beside them."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.fixed_backend import image
from helpers.service import HEAD, Service, rest, service
from seyolo.errors import UsageError
from seyolo.web import server
from seyolo.web.connections import longest_waiting, owner_of

needs_addresses = pytest.mark.skipif(
    sys.platform != "linux", reason="127.0.0.2 is this machine on Linux only"
)


def assert_good(answered_by: Service, source: str = "127.0.0.1") -> None:
    """An image is answered, and soon."""
    start_s = time.perf_counter()
    response = answered_by.detect(source)
    assert (response.status_code, time.perf_counter() - start_s < 2) == (200, True), response.text


def test_stalled_uploads_keep_no_place_from_others() -> None:
    with service() as running, ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(running.stall())
        assert_good(running)
        start_s = time.perf_counter()
        assert running.stop() == ""
        assert time.perf_counter() - start_s < 3  # they do not delay Ctrl-C, either


def trickle(connection: socket.socket, data: bytes) -> float:
    """Sends byte after byte until the service has closed; returns the seconds that took."""
    connection.settimeout(0.05)
    start_s = time.perf_counter()
    try:
        for byte in data:
            connection.sendall(bytes([byte]))
            try:
                if not connection.recv(65536):
                    break
            except TimeoutError:
                pass
    except ConnectionError:
        pass
    return time.perf_counter() - start_s


@pytest.mark.parametrize(
    ("first", "trickled"),
    [
        (b"", b"GET /health HTTP/1.1\r\nHost: a\r\nX-Long: " + bytes(200).replace(b"\0", b"a")),
        (HEAD % 1000, bytes(200)),
        (HEAD.replace(b"POST", b"GET") % 1000, bytes(200)),  # is answered before its body has arrived
    ],
    ids=["header", "upload", "body that nobody reads"],
)
def test_a_byte_now_and_then_keeps_no_connection(first: bytes, trickled: bytes) -> None:
    limits = {"header_seconds": 0.5, "upload_seconds": 0.5, "idle_seconds": 0.5}
    with service(**limits) as running, running.connect(first) as connection:
        assert trickle(connection, trickled) < 3


def test_late_headers_and_uploads_are_told() -> None:
    with service(header_seconds=0.3, upload_seconds=0.3, idle_seconds=0.3) as running:
        with running.connect(b"GET /health HT") as connection:
            answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert answer.endswith(b'{"error": "the header took longer than 0.3 s to arrive"}')
        with running.stall() as connection:
            answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert answer.endswith(b'{"error":"the image took longer than 0.3 s to arrive"}')


@pytest.mark.parametrize("first", [b"", b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_an_idle_connection_is_closed(first: bytes) -> None:
    start_s = time.perf_counter()
    with service(header_seconds=0.3, idle_seconds=0.3) as running, running.connect(first) as connection:
        rest(connection)
        connection.close()
        assert time.perf_counter() - start_s < 10


def test_who_receives_no_answer_is_cut() -> None:
    requests = b"GET /page/page.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1000
    with service(upload_seconds=0.5) as running, running.connect(requests, buffer_bytes=4096) as connection:
        time.sleep(3)
        assert rest(connection).count(b"HTTP/1.1 200") < 1000


@needs_addresses
def test_a_crowd_of_one_address_makes_room_for_others() -> None:
    with service(max_connections=8) as running, ExitStack() as stack:
        mine = stack.enter_context(running.connect())
        crowd = [stack.enter_context(running.stall("127.0.0.2")) for _ in range(7)]
        assert_good(running)
        answer = rest(crowd[0])  # the one that waited longest
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'{"error": "busy: too many connections; try again"}' in answer
        for _ in range(20):
            stack.enter_context(running.stall("127.0.0.2"))
        assert_good(running)
        mine.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert rest(mine).startswith(b"HTTP/1.1 200 ")


def test_a_crowd_of_the_same_address_makes_room_too() -> None:
    with service(max_connections=8) as running, ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(running.stall())
        assert_good(running)


def test_while_every_connection_is_in_work_more_are_refused_at_once() -> None:
    whole = HEAD % len(image()) + image()
    with service(max_connections=2, workers=2, infer_s=2) as running, ExitStack() as stack:
        working = [stack.enter_context(running.connect(whole)) for _ in range(2)]
        time.sleep(0.5)
        start_s = time.perf_counter()
        assert rest(stack.enter_context(running.connect())).startswith(b"HTTP/1.1 503 ")
        assert time.perf_counter() - start_s < 1
        assert [connection.recv(12) for connection in working] == [b"HTTP/1.1 200"] * 2


def test_the_first_of_unfinished_uploads_makes_room_in_memory() -> None:
    stalled = HEAD % 1_000_000 + bytes(900_000)
    with service(max_megabytes=1, max_total_megabytes=2, idle_seconds=0.3) as running, ExitStack() as stack:
        first, second, third = (stack.enter_context(running.connect(stalled)) for _ in range(3))
        answer = rest(first)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(b'{"error":"busy: too many bytes are arriving; try again"}')
        assert_good(running)
        third.sendall(bytes(100_000))
        assert third.recv(12) == b"HTTP/1.1 415"  # 2 MB were not too many
        second.sendall(bytes(100_000))
        assert second.recv(12) == b"HTTP/1.1 415"  # and what is answered is no longer in memory


@dataclass(frozen=True, eq=False)
class Waiting:
    """A connection as `longest_waiting` sees it."""

    client: tuple[str, int]
    phase_start_s: float
    phase: str | None = "upload"

    def follow(self) -> str | None:
        return self.phase


def test_who_has_most_makes_room() -> None:
    mine, old, older = Waiting(("::1", 1), 1), Waiting(("::1:0:0:0:2", 2), 3), Waiting(("::1:0:0:0:3", 3), 2)
    works, works_too = (Waiting(("::1:0:0:0:4", port), 0, None) for port in range(2))
    for connections, newcomer, expected in (
        ([mine, old, older, works], "192.0.2.1", older),
        ([mine, old, older], "::2", mine),  # two each, with the newcomer
        ([mine, works], "192.0.2.1", mine),
        ([works, works_too], "192.0.2.1", None),
        ([mine, works, works_too], "192.0.2.1", None),  # none is closed of whom has less
    ):
        assert longest_waiting(connections, newcomer) is expected  # type: ignore[arg-type]


def test_one_client_has_all_addresses_of_its_ipv6_network() -> None:
    assert owner_of("2001:db8::1") == owner_of("2001:db8::ffff:2") != owner_of("2001:db8:0:1::1")
    assert owner_of("fe80::1%eth0") == owner_of("fe80::2")
    assert owner_of("192.0.2.1") != owner_of("192.0.2.2")


def test_the_limit_of_open_files_bounds_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.listdir", lambda _: ["file"] * 20)
    for limit, allowed in ((64, 14), (1000, 256), (-1, 256), (39, 1)):
        monkeypatch.setattr("os.sysconf", lambda _, limit=limit: limit)
        assert server.connections_allowed(256) == allowed
    monkeypatch.setattr("os.sysconf", lambda _: 37)
    with pytest.raises(UsageError, match="the limit of 37 open files allows no connection; raise it"):
        server.connections_allowed(256)


def cpu_s(of: Service) -> float:
    """Seconds of the CPU that it has taken."""
    fields = Path(f"/proc/{of.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("is_bounded", [True, False])
def test_many_connections_at_a_low_limit_of_open_files(is_bounded: bool) -> None:
    with service(files=64, is_bounded=is_bounded) as running:
        with ExitStack() as stack:
            for _ in range(150):
                stack.enter_context(running.stall())
            if is_bounded:
                assert_good(running)
            used_s = cpu_s(running)
            time.sleep(2)
            assert cpu_s(running) - used_s < 0.5
        assert_good(running)
        said = running.stop().splitlines()
    told = "ERROR:    connections wait: Too many open files; raise ulimit -n or lower --max-connections"
    assert said == ([] if is_bounded else [told])
