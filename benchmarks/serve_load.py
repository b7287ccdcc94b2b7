"""How many images a second `seyolo serve` answers, and how long each takes, with many clients at once.

    python benchmarks/serve_load.py slim.onnx [--clients 16] [--seconds 20] [--picture photo.jpg]

Starts the service on a free port as a process of its own. Every client sends one image after the other over
a connection of its own, by default a drawn scene of 640x480 as JPEG. The clients need a share of the cores.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import httpx2
import numpy as np

from seyolo.data.synthetic.dataset import draw_scene


@dataclass
class Outcome:
    """What all clients saw."""

    latencies_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


def drawn_image() -> bytes:
    """A scene of 640x480 as JPEG."""
    image, _ = draw_scene(np.random.default_rng(0), 480, 640)
    return bytes(cv2.imencode(".jpg", image)[1])


@contextmanager
def service(model: Path) -> Iterator[str]:
    """The URL of a service that runs for as long as this does."""
    line = [sys.executable, "-m", "seyolo", "serve", str(model), "--port", "0"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        address = re.search(r"http://\S+/", said)
        if address is None:
            raise SystemExit(said + process.stderr.read())
        try:
            yield address[0]
        finally:
            process.send_signal(signal.SIGINT)


async def send(url: str, image: bytes, until_s: float, outcome: Outcome) -> None:
    """One client: the image again and again."""
    async with httpx2.AsyncClient(timeout=30) as http:
        while (start_s := time.perf_counter()) < until_s:
            try:
                (await http.post(f"{url}detect", content=image)).raise_for_status()
            except httpx2.HTTPError as error:
                outcome.errors[repr(error)] += 1
            else:
                outcome.latencies_s.append(time.perf_counter() - start_s)


async def load(url: str, image: bytes, num_clients: int, seconds: float) -> Outcome:
    """All clients at once."""
    outcome = Outcome()
    until_s = time.perf_counter() + seconds
    await asyncio.gather(*(send(url, image, until_s, outcome) for _ in range(num_clients)))
    return outcome


def main() -> None:
    """Starts the service, loads it, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--image", type=Path)
    options = parser.parse_args()
    image = options.image.read_bytes() if options.image else drawn_image()
    with service(options.model) as url:
        start_s = time.perf_counter()
        outcome = asyncio.run(load(url, image, options.clients, options.seconds))
        seconds = time.perf_counter() - start_s
    rate = len(outcome.latencies_s) / seconds
    print(f"{options.clients} clients, {seconds:.0f} s, {len(image) / 1e3:.0f} kB: {rate:.0f} images/s")
    if outcome.latencies_s:
        p50, p95, p99 = np.percentile(outcome.latencies_s, [50, 95, 99]) * 1e3
        print(f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms")
    print(f"errors: {dict(outcome.errors) or 'none'}")


if __name__ == "__main__":
    main()
