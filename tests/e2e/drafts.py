#!/usr/bin/python3
"""drafts.py - writes drafts for the end-to-end tests

  drafts.py COUNT [--repeats PERCENT] [--bytes N] [--noise] [--goals G,G…]
                  [--prefix TEXT] [--seed N]

Draft i has the id PREFIX-i. PERCENT of them have the text of an earlier one, of
the same goal. The texts of N bytes differ from their beginning on; those of noise
cannot be packed, so that they take their bytes in the store. With goals, drafts
take them in turn.
"""
# SPDX-License-Identifier: MIT

import argparse
import json
import random
import sys

WORDS = (
    "river stone market window bridge signal harbour engine ledger copper "
    "winter garden letter forest number valley season paper island metal"
).split()


NOISE = [chr(code) for code in range(33, 127) if chr(code) not in '"\\']


def text_of(number, size, rng):
    words = ["text", str(number)]
    length = len(" ".join(words))
    while length < size:
        word = rng.choice(WORDS)
        words.append(word)
        length += len(word) + 1
    return " ".join(words)[: max(size, 12)]


def noise_of(number, size, rng):
    return f"text {number} " + "".join(rng.choices(NOISE, k=size))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--repeats", type=int, default=0)
    parser.add_argument("--bytes", type=int, default=80)
    parser.add_argument("--noise", action="store_true")
    parser.add_argument("--goals", default="")
    parser.add_argument("--prefix", default="d")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    goals = args.goals.split(",") if args.goals else [None]
    # Which ones repeat: exactly the share asked for.
    repeating = set()
    if args.repeats:
        wanted = args.count * args.repeats // 100
        repeating = set(rng.sample(range(len(goals), args.count), wanted))
    earlier = {goal: [] for goal in goals}
    for i in range(args.count):
        goal = goals[i % len(goals)]
        if i in repeating and earlier[goal]:
            text = rng.choice(earlier[goal])
        else:
            make = noise_of if args.noise else text_of
            text = make(f"{args.prefix}{i}", args.bytes, rng)
            if args.repeats:
                earlier[goal].append(text)
        draft = {"id": f"{args.prefix}-{i}", "text": text}
        if goal is not None:
            draft["goal"] = goal
        sys.stdout.write(json.dumps(draft) + "\n")


if __name__ == "__main__":
    main()
