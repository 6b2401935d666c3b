"""whole.py - the whole way of a draft, beside scripts that do no more than call

Five calls at a time, to the same upstream. Each is one command, which is given a
file of drafts and leaves one of results; the time is that from its start to its
end. Sheaf's is `sheaf run`; broker and worker are there already.
"""
# SPDX-License-Identifier: MIT

import json
import pathlib

from plan import SHEAF, Row, Section, Target, share, times
from scratch import BenchError
from sheaf import DRIVERS, SLOTS, Broker, Upstream, write_drafts

HERE = pathlib.Path(__file__).resolve().parent
NODE_MODULES = pathlib.Path("build/npm-bench/node_modules").resolve()


def sheaf_way(row, size, latency_ms):
    def measure(bench):
        count = bench.size(size)
        drafts = bench.scratch.root / "drafts.jsonl"
        results = bench.scratch.root / "results.jsonl"
        write_drafts(drafts, count)
        with Upstream(bench.scratch, latency_ms) as upstream:
            with Broker(bench.scratch, 1, upstream.base) as broker:
                done = broker.run(drafts, results)
        check_answers(results, count)
        cpu = done.cpu + done.watched
        return way_figures(row, count, latency_ms, done.seconds, cpu)

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
    if len(replies) != count or not all(
        path.stat().st_size for path in replies
    ):
        raise BenchError(f"curl: {len(replies)} replies to {count} drafts")


def python(bench, url, count, drafts, results):
    return ["/usr/bin/python3", HERE / "script.py", drafts, results, url, SLOTS]


def python_pool(bench, url, count, drafts, results):
    return python(bench, url, count, drafts, results) + ["pool"]


def node(bench, url, count, drafts, results):
    base = url.removesuffix("/chat/completions")
    command = [
        "env",
        f"NODE_MODULES={NODE_MODULES}",
        "node",
        HERE / "script.mjs",
    ]
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
            "whole life: submit, call, store, fetch; instant upstream, 5 calls",
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
        lambda m: m[SHEAF] - m["libcurl alone"],
        False,
        floor,
        ambition,
        "{:+.2f}",
    )


def best_script(floor, ambition):
    scripts = ("Python", "Python, plain pool", "Node")
    return Target(
        "of the best script",
        lambda m: m[SHEAF] / min(m[name] for name in scripts if name in m),
        False,
        floor,
        ambition,
    )


WALL20 = Section(
    rows={
        "wall20": Row(
            "wall time over n × 20 ms / 5",
            "%",
            False,
            1,
            targets=(points(1.5, 0.5), best_script(None, 0.2)),
        ),
        "cpu": Row(
            "processor time of a request, all processes, 20 ms",
            "ms",
            False,
            3,
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
            "wall time over n × 200 ms / 5",
            "%",
            False,
            1,
            targets=(points(1.0, 0.3),),
        )
    },
    contestants=way_contestants("wall200", "wall200", 200),
)
