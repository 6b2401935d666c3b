#!/usr/bin/python3
"""kills.py - kills parts of Sheaf at random moments and counts what it costs

  kills.py [--rounds N] [--seed N] [--drafts N]

Run by 50-kill.sh, in a directory of its own. A round submits drafts, 30 % of
them repeats, to a store of its own and kills several times. The rounds take
these kinds in turn:

  broker    sheafd, which is started again and adopts the worker: no call is
            repeated, and no second worker is there
  worker    sheaf-worker, which sheafd starts again
  client    sheaf submit with a key, which is repeated: one batch, no call twice
  all       everything; the first call comes soon after the next start
  run       sheaf run, or all of its processes, repeated until it ends
  children  broker or worker of a sheaf run, which goes on by itself

At the end of each, every draft has exactly one result, the right one; no more
than five calls were ever in flight; and there were at most ten calls beyond the
different requests for each kill of a worker, none without such a kill.
"""
# SPDX-License-Identifier: MIT

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import calls

KINDS = ("broker", "worker", "client", "all", "run", "children")
KILLS = 3  # a round
REPEATED_MAX = 10  # calls beyond the distinct ones, per kill of a worker
FIRST_CALL_MS = 2000  # from the start of a program to its first call, stalls of
                      # the machine not counted
ROUND_SECONDS = 90
BIN = os.environ["BIN"]
HERE = os.path.dirname(os.path.abspath(__file__))


class Failure(Exception):
    """A round that did not end as it must."""


def expect(is_true, message):
    if not is_true:
        raise Failure(message)


def now_ms():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000000


def wait_for(condition, what, seconds=20):
    end = now_ms() + seconds * 1000
    while True:
        value = condition()
        if value:
            return value
        expect(now_ms() < end, f"not within {seconds} s: {what}")
        time.sleep(0.005)


def processes(program):
    """The processes of a program that were started below this directory."""
    mark = f"TMPDIR={os.environ['TMPDIR']}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                if mark not in file.read().split(b"\0"):
                    continue
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                argv0 = file.read().split(b"\0")[0]
        except OSError:
            continue
        if argv0 == f"{BIN}/{program}".encode():
            found.append(int(entry))
    return found


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Metronome(threading.Thread):
    """Flushes a byte now and then, and adds up by how much the machine was late:
    what it took from Sheaf as well."""

    BEAT_MS = 50

    def __init__(self, path):
        super().__init__(daemon=True)
        self.file = open(path, "wb", buffering=0)
        self.late_ms = 0
        self.is_over = threading.Event()

    def run(self):
        while not self.is_over.is_set():
            begun_ms = now_ms()
            self.file.write(b".")
            os.fsync(self.file.fileno())
            self.is_over.wait(self.BEAT_MS / 1000)
            self.late_ms += max(0, now_ms() - begun_ms - 2 * self.BEAT_MS)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.join()
        self.file.close()


