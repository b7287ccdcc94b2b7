"""A process that has imported all that seyolo needs and forks a child for every command line.

Importing PyTorch takes longer than the runs here. A child is its own process group, as a command of a shell
is. It ends without the exit handlers of C++ libraries: that of onnxruntime waits for a thread that its import
started, which a fork leaves behind.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path

from kills.child import Request, fix_latency, run

TESTS = Path(__file__).resolve().parents[1]
SOURCE = TESTS.parent / "src"
PRELOADED = (
    "cv2",
    "faster_coco_eval",
    "jinja2",
    "onnx",
    "onnxruntime",
    "scipy.optimize",
    "torch._dynamo",
    "seyolo.api",
    "seyolo.cli",
    "seyolo.commands.detect",
    "seyolo.commands.export",
    "seyolo.commands.slim",
    "seyolo.commands.train",
    "seyolo.report.figures.style",
    "seyolo.report.pages.write",
)
"""Among them torch._dynamo, which every optimizer imports, and which takes longer than torch."""


class Child:
    """A started command line."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None
        self._ended = threading.Event()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Returns the exit code, negative for a signal, or None where it still runs then."""
        return self._status if self._ended.wait(timeout_s) else None

    def end(self, status: int) -> None:
        """Notes the exit code."""
        self._status = status
        self._ended.set()

    def kill(self) -> None:
        """Kills the child and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def environment() -> dict[str, str]:
    """Returns the variables of all children: this source tree, one thread, no colours."""
    paths = os.pathsep.join([str(SOURCE), str(TESTS)])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "200"}


class Nursery:
    """Starts command lines, forked or in fresh processes; for use in a `with` statement."""

    def __enter__(self) -> Nursery:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "kills.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        self._lock = threading.Lock()
        self._started: dict[int, Child] = {}
        self._newest: Child | None = None
        self._has_started = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()
        assert self._server.stdout is not None
        self._server.stdout.close()

    def start(self, request: Request, *, is_fresh: bool = False) -> Child:
        """Starts a command line; a fresh one in a Python process of its own."""
        if is_fresh:
            return _start_fresh(request)
        assert self._server.stdin is not None
        with self._lock:
            self._has_started.clear()
            self._server.stdin.write(request.to_json() + "\n")
            self._server.stdin.flush()
            if not self._has_started.wait(60):
                raise RuntimeError("the nursery does not answer")
            assert self._newest is not None
            return self._newest

    def _listen(self) -> None:
        assert self._server.stdout is not None
        with contextlib.suppress(ValueError):
            for line in self._server.stdout:
                word, pid, status = line.split()
                if word == "started":
                    self._newest = self._started[int(pid)] = Child(int(pid))
                    self._has_started.set()
                else:
                    self._started.pop(int(pid)).end(int(status))


def _start_fresh(request: Request) -> Child:
    process = subprocess.Popen(
        [sys.executable, "-m", "kills.child", request.to_json()],
        env=environment(),
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    child = Child(process.pid)
    threading.Thread(target=lambda: child.end(process.wait()), daemon=True).start()
    return child


def serve() -> Request:
    """Forks a child per line of stdin; returns the request in the child, and never in the parent."""
    running = 0
    rest = b""
    while True:
        if select.select([0], [], [], 0.005 if running else None)[0]:
            data = os.read(0, 65536)
            if not data:
                os._exit(0)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                pid = os.fork()
                if pid == 0:
                    os.setsid()
                    return Request.from_json(line.decode())
                running += 1
                _say(f"started {pid} 0")
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            running -= 1
            _say(f"ended {pid} {os.waitstatus_to_exitcode(status)}")


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main() -> None:
    """Imports what is large, then serves."""
    fix_latency()
    for name in PRELOADED:
        importlib.import_module(name)
    request = serve()
    try:
        code = run(request)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
