#!/usr/bin/python3
"""script.py - what a user of Python would write instead

  script.py INPUT OUTPUT URL CONCURRENCY [pool]

Reads drafts from a JSON Lines file, asks for an answer to each, so many at a
time, and appends the answers to another file. A rate that is refused or a fault
of the server is tried again, after a wait that doubles. As scripts of this kind
do, it starts a task for each draft when a limit of requests and tokens a minute
allows that; with `pool`, plain workers take drafts one after the other, which
is the least that could do it. Nothing is kept over a crash, or found out
twice.
"""
# SPDX-License-Identifier: MIT

import asyncio
import json
import random
import sys
import time

import aiohttp

ATTEMPTS = 5
REQUESTS_PER_MINUTE = 10_000_000
TOKENS_PER_MINUTE = 10_000_000_000
PAUSE_S = 0.001  # between two looks at the limits


class Bucket:
    """So much may be taken in a minute."""

    def __init__(self, per_minute):
        self.per_minute = per_minute
        self.left = per_minute
        self.seen = time.monotonic()

    def refill(self):
        now = time.monotonic()
        gained = self.per_minute * (now - self.seen) / 60
        self.left = min(self.per_minute, self.left + gained)
        self.seen = now

    def has(self, amount):
        self.refill()
        return self.left >= amount

    def take(self, amount):
        self.left -= amount


async def ask(session, url, draft):
    body = {
        "model": "bench",
        "messages": [{"role": "user", "content": draft["text"]}],
    }
    for attempt in range(ATTEMPTS):
        try:
            async with session.post(url, json=body) as response:
                if response.status == 200:
                    answer = await response.json()
                    return answer["choices"][0]["message"]["content"]
                if response.status not in (429, 500, 502, 503, 504):
                    raise RuntimeError(f"{response.status}")
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(2**attempt * (0.5 + random.random() / 2))
    raise RuntimeError("too many attempts")


async def answer_one(session, url, draft, output):
    text = await ask(session, url, draft)
    output.write(json.dumps({"id": draft["id"], "text": text}) + "\n")


async def run_limited(session, url, drafts, output, concurrency):
    requests = Bucket(REQUESTS_PER_MINUTE)
    tokens = Bucket(TOKENS_PER_MINUTE)
    running = set()
    ahead = None
    while True:
        if ahead is None:
            ahead = next(drafts, None)
            if ahead is None:
                break
        cost = len(ahead["text"]) // 4
        if len(running) < concurrency and requests.has(1) and tokens.has(cost):
            requests.take(1)
            tokens.take(cost)
            task = asyncio.create_task(answer_one(session, url, ahead, output))
            running.add(task)
            task.add_done_callback(running.discard)
            ahead = None
        else:
            await asyncio.sleep(PAUSE_S)
    await asyncio.gather(*running)


async def run_pool(session, url, drafts, output, concurrency):
    async def work():
        for draft in drafts:
            await answer_one(session, url, draft, output)

    await asyncio.gather(*(work() for _ in range(concurrency)))


async def main():
    source, target, url, concurrency, *rest = sys.argv[1:]
    run = run_pool if rest == ["pool"] else run_limited
    with open(source, encoding="utf-8") as lines:
        with open(target, "w", encoding="utf-8") as output:
            drafts = map(json.loads, lines)
            async with aiohttp.ClientSession() as session:
                await run(session, url, drafts, output, int(concurrency))


if __name__ == "__main__":
    asyncio.run(main())
