#!/usr/bin/python3
"""instructions.py - counts the instructions of the hot paths, and compares

    instructions.py PATHS TABLE [--only NAME,…] [--update]

PATHS is the program that walks them (paths.c), each in a process of its own
under callgrind. TABLE has a line a path: name, unit, instructions a unit, and
the functions that are counted with all that they call. What is counted now is
printed beside it; more than GROWTH_PERCENT above it is a warning on standard
error, which fails nothing: another compiler may be the reason. --update writes
the table instead.

What is spent in libcrypto is left out: valgrind has none of the instructions that
processors have for SHA-256, without which that is two thirds of a key, and none
of it is ours.

The counts can be repeated: valgrind gives a program the same addresses and the
same processor each time, whatever the host's is, and the environment is the
same, too, as its size moves the stack.
"""
# SPDX-License-Identifier: MIT

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

GROWTH_PERCENT = 10
LEFT_OUT = ("/libcrypto.so",)
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
HEAD = """\
# Instructions of the hot paths: `make instructions-update` writes this file,
# `make instructions` compares with it. A draft, and a reply, has 1 KiB. They are
# counted by callgrind (--toggle-collect) in the functions on the right and in all
# that these call, but for libcrypto; -lmdb is over a store on LMDB, the rest over
# one in memory, -many with a batch for each draft. tests/bench/paths.c says what
# is done.
# {compiler}
"""


class CountError(Exception):
    """What was tried, and why it failed."""


def run(command, **more):
    done = subprocess.run(
        command,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
        **more,
    )
    if done.returncode != 0:
        raise CountError(
            f"{command[0]} failed with {done.returncode}: {done.stderr[-2000:]}"
        )
    return done.stdout


def listed(program):
    """Names of paths, each with its unit and the functions to be counted."""
    found = {}
    for line in run([program]).splitlines():
        name, unit, *functions = line.split()
        found[name] = (unit, functions)
    return found


def own_count(counts):
    """Instructions of a callgrind file, but for those of libraries left out. A
    line of costs belongs to the object that was named last; one behind `calls=`
    stands for what is counted there."""
    total, is_call, is_left_out = 0, False, False
    names = {}
    for line in counts.splitlines():
        if line.startswith("ob="):
            number, _, name = line[3:].partition(" ")
            names[number] = name or names[number]
            is_left_out = any(part in names[number] for part in LEFT_OUT)
        elif line.startswith("cob="):
            number, _, name = line[4:].partition(" ")
            names.setdefault(number, name)
        elif line.startswith("calls="):
            is_call = True
        elif re.match(r"[0-9+*-]", line):
            if not is_call and not is_left_out:
                total += int(line.split()[1])
            is_call = False
    return total


def count(program, name, functions):
    """Instructions a unit."""
    with tempfile.TemporaryDirectory(prefix="sheaf-paths.") as scratch:
        # Each function toggles: none of them may be called by another one.
        output = run(
            [
                "valgrind",
                "--tool=callgrind",
                "--instr-atstart=no",
                "--callgrind-out-file=counts",
                *[f"--toggle-collect={function}" for function in functions],
                program,
                name,
                "store",
            ],
            cwd=scratch,
        )
        counts = pathlib.Path(scratch, "counts").read_text(encoding="utf-8")
    total = own_count(counts)
    if total == 0:
        raise CountError(f"{name}: none of {', '.join(functions)} was entered")
    return total / int(output.split()[-1])


def read_table(path):
    """What was counted before; nothing where there is no table yet."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line and line[0] != "#"]
    return {row[0]: int(row[2]) for row in rows}


def compiler():
    version = run(["cc", "--version"]).splitlines()[0]
    machine = run(["uname", "-m"]).strip()
    return f"{version}, {machine}"


def write_table(path, paths, counts):
    rows = [
        f"{name:<14} {unit:<8} {round(counts[name]):>7}  {' '.join(functions)}\n"
        for name, (unit, functions) in paths.items()
    ]
    head = HEAD.format(compiler=compiler())
    path.write_text(head + "\n" + "".join(rows), encoding="utf-8")


def compare(name, unit, got, was):
    """Prints a line, and warns."""
    if not was:
        print(f"{name:<14} {unit:<8} {got:>10,.0f} {'new':>10}")
        return
    percent = (got / was - 1) * 100
    print(f"{name:<14} {unit:<8} {got:>10,.0f} {was:>10,} {percent:>+7.1f} %")
    sys.stdout.flush()
    if percent > GROWTH_PERCENT:
        print(
            f"warning: {name} takes {got:,.0f} instructions a {unit}, "
            f"{percent:.1f} % more than the {was:,} of the table; if that is "
            "meant: make instructions-update",
            file=sys.stderr,
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", type=pathlib.Path)
    parser.add_argument("table", type=pathlib.Path)
    parser.add_argument("--only")
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    program = str(args.paths.resolve())
    paths = listed(program)
    if args.only:
        wanted = args.only.split(",")
        for name in wanted:
            if name not in paths:
                parser.error(f"{name}: is no path; there are {', '.join(paths)}")
        paths = {name: paths[name] for name in wanted}
    before = {} if args.update else read_table(args.table)
    counts = {}
    print(f"{'path':<14} {'per':<8} {'now':>10} {'table':>10}")
    for name, (unit, functions) in paths.items():
        counts[name] = count(program, name, functions)
        compare(name, unit, counts[name], before.get(name))
    if args.update:
        write_table(args.table, paths, counts)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CountError as error:
        raise SystemExit(f"instructions: {error}") from None
