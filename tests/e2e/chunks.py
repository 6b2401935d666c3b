#!/usr/bin/python3
"""chunks.py - drafts of which some are bad, and what must become of each

  chunks.py write FILE COUNT CLIENT      so many lines of about 1 KiB
  chunks.py check FILE ERRORS RESULTS    what was said of the bad ones, and the
                                         results of the others

Each client has its bad lines elsewhere, some of them twice the id of an earlier
line. Every bad line must have been named once, by its number; every other one
must have one result, with its index, and the answer to its own text.
"""
# SPDX-License-Identifier: MIT

import json
import re
import sys

from answers import expected_text

BAD_EVERY = 61  # about one line of each chunk
TWICE_EVERY = 97
NO_TEXT = "text: neither text nor messages is there"
TWICE = "id: an earlier draft of the batch has the same id"


def write(path, count, client):
    with open(path, "w", encoding="ascii") as file:
        for number in range(count):
            draft = {"id": f"{client}-{number}"}
            if (number + client) % BAD_EVERY:
                draft["text"] = f"{client} {number} " + "word " * 200
            if number > 0 and (number + client) % TWICE_EVERY == 0:
                draft["id"] = f"{client}-0"
            file.write(json.dumps(draft) + "\n")


def expected(path):
    """By line: what is wrong with it, or its draft."""
    ids = set()
    with open(path, encoding="ascii") as file:
        for number, line in enumerate(file, start=1):
            draft = json.loads(line)
            if "text" not in draft:
                yield number, NO_TEXT
            elif draft["id"] in ids:
                yield number, TWICE
            else:
                ids.add(draft["id"])
                yield number, draft


def check(path, errors, results):
    said, answered = [], {}
    with open(errors, encoding="utf-8") as file:
        for line in file:
            found = re.fullmatch(re.escape(path) + r":(\d+): (.*)\n", line)
            if found:
                said.append((int(found[1]), found[2]))
    with open(results, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row["index"] in answered:
                sys.exit(f"{path}: two results of index {row['index']}")
            answered[row["index"]] = (row["custom_id"], row["text"])
    want = dict(expected(path))
    bad = sorted((n, why) for n, why in want.items() if isinstance(why, str))
    if sorted(said) != bad:
        sys.exit(f"{path}: of bad lines\n  got  {sorted(said)}\n  want {bad}")
    good = {
        n - 1: (draft["id"], expected_text(draft["text"]))
        for n, draft in want.items()
        if not isinstance(draft, str)
    }
    if answered != good:
        wrong = [i for i in good if answered.get(i) != good[i]][:3]
        sys.exit(
            f"{path}: got {len(answered)} results, want {len(good)}; "
            f"of these indexes another one: {wrong}"
        )


def main():
    what, path, *rest = sys.argv[1:]
    if what == "write":
        write(path, int(rest[0]), int(rest[1]))
    else:
        check(path, *rest)


if __name__ == "__main__":
    main()
