#!/usr/bin/python3
"""submit_and_poll.py - a whole client in Python, with nothing but pyzmq

    submit_and_poll.py ENDPOINT KEY DRAFTS.jsonl >RESULTS.jsonl

ENDPOINT is where sheafd listens for clients (ipc:///run/sheaf/clients). KEY
names the work. The messages are those of queue/PROTOCOL.md: open, chunk, seal,
wait, results. Every one of them may be repeated, so a timeout has one remedy:
connect anew and send the same again. For the same reason a client that died is
simply started again: the same key is the same batch.

Exit codes: 0 all well, 1 some drafts were refused or have no answer, 2 usage,
5 no broker, 7 a file that cannot be read or written, 8 the broker says no.
"""
# SPDX-License-Identifier: MIT
import codecs
import hashlib
import json
import os
import sys

import zmq

CLIENT = "example"
OPTIONS = {"goal": "Summarize", "constraints": ["one sentence"]}
ANSWER_MS = 5000  # send again after this time
TRIES = 12


class Refused(Exception):
    """The broker answered with an error; its code is the first argument."""


class Broker:
    """One conversation: a question, its answer, and so on."""

    def __init__(self, endpoint):
        self.endpoint, self.socket, self.re = endpoint, None, 0

    def connect(self):
        if self.socket:
            self.socket.close(linger=0)
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.connect(self.endpoint)

    def ask(self, verb, body=None, answer_ms=ANSWER_MS, **members):
        """Sends one message until it is answered: (header, body)."""
        self.re += 1
        header = {"verb": verb, "re": self.re, **members}
        frames = [json.dumps(header).encode()]
        if body is not None:
            frames.append(body)
        for _ in range(TRIES):
            if not self.socket:
                self.connect()
            self.socket.send_multipart(frames)
            while self.socket.poll(answer_ms):
                answer, *rest = self.socket.recv_multipart()
                answer = json.loads(answer)
                if answer.get("re") != self.re:
                    continue  # a late answer to an earlier question
                if answer["verb"] != "error":
                    return answer, b"".join(rest)
                if answer["code"] not in ("full", "draining", "io"):
                    raise Refused(answer["code"], answer["message"])
                # Not now: the poll, which hears nothing more, is the pause.
            self.connect()
        raise TimeoutError(f"{self.endpoint}: no answer to {verb}")


def chunks(lines, limits):
    """Cuts the drafts as the broker wants them; the same each time."""
    chunk, size = [], 0
    for line in lines:
        if chunk and (len(chunk) == limits["chunk_drafts_max"]
                      or size + len(line) > limits["chunk_bytes_max"]):
            yield b"".join(chunk)
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        yield b"".join(chunk)


def submit(broker, key, lines):
    """Uploads and seals the batch: its id, and what was refused."""
    limits = broker.ask("hello", protocol=1)[0]["limits"]
    opened, _ = broker.ask("open", json.dumps(OPTIONS).encode(),
                           key=key, client=CLIENT)
    batch, count, refused = opened["batch"], 0, []
    for count, chunk in enumerate(chunks(lines, limits), 1):
        if count < opened["next_chunk"]:
            continue  # an earlier run has sent it
        stored, _ = broker.ask("chunk", chunk, batch=batch, n=count,
                               digest=hashlib.sha256(chunk).hexdigest())
        refused += stored["refused"]
    sealed, _ = broker.ask("seal", batch=batch, chunks=count, drafts=len(lines))
    return (None if sealed["state"] == "empty" else batch), refused


def wait(broker, batch):
    """Waits until nothing more will come: the batch's last status."""
    while True:
        status, _ = broker.ask("wait", batch=batch, timeout=ANSWER_MS // 2)
        if status["state"] not in ("open", "sealed", "paused"):
            return status
        counts = status["counts"]
        print(f"{counts['done']} of {counts['drafts']}", file=sys.stderr)


def results(broker, batch):
    """All result lines, page by page."""
    cursor, more = 0, True
    while more:
        page, lines = broker.ask("results", batch=batch, after=cursor,
                                 order="input", limit=1000)
        cursor, more = page["cursor"], page["more"]
        yield lines


def main(endpoint, key, path):
    with open(path, "rb") as file:
        text = file.read().removeprefix(codecs.BOM_UTF8)
    lines = [line + b"\n" for line in text.split(b"\n") if line.strip()]
    broker = Broker(endpoint)
    batch, refused = submit(broker, key, lines)
    for refusal in refused:
        print(f"draft {refusal['index']}: {refusal['field']}:",
              refusal["message"], file=sys.stderr)
    if not batch:
        return 1
    counts = wait(broker, batch)["counts"]
    for page in results(broker, batch):
        sys.stdout.buffer.write(page)
    return 0 if counts["ok"] == counts["drafts"] else 1


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print("usage: submit_and_poll.py ENDPOINT KEY DRAFTS.jsonl",
              file=sys.stderr)
        sys.exit(2)
    try:
        code = main(*sys.argv[1:])
        sys.stdout.flush()
        sys.exit(code)
    except TimeoutError as error:
        print(error, file=sys.stderr)
        sys.exit(5)
    except OSError as error:
        print(error, file=sys.stderr)
        os._exit(7)  # what standard output still has would be tried again
    except Refused as error:
        print("the broker says:", *error.args, file=sys.stderr)
        sys.exit(8)
