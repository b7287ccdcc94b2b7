"""Tables of `study` as CSV, Markdown, LaTeX and for a terminal: means and deviations over the seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from seyolo.files import write_text
from seyolo.report.tables.files import comma_separated, filled, latex, markdown
from seyolo.report.tables.fitting import FittingTable
from seyolo.report.tables.slim import difference_text, shown_split
from seyolo.report.text import MISSING, count_text, noise_text
from seyolo.report.verdict import LEARNED_AP50
from seyolo.study_results import NetworkResult, Spread, StudyRow

COLUMNS = (
    "gate", "place", "join", "budget", "split", "seeds", "epochs", "ap", "ap_deviation", "ap50",
    "ap50_deviation", "lead", "lead_deviation", "params", "macs", "latency_ms", "latency_share",
    "latency_noise",
)  # fmt: skip
SAYING_NOTHING = (
    "; above ±50 % a latency says nothing: remove the file of that network in results/ and resume the study"
)
NETWORK_COLUMNS = (
    "gate", "place", "join", "budget", "seed", "epochs", "params", "macs", "latency_ms", "plain_ms",
    "latency_noise",
)  # fmt: skip


def write_networks(results: Sequence[NetworkResult], folder: Path) -> None:
    """Writes networks.csv: a row for each network, unrounded, with AP and AP@0.5 of every split."""
    splits = list(dict.fromkeys(split for result in results for split in result.metrics))
    header = [*NETWORK_COLUMNS, *(f"{name}_{split}" for split in splits for name in ("ap", "ap50"))]
    body = []
    for result in results:
        named = [result.gate, result.place, result.join, result.budget, result.seed, result.epochs]
        costs = [result.params, result.macs, result.latency_ms, result.plain_ms, result.noise]
        found = [result.metrics.get(split) for split in splits]
        values = [value for one in found for value in ((one.ap, one.ap50) if one else ("", ""))]
        body.append([str(value) for value in (*named, *costs, *values)])
    write_text(folder / "networks.csv", comma_separated(header, body))


def write_study_tables(rows: Sequence[StudyRow], folder: Path, num_seeds: int) -> None:
    """Writes study.csv with every mean, study.md and study.tex with the numbers that one reads."""
    cells, notes = study_cells(rows, num_seeds, splits_of(rows)), study_notes(rows)
    write_text(folder / "study.csv", comma_separated(COLUMNS, list(_full_rows(rows))))
    write_text(folder / "study.md", markdown(cells[0], cells[1:]) + "".join(f"\n{note}\n" for note in notes))
    write_text(folder / "study.tex", latex(cells[0], cells[1:], notes))


def study_table(rows: Sequence[StudyRow], num_seeds: int) -> FittingTable:
    """Returns the table for a terminal, with one split."""
    header, *body = study_cells(rows, num_seeds, [shown_split(splits_of(rows))])
    return FittingTable(header, body, left=frozenset({0, 1}), is_dense=True)


def study_notes(rows: Sequence[StudyRow]) -> list[str]:
    """Returns what stands below the table: its explanations, and where no network has learned."""
    best = max((spread.mean for row in rows for spread in row.ap50.values()), default=1.0)
    if best >= LEARNED_AP50:
        return explanations(rows)
    learned = (
        f"no network has learned: AP@0.5 is {best:.3f} at most, and one is of use from {LEARNED_AP50} on"
    )
    return [*explanations(rows), f"{learned}; train for more epochs, or on more images"]


def explanations(rows: Sequence[StudyRow]) -> list[str]:
    """Explains the table: its deviations, and which epoch its networks are of."""
    splits = splits_of(rows)
    chosen = [split for split in splits if split.startswith("val")]
    if not chosen:
        return [study_note(rows)]
    best = f"each network is that of its best epoch on {' and '.join(chosen)}"
    quoted = [f"quote AP on {shown_split(splits)}"] if len(chosen) < len(splits) else []
    return [study_note(rows), "; ".join([f"{best}, so AP there is a little optimistic", *quoted])]


def study_note(rows: Sequence[StudyRow]) -> str:
    """Explains the deviations of the table, and the noise of its latencies where it is known."""
    nums_seeds, noise = {len(row.seeds) for row in rows}, max(row.noise for row in rows)
    if nums_seeds == {1}:
        note = "of one seed no deviation is known, and a difference says little"
    else:
        note = "± is the sample standard deviation over the seeds (n − 1)"
        note += "; of two seeds it says little, also where it is 0.000" if 2 in nums_seeds else ""
    if noise:
        note += "; behind a latency, ± is the noise of its measurement"
        note += "" if nums_seeds == {1} else ", the largest of the seeds"
    return note + (SAYING_NOTHING if noise > 0.5 else "")


def splits_of(rows: Sequence[StudyRow]) -> list[str]:
    """Returns the splits of all rows."""
    return list(dict.fromkeys(split for row in rows for split in row.ap))


def study_cells(rows: Sequence[StudyRow], num_seeds: int, splits: Sequence[str]) -> list[list[str]]:
    """Returns the cells of the table, the header first.

    AP is from 0 to 1, as in every table, with the deviation over the seeds; a latency has its noise. A row of
    fewer seeds says how many it has.
    """
    header = ["gates", "budget", "seeds"]
    for split in splits:
        header += [f"AP {split}", "over none"]
    header += ["MACs", "params", "latency"]
    header, body = filled(header, [_cells(row, splits, num_seeds) for row in rows])
    return [header, *body]


def _cells(row: StudyRow, splits: Sequence[str], num_seeds: int) -> list[str]:
    some = f" of {num_seeds}" if len(row.seeds) < num_seeds else ""
    cells = [row.variant.gates, row.variant.budget, f"{len(row.seeds)}{some}"]
    for split in splits:
        cells += [_ap_text(row.ap.get(split)), _ap_text(row.lead.get(split), is_difference=True)]
    share = "" if math.isnan(row.share.mean) else f"{row.share.mean:.2f}x"
    noise = f" {noise_text(row.noise)}" if share and row.noise else ""
    return [*cells, count_text(row.macs), count_text(row.params), share + noise]


def _ap_text(spread: Spread | None, *, is_difference: bool = False) -> str:
    if spread is None or math.isnan(spread.mean):
        return "" if is_difference else MISSING
    mean = difference_text(0, spread.mean) if is_difference else f"{spread.mean:.3f}"
    return mean if math.isnan(spread.deviation) else f"{mean}±{spread.deviation:.3f}"


def _full_rows(rows: Sequence[StudyRow]) -> Iterator[list[str]]:
    """Yields the values of `COLUMNS` for every row and split."""
    for row in rows:
        variant = row.variant
        named = [variant.gate, variant.place, variant.join, variant.budget]
        costs = [round(row.params), round(row.macs), round(row.latency_ms.mean, 3), round(row.share.mean, 4)]
        costs.append(round(row.noise, 4))
        for split in row.ap:
            spreads = (row.ap[split], row.ap50[split], row.lead[split])
            numbers = [number for spread in spreads for number in (spread.mean, spread.deviation)]
            known = ["" if math.isnan(number) else round(number, 5) for number in numbers]
            seeds = " ".join(map(str, row.seeds))
            yield [*named, split, seeds, *map(str, (row.epochs, *known, *costs))]
