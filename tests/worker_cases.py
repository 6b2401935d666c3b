# worker_cases.py - a real sheaf-worker between a fake broker and the upstream
#
#   python3 worker_cases.py BIN [CASE…]
#
# Each function case_* is one claim. A case has directories, processes and an
# endpoint of its own; it fails with the first thing that is not as it should
# be, and shows the worker's log then. Exit code 0 if all hold, else 1.
#
# SPDX-License-Identifier: MIT
import base64
import hashlib
import http.server
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.request

from fake_broker import Broker, Failed, PATIENCE_S
from fake_server import Server


def check(claim, got, want):
    if got != want:
        raise Failed("%s: got %r, want %r" % (claim, got, want))


def check_that(claim, holds):
    if not holds:
        raise Failed(claim)


def chat(text, **members):
    return json.dumps({"model": "m", "messages": [
        {"role": "system", "content": "Summarize in one sentence"},
        {"role": "user", "content": text}], **members}).encode()


def echo_of(text):
    return "echo " + hashlib.sha256(text.encode()).hexdigest()[:16]


class Stage:
    """Where one case plays: its directory and its processes."""

    def __init__(self, bin_dir):
        self.bin = bin_dir
        self.dir = tempfile.mkdtemp()
        self.run = os.path.join(self.dir, "run")
        os.mkdir(self.run, 0o700)
        self.endpoint = "ipc://%s/workers" % self.dir
        self.processes = []
        self.brokers = []
        self.servers = []
        self.worker = None
        self.log = os.path.join(self.dir, "worker.log")
        self.calls_log = os.path.join(self.dir, "calls")

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for broker in self.brokers:
            broker.close()
        for server in self.servers:
            server.close()
        shutil.rmtree(self.dir)

    def await_true(self, claim, condition):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise Failed("not in time: %s" % claim)
            time.sleep(0.01)

    def start_upstream(self, script="", latency_ms=0):
        path = os.path.join(self.dir, "script")
        port = os.path.join(self.dir, "port")
        with open(path, "w") as file:
            file.write(script)
        self.processes.append(subprocess.Popen(
            [os.path.join(self.bin, "upstream"), "--port-file", port, "--log",
             self.calls_log, "--script", path, "--latency-ms",
             str(latency_ms)],
            stderr=open(os.path.join(self.dir, "upstream.log"), "w")))
        self.await_true("the upstream listens", lambda: os.path.exists(port))
        with open(port) as file:
            self.url = "http://127.0.0.1:" + file.read().strip()

    def start_server(self, answer, context=None):
        server = Server(answer, context)
        self.servers.append(server)
        return server

    def stats(self):
        with urllib.request.urlopen(self.url + "/stats") as reply:
            return json.load(reply)

    def calls(self, event):
        with open(self.calls_log) as file:
            events = [json.loads(line) for line in file]
        return [call for call in events if call["event"] == event]

    def start_broker(self, upstream=None, **welcome):
        self.upstream = {"name": "test", "base_url": "", "path": "/",
                         "connect_timeout_ms": 2000,
                         "request_timeout_ms": 20000,
                         "reply_bytes_max": 1048576}
        if hasattr(self, "url"):
            self.upstream["base_url"] = self.url
        self.upstream.update(upstream or {})
        welcome.setdefault("upstreams", [self.upstream])
        broker = Broker(self.endpoint, **welcome)
        self.brokers.append(broker)
        return broker

    def restart_broker(self, old, **welcome):
        self.brokers.remove(old)
        old.close()
        return self.start_broker(**{**old.welcome, "session": 2, **welcome})

    def start_worker(self, *options, conf="", env=None, pass_fds=()):
        path = os.path.join(self.dir, "sheaf.conf")
        with open(path, "w") as file:
            file.write(conf)
        self.worker = subprocess.Popen(
            [os.path.join(self.bin, "sheaf-worker"), "--broker", self.endpoint,
             "--config", path, *options],
            stderr=open(self.log, "w"), pass_fds=pass_fds,
            env={**os.environ, "XDG_RUNTIME_DIR": self.run, **(env or {})})
        self.processes.append(self.worker)

    def start_all(self, script="", latency_ms=0, **welcome):
        self.start_upstream(script, latency_ms)
        broker = self.start_broker(**welcome)
        self.start_worker()
        broker.wait_hello()
        return broker

    def read_log(self):
        with open(self.log) as file:
            return file.read()

    def wait_end(self, broker, code):
        if broker:
            broker.until("the worker ends",
                         lambda: self.worker.poll() is not None)
        else:
            self.await_true("the worker ends",
                            lambda: self.worker.poll() is not None)
        check("the worker's exit code", self.worker.returncode, code)

    def locks(self):
        return os.listdir(os.path.join(self.run, "sheaf"))


def case_hello_introduces_the_worker(stage):
    broker = stage.start_broker()
    stage.start_worker("--name", "w1", "--capacity", "3", "--own", "t-1")
    hello = broker.wait_hello()
    with open("/proc/sys/kernel/random/boot_id") as file:
        check("host", hello["host"], file.read().strip())
    for name, want in {"protocol": 1, "name": "w1", "capacity": 3,
                       "own": "t-1", "pid": stage.worker.pid, "held": [],
                       "slots": 0}.items():
        check(name, hello[name], want)
    check("the lock's name", os.path.basename(hello["lock"]),
          "worker-%s.lock" % hello["worker"])
    taken = subprocess.run(["flock", "-n", hello["lock"], "true"]).returncode
    check_that("the lock is held", taken != 0)
    broker.until("slots are answered", lambda: broker.slots == [3])
    broker.until("heartbeats come", lambda: broker.count("beat") >= 3)
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 0)
    check("the lock is removed", stage.locks(), [])


