#!/usr/bin/python3
"""answers.py - holds results against the drafts that they answer

  answers.py DRAFTS RESULTS [--cache TIER,…] [--revision N] [--attempts N]

Every draft must have exactly one result, with its index, which is `ok` and has
the text that the test upstream gives for it: "echo " and the first 16 digits of
the digest of its text. No two results share a seq, and nothing is missing from
a result line. With --cache, every result must come from one of these tiers.
Prints how many came from which tier. Exit code 1 and the differences otherwise.
"""
# SPDX-License-Identifier: MIT

import argparse
import collections
import hashlib
import json
import sys

KEYS = (
    "seq batch custom_id index revision status text essence error model "
    "upstream cache attempts latency_ms usage cost_usd finish_reason metadata "
    "completed_at"
).split()
SHOWN = 5


def expected_text(text):
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    return "echo " + digest.hexdigest()[:16]


def differences(draft, index, result, args):
    want = {
        "index": index,
        "status": "ok",
        "text": expected_text(draft["text"]),
        "essence": None,
        "error": None,
        "finish_reason": "stop",
    }
    if args.revision:
        want["revision"] = args.revision
    if args.attempts:
        want["attempts"] = args.attempts
    for key, value in want.items():
        if result.get(key) != value:
            yield f"{draft['id']}: {key}: got {result.get(key)!r}, " \
                  f"want {value!r}"
    if list(result) != KEYS:
        yield f"{draft['id']}: members: got {list(result)}, want {KEYS}"
    if args.cache and result["cache"] not in args.cache.split(","):
        yield f"{draft['id']}: cache: got {result['cache']}, " \
              f"want {args.cache}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("drafts")
    parser.add_argument("results")
    parser.add_argument("--cache")
    parser.add_argument("--revision", type=int)
    parser.add_argument("--attempts", type=int)
    args = parser.parse_args()
    with open(args.drafts, encoding="utf-8") as file:
        drafts = [json.loads(line) for line in file if line.strip()]
    with open(args.results, encoding="utf-8") as file:
        results = [json.loads(line) for line in file]
    found = []
    by_id = collections.defaultdict(list)
    for result in results:
        by_id[result["custom_id"]].append(result)
    for index, draft in enumerate(drafts):
        own = by_id.pop(draft["id"], [])
        if len(own) != 1:
            found.append(f"{draft['id']}: got {len(own)} results, want 1")
        else:
            found.extend(differences(draft, index, own[0], args))
    found.extend(f"{stranger}: a result of no draft" for stranger in by_id)
    if len({result["seq"] for result in results}) != len(results):
        found.append("results share a seq")
    if found:
        for line in found[:SHOWN]:
            print(line, file=sys.stderr)
        print(f"{len(found)} differences", file=sys.stderr)
        sys.exit(1)
    tiers = collections.Counter(result["cache"] for result in results)
    print(" ".join(f"{tier}={tiers[tier]}" for tier in sorted(tiers)))


if __name__ == "__main__":
    main()
