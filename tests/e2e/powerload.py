"""powerload.py - a short run of a broker in which everything happens once

Three lives of one store, each under strace: the store is made, batches of all
kinds are submitted, answered, refused, repeated, delayed, paused, cancelled,
expired, tried again, purged and read; the first broker is killed in the midst
of work, the second is told to stop, the third is killed again. The workers
that they start are not recorded.
"""
# SPDX-License-Identifier: MIT

import json
import subprocess
import time

import recording
from answers import expected_text
from broker import BIN, WAIT_SECONDS, Broker, Client, Failure, drafts, texts

SETTINGS = ("chunk_drafts_max=40", "group_window_ms=20", "attempts_max=3",
            "backoff_base_ms=20", "backoff_cap_ms=60", "heartbeat_ms=500",
            "commit_items_max=40")
# What the upstream does to drafts with these words.
SCRIPT = """\
match=flaky each=1 times=1 status=503
match=busy each=1 times=1 status=429 header="retry-after-ms: 30"
match=hopeless each=1 times=3 status=500
match=malformed status=400
match=slow latency=300
match=stuck each=1 times=1 latency=3000
"""


def command(broker, *argv):
    """What a command of the command line prints."""
    done = subprocess.run(
        [f"{BIN}/sheaf", *argv],
        env={**broker.env, "SHEAF_BROKER": broker.endpoint},
        stdout=subprocess.PIPE, stderr=broker.log, check=False,
        timeout=WAIT_SECONDS)
    if done.returncode not in (0, 1):
        raise Failure(f"sheaf {' '.join(argv)}: exit code {done.returncode}")
    return done.stdout.decode().strip()


def stop(broker):
    code = broker.stop()
    if code != 0:
        raise Failure(f"exit code of sheafd that was told to stop: got {code}, "
                      "want 0")


# ---- the lives ----

def first_life(broker, batches):
    """All that clients submit; ends in the midst of it."""
    client = Client(broker.endpoint)
    client.ask("hello", protocol=1)
    many = texts("plain", 60) + texts("plain", 20)
    batches["plain"] = client.submit(
        "plain", [drafts("a", many[:40]), drafts("b", many[40:])],
        name="the first", metadata={"k": "v"})
    sizes = client.open("sizes", early=True)
    broken = (b'{"id":"x"}\nnot json\n\n{"id":"y","text":"good"}\n'
              b'{"id":"y","text":"its id is there"}\n')
    client.chunk(sizes, 1, drafts("one", ["a single draft"]))
    client.chunk(sizes, 2, drafts("large", ["long " * 40000]))
    client.chunk(sizes, 3, broken)
    client.chunk(sizes, 3, broken)
    client.expect_refusal(client.send_chunk(sizes, 5, broken), "gap")
    # Ahead of the answers.
    ahead = [drafts(f"ahead{n}", texts("ahead", 10, 10 * n))
             for n in range(3)]
    numbers = [client.send_chunk(sizes, 4 + at, body)
               for at, body in enumerate(ahead)]
    for number in numbers:
        client.answer(number)
    client.seal(sizes, 6, 37)
    batches["sizes"] = sizes
    client.wait_for_results(batches["plain"], 20)
    client.read("results", batch=batches["plain"])
    batches["cached"] = client.submit(
        "cached", [drafts("c", texts("plain", 30, 40))])
    batches["failing"] = client.submit("failing", [drafts("f", (
        texts("flaky", 6) + texts("busy", 3) + texts("hopeless", 3)
        + texts("malformed", 3)))])
    client.wait(batches["plain"])
    client.wait(batches["cached"])
    client.wait(batches["failing"])
    client.read("results", batch=batches["failing"])
    with open("lines.jsonl", "wb") as file:
        file.write(drafts("cli", texts("command", 12)))
    batches["command"] = command(broker, "submit", "--goal", "Summarize",
                                 "--wait", "lines.jsonl")
    batches["paused"] = client.submit("paused",
                                      [drafts("p", texts("slow", 20))])
    client.wait_for_results(batches["paused"], 1)
    client.try_to("pause", batch=batches["paused"])
    batches["gone"] = client.submit(
        "gone", [drafts("g", texts("slow", 4, 30) + texts("stuck", 8))])
    client.wait_for_results(batches["gone"], 1)
    client.ask("cancel", batch=batches["gone"])
    client.try_to("resume", batch=batches["paused"])
    client.wait_for_results(batches["paused"], 12)
    batches["left"] = client.open("left")
    client.chunk(batches["left"], 1, drafts("l", texts("left", 15)))
    client.send("seal", batch=batches["left"], chunks=1, drafts=15)
    client.socket.poll(50)
    broker.kill()
    client.close()