def case_leases_are_called_and_reported(stage):
    broker = stage.start_all(latency_ms=30, slots=3)
    for request in range(12):
        broker.lease(request, chat("text %d" % request), fence=7)
    broker.wait_results(12)
    for request in range(12):
        head, body = broker.result_of(request)
        text = body[head["text_at"]:head["text_at"] + head["text_bytes"]]
        for name, want in {"fence": 7, "upstream": "test", "class": "ok", "http_status": 200,
                           "code": "", "message": "", "wait_ms": 0,
                           "wait_from": "",
                           "model": "m", "finish": "stop", "prompt_tokens": 2,
                           "completion_tokens": 5, "total_tokens": 7,
                           "text_follows": 0, "sent": 1}.items():
            if name == "prompt_tokens" or name == "total_tokens":
                want += request > 9 and len("text %d" % request) > 8
            check(name, head[name], want)
        check("the text", text.decode(), echo_of("text %d" % request))
        check_that("latency is measured", 30 <= head["latency_ms"] < 5000)
    check("calls in flight at most", stage.stats()["in_flight_max"], 3)
    check("calls", stage.stats()["calls"], 12)
    check_that("connections are kept",
               max(call["conn"] for call in stage.calls("start")) <= 3)
    broker.until("nothing is held any more", lambda: broker.held == [])
    check("each result is sent once", len(broker.results), 12)


def case_leases_start_in_order(stage):
    broker = stage.start_all(slots=1)
    for request in range(8):
        broker.lease(request, chat("n %d" % request))
    results = broker.wait_results(8)
    check("order", [head["request"] for head in results], list(range(8)))
    told = [head["held"] for head, _ in broker.heard
            if head["verb"] == "started"]
    check("each start is told", told, [[[n, 1]] for n in range(8)])


def case_a_turn_is_taken_part_by_part(stage):
    broker = stage.start_all(slots=3)
    broker.confirms = False
    broker.lease(9, chat("before"))
    broker.result_of(9)
    broker.say_turn([({"request": 1}, chat("one")),
                     ({"request": 2, "kind": "odd"}, chat("is left")),
                     ({"request": 3, "fence": 4}, chat("three")),
                     ({"request": 4, "bytes": 1 << 20}, b"")],
                    confirmed=[[9, 1], [9, 2]])
    for request, fence in ((1, 1), (3, 4)):
        head, body = broker.result_of(request)
        check("the fence", head["fence"], fence)
        text = body[head["text_at"]:head["text_at"] + head["text_bytes"]]
        check("its own body was called", text.decode(),
              echo_of("one" if request == 1 else "three"))
    check("calls", stage.stats()["calls"], 3)
    broker.until("what was confirmed is held no more",
                 lambda: sorted(broker.held) == [[1, 1, 1], [3, 4, 1]])
    check("each is logged", stage.read_log().count("event=bad_message"), 2)


def case_what_happens_together_is_told_together(stage):
    broker = stage.start_all(slots=1, latency_ms=20)
    broker.say_turn([({"request": request}, chat("n %d" % request))
                     for request in range(4)])
    broker.wait_results(4)
    told = [([pair[0] for pair in head.get("started", [])],
             [result["request"] for result in head.get("results", [])])
            for head in broker.turns]
    check("a result, and the start in its slot", told,
          [([0], []), ([1], [0]), ([2], [1]), ([3], [2]), ([], [3])])


def case_a_turn_has_a_limit_of_bytes(stage):
    path = os.path.join(stage.dir, "reply")
    noise = base64.b64encode(random.Random(1).randbytes(100000)).decode()
    with open(path, "w") as file:
        json.dump({"choices": [{"message": {"content": noise}}]}, file)
    broker = stage.start_all("file=%s" % path)
    broker.confirms = False
    for request in range(5):
        broker.lease(request, chat("n %d" % request))
    broker.wait_results(5)
    before = {head["request"]: body for head, body in broker.results}
    check_that("they are large, even packed", 3 * min(
        head["bytes"] for head, _ in broker.results) > 1 << 18)
    del broker.turns[:], broker.results[:]
    broker.say("rehello")
    broker.wait_results(5)
    check("results in a message",
          sorted(len(head.get("results", [])) for head in broker.turns),
          [1, 2, 2])
    check_that("each has its body", all(
        body == before[head["request"]] for head, body in broker.results))


def case_what_gets_shorter_is_sent_packed(stage):
    broker = stage.start_all("match=long action=huge size=100")
    broker.lease(1, chat("long"))
    broker.lease(2, chat("short"))
    head, body = broker.result_of(1)
    check_that("it is packed", head["bytes"] * 10 < len(body))
    check("its length", head["unpacked_bytes"], len(body))
    text = body[head["text_at"]:head["text_at"] + head["text_bytes"]]
    check("the text in what was unpacked", text, b"x" * (100 << 10))
    head, body = broker.result_of(2)
    check("the other one is not", ("unpacked_bytes" in head, head["bytes"]),
          (False, len(body)))


def case_unconfirmed_results_are_sent_again(stage):
    broker = stage.start_all()
    broker.confirms = False
    broker.lease(1, chat("once"))
    broker.wait_results(3)
    check("they are the same", broker.results[0], broker.results[2])
    check("held as started", broker.last("beat")["held"], [[1, 1, 1]])
    check("one call", stage.stats()["calls"], 1)
    check_that("it is logged", "event=result_resent" in stage.read_log())
    broker.confirm(broker.results[0][0])
    broker.until("it is forgotten", lambda: broker.held == [])
    count = len(broker.results)
    broker.during(1.2)
    check("silence after the confirmation", len(broker.results), count)


