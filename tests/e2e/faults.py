#!/usr/bin/python3
"""faults.py - each fault of an upstream, and what came of it, as a table

  faults.py write DIR        the test upstream's script and its files, to DIR
  faults.py run URL LOG      makes each fault happen, prints the table; exit
                             code 1 and the differences if one is not as below

A fault is a rule of the upstream's script, and what must become of a draft that
meets it, with one attempt allowed and with three. Each has an upstream of its
own in the configuration, as some of them suspend theirs, and each that would
take memory has a broker and a worker of its own, to see what they take; so
there are several brokers, at the same time. The name server of one is silent,
where namespaces are permitted.

A gap between two calls lasts from the end of the first, as the upstream saw it,
or from its start if the worker ended it, to the start of the second. None may
be shorter than what is asked for below, however slow the machine is.
"""
# SPDX-License-Identifier: MIT

import collections
import json
import os
import subprocess
import sys
import zlib

from answers import expected_text
from broker import BIN, Broker, wait_for, workers

UPSTREAMS_MAX = 16  # CONF_UPSTREAMS_MAX
ATTEMPTS = 3
THROTTLES = 6
BACKOFF_MS = 100
BACKOFFS = [BACKOFF_MS, 2 * BACKOFF_MS]
PATIENCE_S = 120
DEADLINE = "+10m"
# The broker's clock has whole milliseconds.
GRAIN_MS = 1
REPLY_BYTES_MAX = 8388608
# A body's memory is doubled while it grows, and the first call loads TLS.
MEMORY_KIB_MAX = 3 * REPLY_BYTES_MAX // 1024
MIB = 1048576
GIB_KIB = 1048576
PATH = "/v1/chat/completions"
NOBODY = "http://127.0.0.1:1/v1"
NAMELESS_URL = "http://nobody.example/v1"
HERE = os.path.dirname(os.path.abspath(__file__))
# What a broker runs under, for a name server that never answers.
SILENCE = ["sh", f"{HERE}/nameless.sh"]

Fault = collections.namedtuple(
    "Fault", "name rule status code http calls failures throttled uncertain "
             "gaps source conf says text is_large first where allowed")


def fault(name, rule, status, code, http, calls=1, failures=0, throttled=0,
          uncertain=0, gaps=(), source=None, conf="", says="", text=None,
          is_large=False, first=None, where=None):
    """As it is with ATTEMPTS allowed; `first` is status, code and HTTP status
    of the first call, where the others end otherwise. `where` is a URL at which
    there is no upstream."""
    return Fault(name, rule, status, code, http, calls, failures, throttled,
                 uncertain, gaps, source, conf, says, text, is_large, first,
                 where, ATTEMPTS)


def once(one):
    """The same with one attempt allowed: the first failure is the end. What is
    no failure does not count."""
    one = one._replace(allowed=1)
    if one.failures == 0:
        return one
    status, code, http = one.first or (one.status, one.code, one.http)
    return one._replace(status=status, code=code, http=http, calls=1,
                        failures=1, uncertain=min(one.uncertain, 1), gaps=(),
                        source=None)


def ended(name, rule, status, code, http, **more):
    """Another try would not help."""
    return fault(name, rule, status, code, http, **more)


def retried(name, rule, status, code, http=None, **more):
    """It may be better next time."""
    return fault(name, rule, status, code, http, ATTEMPTS, ATTEMPTS,
                 gaps=BACKOFFS, source="backoff", **more)


def unsure(name, rule, code, **more):
    """The same, but what was sent may have to be paid for."""
    return retried(name, rule, "error", code, uncertain=ATTEMPTS, **more)


def number(status, result, kind=ended):
    """A status with the test upstream's error object."""
    return kind(str(status), f"status={status}", result, f"status_{status}",
                status)


def redirect(status):
    return ended(f"{status} to another path",
                 f'status={status} header="Location: /elsewhere"',
                 "error", f"status_{status}", status)


