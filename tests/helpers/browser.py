"""A headless Chromium driven over its DevTools protocol: enough to look at a page, and nothing to install."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_S = 120.0
SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # which Chromium refuses to root; it sees nothing but our own page
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


def find_browser() -> str | None:
    """The program, None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Tab:
    """A page that is open.

    Attributes:
        complaints: what the browser had to say: uncaught errors, refused resources, warnings.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.complaints: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE_S))
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(message["params"]))
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, waited for if it is a promise."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, expression: str) -> None:
        """Waits for an expression to hold."""
        end = time.monotonic() + PATIENCE_S
        while not self.value(expression):
            assert time.monotonic() < end, f"{expression} never held; {self.complaints}"
            time.sleep(0.05)

    def texts(self, selector: str) -> list[str]:
        """The text of all elements that match."""
        found: list[str] = self.value(
            f"[...document.querySelectorAll({json.dumps(selector)})].map(element => element.textContent)"
        )
        return found

    def click(self, selector: str) -> None:
        self.value(f"document.querySelector({json.dumps(selector)}).click()")

    def press(self, key: str) -> None:
        """One key, on whatever has the focus."""
        codes = {"Tab": 9, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key]
            )

    def choose_file(self, selector: str, path: Path) -> None:
        """As if it were picked in the dialog of a file input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])


@contextmanager
def browser_tab(program: str, profile: Path) -> Iterator[Tab]:
    """A tab of a browser of its own, whose files are in the folder `profile`."""
    line = [program, *SWITCHES, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            listed = httpx2.get(f"http://127.0.0.1:{_port(profile)}/json", timeout=PATIENCE_S).json()
            page = next(target for target in listed if target["type"] == "page")
            with connect(page["webSocketDebuggerUrl"], max_size=None, open_timeout=PATIENCE_S) as socket:
                yield Tab(socket)
        finally:
            process.terminate()


def _port(profile: Path) -> int:
    """Chromium writes the port it chose, and a second line, into its folder."""
    file = profile / "DevToolsActivePort"
    end = time.monotonic() + PATIENCE_S
    while not (file.is_file() and file.read_text().count("\n")):
        assert time.monotonic() < end, "the browser does not start"
        time.sleep(0.05)
    return int(file.read_text().split()[0])