def case_a_paid_result_outlives_cancel_and_restart(stage):
    broker = stage.start_all()
    broker.confirms = False
    broker.lease(1, chat("paid"))
    broker.wait_results(3)  # at 0, 1 and 3 seconds; next at 7
    broker.say("cancel", requests=[[1, 1]])
    broker.during(0.3)
    check("still held", broker.held, [[1, 1, 1]])
    broker = stage.restart_broker(broker, drop=[[1, 1]])
    start = time.monotonic()
    broker.wait_results(1)
    check_that("offered with the welcome", time.monotonic() - start < 2)


def case_slots_are_given_back_when_calls_end(stage):
    broker = stage.start_all("match=first latency=400\n"
                             "match=second latency=900\n", slots=2)
    broker.until("two are kept", lambda: broker.slots == [2])
    broker.lease(1, chat("first"))
    broker.lease(2, chat("second"))
    broker.lease(3, chat("third"))
    broker.until("two calls run", lambda: len(stage.calls("start")) == 2)
    broker.say("slots", count=0)
    broker.wait_results(2)
    broker.until("all are given back", lambda: broker.slots[-1] == 0)
    check("what was told", broker.slots, [2, 2, 1, 0])
    broker.during(0.3)
    check("no call without a slot", stage.stats()["calls"], 2)
    broker.say("slots", count=1)
    broker.wait_results(3)
    check("never above the slots", stage.stats()["in_flight_max"], 2)


def case_cancel_aborts_and_forgets(stage):
    broker = stage.start_all("match=hang action=hang\n", slots=1)
    broker.lease(1, chat("hang"), fence=4)
    broker.lease(2, chat("waits"))
    broker.until("the call runs", lambda: stage.calls("start"))
    broker.say("cancel", requests=[[1, 3]])
    broker.during(0.3)
    check("another fence is another lease", stage.calls("end"), [])
    broker.say("cancel", requests=[[1, 4], [2, 1]])
    end = broker.until("the call ends", lambda: stage.calls("end"))
    check("by us", end[0]["closed_by"], "client")
    broker.until("nothing is held", lambda: broker.held == [])
    broker.lease(3, chat("next"))
    check("the slot is free", broker.wait_results(1)[0]["request"], 3)


FAILURES = {
    # text: (script, class, http_status, code, wait_ms)
    "limited": ("status=429 header='Retry-After: 2'",
                "throttled", 429, None, 2000),
    "advised": ("status=429 body='{\"error\":{\"message\":\"busy\",\"details\":"
                "[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
                "\"retryDelay\":\"2s\"}]}}'", "throttled", 429, None, 2000),
    "crowded": ("status=429", "retryable", 429, None, 0),
    "broke": ("status=429 body='{\"error\":{\"message\":\"m\",\"code\":"
              "\"insufficient_quota\"}}' header='Retry-After: 2'",
              "stop", 429, "insufficient_quota", 0),
    "failing": ("status=500", "retryable", 500, None, 0),
    "loading": ("status=503 header='retry-after-ms: 1500'",
                "retryable", 503, None, 1500),
    "stubborn": ("status=503 header='x-should-retry: false'",
                 "permanent", 503, None, 0),
    "wrong": ("status=400", "permanent", 400, None, 0),
    "secret": ("status=401 body='{\"error\":{\"message\":\"Incorrect API "
               "key: sk-abcdefghijklmnop\",\"code\":\"invalid_api_key\"}}'",
               "stop", 401, "invalid_api_key", 0),
    "moved": ("status=302 header='Location: /elsewhere'",
              "permanent", 302, None, 0),
    "refused": ("action=refuse", "refused", 200, "refused", 0),
    "long": ("action=length", "truncated", 200, "truncated", 0),
    "page": ("action=html", "retryable", 200, "malformed_reply", 0),
    "empty": ("action=empty", "retryable", 200, "empty_reply", 0),
    "half": ("action=truncated_json", "retryable", 200, "malformed_reply", 0),
    "error": ("body='{\"error\":{\"message\":\"no\",\"code\":\"odd\"}}'",
              "retryable", 200, "odd", 0),
    "mute": ("body='{\"choices\":[{\"message\":{\"content\":\"\"}}]}'",
             "retryable", 200, "no_text", 0),
    "cut1": ("action=cut_before", "uncertain", 0, "connection_lost", 0),
    "reset": ("action=reset", "uncertain", 0, "connection_lost", 0),
    "cut2": ("action=cut_headers", "uncertain", 0, None, 0),
    "cut3": ("action=cut_body", "uncertain", 0, "connection_lost", 0),
    "short": ("action=wrong_length", "retryable", 200, "malformed_reply", 0),
    "noise": ("action=garbage", "uncertain", 0, "malformed_reply", 0),
    "vast": ("action=huge size=2048", "permanent", 0, "reply_too_large", 0),
    "heads": ("action=huge_headers size=128",
              "permanent", 0, "reply_too_large", 0),
    "hangs": ("action=hang", "uncertain", 0, "timeout", 0),
    "drips": ("action=drip every=1", "ok", 200, "", 0),
}
# Where a wait stood, of those that name one.
WAITS_FROM = {"limited": "retry-after", "loading": "retry-after-ms",
              "advised": "error.details.retryDelay"}


