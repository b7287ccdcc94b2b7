"""The long run of all targets, and the table of what came out.

    make fuzz                                             every target with all its cases
    PYTHONPATH=tests .venv/bin/python -m fuzz --cases 2000 "plan.json" "data.yaml"
    PYTHONPATH=tests .venv/bin/python -m fuzz --show 17 "plan.json"       one case again, with its traceback
    PYTHONPATH=tests .venv/bin/python -m fuzz --table                     the table so far

Counts are kept in build/fuzz; a run that was stopped goes on there, `--again` starts anew.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from dataclasses import asdict
from pathlib import Path

from fuzz.cases import bench
from fuzz.runner import Result, run
from fuzz.targets import BY_NAME

KEPT, PAGE = Path("build/fuzz"), Path("docs/reference/fuzzing.md")


def main(arguments: list[str]) -> int:
    """Runs the targets; returns 1 where one has a fault."""
    parser = argparse.ArgumentParser("fuzz", description="Reads damaged files with every reader.")
    parser.add_argument("targets", nargs="*", help="names; by default all")
    parser.add_argument("--cases", type=int, help="cases of each target")
    parser.add_argument("--seconds", type=float, default=math.inf, help="most time for each target")
    parser.add_argument("--show", type=int, help="read this one case in this process")
    parser.add_argument("--again", action="store_true", help="also what was run before")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE}, too")
    asked = parser.parse_args(arguments)
    names = asked.targets or list(BY_NAME)
    if asked.show is not None:
        return show(names[0], asked.show)
    results = []
    for name in names:
        result = kept(name) if not asked.again else Result(name)
        wanted = asked.cases or BY_NAME[name].cases
        if result.next < wanted and not asked.table:
            result = run(BY_NAME[name], wanted, asked.seconds, result=result)
            keep(result)
            print(told(result), flush=True)
        results.append(result)
    print(table(results))
    if asked.write:
        text = PAGE.read_text(encoding="utf-8")
        between = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end -->)", re.DOTALL)
        PAGE.write_text(between.sub(lambda _: f"\n{table(results)}\n\n", text), encoding="utf-8")
    return int(any(result.faults or result.deaths for result in results))


def file_of(name: str) -> Path:
    """Returns the file that keeps the counts of a target."""
    return KEPT / f"{''.join(letter if letter.isalnum() else '-' for letter in name)}.json"


def kept(name: str) -> Result:
    """Returns the counts of a target so far."""
    path = file_of(name)
    return Result(**json.loads(path.read_text())) if path.exists() else Result(name)


def keep(result: Result) -> None:
    """Keeps the counts of a target."""
    KEPT.mkdir(parents=True, exist_ok=True)
    file_of(result.name).write_text(json.dumps(asdict(result)))


def told(result: Result) -> str:
    """Returns a row of the table, and below it each fault with its first cases."""
    faults = [f"    {count:6} {fault}  {cases}" for fault, (count, cases) in sorted(result.faults.items())]
    deaths = [f"    {len(cases):6} {death}  {cases}" for death, cases in sorted(result.deaths.items())]
    return "\n".join([table([result]).splitlines()[-1], *faults, *deaths])


def table(results: list[Result]) -> str:
    """Returns the results as Markdown."""
    head = ("reader", "cases", "read", "refused", "faults", "deaths", "slowest", "memory", "cases per s")
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for result in filter(lambda result: result.cases, results):
        faults = sum(count for count, _ in result.faults.values())
        figures = (result.cases, result.read, result.refused, faults, result.num_deaths())
        costs = f"{1000 * result.slowest[0]:.0f} ms | {result.largest[0]:.0f} MB"
        rate = result.cases / max(result.seconds, 1e-9)
        counts = " | ".join(f"{figure:,}" for figure in figures)
        lines.append(f"| {result.name} | {counts} | {costs} | {rate:,.0f} |")
    return "\n".join(lines)


def show(name: str, number: int) -> int:
    """Reads one case in this process, with its traceback."""
    with bench(BY_NAME[name]) as opened:
        data = opened.case(number)
        KEPT.mkdir(parents=True, exist_ok=True)
        (KEPT / "case").write_bytes(data)
        print(f"{KEPT / 'case'}: {len(data)} bytes", data[:300], sep="\n")
        (opened.folder / opened.target.file).write_bytes(data)
        opened.target.read(opened.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