def error(name, status, error_object, result, code, kind=ended):
    body = json.dumps({"error": error_object})
    return kind(name, f"status={status} body='{body}'", result, code, status)


def waits(what, ms, source, *headers, body=None, status=429):
    """Told to wait twice; no attempt is spent."""
    rule = f"times=2 status={status}"
    for header in headers:
        rule += f' header="{header}"'
    if body:
        rule += f" body='{json.dumps(body)}'"
    failures = 0 if status == 429 else 2
    return fault(f"{status}, {what}", rule, "ok", None, 200, 3,
                 failures, 2 - failures, gaps=[ms, ms], source=source,
                 first=("server_error", f"status_{status}", status))


def gemini(delay):
    return {"error": {"code": 429, "message": "busy", "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo",
         "retryDelay": delay}]}}


def words(text):
    return {"error": {"message": text, "type": "tokens", "code": "slow"}}


QUOTA_OF_A_DAY = {"code": 429, "message": "too much", "details": [
    {"@type": "type.googleapis.com/google.rpc.QuotaFailure",
     "violations": [{"quotaId": "RequestsPerDayPerProject"}]},
    {"@type": "type.googleapis.com/google.rpc.RetryInfo",
     "retryDelay": "0.2s"}]}

STATUSES = [
    fault("200", "", "ok", None, 200),
    ended("204, no content", "status=204 action=empty", "error", "http_204",
          204),
    number(300, "error"),
    redirect(301), redirect(302), redirect(303), redirect(307),
    redirect(308),
    ended("304", "status=304 action=empty", "error", "http_304", 304),
    number(400, "bad_request"),
    number(401, "auth_error"),
    number(402, "error"),
    number(403, "permission_denied"),
    number(404, "not_found"),
    number(405, "error"),
    number(408, "error", kind=retried),
    number(409, "error", kind=retried),
    number(410, "error"),
    number(413, "error"),
    number(422, "unprocessable"),
    number(425, "error", kind=retried),
    number(429, "rate_limited", kind=retried),
    number(498, "error", kind=retried),
    number(500, "server_error", kind=retried),
    number(501, "server_error", kind=retried),
    number(502, "server_error", kind=retried),
    number(503, "server_error", kind=retried),
    number(504, "server_error", kind=retried),
    number(529, "server_error", kind=retried),
    retried("502 with a page of HTML", "status=502 action=html",
            "server_error", "http_502", 502),
    error("200 with an error body", 200,
          {"message": "overloaded", "code": "busy"}, "error", "busy",
          kind=retried),
    error("200 with an error body, 400", 200,
          {"message": "no such model", "type": "model", "code": 400},
          "error", "model"),
    error("200 with an error body, no quota", 200,
          {"message": "pay", "code": "insufficient_quota"}, "error",
          "insufficient_quota"),
    error("400, credit balance is too low", 400,
          {"type": "invalid_request_error",
           "message": "Your credit balance is too low."}, "bad_request",
          "invalid_request_error"),
    error("429 insufficient_quota", 429,
          {"message": "pay", "code": "insufficient_quota"}, "rate_limited",
          "insufficient_quota"),
    error("429, the quota of a day", 429, QUOTA_OF_A_DAY, "rate_limited",
          "quota_exhausted"),
    error("429, request too large", 429,
          {"message": "Request too large for this", "code": "tokens"},
          "rate_limited", "tokens"),
    retried("400, x-should-retry: true",
            'status=400 header="x-should-retry: true"', "bad_request",
            "status_400", 400),
    ended("500, x-should-retry: false",
          'status=500 header="x-should-retry: false"', "server_error",
          "status_500", 500),
    ended("429 with a wait, x-should-retry: false",
          'status=429 header="retry-after-ms: 50" '
          'header="x-should-retry: false"', "rate_limited", "status_429", 429),
]

