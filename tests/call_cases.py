# call_cases.py - a real sheaf-worker, and the calls that it makes
#
#   python3 call_cases.py BIN [CASE…]
#
# Each function case_* is one claim; see worker_stage.py.
#
# SPDX-License-Identifier: MIT
import hashlib
import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import time

from fake_broker import PATIENCE_S
from fake_server import Authority, answer_well
from worker_stage import CANARY, chat, check, check_that, keyed_conf, main

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
    stage.start_upstream("match=is-cut action=cut_before\n"
                         "match=is-reset action=reset\n")
    broker = stage.start_broker(slots=1)
    texts = ["is-cut", "is-reset", "is-cut " + "x" * 200000]
    for calls, text in zip((2, 4, 6), texts):
        stage.start_worker()
        broker.until("hello", lambda: broker.count("hello") == calls // 2)
        broker.lease(calls, chat("fine %d" % calls))
        broker.lease(calls + 1, chat(text))
        broker.wait_results(calls)
        check("classes", [broker.result_of(request)[0]["class"]
                          for request in (calls, calls + 1)],
              ["ok", "uncertain"])
        check("calls", stage.stats()["calls"], calls)
        first, second = [call["conn"] for call in stage.calls("start")][-2:]
        check("the connection that ended was kept", second, first)
        stage.worker.send_signal(signal.SIGTERM)
        stage.wait_end(broker, 0)


def case_kept_connections_that_end_are_not_relied_on(stage):
    """Each such end may be a call that is paid for and has no answer."""
    broker = stage.start_all("match=is-cut action=cut_before\n", slots=1)
    for request, text in enumerate(["fine", "is-cut"] +
                                   ["n %d" % n for n in range(103)]):
        broker.lease(request, chat(text))
    broker.wait_results(105)
    conns = [call["conn"] for call in stage.calls("start")]
    check("kept at first", conns[1], conns[0])
    check("then each has one of its own", len(set(conns[1:102])), 101)
    check("and later they are kept again", len(set(conns[102:])), 1)


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


def case_a_line_of_the_head_that_does_not_end_is_too_large(stage):
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(PATIENCE_S)
    broker = stage.start_broker(upstream={
        "base_url": "http://127.0.0.1:%d/v1" % server.getsockname()[1]})
    stage.start_worker()
    broker.wait_hello()
    broker.lease(1, chat("x"))
    broker.during(0.1)
    connection, _ = server.accept()
    read_request(connection)
    try:
        connection.sendall(b"HTTP/1.1 200 " + b"O" * 4000000)
    except OSError:
        pass  # it was given up before
    head, _ = broker.result_of(1)
    check("the end", (head["class"], head["code"]),
          ("permanent", "reply_too_large"))
    check_that("no word of memory", "emory" not in head["message"])


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


class TunnelProxy:
    """An HTTP proxy that opens tunnels, or refuses to."""

    def __init__(self):
        self.refuses = False
        self.tunnels = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.server.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            client = self.server.accept()[0]
            threading.Thread(target=self.serve, args=(client,),
                             daemon=True).start()

    def serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
        verb, target, _ = head.split(None, 2)
        if self.refuses or verb != b"CONNECT":
            client.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
            client.close()
            return
        self.tunnels += 1
        host, port = target.decode().split(":")
        upstream = socket.create_connection((host, int(port)))
        # What it says of itself is not the upstream's.
        client.sendall(b"HTTP/1.1 200 Open\r\nRetry-After: 9\r\n\r\n")
        threading.Thread(target=self.carry, args=(client, upstream),
                         daemon=True).start()
        self.carry(upstream, client)

    @staticmethod
    def carry(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side has gone


def case_calls_go_through_the_tunnel_of_a_proxy(stage):
    authority = Authority(stage.dir)
    server = stage.start_server(answer_well, authority.context())
    proxy = TunnelProxy()
    broker = stage.start_broker(slots=1, upstream={"base_url": server.url})
    stage.start_worker(conf=keyed_conf(server.url, "ca_file = " + authority.ca),
                       env={"SHEAF_PROXY": proxy.url})
    broker.wait_hello()
    for request in (1, 2, 3):
        broker.lease(request, chat("x %d" % request))
        check("an answer", broker.result_of(request)[0]["class"], "ok")
    check("calls", len(server.requests), 3)
    check("the tunnel is kept", proxy.tunnels, 1)
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 0)
    proxy.refuses = True
    stage.start_worker(conf=keyed_conf(server.url, "ca_file = " + authority.ca),
                       env={"SHEAF_PROXY": proxy.url})
    broker.until("hello", lambda: broker.count("hello") == 2)
    broker.lease(4, chat("x 4"))
    head, _ = broker.result_of(4)
    check("nothing was sent to the upstream",
          (head["class"], head["sent"]), ("retryable", 0))
    check_that("it says why", "403" in head["message"])
    check("calls", len(server.requests), 3)


if __name__ == "__main__":
    main(globals())
