#!/usr/bin/python3
"""dialects.py - what is asked of a server that speaks them, and what must come

  dialects.py fixtures           what aimock is to answer
  dialects.py conf URL           an upstream for each dialect, and with a wrong
                                 key another one
  dialects.py drafts             each kind of draft for each of them
  dialects.py check RESULTS      the results
  dialects.py heard JOURNAL STATS
                                 what aimock understood, and the shapes counted
"""
# SPDX-License-Identifier: MIT

import collections
import json
import sys

# name: (dialect, path of base_url, words for whole and cut off, usage told).
# aimock's Ollama tells neither usage nor that an answer was cut off.
UPSTREAMS = {
    "openai": ("openai", "/v1", "stop", "length", True),
    "openrouter": ("openai", "/api/v1", "stop", "length", True),
    "responses": ("responses", "/v1", "completed", "incomplete", True),
    "azure": ("azure", "/openai", "stop", "length", True),
    "anthropic": ("anthropic", "/v1", "end_turn", "max_tokens", True),
    "gemini": ("gemini", "/v1beta", "STOP", "MAX_TOKENS", True),
    "ollama": ("ollama", "", "stop", None, False),
}
SHAPES = {"openai": "chat", "azure": "chat", "ollama": "ollama_chat"}
ANSWER = "Ein Fluß, \"lang\".\nZeile zwei \U0001f30a"
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
ROOM = 60  # max_tokens; an answer that is cut off gets twice as much


def text_of(kind):
    return "%s: \u00fcber den Flu\u00df \U0001f30a \"r\"" % kind


def fixtures():
    def error(status, message, kind):
        return {"status": status, "error": {"message": message, "type": kind}}

    answer = {"content": ANSWER, "usage": USAGE}
    rows = [
        ("kindlong", None, {**answer, "finishReason": "length"}),
        ("kindwrong", None, error(400, "no such thing", "invalid_request")),
        ("kindlimited", 0, error(429, "slowly", "rate_limit_error")),
        ("kindbusy", 0, error(503, "Overloaded", "overloaded_error")),
        ("kind", None, answer),
    ]
    out = []
    for kind, nth, response in rows:
        # A sequence is counted for all who ask: so each dialect has its own.
        for name in UPSTREAMS:
            match = {"userMessage": kind if kind == "kind"
                     else "%s-%s" % (kind, name)}
            if nth is not None:
                match["sequenceIndex"] = nth
            out.append({"match": match, "response": response})
    print(json.dumps({"fixtures": out}))


def conf(url):
    for name, (dialect, path, *_) in UPSTREAMS.items():
        for suffix, key in (("", "RIGHT_KEY"), ("-wrong", "WRONG_KEY")):
            print('[upstream "%s%s"]\nbase_url = %s%s\ndialect = %s\n'
                  "model = model-%s\nkey_env = %s"
                  % (name, suffix, url, path, dialect, name, key))


def drafts():
    for name, (dialect, *_) in UPSTREAMS.items():
        def draft(kind, upstream=name, **more):
            print(json.dumps({"id": "%s-%s" % (kind, name),
                              "text": text_of("%s-%s" % (kind, name)),
                              "upstream": upstream, **more}))

        draft("kindgood", temperature=0.5, max_tokens=40)
        draft("kindplain")
        draft("kindlong", max_tokens=ROOM)
        draft("kindwrong")
        draft("kindlimited")
        draft("kindbusy")
        draft("kindlocked", upstream=name + "-wrong")
        draft("kindtools", extra={"tools": [{"type": "function"}]})
        print(json.dumps({
            "id": "kindtalk-" + name, "upstream": name, "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "kindtalk-%s one" % name},
                {"role": "assistant", "content": "two"},
                {"role": "user", "content": [
                    {"type": "text", "text": "kindtalk-%s " % name},
                    {"type": "text", "text": "three"}]}]}))


def expected(kind, name):
    """Members of the result of a draft."""
    dialect, _, whole, cut, has_usage = UPSTREAMS[name]
    usage = USAGE if has_usage else dict.fromkeys(USAGE, 0)
    well = {"status": "ok", "text": ANSWER, "error": None, "usage": usage,
            "model": "model-" + name, "finish_reason": whole, "attempts": 1,
            "upstream": name}
    if dialect == "gemini":
        well["model"] = None  # aimock leaves modelVersion out
    if kind == "kindtalk":
        del well["text"]  # of raw requests: see the body
    ends = {
        "kindlong": {"status": "error", "text": ANSWER, "attempts": 2,
                     "error.code": "truncated", "finish_reason": cut},
        "kindwrong": {"status": "bad_request", "error.http_status": 400,
                      "error.message": "no such thing", "attempts": 1},
        "kindlimited": {**well, "attempts": 2},
        "kindbusy": {**well, "attempts": 2},
        "kindlocked": {"status": "auth_error", "error.http_status": 401,
                       "error.code": "invalid_api_key", "attempts": 1},
        "kindtools": {"status": "error", "attempts": 1,
                      "error.code": "unsupported_by_dialect"},
    }
    if kind == "kindtools" and dialect in ("openai", "azure"):
        return well
    if kind == "kindlong" and cut is None:
        return well
    return ends.get(kind, well)


