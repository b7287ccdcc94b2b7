"""Addresses that can and cannot be listened on, and what Ctrl-C does to images that are being worked on."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx2
import pytest

from helpers.fixed_backend import image
from seyolo.errors import UsageError
from seyolo.web.server import address, is_loopback, listen, network_address


def test_a_free_port_is_found_and_said() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert port > 0
        assert address(listener) == f"http://127.0.0.1:{port}/"
        assert is_loopback(listener)
        with pytest.raises(
            UsageError, match=f"127.0.0.1 port {port}: address already in use; choose another"
        ):
            listen("127.0.0.1", port)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_an_ipv6_address_stands_in_brackets() -> None:
    try:
        listener = listen("::1", 0)
    except UsageError:
        pytest.skip("this machine has no IPv6 loopback")
    with listener:
        assert re.fullmatch(r"http://\[::1\]:\d+/", address(listener))
        assert is_loopback(listener)


def test_all_addresses_are_more_than_this_machine() -> None:
    with listen("0.0.0.0", 0) as listener:
        assert not is_loopback(listener)
        assert address(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}/"


class FakeProbe:
    """A UDP socket of a machine whose address is `own`; None where it is in no network."""

    own: str | None = "192.0.2.7"

    def __init__(self, family: int, kind: int) -> None:
        assert (family, kind) == (socket.AF_INET, socket.SOCK_DGRAM)

    def __enter__(self) -> FakeProbe:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def connect(self, address: tuple[str, int]) -> None:
        assert address[0] == "192.0.2.1"
        if self.own is None:
            raise OSError("Network is unreachable")

    def getsockname(self) -> tuple[str | None, int]:
        return self.own, 40_000


@pytest.mark.parametrize(
    ("host", "own", "found"),
    [
        ("0.0.0.0", "192.0.2.7", "http://192.0.2.7:{port}/"),
        ("0.0.0.0", "127.0.0.1", None),
        ("0.0.0.0", None, None),
        ("127.0.0.1", "192.0.2.7", None),
    ],
)
def test_the_address_for_other_machines(
    host: str, own: str | None, found: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listen(host, 0) as listener:
        monkeypatch.setattr("seyolo.web.server.socket.socket", FakeProbe)
        monkeypatch.setattr(FakeProbe, "own", own)
        port = listener.getsockname()[1]
        expected = found and found.format(port=port)
        assert network_address(listener, tmp_path / "none") == expected
        assert network_address(listener, tmp_path) is None, "in a container"


@pytest.mark.parametrize(
    ("host", "port", "part"),
    [
        ("127.0.0.1", 65_536, "--port 65536: ports are numbers from 0 to 65535"),
        ("127.0.0.1", -1, "--port -1"),
        ("not a name", 0, "--host not a name: no such address"),
        ("192.0.2.1", 0, "cannot listen on 192.0.2.1 port 0"),
    ],
)
def test_addresses_that_cannot_be_listened_on(host: str, port: int, part: str) -> None:
    with pytest.raises(UsageError, match=re.escape(part)):
        listen(host, port)


SLOW_SERVICE = """
import time
from helpers.fixed_backend import FixedBackend, served
from seyolo.web import server
from seyolo.web.app import make_app
from seyolo.options.detect import ServeOptions

class Slow(FixedBackend):
    def infer(self, batch):
        print("working", flush=True)
        time.sleep(1)
        return super().infer(batch)

model = served(Slow())
with server.listen("127.0.0.1", 0) as listener:
    print(server.address(listener), flush=True)
    try:
        server.run(make_app([model], ServeOptions()), listener, ServeOptions())
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_ctrl_c_lets_a_image_be_finished() -> None:
    answers: list[httpx2.Response] = []
    line = [sys.executable, "-c", SLOW_SERVICE]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "working\n"  # the warm-up
            url = process.stdout.readline().strip()

            def ask() -> None:
                answers.append(httpx2.post(f"{url}detect", content=image(), timeout=60))

            asking = threading.Thread(target=ask)
            asking.start()
            assert process.stdout.readline() == "working\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
            asking.join()
        finally:
            process.kill()
    assert [answer.status_code for answer in answers] == [200]
    assert (process.returncode, out, err) == (0, "interrupted\n", "")
