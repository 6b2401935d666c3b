"""sheaf.py - Sheaf as a benchmark drives it

A Broker is a sheafd over a new store, with or without workers of its own.
"""
# SPDX-License-Identifier: MIT

import contextlib
import json
import os
import pathlib
import signal
import socket
import tempfile

from scratch import BenchError, children_of, disk_bytes

OUT = pathlib.Path(os.environ.get("OUT", "build/plain")).resolve()
BIN = OUT / "bin"
DRIVERS = OUT / "tests" / "bench"
DRAFT_BYTES = 1024
SLOTS = 5


def drive(scratch, name, verb, target, watch=(), **options):
    """Runs a driver. What it printed; and what those who are watched took of the
    processors, in seconds."""
    command = [DRIVERS / f"drive_{name}", verb, target]
    for option, value in options.items():
        command += [f"--{option}", value]
    done = scratch.run(command, watch)
    return {**json.loads(done.output), "cpu": done.watched}


def rate(figure):
    return figure["items"] / figure["seconds"]


def write_drafts(path, count):
    """Drafts of 1 KiB, for all that read a file."""
    with open(path, "w", encoding="ascii") as file:
        for number in range(count):
            head = f'{{"id":"d-{number:06}","text":"{number:06} '
            rest = DRAFT_BYTES - len(head) - 2
            words = " ".join(
                f"{(number * 7919 + i) % 99991:05}" for i in range(200)
            )
            file.write(f'{head}{words[:rest]}"}}\n')


class Upstream:
    """The server that answers at once, or after a time."""

    def __init__(self, scratch, latency_ms=0, reply_bytes=1024):
        self.scratch = scratch
        port = scratch.root / "port"
        port.unlink(missing_ok=True)
        self.process = scratch.start(
            [DRIVERS / "instant", "--port-file", port]
            + ["--latency-ms", latency_ms, "--bytes", reply_bytes]
        )
        scratch.wait_for(port.exists, "the upstream", self.process)
        self.base = f"http://127.0.0.1:{port.read_text().strip()}/v1"
        self.url = self.base + "/chat/completions"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.scratch.stop(self.process)


class Profile:
    """Where a process spends its time while this lives: perf's word on it."""

    TOP = 25  # functions that are shown

    def __init__(self, scratch, pid):
        self.scratch = scratch
        self.data = scratch.root / "perf.data"
        self.process = scratch.start(
            ["perf", "record", "-q", "-F", "2000", "-o", self.data, "-p", pid]
        )

    def show(self):
        self.scratch.stop(self.process, signal.SIGINT)
        report = self.scratch.run(
            ["perf", "report", "--stdio", "-q", "-i", self.data]
            + ["--fields", "overhead,dso,sym", "--percent-limit", "0.5"]
        ).output
        lines = [line.rstrip() for line in report.splitlines() if line.strip()]
        print("\n".join(["sheafd spent its time on"] + lines[: self.TOP]))


class Broker:
    """A sheafd over a new store. The configuration's options are arguments."""

    def __init__(
        self, scratch, workers=0, base="http://127.0.0.1:9", **options
    ):
        self.scratch = scratch
        self.store = scratch.directory("sheaf")
        self.config = scratch.root / "sheaf.conf"
        self.config.write_text(
            f'[upstream "bench"]\nbase_url = {base}\nmodel = bench\n',
            encoding="ascii",
        )
        self.options = options
        # Its own, so that no worker of another one comes to it.
        runtime = tempfile.mkdtemp(dir=scratch.sockets)
        self.environment = {**scratch.environment, "XDG_RUNTIME_DIR": runtime}
        self.clients = f"ipc://{runtime}/sheaf/clients"
        self.hands = f"ipc://{runtime}/sheaf/workers"
        self.process = None
        self.profile = None
        self.start(workers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.profile:
            self.profile.show()
        self.scratch.stop(self.process)

    def spawn(self, workers=0):
        """Starts it, and waits for nothing."""
        command = [BIN / "sheafd", "--store", self.store / "store"]
        command += ["--config", self.config, "--workers", workers]
        command += ["--log-level", "warn"]
        for name, value in self.options.items():
            command += ["--set", f"{name}={value}"]
        self.process = self.scratch.start(command, env=self.environment)

    def start(self, workers=0):
        self.spawn(workers)
        self.scratch.wait_for(
            lambda: self.stat("workers") >= workers, "sheafd", self.process
        )
        if os.environ.get("BENCH_PROFILE"):
            self.profile = Profile(self.scratch, self.process.pid)

    @contextlib.contextmanager
    def workers(self, count):
        """So many workers that make calls, as on another host."""
        hands = [
            self.scratch.start(
                [BIN / "sheaf-worker", "--config", self.config]
                + ["--log-level", "warn"],
                env=self.environment,
            )
            for _ in range(count)
        ]
        try:
            yield
        finally:
            for hand in hands:
                self.scratch.stop(hand)

    def kill(self):
        """Ends it and its workers as a power cut would, but for the disk."""
        self.scratch.stop(self.process, signal.SIGKILL)

    def pids(self):
        return [self.process.pid] + children_of(self.process.pid)

    def command(self, *words, **options):
        return self.scratch.run(
            [BIN / "sheaf", *words], env=self.environment, **options
        )

    def run(self, drafts, results):
        """One command for the whole way; the broker's and the workers' processor
        time is told with its own."""
        command = [BIN / "sheaf", "run", "--broker", self.clients]
        return self.scratch.run(
            command + ["-o", results, drafts],
            env=self.environment,
            watch=self.pids(),
        )

    def stat(self, name):
        for line in self.command(
            "stats", "--broker-timeout", "1"
        ).output.splitlines():
            if line.split()[0] == name:
                return int(line.split()[1])
        raise BenchError(f"sheaf stats: no {name}")

    def put(self, count, clients=1, verb="put", **options):
        return drive(
            self.scratch,
            "sheaf",
            verb,
            self.clients,
            [self.process.pid],
            count=count,
            clients=clients,
            **{"bytes": DRAFT_BYTES, **options},
        )

    def answer(self, count, workers=8, window=SLOTS, **options):
        """Has drafts answered by workers that make no calls."""
        return drive(
            self.scratch,
            "worker",
            "complete",
            self.hands,
            [self.process.pid],
            count=count,
            clients=workers,
            window=window,
            **options,
        )

    def disk(self):
        return disk_bytes(self.store)


class FirstCall:
    """An upstream that says when it is first called."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.base = "http://127.0.0.1:%d/v1" % self.listener.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def forget(self):
        """Lets go of calls that were made and not looked at."""
        self.listener.setblocking(False)
        while True:
            try:
                self.listener.accept()[0].close()
            except BlockingIOError:
                return

    def wait(self, seconds):
        self.listener.settimeout(seconds)
        peer, _ = self.listener.accept()
        with peer:
            peer.settimeout(seconds)
            if not peer.recv(4):
                raise BenchError("the first call was none")
