#!/usr/bin/python3
"""statuses.py - one draft for every way to end, and how it must end

  statuses.py write DIR                    drafts.jsonl and script, in DIR
  statuses.py check DIR RESULTS LOG        the results and the number of calls
  statuses.py healed DIR FIRST SECOND      the results after a retry

A case is a word that stands in the draft's text, and that the test upstream's
script looks for. ATTEMPTS and THROTTLES are the broker's attempts_max and
throttle_max.
"""
# SPDX-License-Identifier: MIT

import collections
import json
import sys

from answers import expected_text

ATTEMPTS = 3
THROTTLES = 6
# Seven words that mean something: with the case's own, an essence.
WORDS = "river stone market window bridge signal harbour"
FAILURE = "test upstream: as the script says"

Case = collections.namedtuple(
    "Case", "name rule status code message http calls attempts fields")


def case(name, rule, status, code=None, message=None, http=None, calls=1,
         **fields):
    return Case(name, rule, status, code, message, http, calls,
                fields.pop("attempts", calls), fields)


def failing(name, number, status, calls=1, more="", **fields):
    """An HTTP status with the test upstream's error object."""
    return case(name, f"status={number} {more}", status, f"status_{number}",
                FAILURE, number, calls, **fields)


CASES = [
    case("kindgood", None, "ok", http=200),
    failing("kindbusy", 429, "rate_limited", ATTEMPTS, upstream="busy"),
    # The server names a wait: no attempt is spent, however often it does.
    case("kindpatient", 'times=5 status=429 header="retry-after-ms: 20"',
         "ok", http=200, calls=6, upstream="patient"),
    failing("kindhopeless", 429, "rate_limited",
            THROTTLES, 'header="retry-after-ms: 20"', upstream="hopeless"),
    # Nobody is let in there: it is not asked again, and only it.
    failing("kindunknown", 401, "auth_error", upstream="locked"),
    failing("kindmalformed", 400, "bad_request"),
    # Nothing was ever found there: the same.
    failing("kindmissing", 404, "not_found", upstream="elsewhere"),
    failing("kindsenseless", 422, "unprocessable"),
    failing("kindforbidden", 403, "permission_denied"),
    failing("kindbroken", 500, "server_error",
            ATTEMPTS),
    case("kindrecovering", "times=1 status=503", "ok", http=200, calls=2),
    case("kindsilent", "action=hang", "error", "timeout", calls=ATTEMPTS),
    case("kindabsent", None, "error", "connect_failed", calls=0,
         attempts=ATTEMPTS, upstream="absent"),
    case("kindreset", "action=reset", "error", "connection_lost",
         calls=ATTEMPTS),
    case("kindgarbage", "action=garbage", "error", "malformed_reply",
         calls=ATTEMPTS),
    case("kindpage", "action=html", "error", "malformed_reply", http=200,
         calls=ATTEMPTS),
    case("kindempty", "action=empty", "error", "empty_reply",
         "the reply has no body", 200, ATTEMPTS),
    case("kindhalved", "action=truncated_json", "error", "malformed_reply",
         http=200, calls=ATTEMPTS),
    case("kindcut", "action=cut_body", "error", "connection_lost",
         calls=ATTEMPTS),
    # Cut off: with max_tokens it is tried once with room for more.
    case("kindlong", "action=length", "error", "truncated", http=200),
    case("kindlonger", "action=length", "error", "truncated", http=200,
         calls=2, max_tokens=50),
    case("kindroom", None, "ok", http=200, calls=2, max_tokens=77),
    case("kindrefused", "action=refuse", "error", "refused", http=200),
    # Two drafts that share a request share its end.
    failing("kindtwin", 500, "server_error",
            ATTEMPTS),
]

# What is kept: up to 8 tokens of the input, or the upstream's own words.
ERROR_ESSENCE = ("auth_error", "bad_request", "not_found", "unprocessable",
                 "permission_denied")


def text_of(one):
    return f"{one.name} {WORDS}"


