#!/usr/bin/python3
"""metrics.py - holds what asks for metrics against the metrics there are

  metrics.py names METRICS FILE…    every sheaf_ name in the files is a sample's
  metrics.py rules DASHBOARD        the queries of a dashboard as rules, for
                                    promtool to check their syntax
  metrics.py sum METRICS NAME [LABEL=VALUE]   the sum of the samples with it

METRICS is what `sheaf stats --prometheus` prints. Exit code 1 if something does
not hold.
"""
# SPDX-License-Identifier: MIT

import json
import re
import sys

NAME = re.compile(r"\bsheaf_[a-z0-9_]+")


def samples(path):
    """Name, labels and value of each sample."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                name, labels, value = re.fullmatch(
                    r"([a-z0-9_]+)(?:\{(.*)\})? (\S+)\n", line).groups()
                yield name, labels or "", float(value)


def check_names(metrics, files):
    known = {name for name, _, _ in samples(metrics)}
    asked = 0
    for path in files:
        with open(path, encoding="utf-8") as file:
            names = set(NAME.findall(file.read()))
        asked += len(names)
        for name in sorted(names - known):
            print(f"{path}: there is no {name}")
            asked = 0
    return asked > 0


def print_rules(path):
    with open(path, encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    queries = [target["expr"].replace("$__rate_interval", "5m")
               for panel in panels for target in panel["targets"]]
    rules = [{"record": f"query:{n}", "expr": query}
             for n, query in enumerate(queries)]
    print(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    return len(rules) > 0


def print_sum(metrics, name, label=""):
    part = label.replace("=", '="') + '"' if label else ""
    values = [value for found, labels, value in samples(metrics)
              if found == name and part in labels]
    print(f"{sum(values):.15g}")
    return len(values) > 0


def main():
    verb, *rest = sys.argv[1:]
    if verb == "names":
        return check_names(rest[0], rest[1:])
    return print_rules(*rest) if verb == "rules" else print_sum(*rest)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
