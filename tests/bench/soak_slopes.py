#!/usr/bin/python3
"""soak_slopes.py - whether anything grows in the tables of a long run

    soak_slopes.py DIRECTORY

The directory has two tables that soak.py writes, a line a sample:

    processes.table   seconds, who, process id, RssAnon in KiB, descriptors, threads
    store.table       seconds, file in KiB, pages in use in KiB, drafts, calls/s

A process that is started anew begins a new life, with the memory of a young one.
So a slope is that of all lives of one kind together: each is taken about its own
mean, once it is WARM_S old or a quarter of the run, whichever is less. Something
grows if its slope is above its tolerance an hour, and what it has grown by in the
samples is more than noise. Exit code 1 and a line each if anything does.
"""
# SPDX-License-Identifier: MIT

import collections
import pathlib
import sys

WARM_S = 120
SAMPLES_MIN = 30  # of a kind; fewer say nothing
SECONDS_MIN = 60  # neither does less time
HOUR_S = 3600

# What may grow by how much an hour; below the second figure it is noise.
MEMORY_KIB_MAX, MEMORY_KIB_NOISE = 1024, 256
DESCRIPTORS_MAX, DESCRIPTORS_NOISE = 2, 5
THREADS_MAX, THREADS_NOISE = 1, 1
FILE_KIB_MAX, FILE_KIB_NOISE = 16384, 4096
USED_KIB_MAX, USED_KIB_NOISE = 16384, 4096
DRAFTS_MAX, DRAFTS_NOISE = 20000, 3000
RATE_PERCENT_MAX, RATE_PERCENT_NOISE = 20, 40  # that it may fall by

Measure = collections.namedtuple("Measure", "name unit tolerance noise")
PROCESS_MEASURES = (
    Measure("memory", "KiB", MEMORY_KIB_MAX, MEMORY_KIB_NOISE),
    Measure("descriptors", "", DESCRIPTORS_MAX, DESCRIPTORS_NOISE),
    Measure("threads", "", THREADS_MAX, THREADS_NOISE),
)
STORE_MEASURES = (
    Measure("file", "KiB", FILE_KIB_MAX, FILE_KIB_NOISE),
    Measure("pages in use", "KiB", USED_KIB_MAX, USED_KIB_NOISE),
    Measure("drafts", "", DRAFTS_MAX, DRAFTS_NOISE),
)
RATE = Measure("calls/s", "%", RATE_PERCENT_MAX, RATE_PERCENT_NOISE)


def read(path):
    return [line.split() for line in path.read_text().splitlines()]


def slope(lives):
    """Growth a second by least squares, each life about its own mean, with the
    longest time that a life was looked at; None if that is too little."""
    lives = [life for life in lives if len(life) > 1]
    if sum(map(len, lives)) < SAMPLES_MIN:
        return None
    seconds = max(life[-1][0] - life[0][0] for life in lives)
    if seconds < SECONDS_MIN:
        return None
    above = below = 0
    for life in lives:
        mean_at = sum(at for at, _ in life) / len(life)
        mean = sum(value for _, value in life) / len(life)
        above += sum((at - mean_at) * (value - mean) for at, value in life)
        below += sum((at - mean_at) ** 2 for at, _ in life)
    return above / below, seconds


def lives_of(rows, column, warm_s):
    """By kind of process: a list of lives, each a list of (seconds, value)."""
    began = {}
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows:
        at, who, pid = float(row[0]), row[1], row[2]
        began.setdefault((who, pid), at)
        if at - began[who, pid] >= warm_s:
            found[who][pid].append((at, float(row[column])))
    return {who: list(lives.values()) for who, lives in found.items()}


def judge(who, measure, lives, sign=1):
    """Prints what was found, and says whether it is too much."""
    found = slope(lives)
    if found is None:
        print(f"{who:<10} {measure.name:<13} too short to judge")
        return False
    an_hour = found[0] * HOUR_S
    grown = found[0] * found[1] * sign
    grows = an_hour * sign > measure.tolerance and grown > measure.noise
    verb = "" if not grows else "  GROWS" if sign > 0 else "  FALLS"
    print(
        f"{who:<10} {measure.name:<13} {an_hour:>+10.1f} {measure.unit} an hour, "
        f"{len(lives)} lives of at most {found[1]:.0f} s{verb}"
    )
    return grows


def main():
    directory = pathlib.Path(sys.argv[1])
    processes = read(directory / "processes.table")
    store = [list(map(float, row)) for row in read(directory / "store.table")]
    end_s = store[-1][0]
    warm_s = min(WARM_S, end_s / 4)
    failed = []
    for column, measure in enumerate(PROCESS_MEASURES, 3):
        for who, lives in sorted(lives_of(processes, column, warm_s).items()):
            if judge(who, measure, lives):
                failed.append(f"{measure.name} of {who}")
    late = [row for row in store if row[0] >= warm_s]
    for column, measure in enumerate(STORE_MEASURES, 1):
        life = [(row[0], row[column]) for row in late]
        if judge("store", measure, [life]):
            failed.append(f"{measure.name} of the store")
    mean = sum(row[4] for row in late) / max(len(late), 1)
    life = [(row[0], row[4] * 100 / mean) for row in late] if mean else []
    if judge("upstream", RATE, [life], -1):
        failed.append("calls a second, which fall")
    if failed:
        raise SystemExit(f"soak: does not stay as it is: {', '.join(failed)}")


if __name__ == "__main__":
    main()
