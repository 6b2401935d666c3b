"""queueing.py - the queue alone: drafts go in, results come out

Nobody is called: Sheaf's workers here answer at once, as the others' consumers
do.
"""
# SPDX-License-Identifier: MIT

import time

import peers
from plan import SHEAF, Row, Section, Target, times
from scratch import BenchError
from sheaf import SLOTS, Broker, Upstream, rate, write_drafts

# ---- in ----

CPU_ROWS = ("submit", "single", "complete")  # beside these stands what it took


def figures(row, figure):
    """The rate, and the server's time of a processor for each, in µs."""
    found = {row: rate(figure)}
    if row in CPU_ROWS and figure["cpu"] > 0:
        found[f"{row}-cpu"] = figure["cpu"] / figure["items"] * 1e6
    return found


def cpu_row(what):
    return Row(f"processor time of the server, {what}", "µs", False, 1)


def sheaf_put(size, row, clients=1, verb="put"):
    def measure(bench):
        with Broker(bench.scratch) as broker:
            return figures(row, broker.put(bench.size(size), clients, verb))

    return measure


def peer_put(peer, size, row, clients=1, window=1000):
    def measure(bench):
        with peer(bench.scratch) as server:
            return figures(row, server.put(bench.size(size), clients, window))

    return measure


SUBMIT = Section(
    rows={
        "submit": Row(
            "durable submit, 1 KiB drafts, one client",
            "drafts/s",
            targets=(
                times("beanstalkd", 20, 35),
                times("Redis, transactions", 1.2, 2),
                times("PostgreSQL", 1.5, 2.5),
                times("LMDB alone", None, 0.6),
            ),
        ),
        "submit-cpu": cpu_row("a submitted draft"),
    },
    contestants={
        SHEAF: sheaf_put("submit", "submit"),
        "beanstalkd": peer_put(peers.Beanstalkd, "slow", "submit"),
        "Redis": peer_put(peers.Redis, "some", "submit"),
        "Redis, transactions": peer_put(peers.RedisMulti, "some", "submit"),
        "PostgreSQL": peer_put(peers.Postgres, "some", "submit"),
        "NATS JetStream": peer_put(peers.Nats, "some", "submit"),
        "LMDB alone": peer_put(peers.Lmdb, "submit", "submit"),
    },
)
def put_by_one_and_eight(bench):
    """The two differ by less than a machine from one second to the next: they
    take turns at one broker, and change who is first."""
    count = bench.size("submit8")
    rates = {1: [], 8: []}
    with Broker(bench.scratch) as broker:
        for turn in range(bench.size("submit8 turns")):
            for clients in (1, 8) if turn % 2 else (8, 1):
                first = count * (len(rates[1]) + len(rates[8]))
                figure = broker.put(count, clients, first=first)
                rates[clients].append(rate(figure))
    return {"submit8": {SHEAF: rates[8], "Sheaf, one client": rates[1]}}


SUBMIT8 = Section(
    rows={
        "submit8": Row(
            "durable submit, eight clients",
            "drafts/s",
            targets=(times("Sheaf, one client", 1),),
        )
    },
    contestants={
        SHEAF: put_by_one_and_eight,
        "beanstalkd": peer_put(peers.Beanstalkd, "slow", "submit8", clients=8),
        "Redis, transactions": peer_put(
            peers.RedisMulti, "some", "submit8", clients=8
        ),
        "PostgreSQL": peer_put(peers.Postgres, "some", "submit8", clients=8),
    },
)
SINGLE = Section(
    rows={
        "single": Row(
            "one draft a message, eight clients that wait",
            "drafts/s",
            targets=(times("beanstalkd", 0.9, 1.5),),
        ),
        "single-cpu": cpu_row("a draft submitted alone"),
    },
    contestants={
        SHEAF: sheaf_put("single", "single", clients=8, verb="single"),
        "beanstalkd": peer_put(
            peers.Beanstalkd, "single", "single", clients=8, window=1
        ),
        "Redis": peer_put(peers.Redis, "single", "single", 8, 1),
        "PostgreSQL": peer_put(peers.Postgres, "single", "single", 8, 1),
    },
)