def write(folder):
    with open(f"{folder}/script", "w", encoding="ascii") as file:
        file.write("match='\"max_tokens\":77' action=length\n")
        for one in CASES:
            if one.rule:
                file.write(f"match='{one.name} ' each=1 {one.rule}\n")
    with open(f"{folder}/drafts.jsonl", "w", encoding="ascii") as file:
        for one in CASES + [twin()]:
            draft = {"id": one.name, "text": text_of(one), **one.fields}
            if one.name == "kindtwin" and one is not CASES[-1]:
                draft["id"] = "kindtwin-2"
            file.write(json.dumps(draft) + "\n")


def twin():
    return CASES[-1]._replace(calls=0)


def read(path):
    with open(path, encoding="utf-8") as file:
        return {result["custom_id"]: result
                for result in map(json.loads, file)}


def expected(one):
    if one.status == "ok":
        return {"status": "ok", "text": expected_text(text_of(one)),
                "essence": None, "error": None}
    if one.status in ERROR_ESSENCE:
        essence = f"[{one.status}] {one.message}"
    else:
        essence = f"{text_of(one)} [{one.status}]"
    # Only of an answer that was cut off there is a text.
    text = expected_text(text_of(one)) if one.code == "truncated" else None
    return {"status": one.status, "text": text, "essence": essence}


def compare(name, got, want, found):
    for key, value in want.items():
        if got.get(key) != value:
            found.append(f"{name}: {key}: got {got.get(key)!r}, "
                         f"want {value!r}")


def calls_by_user(log):
    counts = collections.Counter()
    with open(log, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            if event["event"] == "start":
                counts["echo " + event["user"]] += 1
    return counts


def check(folder, results_path, log):
    results, calls, found = read(results_path), calls_by_user(log), []
    names = [one.name for one in CASES] + ["kindtwin-2"]
    if sorted(results) != sorted(names):
        found.append(f"results: got {sorted(results)}, want {sorted(names)}")
    for one in CASES:
        result = results.get(one.name, {})
        compare(one.name, result,
                {**expected(one), "revision": 1, "attempts": one.attempts},
                found)
        if one.status != "ok":
            want = {"code": one.code, "http_status": one.http}
            if one.message:
                want["message"] = one.message
            compare(one.name + ": error", result.get("error") or {}, want,
                    found)
            if not (result.get("error") or {}).get("message"):
                found.append(f"{one.name}: error: no message")
        made = calls[expected_text(text_of(one))]
        if made != one.calls:
            found.append(f"{one.name}: calls: got {made}, want {one.calls}")
    compare("kindtwin-2", results.get("kindtwin-2", {}),
            {**expected(CASES[-1]), "cache": "joined"}, found)
    report(found, folder)


def healed(folder, first_path, second_path):
    """All fallbacks are answered now, and were delivered again."""
    first, second, found = read(first_path), read(second_path), []
    fallbacks = {name for name, result in first.items()
                 if result["status"] != "ok"}
    last = max(result["seq"] for result in first.values())
    if set(second) != fallbacks:
        found.append(f"delivered: got {sorted(second)}, "
                     f"want {sorted(fallbacks)}")
    with open(f"{folder}/drafts.jsonl", encoding="utf-8") as file:
        texts = {draft["id"]: draft["text"] for draft in map(json.loads, file)}
    for name, result in second.items():
        compare(name, result,
                {"status": "ok", "text": expected_text(texts[name]),
                 "essence": None, "error": None, "revision": 2,
                 "index": first[name]["index"]}, found)
        if result["seq"] <= last:
            found.append(f"{name}: seq: got {result['seq']}, "
                         f"want more than {last}")
    report(found, folder)


def report(found, folder):
    if not found:
        return
    print(f"{folder}: {len(found)} differences", file=sys.stderr)
    for line in found:
        print(f"  {line}", file=sys.stderr)
    sys.exit(1)


def main():
    actions = {"write": write, "check": check, "healed": healed}
    actions[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