WAITS = [
    waits("retry-after-ms", 300, "retry-after-ms", "retry-after-ms: 300"),
    waits("x-ms-retry-after-ms, fraction", 251, "x-ms-retry-after-ms",
          "x-ms-retry-after-ms: 250.5"),
    waits("retry-after, seconds", 1000, "retry-after", "Retry-After: 1"),
    waits("retry-after, fraction", 300, "retry-after", "retry-after: 0.3"),
    waits("retry-after, date", 1200, "retry-after",
          "Retry-After: {date+1200}"),
    waits("both: the milliseconds count", 300, "retry-after-ms",
          "retry-after: 60", "retry-after-ms: 300"),
    waits("retryDelay", 300, "error.details.retryDelay", body=gemini("0.3s")),
    waits("retryDelay, nanoseconds", 313, "error.details.retryDelay",
          body=gemini("0.312345678s")),
    waits("a reset, Go duration", 300, "x-ratelimit-reset-requests",
          "x-ratelimit-reset-requests: 300ms"),
    waits("a reset, longer duration", 1250, "x-ratelimit-reset-tokens",
          "x-ratelimit-reset-tokens: 0h0m1.25s"),
    waits("a reset, seconds", 1000, "x-ratelimit-reset-tokens",
          "x-ratelimit-reset-tokens: 1"),
    waits("a reset, RFC 3339", 400, "anthropic-ratelimit-requests-reset",
          "anthropic-ratelimit-requests-reset: {rfc3339+400}"),
    waits("a reset, epoch seconds", 1200, "ratelimit-reset",
          "ratelimit-reset: {unix+1200}"),
    waits("a reset, epoch milliseconds", 400, "x-ratelimit-reset",
          "x-ratelimit-reset: {unix_ms+400}"),
    waits("the longer of two resets", 500, "x-ratelimit-reset-tokens",
          "x-ratelimit-reset-requests: 200ms",
          "x-ratelimit-reset-tokens: 500ms"),
    waits("not the reset of what is left", 300, "x-ratelimit-reset-tokens",
          "x-ratelimit-remaining-requests: 7",
          "x-ratelimit-reset-requests: 1h",
          "x-ratelimit-remaining-tokens: 0",
          "x-ratelimit-reset-tokens: 300ms"),
    waits("the error's words", 300, "error.message",
          body=words("Limit 30000. Please try again in 0.3s. Thank you.")),
    waits("the error's words, milliseconds", 312, "error.message",
          body=words("Please try again in 312ms.")),
    waits("retry-after: an attempt is spent", 400, "retry-after",
          "retry-after: 0.4", status=503),
    fault("429 with a wait, always",
          'status=429 header="retry-after-ms: 150"', "rate_limited",
          "status_429", 429, THROTTLES, 0, THROTTLES,
          gaps=[150] * (THROTTLES - 1), source="retry-after-ms"),
    fault("429, a wait beyond the deadline",
          'status=429 header="retry-after: 3600"', "rate_limited",
          "status_429", 429, throttled=1),
    retried("429, retry-after: 0", 'status=429 header="retry-after: 0"',
            "rate_limited", "status_429", 429),
    retried("429, retry-after: soon", 'status=429 header="retry-after: soon"',
            "rate_limited", "status_429", 429),
    retried("429, reset: -1",
            'status=429 header="x-ratelimit-reset-tokens: -1"',
            "rate_limited", "status_429", 429),
]