def case_every_failure_has_its_class(stage):
    rules = ["match=is-%s %s\n" % (text, rule[0])
             for text, rule in FAILURES.items()]
    broker = stage.start_all("".join(rules))
    for request, text in enumerate(FAILURES):
        # One that is told to wait would give back those that wait behind it.
        is_alone = FAILURES[text][1] in ("throttled", "stop")
        if is_alone:
            broker.wait_results(request)
        broker.lease(request, chat("is-" + text),
                     timeout_ms=500 if text == "hangs" else 20000)
        if is_alone:
            broker.wait_results(request + 1)
    broker.wait_results(len(FAILURES))
    for request, text in enumerate(FAILURES):
        head, body = broker.result_of(request)
        _, kind, status, code, wait_ms = FAILURES[text]
        check(text + ": class", (head["class"], head["http_status"],
                                 head["wait_ms"], head["sent"]),
              (kind, status, wait_ms, 1))
        check(text + ": wait_from", head["wait_from"],
              WAITS_FROM.get(text, ""))
        if code is not None:
            check(text + ": code", head["code"], code)
        check_that(text + ": has a message",
                   kind == "ok" or head["message"])
        check_that(text + ": size", len(body) <= 1048576)
    head, body = broker.result_of(list(FAILURES).index("secret"))
    check_that("a key in a message is redacted",
               "sk-abc" not in head["message"])
    check_that("a failure's body is kept", b"invalid_api_key" in body)
    check("no redirect is followed",
          [call for call in stage.calls("start")
           if call["path"] == "/elsewhere"], [])


def case_a_call_is_not_sent_again_where_a_kept_connection_ends(stage):
    """The library would do so by itself, and the call may be paid for."""
    broker = stage.start_all("match=is-cut action=cut_before\n"
                             "match=is-reset action=reset\n", slots=1)
    texts = ["fine", "is-cut", "fine too", "is-reset", "is-cut " + "x" * 200000]
    for request, text in enumerate(texts):
        broker.lease(request, chat(text))
    broker.wait_results(len(texts))
    check("classes", [broker.result_of(request)[0]["class"]
                      for request in range(len(texts))],
          ["ok", "uncertain", "ok", "uncertain", "uncertain"])
    check("calls", stage.stats()["calls"], len(texts))
    first, second = [call["conn"] for call in stage.calls("start")][:2]
    check("the connection that ended was kept", second, first)


def case_no_bytes_leave_when_nobody_listens(stage):
    broker = stage.start_broker(upstream={"base_url": "http://127.0.0.1:9"})
    stage.start_worker()
    broker.wait_hello()
    broker.lease(1, chat("x"))
    broker.lease(2, chat("x"), upstream="nowhere")
    broker.lease(3, chat("x"), path="no/slash")
    broker.wait_results(3)
    for request, want in {1: ("retryable", "connect_failed"),
                          2: ("permanent", "unknown_upstream"),
                          3: ("permanent", "bad_url")}.items():
        head, _ = broker.result_of(request)
        check("request %d" % request,
              (head["class"], head["code"], head["sent"]), (*want, 0))


