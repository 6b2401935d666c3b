#!/usr/bin/python3
"""order.py - in which order goals reached the upstream

  order.py LOG GOAL,GOAL… --calls N --switches N [--slots N]

Looks at the starts of N calls. Their goal is the one of the given names that
stands in the system message. Where a call has another goal than the one before
it, that is a switch. With more than one slot, calls that are in flight together
may swap places: a call then counts as standing where it should if it is fewer
than N places away from there.
"""
# SPDX-License-Identifier: MIT

import argparse
import sys

import calls


def switches(goals):
    return sum(a != b for a, b in zip(goals, goals[1:]))


def settled(goals, slots):
    """Undoes swaps of calls in flight: takes a goal's next call forward if it
    stands fewer than `slots` places further on."""
    rest, order = list(goals), []
    while rest:
        near = rest[:slots]
        goal = order[-1] if order and order[-1] in near else rest[0]
        rest.remove(goal)
        order.append(goal)
    return order


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("log")
    parser.add_argument("goals")
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--switches", type=int, required=True)
    parser.add_argument("--slots", type=int, default=1)
    args = parser.parse_args()
    names = args.goals.split(",")
    goals = [next((name for name in names if name in call["goal"]), "?")
             for call in calls.starts(args.log)]
    got = switches(settled(goals, args.slots))
    if len(goals) != args.calls or got > args.switches or "?" in goals:
        sys.exit(f"order: got {' '.join(goals)}: {len(goals)} calls, "
                 f"{got} switches, want {args.calls} and "
                 f"{args.switches} at most")


if __name__ == "__main__":
    main()