BROKEN = [
    unsure("hang", "action=hang", "timeout", conf="request_timeout_ms = 1000"),
    unsure("a drip of 10 bytes a second", "action=drip every=100", "timeout",
           conf="low_speed_ms = 500", says="stalled"),
    unsure("closed before a byte", "action=cut_before", "connection_lost"),
    unsure("reset before a byte", "action=reset", "connection_lost"),
    unsure("closed within the headers", "action=cut_headers",
           "connection_lost"),
    unsure("closed within the body", "action=cut_body", "connection_lost"),
    unsure("reset within the body", "action=reset_body", "connection_lost"),
    unsure("not HTTP", "action=garbage", "malformed_reply"),
    retried("half of the length", "action=wrong_length", "error",
            "malformed_reply", 200),
    retried("HTML", "action=html", "error", "malformed_reply", 200),
    retried("no body", "action=empty", "error", "empty_reply", 200),
    retried("truncated JSON", "action=truncated_json", "error",
            "malformed_reply", 200),
    fault("a lone surrogate",
          r"""body='{"choices":[{"message":{"content":"a \ud800"}}]}'""",
          "ok", None, 200, text="a \ufffd"),
    fault("a wrong content type", 'header="Content-Type: text/plain"', "ok",
          None, 200),
    retried("nothing that is known", """body='{"hello":"world"}'""", "error",
            "no_text", 200),
    ended("cut off (finish_reason)", "action=length", "error", "truncated",
          200),
    ended("refused", "action=refuse", "error", "refused", 200),
    retried("nobody listens", "", "error", "connect_failed", where=NOBODY),
]

NAMELESS = [
    retried("a silent name server", "", "error", "name_not_resolved",
            where=NAMELESS_URL, conf="allow_plain_http = yes"),
    retried("a silent name server, 0.5 s to connect", "", "error", "timeout",
            where=NAMELESS_URL,
            conf="allow_plain_http = yes\nconnect_timeout_ms = 500"),
]

LARGE = [
    ended("an answer of 1 GiB", f"action=huge size={GIB_KIB}", "error",
          "reply_too_large", None, is_large=True),
    ended("an answer without an end", "action=endless", "error",
          "reply_too_large", None, is_large=True),
    retried("500 with a body of 1 GiB",
            f"status=500 action=huge size={GIB_KIB}", "server_error",
            "http_500", 500, is_large=True),
    retried("1 GiB in a gzip of 1 MiB",
            'file=bomb.gz header="Content-Encoding: gzip"', "error",
            "malformed_reply", 200, is_large=True),
    ended("headers of 64 MiB", "action=huge_headers size=65536", "error",
          "reply_too_large", None, is_large=True),
]

FAULTS = [variant for one in STATUSES + WAITS + BROKEN + NAMELESS + LARGE
          for variant in (once(one), one)]


def text_of(at):
    return f"fault{at} river stone market"


# ---- what the upstream needs ----

def write_bomb(path):
    """A gzip stream of 1 GiB of zeros, made of one block again and again."""
    zeros = bytes(16 * MIB)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(64):
        check = zlib.crc32(zeros, check)
    with open(path, "wb") as file:
        file.write(b"\x1f\x8b\x08" + bytes(6) + b"\x03")
        file.write(block * 64 + b"\x03\x00")
        file.write(check.to_bytes(4, "little"))
        file.write((64 * len(zeros)).to_bytes(4, "little"))


def write(folder):
    write_bomb(f"{folder}/bomb.gz")
    with open(f"{folder}/script", "w", encoding="ascii") as file:
        for at, one in enumerate(FAULTS):
            if one.rule:
                file.write(f"match='fault{at} ' {one.rule}\n")


# ---- brokers ----