class Round:
    """A store, an upstream, the drafts, and what was done to them."""

    def __init__(self, number, kind, args, rng):
        self.kind = kind
        self.rng = rng
        self.dir = f"round-{number}"
        os.mkdir(self.dir)
        self.log = f"{self.dir}/upstream.log"
        self.errors = open(f"round-{number}.err", "ab")
        self.worker_kills = 0
        self.broker = None
        self.slowest_ms = 0
        self.write_drafts(number, args)
        self.upstream = self.start_upstream()

    # ---- the parts ----

    def write_drafts(self, number, args):
        with open(f"{self.dir}/drafts.jsonl", "wb") as file:
            subprocess.run(
                [sys.executable, f"{HERE}/drafts.py", str(args.drafts),
                 "--repeats", "30", "--prefix", f"r{number}-",
                 "--seed", str(args.seed)],
                stdout=file, check=True)
        with open(f"{self.dir}/drafts.jsonl", encoding="utf-8") as file:
            texts = {json.loads(line)["text"] for line in file}
        self.distinct = len(texts)

    def start_upstream(self):
        port = f"{self.dir}/port"
        upstream = subprocess.Popen(
            [f"{BIN}/upstream", "--port-file", port, "--log", self.log,
             "--latency-ms", "20"], stderr=self.errors)
        wait_for(lambda: os.path.exists(port), "the upstream's port")
        with open(port, encoding="ascii") as file:
            number = file.read().strip()
        with open(f"{self.dir}/sheaf.conf", "w", encoding="ascii") as file:
            file.write(f'[upstream "test"]\nmodel = test-model\n'
                       f"base_url = http://127.0.0.1:{number}/v1\n")
        return upstream

    def start(self, *argv, out=None):
        """Starts a program, and returns it and the moment."""
        begun_ms = now_ms()
        child = subprocess.Popen(
            [f"{BIN}/{argv[0]}", *argv[1:]], stdin=subprocess.DEVNULL,
            stdout=out or self.errors, stderr=self.errors)
        return child, begun_ms

    def start_broker(self):
        self.broker, begun_ms = self.start(
            "sheafd", "--store", f"{self.dir}/store",
            "--config", f"{self.dir}/sheaf.conf")
        return begun_ms

    def kill_broker(self):
        self.broker.kill()
        self.broker.wait()

    def kill_workers(self):
        workers = processes("sheaf-worker")
        self.worker_kills += len(workers)
        kill(workers)

    def submit(self):
        with open(f"{self.dir}/batch", "wb") as file:
            return self.start("sheaf", "submit", "--goal", "Summarize",
                              "--key", "the-key",
                              f"{self.dir}/drafts.jsonl", out=file)[0]

    def ask(self, *argv):
        """What a command of the command line prints."""
        done = subprocess.run([f"{BIN}/sheaf", *argv],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=ROUND_SECONDS, check=False)
        expect(done.returncode == 0,
               f"sheaf {' '.join(argv)}: got exit code {done.returncode}, "
               f"want 0: {done.stderr.decode(errors='replace')}")
        return done.stdout

    # ---- looking ----

    def calls(self):
        return calls.starts(self.log)

    def pause(self, longest_ms):
        """Lets a random time pass: the moment of a kill."""
        time.sleep(self.rng.uniform(0, longest_ms) / 1000)

    def is_over(self):
        """Whether all that is to be called was called."""
        return len({call["sha"] for call in self.calls()}) == self.distinct

    def check_first_call(self, begun_ms):
        """After everything was killed, work goes on soon."""
        if self.is_over():
            return

        def first():
            return [call["t_us"] // 1000 for call in self.calls()
                    if call["t_us"] // 1000 >= begun_ms]

        with Metronome(f"{self.dir}/metronome") as metronome:
            came_ms = wait_for(first, "a call after the start")[0] - begun_ms
        came_ms -= metronome.late_ms
        self.slowest_ms = max(self.slowest_ms, came_ms)
        expect(came_ms <= FIRST_CALL_MS,
               f"the first call after a start: got {came_ms} ms, "
               f"want {FIRST_CALL_MS} at most")

    def check_results(self, path):
        done = subprocess.run(
            [sys.executable, f"{HERE}/answers.py",
             f"{self.dir}/drafts.jsonl", path],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        expect(done.returncode == 0,
               f"results: {done.stdout.decode(errors='replace')}")

    def check_calls(self):
        made = self.calls()
        shas = {call["sha"] for call in made}
        limit = self.distinct + REPEATED_MAX * self.worker_kills
        expect(len(shas) == self.distinct,
               f"different calls: got {len(shas)}, want {self.distinct}")
        expect(len(made) <= limit,
               f"calls: got {len(made)}, want at most {limit} "
               f"({self.distinct} and {self.worker_kills} workers killed)")
        most = max(call["in_flight"] for call in made)
        expect(most <= 5, f"calls in flight: got {most}, want 5 at most")
        return len(made)

    # ---- rounds ----

    def finish_submit(self, client):
        """The client's submission, repeated until it is acknowledged."""
        tries = 1
        while client.wait(timeout=ROUND_SECONDS) != 0:
            tries += 1
            expect(tries <= 10, "the submission failed ten times")
            client = self.submit()
        with open(f"{self.dir}/batch", encoding="ascii") as file:
            return file.read().strip()

    def check_batch(self, client):
        batch = self.finish_submit(client)
        self.ask("wait", "--timeout", str(ROUND_SECONDS), batch)
        listed = [json.loads(line)["batch"] for line
                  in self.ask("list", "--json").splitlines()]
        expect(listed == [batch], f"batches: got {listed}, want [{batch}]")
        again = self.finish_submit(self.submit())
        expect(again == batch, f"batch of the key: got {again}, want {batch}")
        with open(f"{self.dir}/results.jsonl", "wb") as file:
            file.write(self.ask("results", batch))
        self.check_results(f"{self.dir}/results.jsonl")

    def end_broker(self):
        self.broker.terminate()
        code = self.broker.wait(timeout=30)
        expect(code == 0, f"exit code of sheafd: got {code}, want 0")

    def kill_broker_round(self):
        self.start_broker()
        client = self.submit()
        for _ in range(KILLS):
            self.pause(1500)
            self.kill_broker()
            self.pause(300)
            self.start_broker()
        self.check_batch(client)
        # One that was started just before a kill is found and let go.
        wait_for(lambda: len(processes("sheaf-worker")) == 1,
                 "one worker after restarts of the broker")
        self.end_broker()

    def kill_worker_round(self):
        self.start_broker()
        client = self.submit()
        for _ in range(KILLS):
            self.pause(1500)
            self.kill_workers()
        self.check_batch(client)
        self.end_broker()

    def kill_client_round(self):
        self.start_broker()
        client = self.submit()
        for _ in range(KILLS):
            self.pause(150)
            client.kill()
            client.wait()
            client = self.submit()
        self.check_batch(client)
        self.end_broker()

    def kill_all_round(self):
        self.start_broker()
        client = self.submit()
        for _ in range(KILLS):
            self.pause(1500)
            client.kill()
            self.broker.kill()
            self.kill_workers()
            client.wait()
            self.broker.wait()
            begun_ms = self.start_broker()
            client = self.submit()
            self.check_first_call(begun_ms)
        self.check_batch(client)
        self.end_broker()

    def run(self):
        return self.start("sheaf", "run", "--goal", "Summarize",
                          "-C", f"{self.dir}/store",
                          "--config", f"{self.dir}/sheaf.conf",
                          "-o", f"{self.dir}/results.jsonl",
                          f"{self.dir}/drafts.jsonl")

    def end_run(self, runner):
        code = runner.wait(timeout=ROUND_SECONDS)
        expect(code == 0, f"exit code of sheaf run: got {code}, want 0")
        self.check_results(f"{self.dir}/results.jsonl")
        before = len(self.calls())
        code = self.run()[0].wait(timeout=ROUND_SECONDS)
        expect(code == 0, f"exit code of a repeated run: got {code}, want 0")
        expect(len(self.calls()) == before, "a finished run made calls")
        wait_for(lambda: not processes("sheafd") and
                 not processes("sheaf-worker"), "the end of the children")

    def kill_run_round(self):
        runner, begun_ms = self.run()
        for _ in range(KILLS):
            self.pause(1500)
            runner.kill()
            if self.rng.random() < 0.5:
                kill(processes("sheafd"))
                self.kill_workers()
            runner.wait()
            expect(self.is_over() or
                   not os.path.exists(f"{self.dir}/results.jsonl"),
                   "an output file that is not complete")
            runner, begun_ms = self.run()
            self.check_first_call(begun_ms)
        self.end_run(runner)

    def kill_children_round(self):
        runner = self.run()[0]
        for _ in range(KILLS):
            self.pause(1500)
            if self.rng.random() < 0.5:
                kill(processes("sheafd"))
            else:
                self.kill_workers()
        self.end_run(runner)

    def play(self):
        begun_ms = now_ms()
        getattr(self, f"kill_{self.kind}_round")()
        made = self.check_calls()
        print(f"  {self.kind}: {made} calls for {self.distinct} requests, "
              f"{self.worker_kills} workers killed, first call within "
              f"{self.slowest_ms or '-'} ms, {now_ms() - begun_ms} ms",
              flush=True)

    def close(self):
        kill(processes("sheafd") + processes("sheaf-worker") +
             processes("sheaf"))
        self.upstream.terminate()
        self.upstream.wait()
        self.errors.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--drafts", type=int, default=1000)
    parser.add_argument("--only", choices=KINDS)
    args = parser.parse_args()
    if args.seed is None:
        args.seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {args.seed}", flush=True)
    for number in range(args.rounds):
        kind = args.only or KINDS[number % len(KINDS)]
        # A round is the same again whatever came before it.
        rng = random.Random(f"{args.seed}/{number}")
        played = Round(number, kind, args, rng)
        try:
            played.play()
        except (Failure, subprocess.TimeoutExpired) as error:
            print(f"round {number} ({kind}) with seed {args.seed}: {error}",
                  file=sys.stderr)
            sys.exit(1)
        finally:
            played.close()


if __name__ == "__main__":
    main()