def second_life(broker, batches):
    """Goes on where the first one was killed; then what ends batches."""
    client = Client(broker.endpoint)
    left = client.open("left")
    client.seal(left, 1, 15)
    client.wait(left)
    client.wait(batches["paused"])
    client.ask("retry", batch=batches["failing"], statuses=["server_error"])
    client.wait(batches["failing"])
    client.read("results", batch=batches["failing"])
    now_ms = int(time.time() * 1000)
    late = client.submit("late", [drafts("e", texts("late", 8))],
                         not_before=now_ms + 3600000, deadline=now_ms + 800)
    client.wait(late)
    client.read("results", batch=late)
    client.ask("retry", batch=late)
    client.ask("purge", batch=batches["plain"])
    client.ask("purge", batch=batches["gone"])
    dropped = client.open("dropped")
    client.chunk(dropped, 1, drafts("x", texts("dropped", 5)))
    client.ask("abort", batch=dropped)
    empty = client.open("empty")
    client.chunk(empty, 1, b"\n\n")
    client.seal(empty, 1, 2)
    batches["open"] = client.open("open")
    for number in (1, 2):
        client.chunk(batches["open"], number, drafts(
            f"o{number}", texts("open", 9, 9 * number)))
    client.wait(late)
    client.read("export")
    client.ask("list", limit=100)
    client.read("refusals", batch=batches["sizes"])
    client.close()
    stop(broker)


def third_life(broker, batches):
    """A store with a history; ends with answers on their way."""
    client = Client(broker.endpoint)
    client.ask("list", limit=100)
    client.chunk(batches["open"], 3, drafts("o3", texts("slow", 30, 60)))
    client.seal(batches["open"], 3, 48)
    client.wait_for_results(batches["open"], 22)
    client.read("results", batch=batches["open"])
    client.send("cancel", batch=batches["open"])
    client.socket.poll(20)
    broker.kill()
    client.close()


LIVES = (first_life, second_life, third_life)


def play(root, runtime, log):
    """Plays all lives below `root`. Their recordings, and for each the store's
    file as it was left."""
    batches, records = {}, []
    broker = Broker(root, runtime, log, SETTINGS)
    try:
        for number, life in enumerate(LIVES):
            record = f"life{number}.strace"
            broker.start(recording.strace(record))
            life(broker, batches)
            with open(f"{root}/store/data.mdb", "rb") as file:
                records.append((record, file.read()))
    finally:
        broker.end()
    return records


# ---- after a loss of power ----

def repeat(client, task):
    """Asks again for all that was asked for one batch. Returns the batch; None
    if no draft of it was accepted, so that it is no more."""
    members = {name: value for name, value in task.head.items()
               if name not in ("verb", "re")}
    opened = client.ask("open", task.options, **members)[0]
    batch, number = opened["batch"], opened["next_chunk"]
    if opened["state"] == "open":
        while number in task.chunks:
            client.answer(client.send_chunk(batch, number,
                                            task.chunks[number]))
            number += 1
        if task.seal:
            sealed = client.seal(batch, task.seal["chunks"],
                                 task.seal["drafts"])
            if sealed["state"] == "empty":
                return None
    return batch


def check_end(client, batch, task):
    """Every draft has one result, and answers are those of its text."""
    texts_of = {}
    for _, body in sorted(task.chunks.items()):
        for line in body.splitlines():
            if line.startswith(b"{"):
                draft = json.loads(line)
                texts_of.setdefault(draft["id"], draft.get("text"))
    head = client.ask("status", batch=batch)[0]
    counts = head["counts"]
    if head["state"] == "open" and not task.seal:
        return
    rows = client.read("results", batch=batch, order="input")
    ids = {row["custom_id"] for row in rows}
    if not (len(rows) == len(ids) == counts["done"]
            == counts["drafts"] - counts["refused"]):
        raise Failure(
            f"batch {task.head['key']}: {len(rows)} results, {len(ids)} ids, "
            f"counts {counts}")
    for row in rows:
        if row["status"] == "ok" and row["text"] != expected_text(
                texts_of[row["custom_id"]]):
            raise Failure(f"{row['custom_id']}: another's answer")


def recover(root, runtime, log, record, ledger):
    """Starts a broker on what was left, lets clients ask again, and waits for
    all work to end. Returns the store's file."""
    broker = Broker(root, runtime, log, SETTINGS)
    try:
        broker.start(recording.strace(record))
        client = Client(broker.endpoint)
        batches = [(repeat(client, task), task)
                   for task in ledger.tasks.values() if not task.is_over]
        for batch, task in batches:
            if batch is None:
                continue
            if client.ask("status", batch=batch)[0]["state"] == "paused":
                client.ask("resume", batch=batch)
            if task.seal:
                client.wait(batch)
            check_end(client, batch, task)
        client.close()
        stop(broker)
        with open(f"{root}/store/data.mdb", "rb") as file:
            return file.read()
    finally:
        broker.end()
