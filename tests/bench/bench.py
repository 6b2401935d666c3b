#!/usr/bin/python3
"""bench.py - measures Sheaf beside what people would use instead

  bench.py DIRECTORY [--scale tiny|normal|full] [--rounds N] [--only NAME,…]
           [--who NAME,…] [--json FILE] [--require]

All sections of rows.py, or those named by --only, on all systems, or those named
by --who, in a directory of its own in DIRECTORY, which is made if need be; what
it writes there is removed. The contestants of a section take turns, round after
round, so that what else the machine does meets all of them. The table goes to
standard output, what is going on to standard error. A contestant whose programs
are not installed is skipped, with a line; --require makes that an error. The
environment: OUT is the directory of the build, BENCH_PROFILE=1 shows where the
time of sheafd goes.

Exit codes: 0 every row has its figure of Sheaf, 1 something could not be
measured, 2 usage. No figure is good or bad to it.
"""
# SPDX-License-Identifier: MIT

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import time

import peers
import plan
import rows
import table
from scratch import BenchError, Scratch


def say(text):
    print(text, file=sys.stderr, flush=True)


def choose(parser, text, there):
    """The names of a list, all of which must be there; all if it is empty."""
    names = text.split(",") if text else list(there)
    unknown = [name for name in names if name not in there]
    if unknown:
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(there)}")
    return names


def lacking(is_required):
    """What is missing of each contestant that can't be measured."""
    lacks = rows.lacks()
    for name, reason in lacks.items():
        say(f"skipped: {name}: {reason} (make deps-bench)")
    if lacks and is_required:
        raise SystemExit("bench: all were required")
    return lacks


def keep(figures, contestant, found):
    """Adds what was found in a row, for one contestant or several."""
    by_name = found if isinstance(found, dict) else {contestant: found}
    said = []
    for name, values in by_name.items():
        values = values if isinstance(values, list) else [values]
        figures.setdefault(name, []).extend(values)
        said.append(f"{name}: {' '.join(f'{value:.5g}' for value in values)}")
    return ", ".join(said)


def measure(bench, names, rounds, lacks, who):
    """{row: {contestant: [a value for each round]}}, and what went wrong."""
    figures = {}
    failures = []
    for name in names:
        section = rows.SECTIONS[name]
        for turn in range(1 if section.is_long else rounds):
            for contestant, run in section.contestants.items():
                system = rows.base_name(contestant)
                if system in lacks or system not in who:
                    continue
                bench.touch_memory()
                began = time.monotonic()
                try:
                    values = run(bench)
                except BenchError as error:
                    failures.append(f"{name}: {contestant}: {error}")
                    say(failures[-1])
                    continue
                for row, found in values.items():
                    said = keep(figures.setdefault(row, {}), contestant, found)
                    took = time.monotonic() - began
                    say(f"{row} {turn + 1}: {said} ({took:.1f} s)")
    return figures, failures


def summarize(figures, names):
    """A plain structure for the table, the report and the JSON file."""
    found = {}
    for name in names:
        for key, row in rows.SECTIONS[name].rows.items():
            who = {
                contestant: {
                    "median": statistics.median(values),
                    "min": min(values),
                    "max": max(values),
                    "values": values,
                }
                for contestant, values in figures.get(key, {}).items()
            }
            medians = {name: who[name]["median"] for name in who}
            found[key] = {
                "title": row.title,
                "unit": row.unit,
                "more_is_better": row.more_is_better,
                "digits": row.digits,
                "contestants": who,
                "targets": [
                    summarize_target(target, medians) for target in row.targets
                ],
            }
    return found


def summarize_target(target, medians):
    marks = target.marks(medians)
    value, floor, ambition = marks if marks else (None, None, None)
    return {
        "text": target.text,
        "form": target.form,
        "beside": target.beside,
        "at_least": target.at_least,
        "floor": target.floor,
        "ambition": target.ambition,
        "value": value,
        "floor_held": floor,
        "ambition_held": ambition,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("--scale", choices=plan.SCALES, default="normal")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", default="")
    parser.add_argument("--who", default="")
    parser.add_argument("--json")
    parser.add_argument("--require", action="store_true")
    args = parser.parse_args()
    names = choose(parser, args.only, rows.SECTIONS)
    who = choose(parser, args.who, rows.systems())
    if os.environ.get("BENCH_PROFILE") and not shutil.which("perf"):
        raise SystemExit("bench: there is no perf (Debian: linux-perf)")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    lacks = lacking(args.require)
    machine = table.machine(args.directory)
    rounds = args.rounds or plan.ROUNDS[args.scale]
    with Scratch(args.directory) as scratch:
        bench = plan.Bench(scratch, args.scale)
        figures, failures = measure(bench, names, rounds, lacks, who)
    found = summarize(figures, names)
    document = {
        "machine": machine,
        "scale": args.scale,
        "rounds": rounds,
        "notes": {peer.name: peer.note for peer in peers.ALL if peer.note},
        "rows": found,
    }
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
    print(table.text(document))
    # One that was not asked for has no figures to be missed.
    empty = [
        key
        for key, row in found.items()
        if plan.SHEAF in who
        and plan.SHEAF not in map(rows.base_name, row["contestants"])
    ]
    for key in empty:
        say(f"bench: {key}: no figure of {plan.SHEAF}")
    return 1 if failures or empty else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