def hits_joined(bench):
    """All drafts of a batch have one of a thousand texts."""
    count = bench.size("hits")
    with Broker(bench.scratch) as broker:
        return {"hits": rate(broker.put(count, distinct=count // 50))}


def hits_cached(bench):
    """All texts were answered before; the results are there with the answer."""
    count = bench.size("hits")
    distinct = count // 50
    with Broker(bench.scratch, slots_max=40) as broker:
        broker.put(distinct)
        broker.answer(distinct)
        figure = broker.put(count, first=distinct, distinct=distinct)
        if broker.stat("results") != count + distinct:
            raise BenchError("not all of the drafts were answered at once")
        return {"hits": rate(figure)}


HITS = Section(
    rows={
        "hits": Row(
            "drafts that need no call",
            "drafts/s",
            targets=(
                times("Sheaf, all new", 0.5),
                times("Sheaf, all new", 0.5, of="Sheaf, from the cache"),
            ),
        )
    },
    contestants={
        SHEAF: hits_joined,
        "Sheaf, from the cache": hits_cached,
        "Sheaf, all new": sheaf_put("hits", "hits"),
    },
)

# ---- out ----


def sheaf_complete(bench):
    count = bench.size("complete")
    with Broker(bench.scratch, slots_max=8 * SLOTS) as broker:
        bench.fill(broker, count)
        return figures("complete", broker.answer(count, 8))


def sheaf_complete_called(bench):
    """With workers that make calls, from their start."""
    count = bench.size("complete") // 4
    drafts = bench.scratch.root / "drafts.jsonl"
    write_drafts(drafts, count)
    with Upstream(bench.scratch) as upstream:
        with Broker(
            bench.scratch, 0, upstream.base, slots_max=8 * SLOTS
        ) as broker:
            batch = broker.command("submit", drafts).output.strip()
            began = time.monotonic()
            with broker.workers(8):
                broker.command("wait", batch)
                return {"complete": count / (time.monotonic() - began)}


def peer_take(peer, size, clients=1, window=1000):
    def measure(bench):
        count = bench.size(size)
        with peer(bench.scratch) as server:
            server.put(count)
            return figures("complete", server.take(count, clients, window))

    return measure


COMPLETE = Section(
    rows={
        "complete": Row(
            "complete with a stored result of 1 KiB, 8 workers × 5",
            "results/s",
            targets=(
                times("beanstalkd", 6, 10),
                times("Redis", 1, 2),
                times("PostgreSQL", 1.5, 3),
            ),
        ),
        "complete-cpu": cpu_row("a completed draft"),
    },
    contestants={
        SHEAF: sheaf_complete,
        "Sheaf, with calls": sheaf_complete_called,
        "beanstalkd": peer_take(peers.Beanstalkd, "slow", 8, 5),
        "Redis": peer_take(peers.Redis, "some"),
        "Redis, transactions": peer_take(peers.RedisMulti, "some"),
        "PostgreSQL": peer_take(peers.Postgres, "some"),
        "LMDB alone": peer_take(peers.Lmdb, "complete"),
    },
)


def sheaf_read(bench):
    count = bench.size("read")
    with Broker(bench.scratch, slots_max=8 * SLOTS) as broker:
        bench.fill(broker, count)
        broker.answer(count, bytes=300)
        target = bench.scratch.root / "read"
        done = broker.command("export", "-o", target)
        with open(target, "rb") as file:
            lines = sum(1 for _ in file)
        target.unlink()
        if lines != count:
            raise BenchError(f"{lines} results of {count} were read")
        return {"read": count / done.seconds}


def lmdb_read(bench):
    count = bench.size("read")
    with peers.Lmdb(bench.scratch) as server:
        server.drive("put", count=count, bytes=300)
        return {"read": rate(server.drive("scan", count=count))}


READ = Section(
    rows={
        "read": Row(
            "results of 300 bytes read by cursor, to a file",
            "results/s",
            targets=(
                Target(
                    "results/s",
                    lambda m: m[SHEAF],
                    True,
                    300000,
                    None,
                    "{:,.0f}",
                ),
            ),
        )
    },
    contestants={SHEAF: sheaf_read, "LMDB alone": lmdb_read},
)
