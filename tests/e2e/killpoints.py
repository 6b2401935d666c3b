#!/usr/bin/python3
"""killpoints.py - kills the broker before each of its calls that count

  killpoints.py [--points N|all] [--seed N]

Run by 52-kill-points.sh, in a directory of its own. A short run, from a store
that is not there yet to its last result, is counted once: how often the broker
writes, flushes, moves, removes and sends. Then it is done again for each of
these calls, or for N of them (40) drawn from all: strace kills the broker with
SIGKILL at that call, and it is started anew. Whatever the call was:

  - what was confirmed before is there: the batch, its chunks, its seal, and the
    results that were read, byte for byte;
  - a client that asks again gets one batch, and one right result of each draft;
  - the worker has called the upstream once for each request.
"""
# SPDX-License-Identifier: MIT

import argparse
import collections
import json
import os
import queue
import random
import shutil
import signal
import sys
import tempfile
import threading

import calls
import recording
from answers import expected_text
from broker import (OPTIONS, Broker, Client, Ended, Failure, chunk_members,
                    drafts, texts, wait_for)

COUNTED = ("pwrite64", "pwritev", "writev", "fdatasync", "fsync", "ftruncate",
           "rename", "unlink", "rmdir", "mkdir", "sendto")
SETTINGS = ("group_window_ms=20", "commit_items_max=1000")
AT_A_TIME = 4
CHUNKS = 3
DRAFTS = 6  # of a chunk
REACHED_MIN = 0.5  # of the points: a run may be shorter than the first one


def killer(call, number):
    """Runs a program under strace, which kills it at its n-th such call."""
    return ["strace", "-f", "-b", "execve", "-qq", "-o", "/dev/null", "-e",
            f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]


class Run:
    """A broker that may die, and a client that does not give up."""

    def __init__(self, name, tracer):
        self.name, self.tracer = name, tracer
        self.kills = 0
        self.client, self.batch = None, None
        # What was confirmed.
        self.chunks, self.is_sealed, self.lines = 0, False, {}

    # ---- the broker ----

    def start(self):
        """Starts it; a second time, without the killer."""
        while True:
            try:
                self.broker.start(() if self.kills else self.tracer)
                break
            except Ended:
                self.kills += 1
                if self.kills > 1:
                    raise
        if self.client:
            self.client.close()
        self.client = Client(self.broker.endpoint)

    def ask(self, verb, body=None, **members):
        """Asks until there is an answer."""
        while True:
            number = self.client.send(verb, body, **members)

            def answer():
                if self.client.socket.poll(20):
                    return self.client.answer(number)
                return self.broker.process.poll() is not None and "ended"

            found = wait_for(answer, f"an answer to {verb}")
            if found != "ended":
                return found
            self.kills += 1
            if self.kills > 1:
                raise Failure("sheafd ended by itself")
            self.start()
            self.check_kept()

    # ---- the work ----

    def play(self, root):
        runtime = tempfile.mkdtemp(dir=os.environ["XDG_RUNTIME_DIR"])
        os.makedirs(root, 0o700)
        with open(f"{self.name}.log", "w", encoding="utf-8") as log:
            self.broker = Broker(root, runtime, log, SETTINGS)
            try:
                self.start()
                self.work()
                self.stop()
            finally:
                self.broker.end()

    def stop(self):
        code = self.broker.stop()
        if code == -signal.SIGKILL and self.kills == 0:
            self.kills += 1
            self.start()
            self.check_kept()
            self.read()
            code = self.broker.stop()
        if code != 0:
            raise Failure(f"exit code of sheafd: got {code}, want 0")
        self.client.close()

    def bodies(self):
        return [drafts(f"{self.name}-{n}", texts(f"{self.name} {n}", DRAFTS))
                for n in range(CHUNKS)]

    def work(self):
        self.batch = self.ask("open", OPTIONS, key="key", client="killed",
                              early=True)[0]["batch"]
        for number, body in enumerate(self.bodies(), 1):
            self.ask("chunk", body, **chunk_members(self.batch, number, body))
            self.chunks = number
        self.ask("seal", batch=self.batch, chunks=CHUNKS,
                 drafts=CHUNKS * DRAFTS)
        self.is_sealed = True
        state, after = "sealed", 0
        while state == "sealed":
            head = self.ask("wait", batch=self.batch, after=after,
                            timeout=1000)[0]
            state, after = head["state"], head["last_seq"]
            self.read()
        if state != "finished":
            raise Failure(f"the batch's state: got {state}, want finished")
        self.check_results()

    def read(self):
        """Reads results, which must be those that were read before."""
        cursor, more = 0, True
        while more:
            head, body = self.ask("results", batch=self.batch, after=cursor,
                                  limit=10)
            cursor, more = head["cursor"], head["more"]
            for line in body.splitlines():
                index = json.loads(line)["index"]
                if self.lines.setdefault(index, line) != line:
                    raise Failure(f"result {index}: got {line}, was told "
                                  f"{self.lines[index]}")

    # ---- what must hold ----

    def check_kept(self):
        """After a kill: what was confirmed."""
        if self.batch is None:
            return
        head = self.ask("status", client="killed", key="key")[0]
        if head["batch"] != self.batch:
            raise Failure(f"the batch of the key: got {head['batch']}, was "
                          f"told {self.batch}")
        if head["next_chunk"] <= self.chunks:
            raise Failure(f"next chunk: got {head['next_chunk']}, and "
                          f"{self.chunks} were confirmed")
        if self.is_sealed and head["state"] == "open":
            raise Failure("the seal is lost")
        if head["counts"]["done"] < len(self.lines):
            raise Failure(f"results: got {head['counts']['done']}, "
                          f"{len(self.lines)} were read")

    def check_results(self):
        want = [json.loads(line) for body in self.bodies()
                for line in body.splitlines()]
        if sorted(self.lines) != list(range(len(want))):
            raise Failure(f"results of: got {sorted(self.lines)}, want 0 to "
                          f"{len(want) - 1}")
        for index, draft in enumerate(want):
            row = json.loads(self.lines[index])
            got = row["custom_id"], row["status"], row["text"]
            if got != (draft["id"], "ok", expected_text(draft["text"])):
                raise Failure(f"result {index}: got {got}")


