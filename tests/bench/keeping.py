"""keeping.py - what it takes to keep many drafts: memory, disk, time

Each of these is measured once, as it takes long, or several times over the same
store. The others are filled without waiting for the disk each time, where they
can: what is measured is the same, and there sooner.
"""
# SPDX-License-Identifier: MIT

import contextlib
import gzip
import json
import os
import pathlib
import statistics
import threading
import time

import peers
from plan import BATCH_DRAFTS_MAX, MARKS, SHEAF, Row, Section, Target, at_most
from scratch import BenchError, children_of, memory_kib, program_of
from sheaf import SLOTS, Broker, FirstCall, Upstream, write_drafts
from whole import check_answers

FIRST_CALL_S = 600  # the longest that a restart may take
LOOK_S = 0.003  # between two looks at the memory
FEW_TIMES_MAX = 10
TEXT_BYTES = 960
TEXT_FOLDERS = ("/usr/share/doc", "/usr/share/common-licenses")

# ---- memory ----


class Peaks(threading.Thread):
    """The most anonymous memory of broker, workers and commands, in KiB."""

    def __init__(self, scratch, broker):
        super().__init__(daemon=True)
        self.servers = {process.pid for process in scratch.processes}
        self.broker = broker.process.pid
        self.most = {"broker": 0, "worker": 0, "client": 0}
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(LOOK_S):
            self.see("broker", self.broker)
            self.see_children("worker", self.broker)
            self.see_children("client", os.getpid())

    def see(self, who, pid):
        self.most[who] = max(self.most[who], memory_kib(pid))

    def see_children(self, who, parent):
        """One that does not run a program of its own yet has its parent's memory."""
        for pid in set(children_of(parent)) - self.servers:
            if program_of(pid) not in (None, program_of(parent)):
                self.see(who, pid)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def sheaf_memory(bench, count):
    """Drafts go through: handed in, answered by calls, fetched."""
    drafts = bench.scratch.root / "drafts.jsonl"
    results = bench.scratch.root / "results.jsonl"
    write_drafts(drafts, count)
    with Upstream(bench.scratch) as upstream:
        with Broker(bench.scratch, 1, upstream.base) as broker:
            with Peaks(bench.scratch, broker) as peaks:
                handed = broker.command("submit", "--wait", drafts)
                batch = handed.output.strip()
                broker.command("results", "-o", results, batch)
    check_answers(results, count)
    return {f"memory-{who}": kib / 1024 for who, kib in peaks.most.items()}


def sheaf_memory_many(bench):
    return sheaf_memory(bench, bench.size("memory"))


