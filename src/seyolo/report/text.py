"""Numbers as text, as tables, pages and charts print them."""

from __future__ import annotations

import math

from seyolo.results import Difference

MISSING = "–"
SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def count_text(value: float) -> str:
    """Formats a count with three digits and a suffix: 10.9 M, 9.60 G, 512."""
    for factor, suffix in SUFFIXES:
        # Rounding first, so that 999,999 becomes 1.00 M and not 1000 k.
        if float(f"{value:.3g}") >= factor:
            return f"{three_digits(value / factor)} {suffix}"
    return f"{value:.0f}"


def size_text(size_bytes: float) -> str:
    """Formats a file size in decimal units: 43.6 MB."""
    text = count_text(size_bytes)
    return f"{text.replace('k', 'K')}B" if text[-1].isalpha() else f"{text} B"


def share_text(value: float) -> str:
    """Formats an AP: 0.772; a dash for nan, the AP of a split without labels."""
    return MISSING if math.isnan(value) else f"{value:.3f}"


def latency_text(milliseconds: float) -> str:
    """Formats a duration with three digits: 7.70 ms."""
    return f"{three_digits(milliseconds)} ms"


def three_digits(value: float) -> str:
    """Formats a positive number with three digits: 7.70, 12.3, 142."""
    rounded = float(f"{value:.3g}")
    decimals = 2 if rounded < 10 else 1 if rounded < 100 else 0
    return f"{value:.{decimals}f}"


def percent_text(part: float, whole: float) -> str:
    """Formats a share of a whole: 30 %."""
    return f"{100 * part / whole:.0f} %"


def points_text(share: float) -> str:
    """Formats a difference of AP in points (hundredths): +0.1, −1.2, ±0.0."""
    points = round(100 * share, 1)
    return f"{points:+.1f}".replace("-", "−") if points else "±0.0"


def lead_text(lead: Difference) -> str:
    """Formats a difference of AP in points with its interval: +1.2 (0.3 to 2.1)."""
    difference, low, high = (round(100 * value, 1) + 0.0 for value in (lead.difference, lead.low, lead.high))
    return f"{difference:+.1f} ({low:.1f} to {high:.1f})".replace("-", "−")


def ratio_text(before: float, after: float, less: str, more: str, same: str) -> str:
    """Formats how many times less or more `after` is than `before`: 1.4x fewer."""
    if round(max(before, after) / min(before, after), 1) == 1.0:
        return same
    return f"{before / after:.1f}x {less}" if after < before else f"{after / before:.1f}x {more}"
