#!/usr/bin/python3
"""soak.py - Sheaf under load for long, with all that goes wrong meanwhile

    soak.py DIRECTORY [--minutes N] [--seed N]

Clients submit, wait and fetch, some of them purge; the rest is purged by age, so
that the store is in balance. One client lives as long as the run (sheaf-load).
The upstream fails in all its ways. Broker and workers are told to end, and are
killed, in four quarters of the run:

    first    all of them, planned and killed, in turn and at once
    second   the workers: what does the broker keep of them?
    third    the broker: what do the workers, and the client?
    fourth   none

The first broker is given so much to do, before anything is looked at, that its
buffers have the size that they have under load, and the store's file the room that
the run needs. Later ones are not: each time that stood beside what the clients had
waiting by then, and the file grew by it.

DIRECTORY gets the tables of soak_slopes.py, which judges them. This judges what
must hold at the end of any run: each draft has one result, and the right one; no
call was made again beyond what killed workers explain; never more calls than
slots; what was told to end ends well; and the store verifies.
"""
# SPDX-License-Identifier: MIT

import argparse
import hashlib
import itertools
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

from scratch import BenchError, Scratch, memory_kib

BIN = pathlib.Path(os.environ.get("OUT", "build/plain")).resolve() / "bin"
CLIENTS = 3
DRAFTS = 40  # of a batch
DRAFTS_S = 20  # of each client, at most
LOAD_USERS, LOAD_S = 20, 5  # of the client that stays, and their requests
DUPLICATES_PERCENT = 20
SLOTS = 10
REPEATED_MAX = SLOTS  # by a killed worker: it had them, or their answers
SAMPLES = 900  # of a run; but not more often than each SAMPLE_S_MIN
SAMPLE_S_MIN = 0.5
# The first broker is handed drafts that are never sent.
FILL_DRAFTS, FILL_DRAFTS_S = 20000, 400  # at most; for each second of the run
PATIENCE_S = 180  # of a client with all of a batch
TTL_MS_MIN, TTL_MS_MAX = 15000, 60000  # of results and answers
AGAIN = (5, 6)  # exit codes: no broker, draining

# What becomes of a text that begins with the word: how often it is called, and
# how it ends. In a hundred texts there are so many.
KINDS = {
    "plain": (1, "ok", 88),
    "flaky": (2, "ok", 3),
    "limited": (2, "ok", 1),
    "slow": (1, "ok", 2),
    "reset": (2, "ok", 2),
    "half": (2, "ok", 2),
    "silent": (2, "ok", 1),
    "wrong": (1, "bad_request", 1),
}
SCRIPT = """\
match=flaky- each=1 times=1 status=500
match=limited- each=1 times=1 status=429
match=slow- latency=1500
match=reset- each=1 times=1 action=reset
match=half- each=1 times=1 action=cut_body
match=silent- each=1 times=1 action=hang
match=wrong- status=400
"""
CONFIG = """\
[sheaf]
slots_max = {slots}
group_window_ms = 200
backoff_base_ms = 200
results_ttl_ms = {ttl}
cache_ttl_ms = {ttl}
[upstream "soak"]
base_url = http://127.0.0.1:{port}/v1
model = soak
request_timeout_ms = 3000
"""


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Ledger:
    """What was wanted, and what the upstream saw; for all threads."""

    def __init__(self, log):
        self.lock = threading.Lock()
        self.log = open(log, encoding="ascii")
        self.rest = ""
        self.wanted = {}  # digest of a text: calls that it takes
        self.calls = {}  # the same: calls that were made
        self.ended = 0
        self.in_flight_most = 0
        self.results = 0
        self.failures = []

    def want(self, text, calls):
        with self.lock:
            self.wanted[digest(text)] = calls

    def fail(self, message):
        with self.lock:
            self.failures.append(message)

    def note(self, results):
        with self.lock:
            self.results += results

    def read(self):
        """Reads on in the upstream's log."""
        lines = (self.rest + self.log.read()).split("\n")
        self.rest = lines.pop()
        for line in lines:
            event = json.loads(line)
            if event["event"] == "end":
                self.ended += 1
                continue
            user = event["user"]
            self.calls[user] = self.calls.get(user, 0) + 1
            self.in_flight_most = max(self.in_flight_most, event["in_flight"])

    def repeated(self):
        """Calls beyond those that were needed. Texts that are not known are the
        staying client's, which never repeats one."""
        return sum(
            max(0, made - self.wanted.get(user, 1))
            for user, made in self.calls.items()
        )


