#!/usr/bin/python3
"""memory.py - how much memory the programs take, at most

  memory.py [--gateway PID] FILE BROKER_PID COMMAND…

Runs the command, whose exit code becomes its own, and meanwhile looks at the
anonymous memory (RssAnon) of the broker, of its children (the worker), of the
gateway, if there is one, and of the command. FILE holds the peaks in KiB, as
{"broker":…,"worker":…,"client":…,"gateway":…}, and as broker_all and so on what
each but the command ever had of all memory, pages of the store included; those
of earlier commands that it holds are kept if higher.
"""
# SPDX-License-Identifier: MIT

import argparse
import glob
import json
import os
import subprocess
import sys
import time

# Short, as a thousand drafts are handed in within a few hundredths of a second.
PAUSE_S = 0.002


def kib(pid, name="RssAnon"):
    """0 for a process that has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def children(pid):
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with open(path, encoding="ascii") as file:
            found += file.read().split()
    return found


def keep(peaks, seen):
    for who, figure in seen.items():
        peaks[who] = max(peaks.get(who, 0), figure)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", default="")
    parser.add_argument("file")
    parser.add_argument("broker")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    peaks = {}
    if os.path.exists(options.file):
        with open(options.file, encoding="ascii") as file:
            peaks = json.load(file)
    pids = {"broker": [options.broker], "worker": children(options.broker),
            "gateway": [options.gateway] if options.gateway else []}
    with subprocess.Popen(options.command) as client:
        while client.poll() is None:
            keep(peaks, {who: max(map(kib, of), default=0)
                         for who, of in pids.items()})
            keep(peaks, {"client": kib(client.pid)})
            time.sleep(PAUSE_S)
    keep(peaks, {who + "_all": max((kib(pid, "VmHWM") for pid in of), default=0)
                 for who, of in pids.items()})
    with open(options.file, "w", encoding="ascii") as file:
        json.dump(peaks, file)
    sys.exit(client.returncode if client.returncode >= 0 else 1)


if __name__ == "__main__":
    main()
