"""The long run of all targets, and the table of what came out.

    make fuzz                                             every target with all its cases
    PYTHONPATH=tests .venv/bin/python -m fuzz --cases 2000 "plan.json" "data.yaml"
    PYTHONPATH=tests .venv/bin/python -m fuzz --show 17 "plan.json"       one case again, with its traceback

A finished target is kept in build/fuzz and left out when the run is started again; `--again` runs it anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from fuzz.cases import bench
from fuzz.runner import as_json, run
from fuzz.targets import BY_NAME

KEPT = Path("build/fuzz")


def main(arguments: list[str]) -> int:
    """Runs the targets; returns 1 where one has a fault."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", help="names; by default all")
    parser.add_argument("--cases", type=int, help="cases of each target")
    parser.add_argument("--show", type=int, help="read this one case in this process")
    parser.add_argument("--again", action="store_true", help="also what is finished")
    parser.add_argument("--list", action="store_true", help="list the targets")
    asked = parser.parse_args(arguments)
    names = asked.targets or list(BY_NAME)
    if asked.list:
        print("\n".join(f"{name}: {BY_NAME[name].cases:,}" for name in names))
        return 0
    if asked.show is not None:
        return show(names[0], asked.show)
    results = [_result(name, asked.cases, asked.again) for name in names]
    print(table(results))
    return int(any(result["faults"] or result["deaths"] for result in results))


def _result(name: str, cases: int | None, again: bool) -> dict[str, Any]:
    target = BY_NAME[name]
    wanted = cases or target.cases
    path = KEPT / f"{''.join(c if c.isalnum() else '-' for c in name)}.json"
    if path.exists() and not again:
        kept: dict[str, Any] = json.loads(path.read_text())
        if kept["cases"] + sum(count for count, _ in kept["deaths"].values()) >= wanted:
            return kept
    text = as_json(run(target, wanted))
    KEPT.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    found: dict[str, Any] = json.loads(text)
    print(table([found]).splitlines()[-1], flush=True)
    for kind in ("faults", "deaths"):
        for text, (count, numbers) in sorted(found[kind].items(), key=lambda item: -item[1][0]):
            print(f"    {count:6} {text}  {numbers}", flush=True)
    return found


def table(results: list[dict[str, Any]]) -> str:
    """Returns the results as Markdown."""
    head = ("reader", "cases", "read", "refused", "faults", "deaths", "slowest", "memory", "cases per s")
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for row in results:
        faults, deaths = (sum(count for count, _ in row[name].values()) for name in ("faults", "deaths"))
        rate = row["cases"] / max(row["seconds"], 1e-9)
        figures = (row["cases"], row["read"], row["refused"], faults, deaths)
        costs = f"{1000 * row['slowest'][0]:.0f} ms | {row['largest'][0]:.0f} MB | {rate:,.0f}"
        lines.append(f"| {row['name']} | {' | '.join(f'{figure:,}' for figure in figures)} | {costs} |")
    return "\n".join(lines)


def show(name: str, number: int) -> int:
    """Reads one case in this process, with its traceback."""
    with bench(BY_NAME[name]) as opened:
        data = opened.case(number)
        (KEPT / "case").parent.mkdir(parents=True, exist_ok=True)
        (KEPT / "case").write_bytes(data)
        print(f"{KEPT / 'case'}: {len(data)} bytes", data[:300], sep="\n")
        (opened.folder / opened.target.file).write_bytes(data)
        opened.target.read(opened.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