class Client(threading.Thread):
    def __init__(self, soak, number):
        super().__init__(name=f"client {number}", daemon=True)
        self.soak = soak
        self.number = number
        self.chance = random.Random(soak.seed * 1000 + number)
        self.numbers = itertools.count()
        self.recent = []  # texts that were, or will be, answered well

    def text(self):
        if self.recent and self.chance.random() * 100 < DUPLICATES_PERCENT:
            return self.chance.choice(self.recent)[0], "ok"
        weights = [kind[2] for kind in KINDS.values()]
        kind = self.chance.choices(list(KINDS), weights)[0]
        words = self.chance.choices(range(10000), k=self.chance.randint(20, 400))
        name = f"{kind}-{self.soak.seed}-{self.number}-{next(self.numbers)}"
        text = f"{name} {' '.join(map(str, words))}"
        calls, status, _ = KINDS[kind]
        self.soak.ledger.want(text, calls)
        if status == "ok":
            self.recent.append((text, time.monotonic()))
        return text, status

    def sheaf(self, *words, good=(0,)):
        """Runs a command, again while there is no broker to hear it."""
        end = time.monotonic() + PATIENCE_S
        while True:
            done = subprocess.run(
                [BIN / "sheaf", *words],
                env=self.soak.scratch.environment,
                cwd=self.soak.scratch.root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                check=False,
            )
            if done.returncode in good:
                return done.stdout
            if done.returncode not in AGAIN or time.monotonic() > end:
                raise BenchError(
                    f"sheaf {words[0]}: exit code {done.returncode}: "
                    f"{done.stderr[-500:]}"
                )
            time.sleep(0.1)

    def check(self, drafts, lines):
        results = [json.loads(line) for line in lines.splitlines()]
        ids = [result["custom_id"] for result in results]
        if sorted(ids) != sorted(drafts):
            raise BenchError(f"{len(drafts)} drafts have results {sorted(ids)}")
        for result in results:
            text, status = drafts[result["custom_id"]]
            answer = f"echo {digest(text)}" if status == "ok" else None
            if (result["status"], result["text"]) != (status, answer):
                raise BenchError(f"{text[:40]}: {json.dumps(result)[:500]}")
        self.soak.ledger.note(len(results))

    def batch(self, number):
        # One that is answered by the cache must not have run out of it.
        young = time.monotonic() - self.soak.ttl_ms / 4000
        self.recent = [item for item in self.recent if item[1] > young]
        drafts = {f"d{i}": self.text() for i in range(DRAFTS)}
        path = self.soak.scratch.root / f"{self.number}.jsonl"
        with open(path, "w", encoding="ascii") as file:
            for name, (text, _) in drafts.items():
                file.write(json.dumps({"id": name, "text": text}) + "\n")
        key = f"{self.soak.seed}-{self.number}-{number}"
        uuid = self.sheaf(
            *("submit", "--key", key, "--client", f"c{self.number}"),
            *("--goal", "Repeat this text", path),
        ).strip()
        self.sheaf("wait", "--timeout", str(PATIENCE_S), uuid, good=(0, 1))
        self.check(drafts, self.sheaf("results", "--order", "input", uuid))
        if number % 2:
            self.sheaf("purge", uuid)

    def run(self):
        for number in itertools.count():
            began = time.monotonic()
            if self.soak.is_over.is_set():
                return
            try:
                self.batch(number)
            except BenchError as error:
                self.soak.ledger.fail(f"{self.name}: {error}")
                return
            pause = DRAFTS / DRAFTS_S - (time.monotonic() - began)
            if pause > 0:
                self.soak.is_over.wait(pause)