def member(result, path):
    for name in path.split("."):
        result = result[name] if result is not None else None
    return result


def report(found):
    for line in found:
        print("  " + line, file=sys.stderr)
    sys.exit(1 if found else 0)


def check(path):
    found, seen = [], 0
    with open(path, encoding="utf-8") as file:
        for result in map(json.loads, file):
            kind, name = result["custom_id"].split("-")
            seen += 1
            for key, want in expected(kind, name).items():
                got = member(result, key)
                if got != want:
                    found.append("%s: %s: got %r, want %r; error %r" % (
                        result["custom_id"], key, got, want, result["error"]))
    if seen != 9 * len(UPSTREAMS):
        found.append("results: got %d, want %d" % (seen, 9 * len(UPSTREAMS)))
    report(found)


def understood(entries, word):
    """The bodies, as aimock reads them, of calls with this in a message."""
    return [entry["body"] for entry in entries
            if entry["body"] and any(
                word in str(message.get("content", ""))
                for message in entry["body"].get("messages", []))]


def same(found, what, got, want):
    if got != want:
        found.append("%s: got %r, want %r" % (what, got, want))


def heard(journal, stats):
    with open(journal, encoding="utf-8") as file:
        entries = json.load(file)
    with open(stats, encoding="utf-8") as file:
        stats = json.load(file)
    found = []
    for name, (dialect, _, _, cut, _) in UPSTREAMS.items():
        calls = {kind: understood(entries, "%s-%s" % (kind, name))
                 for kind in ("kindgood", "kindlong", "kindtalk", "kindtools",
                              "kindlimited", "kindwrong")}
        for kind, want in {"kindgood": 1, "kindlong": 2 if cut else 1,
                           "kindtalk": 1,
                           "kindlimited": 2, "kindwrong": 1,
                           "kindtools": dialect in ("openai", "azure")
                           }.items():
            same(found, "%s: calls of %s" % (name, kind), len(calls[kind]),
                 want)
        if not calls["kindgood"] or not calls["kindtalk"]:
            continue
        good, talk = calls["kindgood"][0], calls["kindtalk"][0]
        same(found, name + ": model", good.get("model"), "model-" + name)
        same(found, name + ": roles",
             [message["role"] for message in good["messages"]],
             ["system", "user"])
        if "Goal: Summarize" not in flat(good["messages"][0]):
            found.append("%s: no goal in %r" % (name, good["messages"][0]))
        same(found, name + ": text", flat(good["messages"][1]),
             text_of("kindgood-" + name))
        same(found, name + ": temperature", good.get("temperature"), 0.5)
        same(found, name + ": max_tokens", good.get("max_tokens"), 40)
        same(found, name + ": room", sorted(
            body.get("max_tokens") or 0 for body in calls["kindlong"]),
            [ROOM, 2 * ROOM] if cut else [ROOM])
        same(found, name + ": talk",
             [(message["role"], flat(message)) for message in
              talk["messages"]],
             system(dialect) + [("user", "kindtalk-%s one" % name),
                                ("assistant", "two"),
                                ("user", "kindtalk-%s three" % name)])
    shapes = collections.Counter()
    for dialect, _, _, cut, _ in UPSTREAMS.values():
        kinds = ["kindgood", "kindplain", "kindlong", "kindtalk",
                 "kindlimited", "kindbusy"]
        shapes[SHAPES.get(dialect, dialect)] += len(kinds) + bool(cut) + (
            dialect in ("openai", "azure"))
    for shape, count in shapes.items():
        same(found, "replies_" + shape, stats["replies_" + shape], count)
    same(found, "replies_priority_path", stats["replies_priority_path"],
         sum(shapes.values()))
    same(found, "replies_fallback_percent", stats["replies_fallback_percent"],
         0)
    report(found)


def system(dialect):
    """The goal, which is the batch's, and the draft's own system message."""
    words = ["Goal: Summarize", "Be brief."]
    if dialect in ("anthropic", "gemini"):
        words = ["\n\n".join(words)]
    return [("system", text) for text in words]


def flat(message):
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content


def main():
    {"fixtures": fixtures, "conf": conf, "drafts": drafts, "check": check,
     "heard": heard}[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