def read_request(connection):
    """The head's lines and the body of one HTTP request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    length = [int(line.split(":")[1]) for line in lines
              if line.lower().startswith("content-length:")][0]
    while len(body) < length:
        body += connection.recv(1048576)
    return lines, body


def case_a_request_is_what_it_should_be(stage):
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(PATIENCE_S)
    url = "http://127.0.0.1:%d/v1" % server.getsockname()[1]
    broker = stage.start_broker(upstream={"base_url": url + "/"})
    stage.start_worker()
    broker.wait_hello()
    text = "x" * 3000000
    broker.lease(42, chat(text), fence=3, path="/chat/completions?v=1")
    broker.during(0.2)
    connection, _ = server.accept()
    connection.settimeout(PATIENCE_S)
    start = time.monotonic()
    lines, body = read_request(connection)
    check_that("no wait for a 100", time.monotonic() - start < 0.9)
    check("the body", body, chat(text))
    check("the first line", lines[0],
          "POST /v1/chat/completions?v=1 HTTP/1.1")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    name = "sheaf-%s-42-3" % hashlib.sha256(chat(text)).hexdigest()[:32]
    version = subprocess.run([os.path.join(stage.bin, "sheaf-worker"),
                              "--version"], stdout=subprocess.PIPE, text=True)
    check("the headers", headers, {
        "Host": url[7:-3], "Content-Type": "application/json",
        "Accept": "application/json", "Accept-Encoding": "identity",
        "Idempotency-Key": name,
        "X-Request-Id": name, "Content-Length": str(len(body)),
        "User-Agent": version.stdout.strip().replace(" ", "/")})
    connection.sendall(b"HTTP/1.1 100 Continue\r\nRetry-After: 1\r\n\r\n"
                       b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}")
    head, body = broker.result_of(42)
    check("only the last head counts", (head["http_status"],
                                        head["wait_ms"], body), (503, 0, b"{}"))
    connection.close()
    server.close()


def case_raw_requests_need_no_text(stage):
    broker = stage.start_all("match=embed body='{\"data\":[],\"usage\":{"
                             "\"prompt_tokens\":3,\"total_tokens\":3}}'\n"
                             "match=long action=length\n")
    broker.lease(1, b'{"input":"embed"}', kind="raw", path="/v1/embeddings")
    broker.lease(2, chat("long"), kind="raw")
    head, body = broker.result_of(1)
    check("class", (head["class"], head["text_at"], head["text_bytes"],
                    head["total_tokens"]), ("ok", 0, 0, 3))
    check("the body is whole", body[:11], b'{"data":[],')
    check_that("the path", "/v1/embeddings" in [
        call["path"] for call in stage.calls("start")])
    head, _ = broker.result_of(2)
    check("cut off is not our business", (head["class"], head["finish"]),
          ("ok", "length"))


def case_text_in_parts_follows_the_body(stage):
    reply = ('{"choices":[{"message":{"content":[{"type":"text","text":"a\\n"},'
             '{"type":"text","text":"\\ud800b"}]},"finish_reason":"stop"}]}')
    broker = stage.start_all("body='%s'\n" % reply)
    broker.lease(1, chat("x"))
    head, body = broker.result_of(1)
    want = "a\n\ufffdb".encode()
    check("class", head["class"], "ok")
    check("its length", (head["text_follows"], head["text_bytes"]),
          (len(want), 0))
    check("body and text", body, reply.encode() + want)


def case_a_restarted_broker_gets_the_result_of_one_call(stage):
    broker = stage.start_all(latency_ms=1500)
    broker.lease(1, chat("slow"), fence=5)
    broker.until("the call runs", lambda: stage.calls("start"))
    broker = stage.restart_broker(broker)
    broker.confirms = False
    hello = broker.wait_hello()
    check("held as started", hello["held"], [[1, 5, 1]])
    check("slots are kept", hello["slots"], 5)
    broker.result_of(1)
    broker = stage.restart_broker(broker)
    check("held until confirmed", broker.wait_hello()["held"], [[1, 5, 1]])
    head, _ = broker.result_of(1)
    check("the result", (head["fence"], head["class"]), (5, "ok"))
    broker.until("confirmed", lambda: broker.held == [])
    check("one call", stage.stats()["calls"], 1)


def case_a_forgotten_worker_says_hello_again(stage):
    broker = stage.start_all()
    broker.knows_worker = False
    broker.until("hello", lambda: broker.count("hello") == 2)
    broker.lease(1, chat("x"))
    broker.result_of(1)
    broker.during(0.5)
    check("once is enough", broker.count("hello"), 2)


def case_a_welcome_can_drop_leases(stage):
    broker = stage.start_all("action=hang\n", slots=1)
    broker.lease(1, chat("a"))
    broker.lease(2, chat("b"))
    broker.lease(3, chat("c"))
    broker.until("the call runs", lambda: stage.calls("start"))
    broker.until("all are held", lambda: len(broker.held) == 3)
    check("in order", broker.held, [[1, 1, 1], [2, 1, 0], [3, 1, 0]])
    broker = stage.restart_broker(broker, drop=[[1, 1], [2, 1], [3, 9]])
    broker.wait_hello()
    broker.until("one is left", lambda: broker.held == [[3, 1, 1]])
    check("aborted by us", stage.calls("end")[0]["closed_by"], "client")


def case_a_lease_granted_again_is_called_once(stage):
    broker = stage.start_all(latency_ms=500)
    broker.lease(1, chat("x"), fence=1)
    broker.until("the call runs", lambda: stage.calls("start"))
    broker.lease(1, chat("x"), fence=2)
    broker.lease(1, chat("x"), fence=1)
    head, _ = broker.result_of(1)
    check("under the new fence", (head["fence"], head["class"]), (2, "ok"))
    broker.during(0.7)
    check("one call, one result", (stage.stats()["calls"],
                                   len(broker.results)), (1, 1))
    broker.lease(1, chat("another body"), fence=3)
    broker.wait_results(2)
    check("a later lease is a new one", stage.stats()["calls"], 2)


def case_a_lease_ends_by_the_workers_clock(stage):
    broker = stage.start_all("match=run action=hang\n", slots=0,
                             lease_ms=800, heartbeat_ms=200)
    broker.answers_beats = False
    broker.lease(1, chat("run"), timeout_ms=800)
    broker.lease(2, chat("wait"), timeout_ms=1)
    broker.during(0.3)
    broker.say("slots", count=1)
    head, _ = broker.result_of(1)
    check("given up", (head["class"], head["code"], head["sent"]),
          ("aborted", "lease_ended", 1))
    broker.until("both are gone", lambda: broker.held == [])
    check("what waited was not called", stage.stats()["calls"], 1)
    check("and is not reported", len(broker.results), 1)


def case_answered_heartbeats_extend_a_lease(stage):
    broker = stage.start_all(slots=0, lease_ms=800, heartbeat_ms=200)
    broker.lease(1, chat("x"), timeout_ms=1)
    broker.during(1.5)
    check("still held", broker.held, [[1, 1, 0]])


def case_a_lease_has_a_last_moment(stage):
    broker = stage.start_all(slots=0, lease_ms=800, lease_run_max_ms=3000,
                             heartbeat_ms=200)
    broker.lease(1, chat("wait"), timeout_ms=2500)
    broker.during(0.8)
    broker.say("slots", count=1)
    broker.until("it is given back", lambda: broker.last("release"))
    check("the lease", broker.last("release")["held"], [[1, 1]])
    check("what had no time to end was not called", stage.stats()["calls"], 0)


def case_a_wait_gives_back_what_has_not_started(stage):
    broker = stage.start_all(
        "times=1 status=429 header='retry-after-ms: 500'\n", slots=1)
    for request in range(1, 5):
        broker.lease(request, chat("t %d" % request))
    broker.until("released", lambda: broker.last("release"))
    check("what waited is given back", broker.last("release")["held"],
          [[2, 1], [3, 1], [4, 1]])
    check("calls", stage.stats()["calls"], 1)
    verbs = [head["verb"] for head, _ in broker.heard]
    check_that("the broker has the reason first: %s" % verbs,
               verbs.index("result") < verbs.index("release"))
    broker.lease(5, chat("later"))
    broker.until("work goes on", lambda: 5 in [
        head["request"] for head, _ in broker.results])


def case_no_more_is_at_risk_than_two_calls_a_slot(stage):
    # Longer than a broker that is there takes to confirm.
    broker = stage.start_all(latency_ms=100, heartbeat_ms=50)
    broker.confirms = False
    for request in range(30):
        broker.lease(request, chat("t %d" % request))
    broker.until("10 are finished", lambda: len(
        set(head["request"] for head, _ in broker.results)) >= 10)
    broker.during(0.5)
    check("calls have stopped", stage.stats()["calls"], 10)
    broker.confirms = True
    broker.until("all are done", lambda: broker.held == [])
    check("each called once", stage.stats()["calls"], 30)


def case_nothing_starts_while_results_pile_up(stage):
    stage.start_upstream()
    broker = stage.start_broker(heartbeat_ms=50)
    stage.start_worker("--capacity", "50")
    broker.wait_hello()
    broker.confirms = False
    for request in range(120):
        broker.lease(request, chat("t %d" % request))
    broker.until("65 are finished", lambda: len(
        set(head["request"] for head, _ in broker.results)) >= 65)
    broker.during(0.5)
    calls = stage.stats()["calls"]
    check_that("calls have stopped, at %d" % calls, 65 <= calls < 70)
    broker.confirms = True
    broker.until("all are done", lambda: broker.held == [])
    check("each called once", stage.stats()["calls"], 120)


def case_a_signal_drains(stage):
    broker = stage.start_all(latency_ms=600, slots=1)
    broker.lease(1, chat("runs"))
    broker.lease(2, chat("waits"))
    broker.lease(3, chat("waits too"))
    broker.until("the call runs", lambda: stage.calls("start"))
    stage.worker.send_signal(signal.SIGTERM)
    broker.until("released", lambda: broker.last("release"))
    check("what waited is given back", broker.last("release")["held"],
          [[2, 1], [3, 1]])
    broker.lease(4, chat("too late"))
    stage.wait_end(broker, 0)
    broker.until("good-bye", lambda: broker.last("bye"))
    check("what ran is reported", [head["request"] for head, _ in
                                   broker.results], [1])
    check("what came late is given back", broker.last("release")["held"],
          [[4, 1]])
    check("the last word", broker.heard[-1][0]["verb"], "bye")
    check("the lock is removed", stage.locks(), [])


def case_a_second_signal_ends_at_once(stage):
    broker = stage.start_all("action=hang\n")
    broker.lease(1, chat("x"))
    broker.until("the call runs", lambda: stage.calls("start"))
    stage.worker.send_signal(signal.SIGTERM)
    stage.await_true("draining",
                     lambda: "event=draining" in stage.read_log())
    check("still there", stage.worker.poll(), None)
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 143)
    broker.until("good-bye", lambda: broker.last("bye"))
    check("the lock is removed", stage.locks(), [])


def case_only_a_signal_gives_a_drain_an_end(stage):
    stage.start_upstream("action=hang\n")
    broker = stage.start_broker()
    stage.start_worker(conf="[sheaf]\ndrain_ms = 300\n")
    check("it stays", broker.wait_hello()["leaving"], False)
    broker.lease(1, chat("x"))
    broker.until("the call runs", lambda: stage.calls("start"))
    broker.say("drain")
    broker.until("it says that it leaves",
                 lambda: broker.last("beat") and broker.last("beat")["leaving"])
    broker.during(0.6)
    check("the call runs on", (stage.worker.poll(), broker.results),
          (None, []))
    # The next broker is told, too.
    broker = stage.restart_broker(broker)
    check("it leaves", broker.wait_hello()["leaving"], True)
    stage.worker.send_signal(signal.SIGTERM)
    head, _ = broker.result_of(1)
    check("given up", (head["class"], head["code"]), ("aborted", "drained"))
    stage.wait_end(broker, 0)


def case_the_parents_end_is_the_workers(stage):
    reading, writing = os.pipe()
    broker = stage.start_broker()
    stage.start_worker("--parent-fd", str(reading), pass_fds=(reading,))
    os.close(reading)
    broker.wait_hello()
    os.write(writing, b"ignored")
    broker.during(0.3)
    check("alive", stage.worker.poll(), None)
    os.close(writing)
    stage.wait_end(broker, 0)
    broker.until("good-bye", lambda: broker.last("bye"))


def case_an_orphan_ends_by_itself(stage):
    broker = stage.start_broker()
    stage.start_worker(conf="[sheaf]\norphan_ttl_ms = 700\n"
                            "heartbeat_ms = 100\n")
    broker.wait_hello()
    broker.during(1.5)
    check("not while it hears a broker", stage.worker.poll(), None)
    stage.brokers.remove(broker)
    broker.close()
    stage.wait_end(None, 5)
    check_that("it says why", "reason=orphaned" in stage.read_log())
    check("the lock is removed", stage.locks(), [])


def case_local_needs_no_network(stage):
    broker = stage.start_broker(upstreams=[{"name": "local"}])
    stage.start_worker()
    broker.wait_hello()
    text = ("The bridge was closed on Monday. Engineers found cracks in the "
            "bridge. Bananas are yellow. The bridge will open in May.")
    broker.lease(1, chat(text), upstream="local")
    broker.lease(2, chat(""), upstream="local")
    broker.lease(3, b"{}", upstream="local")
    head, body = broker.result_of(1)
    at = head["text_at"]
    answer = body[at:at + head["text_bytes"]].decode()
    check("the answer", (head["class"], head["model"], head["finish"],
                         head["sent"]),
          ("ok", "local-extractive-1", "stop", 0))
    check_that("a sentence of the text", answer and answer in text)
    check("usage", head["total_tokens"],
          json.loads(body)["usage"]["total_tokens"])
    head, _ = broker.result_of(2)
    check("nothing to quote", (head["class"], head["http_status"]),
          ("permanent", 422))
    head, _ = broker.result_of(3)
    check("no messages", (head["class"], head["http_status"]),
          ("permanent", 400))


CANARY = "sk-canary-0123456789abcdef"


def keyed_conf(url, how):
    return ('[upstream "test"]\nbase_url = %s\n%s\n' % (url, how))


def case_a_key_goes_to_its_own_url_only(stage):
    stage.start_upstream("match=echoes status=401 body='{\"error\":{"
                         "\"message\":\"bad %s\"}}'\n" % CANARY)
    broker = stage.start_broker()
    stage.start_worker(conf=keyed_conf(stage.url, "key_env = MY_KEY"),
                       env={"MY_KEY": CANARY})
    broker.wait_hello()
    broker.lease(1, chat("right"))
    broker.lease(2, chat("echoes"))
    broker.wait_results(2)
    check("the key is sent", stage.calls("start")[0]["auth"],
          "Bearer " + CANARY)
    head, _ = broker.result_of(2)
    check_that("a message does not give it away",
               CANARY not in head["message"])
    with open("/proc/%d/environ" % stage.worker.pid, "rb") as file:
        check_that("gone from the environment",
                   CANARY.encode() not in file.read())
    stage.upstream["base_url"] = stage.url + "/other"
    broker = stage.restart_broker(broker)
    broker.wait_hello()
    broker.lease(3, chat("wrong"))
    broker.result_of(3)
    check("no key for another URL", stage.calls("start")[-1]["auth"], "")
    log = stage.read_log()
    check_that("it is logged", "event=upstream_mismatch" in log)
    check_that("no log holds the key", CANARY not in log)


def case_a_reply_tells_its_shape_and_limits(stage):
    broker = stage.start_all(
        "match=told header='x-ratelimit-limit-requests: 60' "
        "header='x-ratelimit-remaining-requests: 59' "
        "header='x-ratelimit-reset-requests: 1s' "
        "header='x-ratelimit-remaining-tokens: 7'\n"
        "match=wrong status=500 header='x-ratelimit-remaining-requests: 0'\n"
        "match=other body='{\"response\":\"R\"}'\n")
    for request, text in enumerate(["told", "wrong", "other", "plain"]):
        broker.lease(request, chat(text))
    broker.wait_results(4)
    heads = [broker.result_of(request)[0] for request in range(4)]
    check("limits", [head.get("limits") for head in heads],
          [{"requests": [60, 59, 1000], "tokens": [-1, 7, -1]},
           {"requests": [-1, 0, -1], "tokens": [-1, -1, -1]}, None, None])
    check("shapes", [head.get("shape") for head in heads],
          ["chat", None, "ollama_generate", "chat"])


class Recorder(http.server.BaseHTTPRequestHandler):
    """Keeps what it was sent, and answers as its server is told to."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((self.path, dict(self.headers), body))
        answer = json.dumps(self.server.answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


SPOKEN = {
    # dialect: (path, header of the key, what stands before it, other header,
    #           answer, shape, path to the user's text)
    "openai": ("/chat/completions", "Authorization", "Bearer ", None,
               {"choices": [{"message": {"content": "A"}}]}, "chat",
               ("messages", 1, "content")),
    "responses": ("/responses", "Authorization", "Bearer ", None,
                  {"output": [{"type": "message", "content": [
                      {"type": "output_text", "text": "A"}]}]}, "responses",
                  ("input", 1, "content", 0, "text")),
    "azure": ("/deployments/{model}/chat/completions?api-version=1",
              "api-key", "", None,
              {"choices": [{"message": {"content": "A"}}]}, "chat",
              ("messages", 1, "content")),
    "anthropic": ("/messages", "x-api-key", "",
                  ("anthropic-version", "2023-06-01"),
                  {"content": [{"type": "text", "text": "A"}]}, "anthropic",
                  ("messages", 0, "content", 0, "text")),
    "gemini": ("/models/{model}:generateContent", "x-goog-api-key", "", None,
               {"candidates": [{"content": {"parts": [{"text": "A"}]}}]},
               "gemini", ("contents", 0, "parts", 0, "text")),
    "ollama": ("/api/chat", "Authorization", "Bearer ", None,
               {"message": {"content": "A"}}, "ollama_chat",
               ("messages", 1, "content")),
    "salesforce": ("/models/{model}/chat-generations", "Authorization",
                   "Bearer ", ("x-sfdc-app-context", "EinsteinGPT"),
                   {"generationDetails": {"generations": [{"content": "A"}]}},
                   "salesforce_chat", ("messages", 1, "content")),
}


def case_each_dialect_is_spoken(stage):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = "http://127.0.0.1:%d" % server.server_port
    for dialect, spoken in SPOKEN.items():
        path, header, before, other, server.answer, shape, place = spoken
        server.calls = []
        stage.url = url + "/" + dialect
        broker = stage.start_broker({"dialect": dialect})
        stage.start_worker(conf=keyed_conf(stage.url, "key_env = MY_KEY"),
                           env={"MY_KEY": CANARY})
        broker.wait_hello()
        broker.lease(1, chat("t\u00e9xt"), path=path)
        head, body = broker.result_of(1)
        check(dialect + ": answer", (head["class"], head["shape"],
                                     body[head["text_at"]:][:1]),
              ("ok", shape, b"A"))
        sent_path, headers, sent = server.calls[0]
        check(dialect + ": path", sent_path,
              "/" + dialect + path.replace("{model}", "m"))
        headers = {name.lower(): value for name, value in headers.items()}
        check(dialect + ": key", headers[header.lower()], before + CANARY)
        check(dialect + ": keys", sum(CANARY in value
                                      for value in headers.values()), 1)
        if other:
            check(dialect + ": header", headers[other[0]], other[1])
        value = json.loads(sent)
        for step in place:
            value = value[step]
        check(dialect + ": text", value, "t\u00e9xt")
        broker.lease(2, chat("t"), path="/", model="mapped")
        broker.result_of(2)
        if "model" in json.loads(sent):
            check(dialect + ": the mapped name",
                  json.loads(server.calls[1][2])["model"], "mapped")
        broker.lease(3, b'{"model":"m","messages":[{"role":"user","content":'
                     b'[{"type":"image_url"}]}]}')
        head, _ = broker.result_of(3)
        if dialect not in ("openai", "azure"):
            check(dialect + ": an image", (head["class"], head["code"],
                                           head["http_status"], head["sent"]),
                  ("permanent", "unsupported_by_dialect", 0, 0))
        stage.worker.send_signal(signal.SIGTERM)
        stage.wait_end(broker, 0)
        stage.brokers.remove(broker)
        broker.close()
    server.shutdown()
    server.server_close()


def case_a_key_file_is_private(stage):
    stage.start_upstream()
    path = os.path.join(stage.dir, "key")
    with open(path, "w") as file:
        file.write(CANARY + "\n")
    os.chmod(path, 0o600)
    broker = stage.start_broker()
    conf = keyed_conf(stage.url, "key_file = " + path)
    stage.start_worker(conf=conf)
    broker.wait_hello()
    broker.lease(1, chat("x"))
    broker.result_of(1)
    check("the newline is dropped", stage.calls("start")[0]["auth"],
          "Bearer " + CANARY)
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 0)
    os.chmod(path, 0o640)
    stage.start_worker(conf=conf)
    stage.wait_end(broker, 2)
    check_that("it says why", "0640" in stage.read_log())
    os.chmod(path, 0o600)
    with open(path, "w") as file:
        file.write("two\nlines\n")
    stage.start_worker(conf=conf)
    stage.wait_end(broker, 2)
    os.unlink(path)
    os.mkfifo(path, 0o600)
    stage.start_worker(conf=conf)
    stage.wait_end(broker, 2)


