#!/usr/bin/python3
"""groups.py - drafts of two goals, and the order in which they were called

  groups.py write COUNT BYTES          drafts of goals that take turns
  groups.py order DRAFTS LOG SLOTS     one goal's calls come after the other's
  groups.py long FILE                  a draft that is too long for a group
  groups.py alone DRAFTS LOG WINDOW    that one was called before its group's

With one slot, the calls of one goal must all stand before those of the other.
With more, calls that are in flight together may arrive in another order: a
call may be early by less than SLOTS places.
"""
# SPDX-License-Identifier: MIT

import hashlib
import itertools
import json
import random
import sys

from calls import starts
from drafts import text_of

GOALS = ("Sort", "Count")
CHARS_MAX = 4000  # group_chars_max


def write(count, size):
    rng = random.Random(1)
    for i in range(int(count)):
        draft = {"id": f"g-{i}", "text": text_of(i, int(size), rng),
                 "goal": GOALS[i % 2]}
        print(json.dumps(draft))


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def called(drafts_path, log):
    """The drafts in the order of their calls; each has exactly one."""
    with open(drafts_path, encoding="utf-8") as file:
        drafts = {digest(draft["text"]): draft
                  for draft in map(json.loads, file)}
    calls = starts(log)
    order = [drafts.get(call["user"]) for call in calls]
    if None in order or len(order) != len(drafts) or \
            len({draft["id"] for draft in order}) != len(drafts):
        sys.exit(f"calls: got {len(order)}, "
                 f"want one for each of {len(drafts)} drafts")
    for draft, call in zip(order, calls):
        if draft["goal"] not in call["goal"]:
            sys.exit(f"{draft['id']}: got the goal {call['goal']!r}, "
                     f"want in it {draft['goal']!r}")
    return order, calls


def order(drafts_path, log, slots):
    goals = [draft["goal"] for draft in called(drafts_path, log)[0]]
    seen = " ".join(f"{len(list(run))}x{goal}"
                    for goal, run in itertools.groupby(goals))
    # Which goal goes first: the one with the earlier calls as a whole.
    places = {goal: [i for i, own in enumerate(goals) if own == goal]
              for goal in GOALS}
    first, second = sorted(GOALS, key=lambda goal: sum(places[goal]))
    early = places[first][-1] - places[second][0]
    if early >= int(slots):
        sys.exit(f"order of calls, {slots} slots: got {seen},\n  "
                 f"want {second} less than {slots} places early")
    print(seen)


def long(path):
    # Characters of two bytes: it is they that count.
    drafts = (("short", "river stone market", GOALS[0]),
              ("long", "é" * CHARS_MAX, GOALS[0]),
              ("fitting", "é" * (CHARS_MAX - 1), GOALS[1]))
    with open(path, "w", encoding="utf-8") as file:
        for name, text, goal in drafts:
            draft = {"id": name, "text": text, "goal": goal}
            file.write(json.dumps(draft) + "\n")


def alone(drafts_path, log, window_ms):
    drafts, calls = called(drafts_path, log)
    names = [draft["id"] for draft in drafts]
    gap_ms = (calls[1]["t_us"] - calls[0]["t_us"]) // 1000
    if names[0] != "long":
        sys.exit(f"first call: got {names[0]}, want long")
    # The others are held for the window, which began a little earlier.
    if gap_ms < int(window_ms) // 2:
        sys.exit(f"others follow after: got {gap_ms} ms, "
                 f"want {int(window_ms) // 2} at least")
    print(f"{gap_ms} ms before the groups")


def main():
    actions = {"write": write, "order": order, "long": long, "alone": alone}
    actions[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
