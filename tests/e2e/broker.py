"""broker.py - a sheafd under a test's control, and a client of it

The client speaks the protocol itself, to send what no command would send, when
the test wants it. A broker may be run under strace, which records it or kills
it; the worker that it starts is let go.
"""
# SPDX-License-Identifier: MIT

import hashlib
import itertools
import json
import os
import signal
import subprocess
import time

import zmq

BIN = os.environ["BIN"]
WAIT_SECONDS = 30
OPTIONS = b'{"goal":"Summarize"}'
NUMBERS = itertools.count(1)


class Failure(Exception):
    """Something that is not as it must be."""


class Ended(Failure):
    """The broker ended before it could be asked."""


class Refused(Exception):
    """The broker answered with an error; its code is the first argument."""


def wait_for(condition, what):
    end = time.monotonic() + WAIT_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"not within {WAIT_SECONDS} s: {what}")
        time.sleep(0.01)


def chunk_members(batch, number, body):
    return {"batch": batch, "n": number,
            "digest": hashlib.sha256(body).hexdigest()}


class Client:
    """One conversation with a broker: a question, its answer, and so on."""

    def __init__(self, endpoint):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.connect(endpoint)

    def close(self):
        self.socket.close(linger=0)

    def send(self, verb, body=None, **members):
        number = next(NUMBERS)
        frames = [json.dumps({"verb": verb, "re": number, **members}).encode()]
        self.socket.send_multipart(frames + ([] if body is None else [body]))
        return number

    def answer(self, number):
        while self.socket.poll(WAIT_SECONDS * 1000):
            head, *rest = self.socket.recv_multipart()
            head = json.loads(head)
            if head.get("re") != number:
                continue
            if head["verb"] == "error":
                raise Refused(head["code"], head["message"])
            return head, b"".join(rest)
        raise Failure(f"no answer within {WAIT_SECONDS} s")

    def ask(self, verb, body=None, **members):
        return self.answer(self.send(verb, body, **members))

    def expect_refusal(self, number, code):
        try:
            self.answer(number)
        except Refused as error:
            if error.args[0] == code:
                return
            raise
        raise Failure(f"what had to be refused ({code}) was not")

    def try_to(self, verb, **members):
        """Asks for what comes too late if the machine was slow."""
        try:
            self.ask(verb, **members)
        except Refused as error:
            if error.args[0] != "conflict":
                raise

    # ---- whole tasks ----

    def open(self, key, **members):
        return self.ask("open", OPTIONS, key=key, client="power",
                        **members)[0]["batch"]

    def chunk(self, batch, number, body):
        return self.answer(self.send_chunk(batch, number, body))

    def send_chunk(self, batch, number, body):
        return self.send("chunk", body, **chunk_members(batch, number, body))

    def submit(self, key, chunks, **members):
        batch = self.open(key, **members)
        drafts = 0
        for number, body in enumerate(chunks, 1):
            drafts = self.chunk(batch, number, body)[0]["drafts"]
        self.seal(batch, len(chunks), drafts)
        return batch

    def seal(self, batch, chunks, drafts):
        return self.ask("seal", batch=batch, chunks=chunks, drafts=drafts)[0]

    def wait(self, batch):
        """The state in which the batch has ended."""
        def end():
            head = self.ask("wait", batch=batch, timeout=2000)[0]
            is_over = head["state"] not in ("open", "sealed", "paused")
            return head["state"] if is_over else None
        return wait_for(end, f"the end of batch {batch}")

    def wait_for_results(self, batch, count):
        def are_there():
            head = self.ask("status", batch=batch)[0]
            return head["counts"]["done"] >= count
        wait_for(are_there, f"{count} results")

    def read(self, verb, **members):
        """All pages of results, refusals or chunks."""
        cursor, more, lines = 0, True, []
        while more:
            head, body = self.ask(verb, after=cursor, limit=7, **members)
            cursor, more = head["cursor"], head["more"]
            lines += [json.loads(line) for line in body.splitlines()]
        return lines


def drafts(prefix, texts):
    """A chunk of drafts."""
    return b"".join(
        json.dumps({"id": f"{prefix}-{at}", "text": text}).encode() + b"\n"
        for at, text in enumerate(texts))


def texts(word, count, first=0):
    return [f"{word} text {number} of the river and its stones"
            for number in range(first, first + count)]


def parent(pid):
    """The parent of a process, if there is such a process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return None


def workers(runtime):
    """The workers that were started by brokers of a runtime directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if (words[0].endswith(b"/sheaf-worker")
                and os.fsencode(f"ipc://{runtime}/sheaf/workers") in words):
            found.append(int(pid))
    return found


class Broker:
    """A sheafd over the store in `root`, with options of its configuration."""

    def __init__(self, root, runtime, log, settings=(), config="sheaf.conf"):
        self.root, self.log, self.runtime = root, log, runtime
        self.settings, self.config = settings, config
        self.env = {**os.environ, "XDG_RUNTIME_DIR": runtime}
        # The sanitizer of leaks cannot work under a tracer.
        self.env["ASAN_OPTIONS"] = (os.environ.get("ASAN_OPTIONS", "")
                                    + ":detect_leaks=0")
        self.process, self.pid, self.endpoint = None, None, None
        self.is_traced = False

    def start(self, tracer=()):
        """Starts it, under a program that has it as its child, such as
        strace, if one is given."""
        self.is_traced = bool(tracer)
        self.process = subprocess.Popen(
            [*tracer, f"{BIN}/sheafd", "--store", f"{self.root}/store",
             "--config", self.config, *(word for setting in self.settings
                                        for word in ("--set", setting))],
            stderr=self.log, stdin=subprocess.DEVNULL, env=self.env)
        lock = f"{self.root}/store/lock"

        def endpoint():
            if self.process.poll() is not None:
                raise Ended("sheafd ended at its start with exit code "
                            f"{self.process.returncode}")
            try:
                with open(lock, encoding="latin-1") as file:
                    lines = file.read().splitlines()
            except FileNotFoundError:
                return None
            words = dict(line.partition(" ")[::2] for line in lines)
            # It may still be that of the broker that was killed, or what a
            # loss of power made of it.
            pid = words.get("pid")
            is_new = str(self.process.pid) in (pid, str(parent(pid)))
            return words if is_new and "endpoint" in words else None

        words = wait_for(endpoint, "the start of sheafd")
        self.endpoint, self.pid = words["endpoint"], int(words["pid"])

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Tells it to stop. Its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait()

    def is_dead(self):
        """Kills it, which strace alone would leave alive."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if parent(pid) == self.process.pid:
                os.kill(int(pid), signal.SIGKILL)
        if not self.is_traced:
            self.process.kill()
        return self.process.poll() is not None

    def end(self):
        """Ends what is left after a failure, too."""
        if self.process:
            wait_for(self.is_dead, "the end of sheafd")
        for pid in workers(self.runtime):
            os.kill(pid, signal.SIGKILL)
