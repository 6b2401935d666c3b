"""rows.py - what is measured, on whom, and what ought to come of it

A section is a way of measuring. Each of its contestants is measured in turn,
round after round, and gives figures for one or more rows. A row has targets: a
value made of the medians, with a floor that must hold and an ambition.
"""
# SPDX-License-Identifier: MIT

import dataclasses
import importlib.util
import json
import pathlib
import shutil
import time
import typing

import peers
from scratch import BenchError, children_of, memory_kib
from sheaf import DRAFT_BYTES, DRIVERS, SLOTS, Broker, FirstCall, Upstream, drive, rate

HERE = pathlib.Path(__file__).resolve().parent
NODE_MODULES = pathlib.Path("build/npm-bench/node_modules").resolve()
SHEAF = "Sheaf"
SCALES = ("tiny", "normal", "full")
ROUNDS = {"tiny": 1, "normal": 3, "full": 5}
SIZES = {  # for each of the scales
    "submit": (2000, 100000, 300000),
    "slow": (200, 2000, 5000),
    "some": (1000, 20000, 100000),
    "single": (160, 4000, 8000),
    "complete": (1000, 30000, 100000),
    "life": (100, 1000, 1000),
    "wall20": (50, 1000, 1000),
    "wall200": (10, 100, 100),
    "hits": (1000, 50000, 200000),
    "read": (2000, 100000, 1000000),
    "disk": (2000, 100000, 1000000),
    "memory": (2000, 100000, 1000000),
    "memory few": (1000, 10000, 10000),
    "restart": (2000, 100000, 1000000),
    "restarts": (1, 3, 5),
    "growth slice": (500, 20000, 20000),
}
GROWTH = {
    "tiny": (1000, 3000),
    "normal": (100000, 300000, 1000000),
    "full": (100000, 300000, 1000000, 3000000, 10000000),
}
BATCH_DRAFTS_MAX = 100000  # what is handed in to wait comes in such batches


class Bench:
    """What a contestant is given: where to run, and how much."""

    def __init__(self, scratch, scale):
        self.scratch = scratch
        self.scale = scale

    def size(self, name):
        return SIZES[name][SCALES.index(self.scale)]

    def fill(self, broker, count, first=0):
        """Has drafts wait. Returns the number of the next one."""
        while count > 0:
            part = min(count, BATCH_DRAFTS_MAX)
            broker.put(part, first=first)
            first += part
            count -= part
        return first


@dataclasses.dataclass
class Target:
    text: str
    value: typing.Callable  # of the medians, by contestant
    at_least: bool
    floor: float  # None: only an ambition
    ambition: float = None
    form: str = "{:.2f}×"

    def marks(self, medians):
        """(value, floor held, ambition held); None if a figure is missing."""
        try:
            value = self.value(medians)
        except (KeyError, ZeroDivisionError):
            return None

        def holds(limit):
            if limit is None:
                return None
            return value >= limit if self.at_least else value <= limit

        return value, holds(self.floor), holds(self.ambition)


@dataclasses.dataclass
class Row:
    title: str
    unit: str
    more_is_better: bool = True
    digits: int = 0
    targets: tuple = ()


@dataclasses.dataclass
class Section:
    rows: dict
    contestants: dict  # name: function of a Bench, gives {row: value}
    classes: tuple = ()  # of the contestants that are peers
    is_long: bool = False  # once is enough


def times(name, floor, ambition=None, of=SHEAF):
    """Sheaf's rate is so many times a peer's."""
    return Target(
        f"× {name}", lambda m: m[of] / m[name], True, floor, ambition
    )


def share(name, floor, ambition=None):
    """Sheaf's cost is at most this part of a peer's."""
    return Target(
        f"of {name}", lambda m: m[SHEAF] / m[name], False, floor, ambition,
        "{:.3f}",
    )


def limit(text, floor, ambition=None, form="{:.1f}", of=SHEAF):
    return Target(text, lambda m: m[of], False, floor, ambition, form)


# ---- in ----


def sheaf_put(size, row, clients=1, verb="put"):
    def measure(bench):
        with Broker(bench.scratch) as broker:
            return {row: rate(broker.put(bench.size(size), clients, verb))}

    return measure


def peer_put(peer, size, row, clients=1, window=1000):
    def measure(bench):
        with peer(bench.scratch) as server:
            return {row: rate(server.put(bench.size(size), clients, window))}

    return measure


