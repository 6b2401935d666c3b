#!/usr/bin/python3
"""full.py - files on a disk that fills up while they come, are read and made

  full.py DIRECTORY CONFIG HELD

DIRECTORY is on a small file system, and holds the store. CONFIG names an
upstream of large replies, which answers nothing until there is a file HELD.
"""
# SPDX-License-Identifier: MIT

import os
import sys
import time

from broker import Broker, Failure, Refused, wait_for
from files import CLIENT, Files, equal, lines

ENDPOINT = "/v1/chat/completions"
SETTINGS = ("group_window_ms=0", "cache_ttl_ms=0")
FILL_BYTES = 400000
FILLS_MAX = 60
HALF_BYTES = 3000000
ANSWERED = 40       # lines of the batch whose replies come when the disk is full
READ, LINE_BYTES = 300, 12000  # of the one that is read then
LOST_BYTES_MAX = 4096          # that are neither the store's nor free
WATCH_SECONDS = 2
BUSY_SECONDS = 1    # of the processor, in that time: more is a loop that spins


def padded(word, count, bytes_each):
    """A file whose lines are long, and shrink little."""
    rows = lines(ENDPOINT, word, count).splitlines()
    return b"".join(
        row[:-1] + b',"metadata":{"pad":"' + os.urandom(bytes_each // 2).hex()
        .encode() + b'"}}\n' for row in rows)


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(client):
    """Uploads until no file is taken any more. Their names, and the reason."""
    names = []
    while len(names) < FILLS_MAX:
        content = os.urandom(FILL_BYTES)
        key = f"fill{len(names)}"
        try:
            names.append(client.upload(key, content))
        except Refused as error:
            return names, error.args
    raise Failure("the disk is never full")


def expect_full(refusal, limit, what):
    if not refusal or refusal[0] != "full" or limit not in refusal[1]:
        raise Failure(f"{what}: {refusal}")


def open_batch(client, file):
    """None while there is no room."""
    try:
        return client.batch("two", file, ENDPOINT)
    except Refused as error:
        expect_full(error.args, "soft limit, for new batches", "a batch")
        return None


def is_waiting(client, batch, whole):
    """True if some of its file is read, and not all."""
    got = client.status(batch)
    if got["bytes_read"] >= whole:
        raise Failure("there was room for all of it")
    return got["bytes_read"] > 0


def send_parts(client, file, content):
    """Sends what is taken. How much that was, and why no more."""
    at = 0
    while at < len(content):
        try:
            at = client.part(file, content, at)
        except Refused as error:
            return at, error.args
    raise Failure("the disk is never full")


def is_uploaded(client, key, content):
    try:
        return client.upload(key, content)
    except Refused as error:
        expect_full(error.args, "hard limit", "an upload that goes on")
        return None


def hard_limit(client):
    return client.ask("stats")[0]["stats"]["store_bytes_hard"]


def watch(pid):
    """How long the broker had the processor, in WATCH_SECONDS."""
    before = processor_seconds(pid)
    time.sleep(WATCH_SECONDS)
    return processor_seconds(pid) - before


def run(broker, held):
    client = Files(broker.endpoint)
    limit = hard_limit(client)
    content = lines(ENDPOINT, "one", ANSWERED)
    one = client.upload("one", content)
    wide = padded("two", READ, LINE_BYTES)
    two = client.upload("two", wide)
    half = os.urandom(HALF_BYTES)
    half_file = client.begin("half", half)["file"]["file"]
    first = client.batch("one", one, ENDPOINT)
    wait_for(lambda: client.status(first)["status"] == "in_progress",
             "the first batch")

    names, reason = fill(client)
    expect_full(reason, "soft limit, for new files", "a file beyond it")
    client.ask("file_delete", client=CLIENT, file=names.pop())
    second = wait_for(lambda: open_batch(client, two), "room for a batch")
    print(f"soft limit after {len(names)} files")

    wait_for(lambda: is_waiting(client, second, len(wide)),
             "a batch that is read until there is no room")
    at, reason = send_parts(client, half_file, half)
    expect_full(reason, "hard limit, for parts of files", "a part beyond it")
    print(f"hard limit after {client.status(second)['bytes_read']} bytes read "
          f"and {at} of an upload")

    # Their replies are more than what is left.
    with open(held, "w", encoding="ascii"):
        pass
    busy = watch(broker.pid)
    if busy > BUSY_SECONDS:
        raise Failure(f"{busy} s of the processor in {WATCH_SECONDS} s")
    lost = limit - hard_limit(client)
    if lost > LOST_BYTES_MAX:
        raise Failure(f"{lost} bytes of the disk are lost to the store")
    equal(client.download(one), content, "a file of a full store")
    state = client.status(first)["status"]
    if state == "completed":
        raise Failure("there was room for all replies and their file")
    print(f"replies come: {state}")

    for file in names:
        client.ask("file_delete", client=CLIENT, file=file)
    wait_for(lambda: is_uploaded(client, "half", half), "the upload's end")
    for batch, count in ((first, ANSWERED), (second, READ)):
        got = client.ended(batch)
        equal(got["status"], "completed", "a batch when there is room")
        equal(got["request_counts"]["completed"], count, "its answers")
        equal(len(client.results(got["output_file"])), count, "lines of it")
    equal(client.download(half_file), half, "the upload that had to wait")
    client.close()
    print("all goes on when files were deleted")


def main():
    directory, config, held = sys.argv[1:]
    broker = Broker(directory, os.environ["XDG_RUNTIME_DIR"], sys.stderr,
                    SETTINGS, config)
    try:
        broker.start()
        run(broker, held)
        equal(broker.stop(), 0, "exit code of sheafd")
    finally:
        broker.end()


if __name__ == "__main__":
    try:
        main()
    except (Failure, Refused) as error:
        sys.exit(f"full.py: {error}")