class Soak:
    def __init__(self, scratch, directory, seconds, seed):
        self.scratch = scratch
        self.directory = directory
        self.seconds = seconds
        self.seed = seed
        self.ttl_ms = int(min(max(seconds * 1000 / 15, TTL_MS_MIN), TTL_MS_MAX))
        self.config = scratch.root / "sheaf.conf"
        self.store = scratch.root / "store"
        self.log = scratch.root / "upstream.log"
        self.is_over = threading.Event()
        self.worker_kills = 0
        self.broker = self.second = self.load = self.upstream = None
        self.start_upstream()
        self.ledger = Ledger(self.log)

    # ---- the parts ----

    def start_upstream(self):
        port, script = self.scratch.root / "port", self.scratch.root / "script"
        script.write_text(SCRIPT, encoding="ascii")
        self.upstream = self.scratch.start(
            [BIN / "upstream", "--port-file", port, "--log", self.log]
            + ["--script", script, "--latency-ms", 30]
        )
        self.scratch.wait_for(port.exists, "the upstream", self.upstream)
        self.config.write_text(
            CONFIG.format(
                slots=SLOTS, ttl=self.ttl_ms, port=port.read_text().strip()
            ),
            encoding="ascii",
        )

    def start_broker(self):
        self.broker = self.scratch.start(
            [BIN / "sheafd", "--store", self.store, "--config", self.config]
            + ["--log-level", "error"]
        )
        self.scratch.wait_for(
            lambda: self.stats()["workers"] > 0, "sheafd", self.broker
        )

    def start_second(self):
        self.second = self.scratch.start(
            [BIN / "sheaf-worker", "--config", self.config]
            + ["--log-level", "error"]
        )

    def start_load(self):
        self.load = self.scratch.start(
            [BIN / "sheaf-load", "--config", self.config, "--rate", LOAD_S]
            + ["--users", LOAD_USERS, "--requests", 1000000, "--duplicates", 0]
            + ["--timeout", PATIENCE_S, "--seed", self.seed, "--json"],
            stdout=open(self.scratch.root / "load.json", "wb"),
        )

    def stats(self):
        done = self.scratch.run(
            [BIN / "sheaf", "stats", "--json", "--broker-timeout", "1"]
        )
        stats = json.loads(done.output)
        return stats.get("stats", stats)

    def own_worker(self):
        """The broker's own, whoever its parent is; 0 if there is none now."""
        mark = str(self.scratch.sockets).encode()
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            pid = int(path.parent.name)
            if self.second and pid == self.second.pid:
                continue
            if words[0].endswith(b"/sheaf-worker") and any(
                mark in word for word in words
            ):
                return pid
        return 0

    def fill(self):
        """Lets broker and store come to the size that they have after a time."""
        drafts = int(min(FILL_DRAFTS, self.seconds * FILL_DRAFTS_S))
        path = self.scratch.root / "fill.jsonl"
        with open(path, "w", encoding="ascii") as file:
            for number in range(drafts):
                file.write(f'{{"id":"{number}","text":"fill-{number}"}}\n')
        uuid = self.scratch.run(
            [BIN / "sheaf", "submit", "--not-before", "+1d", path]
        ).output.strip()
        self.scratch.run([BIN / "sheaf", "cancel", uuid])
        self.scratch.run([BIN / "sheaf", "purge", uuid])
        path.unlink()

    # ---- what happens to them ----

    def end(self, process, name):
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE_S)
        if code != 0:
            self.ledger.fail(f"{name} that was told to end: exit code {code}")

    def kill(self, pid):
        if pid:
            os.kill(pid, signal.SIGKILL)

    def plan_broker(self):
        self.end(self.broker, "sheafd")
        self.start_broker()

    def kill_broker(self):
        self.broker.kill()
        self.broker.wait()
        self.start_broker()

    def kill_own(self):
        self.kill(self.own_worker())
        self.worker_kills += 1

    def plan_own(self):
        pid = self.own_worker()
        if pid:
            os.kill(pid, signal.SIGTERM)

    def plan_second(self):
        self.end(self.second, "sheaf-worker")
        self.start_second()

    def kill_second(self):
        self.second.kill()
        self.second.wait()
        self.worker_kills += 1
        self.start_second()

    def kill_all(self):
        self.kill(self.own_worker())
        self.second.kill()
        self.second.wait()
        self.worker_kills += 2
        self.start_second()
        self.kill_broker()

    # In parts of the whole.
    EVENTS = (
        (0.04, plan_broker),
        (0.08, kill_broker),
        (0.12, kill_own),
        (0.16, plan_second),
        (0.20, kill_all),
        (0.30, kill_own),
        (0.34, plan_second),
        (0.38, kill_second),
        (0.42, plan_own),
        (0.55, kill_broker),
        (0.62, plan_broker),
        (0.69, kill_broker),
    )

    # ---- looking ----

    def watched(self):
        return (
            ("broker", self.broker.pid),
            ("worker", self.own_worker()),
            ("worker-2", self.second.pid),
            ("client", self.load.pid),
        )

    def sample(self, at, since, tables):
        for who, pid in self.watched():
            try:
                descriptors = len(os.listdir(f"/proc/{pid}/fd"))
                threads = len(os.listdir(f"/proc/{pid}/task"))
            except OSError:
                continue  # it has just ended
            memory = memory_kib(pid)
            if memory:
                tables[0].write(
                    f"{at:.2f} {who} {pid} {memory} {descriptors} {threads}\n"
                )
        calls = -self.ledger.ended
        self.ledger.read()
        calls += self.ledger.ended
        try:
            stats = self.stats()
        except BenchError:
            return  # it is being started anew
        file = os.stat(self.store / "data.mdb").st_blocks // 2
        tables[1].write(
            f"{at:.2f} {file} {stats['store_bytes'] // 1024} {stats['drafts']} "
            f"{calls / since:.2f}\n"
        )

    def run(self):
        events = [(at * self.seconds, event) for at, event in self.EVENTS]
        every_s = max(SAMPLE_S_MIN, self.seconds / SAMPLES)
        self.start_broker()
        self.fill()
        self.start_second()
        self.start_load()
        clients = [Client(self, number) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        began = sampled = time.monotonic()
        with open(
            self.directory / "processes.table", "w", buffering=1
        ) as processes, open(
            self.directory / "store.table", "w", buffering=1
        ) as store:
            while time.monotonic() < began + self.seconds:
                at = time.monotonic() - began
                if events and at >= events[0][0]:
                    events.pop(0)[1](self)
                now = time.monotonic()
                self.sample(now - began, now - sampled, (processes, store))
                sampled = now
                if self.ledger.failures:
                    break
                time.sleep(max(0, every_s - (time.monotonic() - now)))
        self.finish(clients)

    # ---- the end ----

    def finish(self, clients):
        self.is_over.set()
        for client in clients:
            client.join(2 * PATIENCE_S)
            if client.is_alive():
                self.ledger.fail(f"{client.name} did not end")
        self.load.send_signal(signal.SIGTERM)
        code = self.load.wait(PATIENCE_S)
        if code != 128 + signal.SIGTERM:
            self.ledger.fail(f"sheaf-load: exit code {code}")
        self.end(self.second, "sheaf-worker")
        self.end(self.broker, "sheafd")
        self.kill(self.own_worker())
        self.ledger.read()
        done = subprocess.run(
            [BIN / "sheafd", "--store", self.store, "--verify"],
            env=self.scratch.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        if done.returncode != 0:
            self.ledger.fail(f"sheafd --verify: {done.stdout[-1000:]}")
        self.judge()

    def judge(self):
        ledger = self.ledger
        repeated, most = ledger.repeated(), ledger.in_flight_most
        limit = REPEATED_MAX * self.worker_kills
        load = json.loads((self.scratch.root / "load.json").read_text())
        if repeated > limit:
            ledger.fail(f"{repeated} calls were repeated; {limit} are explained")
        if most > SLOTS:
            ledger.fail(f"{most} calls in flight, of {SLOTS}")
        if not ledger.results:
            ledger.fail("no draft had a result")
        # Those that were waiting when it was told to end are not answered.
        lost = load["accepted"] - load["answered"]
        if lost > LOAD_USERS or load["answered"] == 0:
            ledger.fail(f"sheaf-load: {json.dumps(load)}")
        if set(load["statuses"]) - {"ok"}:
            ledger.fail(f"results of sheaf-load: {load['statuses']}")
        print(
            f"{ledger.results} drafts of {CLIENTS} clients and {load['answered']} "
            f"of sheaf-load, each with one result and the right one\n"
            f"{sum(ledger.calls.values())} calls, at most {most} at a time; "
            f"{repeated} repeated after {self.worker_kills} workers were killed"
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    args.directory.mkdir(parents=True, exist_ok=True)
    with Scratch(args.directory) as scratch:
        soak = Soak(scratch, args.directory, args.minutes * 60, args.seed)
        soak.run()
        failures = soak.ledger.failures
        if failures:
            print(f"the end of the log:\n{scratch.tail()}", file=sys.stderr)
    for failure in failures:
        print(f"soak: {failure}", file=sys.stderr)
    if failures:
        print(f"soak: seed {args.seed}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        raise SystemExit(f"soak: {error}") from None