def case_the_environment_changes_no_call(stage):
    stage.start_upstream()
    secrets = os.path.join(stage.dir, "tls")
    broker = stage.start_broker()
    stage.start_worker(env={"http_proxy": "http://127.0.0.1:9",
                            "ALL_PROXY": "http://127.0.0.1:9",
                            "SSLKEYLOGFILE": secrets})
    broker.wait_hello()
    broker.lease(1, chat("x"))
    check("no proxy", broker.result_of(1)[0]["class"], "ok")
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 0)
    stage.start_worker(env={"SHEAF_PROXY": "http://127.0.0.1:9"})
    broker.until("hello", lambda: broker.count("hello") == 2)
    broker.lease(2, chat("x"))
    check("but the one that is ours", broker.result_of(2)[0]["code"],
          "connect_failed")


def case_nonsense_is_left(stage):
    broker = stage.start_all()
    for frames in ([b"{"], [b"[]"], [b'{"verb":7}'], [b'{"verb":"dance"}'],
                   [b'{"verb":"lease"}', b"{}"], [b'{"verb":"slots"}'],
                   [b'{"verb":"slots","count":-1}'],
                   [b'{"verb":"cancel","requests":[[1]]}'],
                   [b'{"verb":"cancel","requests":7}'],
                   [b'{"verb":"confirmed"}'], [b""], [b"{}", b"", b""],
                   [b'{"verb":"welcome","protocol":2}'],
                   [b'{"verb":"lease","request":1,"fence":1,"upstream":"test",'
                    b'"path":"/","timeout_ms":1,"kind":"odd"}', b"{}"],
                   [b'{"verb":"error","code":"full","message":"m"}']):
        broker.socket.send_multipart([broker.peer, *frames])
    broker.lease(2, chat("x"))
    broker.result_of(2)
    check("each is logged",
          stage.read_log().count("event=bad_message"), 14)
    broker.say("error", code="version", message="2 is needed")
    stage.wait_end(broker, 2)


