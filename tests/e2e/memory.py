#!/usr/bin/python3
"""memory.py - peaks of memory while drafts go through Sheaf

  memory.py COUNT

Submits COUNT drafts of 1 KiB from drafts.jsonl to the broker that runs, waits,
and fetches the results into results.jsonl. Prints one line of JSON: the highest
RssAnon of each program in KiB, the seconds, and the drafts a second.

The memory of a process that lives for a moment only would be missed by looking
every 50 ms, so it is looked at more often for as long as it is young.
"""
# SPDX-License-Identifier: MIT

import json
import os
import subprocess
import sys
import threading
import time

from kills import BIN, processes

LOOK_S = 0.05
YOUNG_LOOK_S = 0.002
YOUNG_S = 1
DAEMONS = ("sheafd", "sheaf-worker")
COMMANDS = ("submit", "wait", "results")


def anonymous_kib(pid):
    """What the process has for itself: not the mapped store, not code."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1])
    except OSError:
        pass  # it has ended
    return 0


class Sampler(threading.Thread):
    """Looks at the broker, its worker, and a command until told to end."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peaks = dict.fromkeys(DAEMONS + COMMANDS, 0)
        self.pids = {name: processes(name) for name in DAEMONS}
        self.client = None  # its command and process
        self.born = 0
        self.is_over = False

    def look(self, name, pid):
        self.peaks[name] = max(self.peaks[name], anonymous_kib(pid))

    def run(self):
        next_s = 0
        while not self.is_over:
            now_s = time.monotonic()
            client = self.client
            if client:
                self.look(*client)
            if now_s >= next_s:
                next_s = now_s + LOOK_S
                for name, pids in self.pids.items():
                    for pid in pids:
                        self.look(name, pid)
            is_young = client and now_s - self.born < YOUNG_S
            time.sleep(YOUNG_LOOK_S if is_young else LOOK_S)


def run(sampler, *argv, **kwargs):
    """Runs the command line under the sampler's eyes."""
    child = subprocess.Popen([f"{BIN}/sheaf", *argv], **kwargs)
    sampler.born = time.monotonic()
    sampler.client = argv[0], child.pid
    out, _ = child.communicate()
    sampler.client = None
    if child.returncode != 0:
        sys.exit(f"sheaf {argv[0]}: got exit code {child.returncode}, want 0")
    return out


def main():
    count = int(sys.argv[1])
    sampler = Sampler()
    for name, pids in sampler.pids.items():
        if len(pids) != 1:
            sys.exit(f"{name}: got {len(pids)} processes, want 1")
    sampler.start()
    begun = time.monotonic()
    batch = run(sampler, "submit", "--goal", "Summarize", "drafts.jsonl",
                stdout=subprocess.PIPE).decode().strip()
    submitted = time.monotonic()
    run(sampler, "wait", "--timeout", "3000", batch,
        stdout=subprocess.DEVNULL)
    done = time.monotonic()
    run(sampler, "results", "--order", "input", "-o", "results.jsonl", batch)
    fetched = time.monotonic()
    sampler.is_over = True
    sampler.join()
    print(json.dumps({
        "count": count,
        **{f"{name}_kib": peak for name, peak in sampler.peaks.items()},
        "submit_s": round(submitted - begun, 2),
        "wait_s": round(done - submitted, 2),
        "results_s": round(fetched - done, 2),
        "drafts_per_s": round(count / (fetched - begun)),
    }))


if __name__ == "__main__":
    main()