def count_calls(args):
    """How often each call is made in a run that nobody disturbs."""
    record = "counted.strace"
    run = Run("counted", recording.strace(record))
    run.play(os.path.abspath("counted"))
    by_thread = collections.Counter(
        (call.name, call.pid) for call in recording.read_calls(record))
    counts = {}
    for (name, _), count in by_thread.items():
        counts[name] = max(counts.get(name, 0), count)
    points = [(name, number) for name in COUNTED
              for number in range(1, counts.get(name, 0) + 1)]
    if args.points != "all":
        wanted = min(int(args.points), len(points))
        points = random.Random(args.seed).sample(points, wanted)
    print(f"  {sum(counts.get(name, 0) for name in COUNTED)} calls: " +
          " ".join(f"{name}={counts.get(name, 0)}" for name in COUNTED),
          flush=True)
    return points


def kill_at(points):
    """Does the run for each of the points, some at a time. How many of them
    were reached; and what went wrong."""
    waiting, reached, wrong = queue.Queue(), [], []
    for point in enumerate(points):
        waiting.put(point)

    def work():
        while True:
            try:
                at, (name, number) = waiting.get_nowait()
            except queue.Empty:
                return
            run = Run(f"k{at}", killer(name, number))
            try:
                run.play(os.path.abspath(run.name))
            except Exception as error:  # told by the main thread
                wrong.append(f"killed at {name} {number}: "
                             f"{type(error).__name__}: {error}")
            if run.kills:
                reached.append((name, number))
            shutil.rmtree(run.name, ignore_errors=True)

    threads = [threading.Thread(target=work) for _ in range(AT_A_TIME)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reached, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", default="40")
    parser.add_argument("--seed", type=int)
    args = parser.parse_args()
    if args.seed is None:
        args.seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {args.seed}", flush=True)
    points = count_calls(args)
    reached, wrong = kill_at(points)
    made = calls.starts("upstream.log")
    shas = collections.Counter(call["sha"] for call in made)
    want = (len(points) + 1) * CHUNKS * DRAFTS
    if not wrong and len(shas) != want:
        wrong.append(f"different calls: got {len(shas)}, want {want}")
    if len(made) != len(shas):
        wrong.append(f"{len(made) - len(shas)} calls were made twice")
    if len(reached) < REACHED_MIN * len(points):
        wrong.append(f"kills: got {len(reached)} of {len(points)}")
    print(f"  {len(reached)} kills at {len(points)} points, {len(made)} calls "
          "of the upstream")
    for sentence in wrong:
        print(f"killpoints: {sentence}, with seed {args.seed}",
              file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
