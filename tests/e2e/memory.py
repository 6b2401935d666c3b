#!/usr/bin/python3
"""memory.py - how much memory the programs take, at most

  memory.py FILE BROKER_PID COMMAND…

Runs the command, whose exit code becomes its own, and meanwhile looks at the
anonymous memory (RssAnon) of the broker, of its children (the worker) and of
the command. FILE holds the peaks in KiB, as {"broker":…,"worker":…,
"client":…}; those of earlier commands that it holds are kept if higher.
"""
# SPDX-License-Identifier: MIT

import glob
import json
import os
import subprocess
import sys
import time

# Short, as a thousand drafts are handed in within a few hundredths of a second.
PAUSE_S = 0.002


def rss_anon_kib(pid):
    """0 for a process that has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("RssAnon:"):
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


def main():
    path, broker, *command = sys.argv[1:]
    peaks = {"broker": 0, "worker": 0, "client": 0}
    if os.path.exists(path):
        with open(path, encoding="ascii") as file:
            peaks = json.load(file)
    workers = children(broker)
    with subprocess.Popen(command) as client:
        while client.poll() is None:
            seen = {
                "broker": rss_anon_kib(broker),
                "worker": max(map(rss_anon_kib, workers), default=0),
                "client": rss_anon_kib(client.pid),
            }
            for who, kib in seen.items():
                peaks[who] = max(peaks[who], kib)
            time.sleep(PAUSE_S)
    with open(path, "w", encoding="ascii") as file:
        json.dump(peaks, file)
    sys.exit(client.returncode if client.returncode >= 0 else 1)


if __name__ == "__main__":
    main()
