#!/usr/bin/python3
"""calls.py - figures of the test upstream's log

  calls.py LOG calls           calls that were started
  calls.py LOG distinct        different bodies among them
  calls.py LOG in_flight_max   most calls at one time
  calls.py LOG repeated        calls beyond the first for a body
  calls.py LOG first_ms        start of the first, on the monotonic clock; or -
"""
# SPDX-License-Identifier: MIT

import json
import sys


def read_log(path):
    """The events of a log. A last line that is not complete is left out."""
    events = []
    with open(path, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                events.append(json.loads(line))
    return events


def starts(path):
    return [event for event in read_log(path) if event["event"] == "start"]


def main():
    path, figure = sys.argv[1:]
    calls = starts(path)
    distinct = len({call["sha"] for call in calls})
    figures = {
        "calls": len(calls),
        "distinct": distinct,
        "in_flight_max": max((call["in_flight"] for call in calls), default=0),
        "repeated": len(calls) - distinct,
        "first_ms": calls[0]["t_us"] // 1000 if calls else "-",
    }
    print(figures[figure])


if __name__ == "__main__":
    main()