def case_the_command_line_is_checked(stage):
    for options in (["--capacity", "0"], ["--capacity", "x"], ["stray"],
                    ["--what"], ["--log-level", "loud"],
                    ["--log-format", "xml"], ["--parent-fd", "999"],
                    ["--broker", "tcp://example.org:1"], ["--name", ""],
                    ["--config", "/nonexistent"]):
        stage.start_worker(*options)
        try:
            stage.wait_end(None, 2)
        except Failed as failed:
            raise Failed("%s: %s" % (options, failed))
    program = os.path.join(stage.bin, "sheaf-worker")
    for option in ("--help", "--version"):
        check_that(option, "sheaf-worker" in subprocess.run(
            [program, option], stdout=subprocess.PIPE, check=True,
            text=True).stdout)


def play(bin_dir, name, case):
    stage = Stage(bin_dir)
    try:
        case(stage)
        return True
    except (Failed, OSError, KeyError, IndexError) as failed:
        print("FAIL %s\n  %s" % (name, failed))
        if not isinstance(failed, Failed):
            traceback.print_exc()
        if os.path.exists(stage.log):
            print(stage.read_log())
        return False
    finally:
        stage.close()


def main(names):
    """Plays the cases among the names of a module, or those that are chosen."""
    bin_dir, *chosen = sys.argv[1:]
    cases = [(name[len("case_"):], value) for name, value in names.items()
             if name.startswith("case_")]
    failures = [name for name, case in cases
                if (not chosen or name in chosen)
                and not play(bin_dir, name, case)]
    print("%d cases, %d failed" % (len(chosen or cases), len(failures)))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main(globals())
