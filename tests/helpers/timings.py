"""Latencies that tests make up."""

from __future__ import annotations

from types import SimpleNamespace


def timings(*milliseconds: float, noise: float = 0.01) -> list[SimpleNamespace]:
    """What `pruning.planning.latency.measure` returns, as far as planning reads it."""
    return [SimpleNamespace(p50_ms=ms, noise=noise) for ms in milliseconds]
