#!/usr/bin/python3
"""refusals.py - bad drafts, and what is said of each

  refusals.py write FILE [--only-bad]   the drafts; every second line is good
  refusals.py text FILE                 what stderr says of them, as text
  refusals.py json FILE                 the same, as with --json

The messages are part of the table: a user reads them, and scripts read the
codes. LINE_BYTES_MAX is the broker's line_bytes_max while they are submitted.
"""
# SPDX-License-Identifier: MIT

import json
import sys

LINE_BYTES_MAX = 2048
DEEP = b'{"id":"b","text":"x","metadata":' + b"[" * 64 + b"]" * 64 + b"}"
LONG = b'{"id":"b","text":"' + b"x" * LINE_BYTES_MAX + b'"}'

# line, code, field, message
CASES = (
    (b"hello", "not_json", "", "byte 1: expected a value"),
    (b'{"id":"b",', "not_json", "",
     "byte 11: expected a key, but the text ends"),
    (b"[1]", "not_object", "", "a draft is a JSON object"),
    (DEEP, "too_deep", "", "byte 96: deeper than 64"),
    (LONG, "too_long", "line", f"longer than {LINE_BYTES_MAX} bytes"),
    (b'{"id":"b","text":"\xff"}', "invalid_utf8", "",
     "byte 19: invalid UTF-8"),
    (b'{"id":"b","text":"a\\u0000"}', "nul_escape", "",
     "byte 20: NUL escape (\\u0000)"),
    (b'{"id":"b","id":"c","text":"x"}', "duplicate_key", "",
     'byte 11: the key "id" stands twice'),
    (b'{"id":"good-1","text":"other"}', "duplicate_id", "id",
     "an earlier draft of the batch has the same id"),
    (b'{"text":"x"}', "missing_field", "id", "is missing"),
    (b'{"id":"b"}', "missing_field", "text",
     "neither text nor messages is there"),
    (b'{"id":"b","text":1}', "wrong_type", "text", "must be a string"),
    (b'{"id":"b","text":"x","temperature":3}', "out_of_range", "temperature",
     "must be from 0 to 2"),
    (b'{"id":"b","txet":"x"}', "unknown_field", "txet",
     "is no field of a draft"),
    (b'{"id":"b","text":"x","upstream":"no"}', "unknown_upstream", "upstream",
     'no upstream "no" is configured'),
)


def good(i):
    return json.dumps({"id": f"good-{i}", "text": f"good text {i}"}).encode()


def write(path, only_bad):
    with open(path, "wb") as file:
        for i, case in enumerate(CASES):
            if not only_bad:
                file.write(good(i + 1) + b"\n")
            elif case[1] == "duplicate_id":
                continue
            file.write(case[0] + b"\n")


def main():
    what, path, *rest = sys.argv[1:]
    if what == "write":
        write(path, "--only-bad" in rest)
    for i, (_, code, field, message) in enumerate(CASES):
        if what == "text":
            print(f"{path}:{2 * i + 2}: {field}{field and ': '}{message}")
        elif what == "json":
            print(json.dumps({"error": {
                "code": code, "message": message, "file": path,
                "line": 2 * i + 2, "field": field, "index": 2 * i + 1,
            }}, separators=(",", ":")))


if __name__ == "__main__":
    main()