SUBMIT = Section(
    rows={
        "submit": Row(
            "durable submit, 1 KiB drafts, one client", "drafts/s",
            targets=(
                times("beanstalkd", 20, 35),
                times("Redis, transactions", 1.2, 2),
                times("PostgreSQL", 1.5, 2.5),
                times("LMDB alone", None, 0.6),
            ),
        )
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
SUBMIT8 = Section(
    rows={
        "submit8": Row(
            "durable submit, eight clients", "drafts/s",
            targets=(times("Sheaf, one client", 1),),
        )
    },
    contestants={
        SHEAF: sheaf_put("submit", "submit8", clients=8),
        "Sheaf, one client": sheaf_put("submit", "submit8"),
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
            "one draft a message, eight clients that wait", "drafts/s",
            targets=(times("beanstalkd", 0.9, 1.5),),
        )
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
            "drafts that need no call", "drafts/s",
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
        return {"complete": rate(broker.answer(count, 8))}


def sheaf_complete_called(bench):
    """With workers that make calls."""
    count = bench.size("complete") // 4
    with Upstream(bench.scratch) as upstream:
        with Broker(
            bench.scratch, 8, upstream.base, slots_max=8 * SLOTS
        ) as broker:
            began = time.monotonic()
            bench.fill(broker, count)
            bench.scratch.wait_for(
                lambda: broker.stat("requests_done") >= count, "all results"
            )
            return {"complete": count / (time.monotonic() - began)}


def peer_take(peer, size, clients=1, window=1000):
    def measure(bench):
        count = bench.size(size)
        with peer(bench.scratch) as server:
            server.put(count)
            return {"complete": rate(server.take(count, clients, window))}

    return measure


COMPLETE = Section(
    rows={
        "complete": Row(
            "complete with a stored result of 1 KiB, 8 workers × 5", "results/s",
            targets=(
                times("beanstalkd", 6, 10),
                times("Redis", 1, 2),
                times("PostgreSQL", 1.5, 3),
            ),
        )
    },
    contestants={
        SHEAF: sheaf_complete,
        "Sheaf, with calls": sheaf_complete_called,
        "beanstalkd": peer_take(peers.Beanstalkd, "slow", 8, 5),
        "Redis": peer_take(peers.Redis, "some"),
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
            "results of 300 bytes read by cursor, to a file", "results/s",
            targets=(
                Target(
                    "results/s", lambda m: m[SHEAF], True, 300000, None,
                    "{:.0f}",
                ),
            ),
        )
    },
    contestants={SHEAF: sheaf_read, "LMDB alone": lmdb_read},
)

# ---- the whole way ----


def write_drafts(path, count):
    """Drafts of 1 KiB, for all that read a file."""
    with open(path, "w", encoding="ascii") as file:
        for number in range(count):
            head = f'{{"id":"d-{number:06}","text":"{number:06} '
            rest = DRAFT_BYTES - len(head) - 2
            words = " ".join(f"{(number * 7919 + i) % 99991:05}" for i in range(200))
            file.write(f'{head}{words[:rest]}"}}\n')


def sheaf_way(row, size, latency_ms):
    def measure(bench):
        count = bench.size(size)
        drafts = bench.scratch.root / "drafts.jsonl"
        results = bench.scratch.root / "results.jsonl"
        write_drafts(drafts, count)
        with Upstream(bench.scratch, latency_ms) as upstream:
            with Broker(bench.scratch, 1, upstream.base) as broker:
                watch = broker.pids()
                handed = broker.command("submit", "--wait", drafts, watch=watch)
                fetched = broker.command(
                    "results", "-o", results, handed.output.strip(), watch=watch
                )
        check_answers(results, count)
        seconds = handed.seconds + fetched.seconds
        return way_figures(
            row, count, latency_ms, seconds, handed.cpu + fetched.cpu
        )

    return measure


def check_answers(path, count):
    """All were answered, with text."""
    with open(path, encoding="utf-8") as file:
        answers = sum(1 for line in file if json.loads(line)["text"])
    if answers != count:
        raise BenchError(f"{path}: {answers} answers to {count} drafts")


def way_figures(row, count, latency_ms, seconds, cpu):
    if latency_ms == 0:
        return {row: count / seconds}
    ideal = count * latency_ms / 1000 / SLOTS
    figures = {row: (seconds / ideal - 1) * 100}
    if latency_ms == 20:
        figures["cpu"] = cpu / count * 1000
    return figures


def command_way(row, size, latency_ms, make):
    """A command that does the whole, for a URL, how many drafts, the file of
    them, and one for the results: `make` gives it."""

    def measure(bench):
        count = bench.size(size)
        drafts = bench.scratch.root / "drafts.jsonl"
        results = bench.scratch.root / "results.jsonl"
        results.unlink(missing_ok=True)
        write_drafts(drafts, count)
        with Upstream(bench.scratch, latency_ms) as upstream:
            command = make(bench, upstream.url, count, drafts, results)
            done = bench.scratch.run(command)
        if make is curl:
            check_curl(bench, count)
        elif make is not libcurl:
            check_answers(results, count)
        return way_figures(row, count, latency_ms, done.seconds, done.cpu)

    return measure


def libcurl(bench, url, count, drafts, results):
    return [DRIVERS / "floor", url, count, SLOTS]


def curl(bench, url, count, drafts, results):
    """Each reply to a file of its own, as it knows no other way."""
    config = bench.scratch.root / "curl.conf"
    replies = bench.scratch.directory("replies")
    with open(drafts, encoding="utf-8") as lines, open(
        config, "w", encoding="utf-8"
    ) as file:
        for number, line in enumerate(lines):
            text = json.loads(line)["text"]
            content = [{"role": "user", "content": text}]
            body = json.dumps({"model": "bench", "messages": content})
            escaped = body.replace("\\", "\\\\").replace('"', '\\"')
            file.write("next\n" if number else "")
            file.write(f'url = "{url}"\ndata = "{escaped}"\n')
            file.write('header = "Content-Type: application/json"\n')
            file.write(f'output = "{replies}/{number}"\n')
    return ["curl", "-s", "-Z", "--parallel-max", SLOTS, "-K", config]


def check_curl(bench, count):
    replies = list((bench.scratch.root / "replies").iterdir())
    if len(replies) != count or not all(path.stat().st_size for path in replies):
        raise BenchError(f"curl: {len(replies)} replies to {count} drafts")


def python(bench, url, count, drafts, results):
    return ["/usr/bin/python3", HERE / "script.py", drafts, results, url, SLOTS]


def python_pool(bench, url, count, drafts, results):
    return python(bench, url, count, drafts, results) + ["pool"]


def node(bench, url, count, drafts, results):
    base = url.removesuffix("/chat/completions")
    command = ["env", f"NODE_MODULES={NODE_MODULES}", "node", HERE / "script.mjs"]
    return command + [drafts, results, base, SLOTS]


def way_contestants(row, size, latency_ms):
    def command(make):
        return command_way(row, size, latency_ms, make)

    return {
        SHEAF: sheaf_way(row, size, latency_ms),
        "libcurl alone": command(libcurl),
        "curl --parallel": command(curl),
        "Python": command(python),
        "Python, plain pool": command(python_pool),
        "Node": command(node),
    }


LIFE = Section(
    rows={
        "life": Row(
            "whole life: submit, call, store, fetch; instant upstream, 5 at a time",
            "drafts/s",
            targets=(
                times("curl --parallel", 1.3),
                times("Python, plain pool", 4),
                times("Node", 10),
                times("libcurl alone", None, 0.5),
            ),
        )
    },
    contestants=way_contestants("life", "life", 0),
)


def points(floor, ambition):
    return Target(
        "points above libcurl alone",
        lambda m: m[SHEAF] - m["libcurl alone"], False, floor, ambition,
        "{:+.2f}",
    )


def best_script(floor, ambition):
    scripts = ("Python", "Python, plain pool", "Node")
    return Target(
        "of the best script",
        lambda m: m[SHEAF] / min(m[name] for name in scripts if name in m),
        False, floor, ambition,
    )


WALL20 = Section(
    rows={
        "wall20": Row(
            "wall time over n × 20 ms / 5", "%", False, 1,
            targets=(points(1.5, 0.5), best_script(None, 0.2)),
        ),
        "cpu": Row(
            "processor time of a request, all processes, 20 ms", "ms", False, 3,
            targets=(
                share("Node", 1 / 8, 1 / 15),
                share("Python, plain pool", 1 / 2, 1 / 4),
            ),
        ),
    },
    contestants=way_contestants("wall20", "wall20", 20),
)
WALL200 = Section(
    rows={
        "wall200": Row(
            "wall time over n × 200 ms / 5", "%", False, 1,
            targets=(points(1.0, 0.3),),
        )
    },
    contestants=way_contestants("wall200", "wall200", 200),
)

SECTIONS = {
    "submit": SUBMIT,
    "submit8": SUBMIT8,
    "single": SINGLE,
    "hits": HITS,
    "complete": COMPLETE,
    "read": READ,
    "life": LIFE,
    "wall20": WALL20,
    "wall200": WALL200,
}

def lacks():
    """Contestants whose programs are missing, and which."""
    found = {}
    for peer in peers.ALL:
        if peer.lack():
            found[peer.name] = peer.lack()
    if not shutil.which("curl"):
        found["curl --parallel"] = "curl is not installed"
    if not importlib.util.find_spec("aiohttp"):
        found["Python"] = "aiohttp is not installed"
    if not shutil.which("node") or not (NODE_MODULES / "openai").exists():
        found["Node"] = "node, or its packages, are not installed"
    return found


def base_name(contestant):
    """A contestant is its system, and after a comma how it is used."""
    return contestant.split(",")[0]