class House:
    """A broker for some of the faults, each with its upstream; they allow the
    same number of attempts."""

    def __init__(self, name, faults, url, log):
        self.faults = faults  # pairs of number and fault
        self.root = f"house{name}"
        # A socket's path has at most 107 bytes.
        runtime = f"{os.environ['XDG_RUNTIME_DIR']}/{name}"
        os.makedirs(self.root)
        os.makedirs(runtime, mode=0o700)
        with open(f"{self.root}/conf", "w", encoding="ascii") as file:
            for at, one in faults:
                file.write(f'[upstream "up{at}"]\n'
                           f"base_url = {one.where or url}\n"
                           f"model = test-model\n{one.conf}\n")
        self.broker = Broker(
            self.root, runtime, log, config=f"{self.root}/conf", settings=[
                f"attempts_max={faults[0][1].allowed}",
                f"throttle_max={THROTTLES}",
                f"backoff_base_ms={BACKOFF_MS}",
                f"reply_bytes_max={REPLY_BYTES_MAX}",
                f"slots_max={UPSTREAMS_MAX}", "group_window_ms=0"])
        is_nameless = faults[0][1].where == NAMELESS_URL
        self.broker.start([*SILENCE, sys.executable, f"{HERE}/../silence.py"]
                          if is_nameless else [])
        self.batch = None

    def sheaf(self, *arguments):
        return [f"{BIN}/sheaf", "--broker", self.broker.endpoint, *arguments]

    def submit(self):
        """Starts the command, which ends with the batch."""
        path = f"{self.root}/drafts.jsonl"
        with open(path, "w", encoding="ascii") as file:
            for at, _ in self.faults:
                file.write(json.dumps({"id": f"fault{at}", "text": text_of(at),
                                       "upstream": f"up{at}"}) + "\n")
        return subprocess.Popen(
            self.sheaf("submit", "--wait", "--deadline", DEADLINE, path),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def finish(self, command):
        out = command.communicate(timeout=PATIENCE_S)[0]
        self.batch = out.decode().strip()

    def ask(self, *arguments):
        """The lines of JSON that a command prints."""
        done = subprocess.run(self.sheaf(*arguments), timeout=PATIENCE_S,
                              stdout=subprocess.PIPE, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def worker_status(self, name):
        """KiB, of /proc/PID/status."""
        (worker,) = wait_for(lambda: workers(self.broker.runtime),
                             "the start of a worker")
        with open(f"/proc/{worker}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1])
        raise KeyError(name)


def play(houses):
    """All faults; returns the growth of the worker's memory at each that would
    take some, in KiB."""
    before = {house: house.worker_status("VmRSS") for house in houses}
    for house, command in [(house, house.submit()) for house in houses]:
        house.finish(command)
    return {at: house.worker_status("VmHWM") - before[house]
            for house in houses for at, one in house.faults if one.is_large}


# ---- what came of it ----

def read_calls(log):
    """Starts and ends by the digest of the user's message, in order."""
    starts, ends = collections.defaultdict(list), {}
    with open(log, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            if event["event"] == "start":
                starts["echo " + event["user"]].append(event)
            else:
                ends[event["n"]] = event
    return starts, ends


def gaps_between(calls, ends):
    gaps = []
    for call, following in zip(calls, calls[1:]):
        end = ends[call["n"]]
        is_ours = end["closed_by"] == "server"
        since = end["t_us"] if is_ours else call["t_us"]
        gaps.append((following["t_us"] - since) / 1000)
    return gaps


def look(house, starts, ends):
    """What came of each fault of a house, under the names of a Fault."""
    rows = {}
    results = {result["custom_id"]: result
               for result in house.ask("results", house.batch)}
    for at, _ in house.faults:
        name = f"fault{at}"
        (why,) = house.ask("why", house.batch, name, "--json")
        calls = starts[expected_text(text_of(at))]
        failure = results[name]["error"] or {}
        request, attempts = why["request"], why["attempts"]
        rows[at] = {
            "status": results[name]["status"],
            "text": results[name]["text"],
            "code": failure.get("code"),
            "http": attempts[-1]["http_status"] or None,
            "calls": len(calls),
            "attempts": request["attempts"],
            "failures": request["failures"],
            "throttled": request["throttled"],
            "uncertain": request["uncertain"],
            "gaps": gaps_between(calls, ends),
            "sources": {one["wait_from"] for one in attempts[:-1]},
            "message": failure.get("message", ""),
            "paths": {call["path"] for call in calls},
        }
    return rows


def differences(at, one, row, grown):
    found = []

    def must(what, holds, got, want):
        if not holds:
            found.append(f"{one.name}, {one.allowed} allowed: {what}: "
                         f"got {got}, want {want}")

    for name in ("status", "code", "http", "failures", "throttled",
                 "uncertain"):
        want = getattr(one, name)
        must(name, row[name] == want, row[name], want)
    calls = 0 if one.where else one.calls
    must("calls", row["calls"] == calls, row["calls"], calls)
    must("attempts", row["attempts"] == one.calls, row["attempts"], one.calls)
    sources = {one.source} if one.source else set()
    must("waits", row["sources"] == sources, row["sources"], sources)
    must("paths", row["paths"] <= {PATH}, row["paths"], PATH)
    if one.status == "ok" or one.code == "truncated":
        text = one.text or expected_text(text_of(at))
        must("text", row["text"] == text, row["text"], text)
    must("message", one.says in row["message"], row["message"], one.says)
    for gap, least in zip(row["gaps"], one.gaps):
        must("a gap", gap >= least - GRAIN_MS, f"{gap:.3f} ms",
             f"{least} ms at least")
    # A sanitizer keeps what is freed.
    if grown is not None and not os.environ.get("SAN"):
        must("memory", grown <= MEMORY_KIB_MAX, f"{grown} KiB",
             f"{MEMORY_KIB_MAX} KiB at most")
    return found


# ---- the table ----

HEAD = ["fault", "allowed", "status", "code", "HTTP", "calls", "attempts",
        "failures", "throttled", "uncertain", "gaps, ms", "least", "wait from",
        "memory"]


def cells(one, row, grown):
    gaps = row["gaps"]
    return [one.name, str(one.allowed), row["status"], row["code"] or "-",
            str(row["http"] or "-"),
            *(str(row[name]) for name in ("calls", "attempts", "failures",
                                          "throttled", "uncertain")),
            f"{min(gaps):.0f} to {max(gaps):.0f}" if gaps else "-",
            str(min(one.gaps)) if gaps else "-",
            ", ".join(sorted(map(str, row["sources"]))) or "-",
            "" if grown is None else f"{grown / 1024:.1f} MiB"]


def print_table(lines):
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(cell.ljust(width)
                        for cell, width in zip(line, widths)).rstrip())


def share_out(pairs):
    """The faults of each broker."""
    large = [pair for pair in pairs if pair[1].is_large]
    nameless = [pair for pair in pairs if pair[1].where == NAMELESS_URL]
    others = [pair for pair in pairs if pair not in large + nameless]
    return ([[pair] for pair in large] + ([nameless] if nameless else []) +
            [others[at:at + UPSTREAMS_MAX]
             for at in range(0, len(others), UPSTREAMS_MAX)])


def play_all(pairs, url, log_path):
    """Plays faults that allow the same number of attempts. The lines of the
    table by number of the fault, and the differences."""
    houses, lines, found = [], {}, []
    with open("brokers.err", "ab") as log:
        try:
            for share in share_out(pairs):
                houses.append(House(share[0][0], share, url, log))
            grown = play(houses)
            starts, ends = read_calls(log_path)
            for house in houses:
                rows = look(house, starts, ends)
                for at, one in house.faults:
                    lines[at] = cells(one, rows[at], grown.get(at))
                    found += differences(at, one, rows[at], grown.get(at))
                if house.broker.stop() != 0:
                    found.append(f"{house.root}: sheafd did not end well")
        finally:
            for house in houses:
                house.broker.end()
    return lines, found


def can_be_nameless():
    return subprocess.run([*SILENCE, "true"], check=False).returncode == 0


def run(url, log_path):
    lines, found = {}, []
    has_names = not can_be_nameless()
    for allowed in (1, ATTEMPTS):
        pairs = [(at, one) for at, one in enumerate(FAULTS)
                 if one.allowed == allowed
                 and not (has_names and one.where == NAMELESS_URL)]
        more_lines, more_found = play_all(pairs, url, log_path)
        lines.update(more_lines)
        found += more_found
    print_table([HEAD] + [lines[at] for at in sorted(lines)])
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


def main():
    actions = {"write": write, "run": run}
    sys.exit(actions[sys.argv[1]](*sys.argv[2:]))


if __name__ == "__main__":
    main()
