"""Numbers as text, as tables, pages and charts print them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from seyolo.results import Difference

MISSING = "–"
MOST_LOST_AP = 0.01  # by int8; tables and pages tell of more
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


def is_within_noise(latency_ms: float, fastest_ms: float, *noises: float) -> bool:
    """Tells whether a latency is above the fastest by less than the larger noise of the two, as shares."""
    return latency_ms / fastest_ms - 1 < max(noises)


def about_as_fast(latencies_ms: Sequence[float], noises: Sequence[float]) -> list[int]:
    """Returns the place of the fastest, then of the others up to the slowest that is within the noise."""
    first, *rest = sorted(range(len(latencies_ms)), key=latencies_ms.__getitem__)
    own = latencies_ms[first], noises[first]
    near = [is_within_noise(latencies_ms[place], own[0], noises[place], own[1]) for place in rest]
    return [first, *(place for number, place in enumerate(rest) if any(near[number:]))]


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


def speed_text(before: float, after: float, noise: float, where: str = "") -> str:
    """Formats a change of latency: 1.4x faster; about as fast where the noise, a share, is larger."""
    if max(before, after) / min(before, after) - 1 < noise:
        return f"about as fast{where}"
    return ratio_text(before, after, f"faster{where}", f"slower{where}", f"as fast{where}")


def noise_text(noise: float) -> str:
    """Formats the noise of a latency: ±3 %."""
    return f"±{max(1, round(100 * noise))} %"


FRACTIONS = {
    3 / 4: "three quarters of",
    2 / 3: "two thirds of",
    1 / 2: "half",
    1 / 3: "a third of",
    1 / 4: "a quarter of",
    1 / 5: "a fifth of",
    1 / 6: "a sixth of",
    1 / 7: "a seventh of",
    1 / 8: "an eighth of",
    1 / 9: "a ninth of",
    1 / 10: "a tenth of",
}
NEAR = 0.05  # relative: as close a share is called by the name of the fraction
IRREGULAR = {"person": "people", "man": "men", "woman": "women", "child": "children", "foot": "feet"}
IRREGULAR |= {"bus": "buses", "mouse": "mice", "knife": "knives", "leaf": "leaves", "tooth": "teeth"}
UNCHANGED = ("sheep", "fish", "deer", "aircraft", "people", "men", "women", "children", "feet")


def part_text(before: float, after: float, whole: str) -> str:
    """Formats a share in words: half the time, a third of the time, 59 % of the time, 1.3 times the time."""
    share = after / before
    if abs(share - 1) < NEAR:
        return f"the same {whole}"
    nearest = min(FRACTIONS, key=lambda fraction: abs(share / fraction - 1))
    if abs(share / nearest - 1) <= NEAR:
        return f"{FRACTIONS[nearest]} the {whole}"
    return f"{100 * share:.0f} % of the {whole}" if share < 1 else f"{share:.1f} times the {whole}"


def found_text(found: int, total: int) -> str:
    """Formats how many are found: 98 of 100; of up to 100 the number itself, and all only where it is all."""
    if total <= 100:
        return f"{found} of {total}"
    least, most = int(found > 0), 100 - int(found < total)
    return f"{min(max(round(100 * found / total), least), most)} of 100"


def objects_text(names: Sequence[str]) -> str:
    """Returns the plural of the only class, or `objects` for several and for a name that is no plain word."""
    *others, name = names
    words = name.split(" ")
    if others or not all(word.isascii() and word.isalpha() and word.islower() for word in words):
        return "objects"
    return " ".join([*words[:-1], _plural(words[-1])])


def _plural(word: str) -> str:
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word in UNCHANGED or (word.endswith("s") and not word.endswith("ss")):
        return word
    if word.endswith(("ss", "x", "z", "ch", "sh")):
        return f"{word}es"
    return f"{word[:-1]}ies" if re.search("[^aeiou]y$", word) else f"{word}s"
