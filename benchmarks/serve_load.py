"""How fast `seyolo serve` answers good clients, alone or beside hostile ones, and how much memory it takes.

    python benchmarks/serve_load.py hand [--hostile] [--clients 64] [--think 2] [--seconds 60] [--image FILE]

Starts the service on a free port as a process of its own. Every good client sends one image after the other
over a connection of its own and waits between them, by default a drawn scene of 640x480 as JPEG. With
`--hostile` others send, from an address of their own (Linux only), what is no image, uploads of a few bytes a
second, 40 uploads that stop half way, headers of one byte a second, and uploads that are broken off. The
clients need a share of the cores. Memory is that of the service's process at its start, after a third of the
time, and at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import httpx2
import numpy as np

from seyolo.data.synthetic.dataset import draw_scene

HOSTILE_ADDRESS = "127.0.0.2"
NUM_STALLED = 40
NUM_OTHERS = 8  # hostile clients of every other kind
HEAD = b"POST /detect HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"


@dataclass
class Outcome:
    """What good clients saw, and the answers to the others."""

    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    hostile_statuses: Counter[str] = field(default_factory=Counter)


def drawn_image() -> bytes:
    """A scene of 640x480 as JPEG."""
    image, _ = draw_scene(np.random.default_rng(0), 480, 640)
    return bytes(cv2.imencode(".jpg", image)[1])


@contextmanager
def service(model: str) -> Iterator[tuple[str, int]]:
    """The URL and the process number of a service that runs for as long as this does."""
    line = [sys.executable, "-m", "seyolo", "serve", model, "--port", "0"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        address = re.search(r"http://\S+/", said)
        if address is None:
            raise SystemExit(said + process.stderr.read())
        try:
            yield address[0], process.pid
        finally:
            process.send_signal(signal.SIGINT)
            lines = process.stderr.read().splitlines()
            print(f"{len(lines)} lines on the service's stderr", *lines[:3], sep="\n  ")


def memory_mb(process: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6


async def good(url: str, image: bytes, think_s: float, outcome: Outcome) -> None:
    """Sends the image again and again, with pauses."""
    async with httpx2.AsyncClient(timeout=30) as http:
        while True:
            await asyncio.sleep(random.uniform(0, 2 * think_s))
            start_s = time.perf_counter()
            try:
                status = str((await http.post(f"{url}detect", content=image)).status_code)
            except httpx2.HTTPError as error:
                status = type(error).__name__
            outcome.statuses[status] += 1
            if status == "200":
                outcome.latencies_s.append(time.perf_counter() - start_s)


Writer = asyncio.StreamWriter


async def stall(writer: Writer, image: bytes) -> None:
    """Half of the image."""
    writer.write(HEAD % len(image) + image[: len(image) // 2])
    await asyncio.sleep(3600)


async def trickle(writer: Writer, image: bytes) -> None:
    """A byte of the image a second."""
    writer.write(HEAD % len(image))
    for byte in image:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def trickle_header(writer: Writer, image: bytes) -> None:
    """A byte of the header a second."""
    for byte in HEAD % len(image):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def send_junk(writer: Writer, image: bytes) -> None:
    """Random bytes, half an image or no HTTP, whole."""
    body = random.choice([random.randbytes(1000), image[: len(image) // 2]])
    writer.write(random.choice([b"", HEAD % len(body)]) + body)
    await asyncio.sleep(1)


async def break_off(writer: Writer, image: bytes) -> None:
    """Part of the image and no more, then the connection closed."""
    writer.write(HEAD % len(image) + image[: random.randrange(len(image))])
    await asyncio.sleep(0.5)


async def hostile(
    url: str, image: bytes, send: Callable[[Writer, bytes], Awaitable[None]], outcome: Outcome
) -> None:
    """Connects and sends, again as soon as the service has answered or closed."""
    port = int(url.rstrip("/").rpartition(":")[2])
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(HOSTILE_ADDRESS, 0))
            sending = asyncio.ensure_future(send(writer, image))
            answering = asyncio.ensure_future(reader.readline())
            try:
                await asyncio.wait([sending, answering], return_when=asyncio.FIRST_COMPLETED)
                if answering.done():
                    line = answering.result().split()
                    outcome.hostile_statuses[line[1].decode() if len(line) > 1 else "closed"] += 1
            finally:
                sending.cancel()
                answering.cancel()
                writer.close()
        await asyncio.sleep(0.1)


async def load(
    url: str, image: bytes, options: argparse.Namespace, process: int
) -> tuple[Outcome, list[float]]:
    """Runs all clients at once; returns what they saw and the memory of the process at three times."""
    outcome = Outcome()
    clients = [good(url, image, options.think, outcome) for _ in range(options.clients)]
    if options.hostile:
        kinds = [stall] * NUM_STALLED + [trickle, trickle_header, send_junk, break_off] * NUM_OTHERS
        clients += [hostile(url, image, kind, outcome) for kind in kinds]
    memory = [memory_mb(process)]
    tasks = [asyncio.ensure_future(client) for client in clients]
    for share in (1 / 3, 2 / 3):
        await asyncio.sleep(share * options.seconds)
        memory.append(memory_mb(process))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return outcome, memory


def main() -> None:
    """Starts the service, loads it, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument(
        "--think", type=float, default=2, help="mean seconds between an answer and the next image"
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--image", type=Path)
    options = parser.parse_args()
    image = options.image.read_bytes() if options.image else drawn_image()
    with service(options.model) as (url, process):
        outcome, memory = asyncio.run(load(url, image, options, process))
    seen = f"{len(outcome.latencies_s) / options.seconds:.0f} images/s, {dict(outcome.statuses)}"
    print(f"{options.clients} good clients, {len(image) / 1e3:.0f} kB: {seen}")
    if outcome.latencies_s:
        p50, p95, p99 = np.percentile(outcome.latencies_s, [50, 95, 99]) * 1e3
        print(f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms")
    if options.hostile:
        print(f"answers to hostile clients: {dict(outcome.hostile_statuses)}")
    print("memory: {:.0f} MB at the start, {:.0f} MB after a third, {:.0f} MB at the end".format(*memory))


if __name__ == "__main__":
    main()