def sheaf_memory_few(bench):
    """The most of several times, with as many drafts in all: the command is over
    so soon that a few looks at it miss its peak by a sixth."""
    count = bench.size("memory few")
    times = min(FEW_TIMES_MAX, bench.size("memory") // count)
    found = [sheaf_memory(bench, count) for _ in range(times)]
    return {row: max(each[row] for each in found) for row in found[0]}


def peer_memory(peer):
    """As many items are there at a time."""

    def measure(bench):
        with peer(bench.scratch) as server:
            server.put(bench.size("memory"))
            return {"memory-broker": memory_kib(server.process.pid) / 1024}

    return measure


def grown(name):
    return Target(
        "of that for few drafts",
        lambda m: m[SHEAF] / m[name],
        False,
        1.1,
        None,
    )


def memory_row(who, floor, ambition):
    return Row(
        f"anonymous memory while many drafts go through, {who}",
        "MiB",
        False,
        1,
        (at_most("MiB", floor, ambition), grown("Sheaf, few drafts")),
    )


MEMORY = Section(
    rows={
        "memory-broker": memory_row("broker", 32, 16),
        "memory-worker": memory_row("worker", 24, 12),
        "memory-client": memory_row("client", 24, 12),
    },
    contestants={
        SHEAF: sheaf_memory_many,
        "Sheaf, few drafts": sheaf_memory_few,
        "beanstalkd": peer_memory(peers.BeanstalkdLazy),
        "Redis": peer_memory(peers.RedisLazy),
        "NATS JetStream": peer_memory(peers.Nats),
    },
    is_long=True,
)

# ---- restart ----


def sheaf_restart(bench):
    """From the start of sheafd, its worker dead as well, to the first call."""
    values = []
    with FirstCall() as upstream:
        # Its calls have no end: it is not to wait for them when all is over.
        with Broker(bench.scratch, 0, upstream.base, drain_ms=0) as broker:
            bench.fill(broker, bench.size("restart"))
            for _ in range(bench.size("restarts")):
                broker.kill()
                upstream.forget()
                began = time.monotonic()
                broker.spawn(1)
                upstream.wait(FIRST_CALL_S)
                values.append(time.monotonic() - began)
    return {"restart": values}


def peer_restart(peer):
    """To the first item that a consumer gets."""

    def measure(bench):
        values = []
        with peer(bench.scratch) as server:
            server.put(bench.size("restart"))
            for _ in range(bench.size("restarts")):
                server.kill()
                began = time.monotonic()
                server.start()
                server.take(1, window=1)
                values.append(time.monotonic() - began)
        return {"restart": values}

    return measure


RESTART = Section(
    rows={
        "restart": Row(
            "killed with many drafts waiting, until the first call",
            "s",
            False,
            3,
            (at_most("s", 0.5, 0.1),),
        )
    },
    contestants={
        SHEAF: sheaf_restart,
        "beanstalkd": peer_restart(peers.BeanstalkdLazy),
        "Redis": peer_restart(peers.RedisLazy),
        "PostgreSQL": peer_restart(peers.Postgres),
        "NATS JetStream": peer_restart(peers.Nats),
    },
    is_long=True,
)

# ---- disk ----


def read_documents():
    """The documents of this machine, in pieces of TEXT_BYTES at most."""
    for folder in TEXT_FOLDERS:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if not path.is_file() or path.is_symlink():
                continue
            opened = gzip.open if path.suffix == ".gz" else open
            with contextlib.suppress(OSError, UnicodeError):
                with opened(path, "rt", encoding="utf-8") as file:
                    text = file.read()
                for at in range(0, len(text) - TEXT_BYTES, TEXT_BYTES):
                    yield text[at : at + TEXT_BYTES]


def write_texts(bench):
    """Two files of different texts, as they stand in JSON: for drafts and for
    replies. Each of both has so many."""
    count_max = bench.size("disk")
    seen = set()
    paths = [bench.scratch.root / name for name in ("texts-in", "texts-out")]
    with contextlib.ExitStack() as stack:
        files = [
            stack.enter_context(open(path, "w", encoding="utf-8"))
            for path in paths
        ]
        for piece in read_documents():
            # A draft holds no NUL.
            if piece in seen or "\0" in piece:
                continue
            files[len(seen) % 2].write(
                json.dumps(piece, ensure_ascii=False)[1:-1] + "\n"
            )
            seen.add(piece)
            if len(seen) == 2 * count_max:
                break
    if len(seen) < 2:
        raise BenchError(f"no documents below {', '.join(TEXT_FOLDERS)}")
    return paths, len(seen) // 2


def sheaf_disk(bench):
    """As many bytes of drafts as of replies, by chance."""
    count = bench.size("disk")
    return {"disk": kept(bench, count, None, None)}


def sheaf_disk_text(bench):
    (drafts, replies), count = write_texts(bench)
    return {"disk-text": {SHEAF: kept(bench, count, drafts, replies)}}


def kept(bench, count, drafts, replies):
    """What a byte of draft or reply, with the JSON around its text, takes."""
    size = 0
    with Broker(bench.scratch, slots_max=8 * SLOTS) as broker:
        for first in range(0, count, BATCH_DRAFTS_MAX):
            part = min(BATCH_DRAFTS_MAX, count - first)
            options = {"texts": drafts} if drafts else {}
            size += broker.put(part, first=first, **options)["bytes"]
        options = {"texts": replies} if replies else {}
        size += broker.answer(count, **options)["bytes"]
        return broker.disk() / size


def peer_disk(peer, with_result):
    def measure(bench):
        count = bench.size("disk")
        with peer(bench.scratch) as server:
            size = server.put(count)["bytes"]
            if with_result:
                size += server.take(count)["bytes"]
            return {"disk": server.disk() / size}

    return measure


DISK = Section(
    rows={
        "disk": Row(
            "bytes on disk for a byte of draft and result that do not compress",
            "×",
            False,
            2,
            (at_most("times", 1.6, 1.4),),
        ),
        "disk-text": Row(
            "bytes on disk for a byte of draft and result, documents",
            "×",
            False,
            2,
            (at_most("times", None, 0.7),),
        ),
    },
    contestants={
        SHEAF: sheaf_disk,
        "Sheaf, documents": sheaf_disk_text,
        "PostgreSQL": peer_disk(peers.Postgres, True),
        "Redis": peer_disk(peers.RedisLazy, True),
        "beanstalkd, without result": peer_disk(peers.BeanstalkdLazy, False),
        "LMDB alone": peer_disk(peers.Lmdb, True),
    },
    is_long=True,
)

# ---- growth ----

GROWTH_BATCHES = 10
GROWTH_SLICES = 5
GROWTH_ROWS = {
    "submit": "time to submit a draft while many wait in ten batches",
    "submit-cpu": "processor time of the broker for that",
    "complete": "time to complete a draft while many wait in ten batches",
    "complete-cpu": "processor time of the broker for that",
}


def growth_slices(bench, broker, first):
    """What five slices take: each is handed in as a batch of its own, and as
    many drafts are answered, of all batches in turn."""
    count = bench.size("growth slice")
    slices = {"submit": [], "complete": []}
    for at in range(first, first + GROWTH_SLICES * count, count):
        bench.touch_memory("growth touched MiB")
        slices["submit"].append(broker.put(count, first=at))
        slices["complete"].append(broker.answer(count))
    return {
        what + suffix: statistics.median(each[key] for each in figures)
        / count
        * 1e6
        for what, figures in slices.items()
        for suffix, key in (("", "seconds"), ("-cpu", "cpu"))
    }


def sheaf_growth(bench):
    """The time of a draft when so many wait, and the broker's processor time.

    Batches take turns, so that a commit writes pages of as many of them as it
    meets. Each mark has a new broker, and as many batches as the others: what
    grows is their size alone."""
    found = {f"growth-{what}": {} for what in GROWTH_ROWS}
    for mark in MARKS[bench.scale]:
        with Broker(bench.scratch, slots_max=8 * SLOTS) as broker:
            first = bench.fill(broker, mark, part_max=mark // GROWTH_BATCHES)
            for what, value in growth_slices(bench, broker, first).items():
                found[f"growth-{what}"][f"Sheaf, {mark:,} waiting"] = value
    return found


def lmdb_growth(bench):
    """What disk and page cache have of it: the same rows, nothing looked for."""
    count = bench.size("growth slice")
    found = {f"growth-{what}": {} for what in ("submit", "complete")}
    for mark in MARKS[bench.scale]:
        with peers.Lmdb(bench.scratch) as server:
            server.drive("put", count=mark)
            slices = {"submit": [], "complete": []}
            for at in range(mark, mark + GROWTH_SLICES * count, count):
                bench.touch_memory("growth touched MiB")
                put = server.drive("put", count=count, first=at)
                slices["submit"].append(put["seconds"])
                take = server.drive("take", count=count, first=at - mark)
                slices["complete"].append(take["seconds"])
            for what, seconds in slices.items():
                found[f"growth-{what}"][f"LMDB alone, {mark:,} waiting"] = (
                    statistics.median(seconds) / count * 1e6
                )
    return found


def last_of_first():
    def value(medians):
        values = [
            value for name, value in medians.items() if name.startswith(SHEAF)
        ]
        return values[-1] / values[0]

    return Target("of the time with few", value, False, 1.3, None)


GROWTH = Section(
    rows={
        f"growth-{key}": Row(title, "µs", False, 1, (last_of_first(),))
        for key, title in GROWTH_ROWS.items()
    },
    contestants={SHEAF: sheaf_growth, "LMDB alone": lmdb_growth},
    is_long=True,
)
