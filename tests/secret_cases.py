# secret_cases.py - a real sheaf-worker, and what it keeps to itself
#
#   python3 secret_cases.py BIN [CASE…]
#
# Each function case_* is one claim, as in worker_cases.py.
#
# SPDX-License-Identifier: MIT
import base64
import gzip
import json
import os
import signal
import socket
import ssl
import threading
import time
import warnings

from fake_server import Authority
from worker_cases import CANARY, chat, check, check_that, keyed_conf, main


def answer_well(request):
    """What an upstream says that has nothing to complain about."""
    return 200, {"Content-Type": "application/json"}, json.dumps(
        {"model": "m", "choices": [{"message": {"content": "well"},
                                    "finish_reason": "stop"}]}).encode()


def case_keys_are_read_anew_on_sighup(stage):
    stage.start_upstream("match=slow latency=800 status=401 body='{\"error\":{"
                         "\"message\":\"bad %s\"}}'\n" % CANARY)
    path = os.path.join(stage.dir, "key")

    def write(key, mode=0o600):
        with open(path, "w") as file:
            file.write(key)
        os.chmod(path, mode)

    def auth(request):
        broker.lease(request, chat("text %d" % request))
        broker.result_of(request)
        return stage.calls("start")[-1]["auth"]

    write(CANARY)
    broker = stage.start_broker()
    stage.start_worker(conf=keyed_conf(stage.url, "key_file = " + path))
    broker.wait_hello()
    check("at first", auth(1), "Bearer " + CANARY)
    broker.lease(2, chat("slow"))
    broker.until("it runs", lambda: len(stage.calls("start")) == 2)
    write("second-" + CANARY)
    stage.worker.send_signal(signal.SIGHUP)
    stage.await_true("read", lambda: "event=key_changed" in stage.read_log())
    check("the new one", auth(3), "Bearer second-" + CANARY)
    head, body = broker.result_of(2)
    check("what ran went on", head["http_status"], 401)
    check("the old key is not shown", head["message"],
          "bad " + "*" * len(CANARY))
    check_that("nor stored", head["message"].encode() in body)
    write("third-" + CANARY, 0o644)
    broker.say("reload")
    broker.until("refused", lambda: "event=key_unreadable" in stage.read_log())
    check("the old one stays", auth(4), "Bearer second-" + CANARY)
    write("third-" + CANARY)
    broker.say("reload")
    broker.until("read", lambda: stage.read_log().count("key_changed") == 2)
    check("at the broker's word", auth(5), "Bearer third-" + CANARY)
    log = stage.read_log()
    check_that("it is an error", " error event=key_unreadable upstream=test"
               in log and "0644" in log)
    check_that("no log holds a key", CANARY not in log)
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 0)


def case_a_key_comes_from_systemd(stage):
    stage.start_upstream()
    directory = os.path.join(stage.dir, "credentials")
    os.mkdir(directory, 0o700)
    with open(os.path.join(directory, "openai"), "w") as file:
        file.write(CANARY + "\n")
    os.chmod(os.path.join(directory, "openai"), 0o440)
    os.chmod(directory, 0o550)
    broker = stage.start_broker()
    conf = keyed_conf(stage.url, "key_credential = openai")
    stage.start_worker(conf=conf, env={"CREDENTIALS_DIRECTORY": directory})
    broker.wait_hello()
    broker.lease(1, chat("x"))
    broker.result_of(1)
    check("the key", stage.calls("start")[0]["auth"], "Bearer " + CANARY)
    os.chmod(directory, 0o700)
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 0)
    stage.start_worker(conf=conf)
    stage.wait_end(broker, 2)
    check_that("it says what to do",
               "LoadCredential=openai:FILE" in stage.read_log())


def case_a_crash_leaves_no_core(stage):
    broker = stage.start_all()
    with open("/proc/%d/limits" % stage.worker.pid) as file:
        limits = [line.split()[4:6] for line in file
                  if line.startswith("Max core file size")]
    check("the limit of cores", limits, [["0", "0"]])
    broker.lease(1, chat("x"))
    broker.result_of(1)


def case_a_server_that_nobody_vouches_for_gets_nothing(stage):
    authority = Authority(stage.dir)
    server = stage.start_server(answer_well, authority.context())
    broker = stage.start_broker(upstream={"base_url": server.url})
    stage.start_worker(conf=keyed_conf(server.url, "key_env = MY_KEY"),
                       env={"MY_KEY": CANARY, "SSL_CERT_FILE": authority.ca,
                            "CURL_CA_BUNDLE": authority.ca})
    broker.wait_hello()
    broker.lease(1, chat("x"))
    head, _ = broker.result_of(1)
    check("refused", (head["class"], head["code"], head["sent"]),
          ("permanent", "tls_untrusted", 0))
    check("nothing came", server.requests, [])


def case_a_ca_file_vouches_for_its_upstream_only(stage):
    authority = Authority(stage.dir)
    server = stage.start_server(answer_well, authority.context())
    other = stage.start_server(answer_well, authority.context())
    upstreams = [{"name": name, "base_url": url, "connect_timeout_ms": 2000}
                 for name, url in (("test", server.url), ("other", other.url),
                                   ("moved", other.url))]
    broker = stage.start_broker(upstreams=upstreams)
    stage.start_worker(conf=keyed_conf(server.url, "ca_file = " + authority.ca)
                       + '[upstream "moved"]\nbase_url = %s/v1\nca_file = %s\n'
                       % (other.url, authority.ca))
    broker.wait_hello()
    for request, name in enumerate(["test", "other", "moved", "test"]):
        broker.lease(request, chat("x %d" % request), upstream=name)
    broker.wait_results(4)
    check("the results", [broker.result_of(request)[0]["code"]
                          for request in range(4)],
          ["", "tls_untrusted", "tls_untrusted", ""])
    check("what came", (len(server.requests), len(other.requests)), (2, 0))


def case_a_ca_file_must_be_there_and_vouch(stage):
    authority = Authority(stage.dir)
    server = stage.start_server(answer_well, authority.context())
    broker = stage.start_broker(upstream={"base_url": server.url})
    stage.start_worker(conf=keyed_conf(
        server.url, "ca_file = /etc/ssl/certs/ca-certificates.crt"))
    broker.wait_hello()
    broker.lease(1, chat("x"))
    check("refused", broker.result_of(1)[0]["code"], "tls_untrusted")
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 0)
    stage.start_worker(conf=keyed_conf(server.url, "ca_file = /nonexistent"))
    stage.wait_end(broker, 2)
    check_that("it says why", "upstream test: ca_file /nonexistent: No such"
               in stage.read_log())


def case_a_certificate_is_its_hosts(stage):
    authority = Authority(stage.dir)
    server = stage.start_server(answer_well,
                                authority.context("DNS:elsewhere.example"))
    broker = stage.start_broker(upstream={"base_url": server.url})
    stage.start_worker(conf=keyed_conf(server.url, "ca_file = " + authority.ca))
    broker.wait_hello()
    broker.lease(1, chat("x"))
    check("refused", broker.result_of(1)[0]["code"], "tls_untrusted")
    check("nothing came", server.requests, [])


def case_old_tls_is_not_spoken(stage):
    warnings.simplefilter("ignore", DeprecationWarning)
    authority = Authority(stage.dir)
    context = authority.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    server = stage.start_server(answer_well, context)
    client = ssl.create_default_context(cafile=authority.ca)
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = ssl.TLSVersion.TLSv1
    with socket.create_connection(
            ("127.0.0.1", int(server.url.rsplit(":", 1)[1]))) as plain:
        with client.wrap_socket(plain, server_hostname="127.0.0.1") as old:
            check("others would", old.version(), "TLSv1.1")
    broker = stage.start_broker(upstream={"base_url": server.url})
    stage.start_worker(conf=keyed_conf(server.url, "ca_file = " + authority.ca))
    broker.wait_hello()
    broker.lease(1, chat("x"))
    head, _ = broker.result_of(1)
    check("refused", (head["class"], head["code"], head["sent"]),
          ("retryable", "tls_failed", 0))


def case_a_reply_that_stalls_is_given_up(stage):
    stage.start_upstream("match=late latency=1500\n"
                         "match=drips action=drip every=150\n"
                         "match=flows action=drip every=5\n")
    broker = stage.start_broker(upstream={"low_speed_ms": 500,
                                          "low_speed_bytes": 20})
    stage.start_worker()
    broker.wait_hello()
    for request, text in enumerate(["late", "drips", "flows"]):
        broker.lease(request, chat(text))
    head, _ = broker.result_of(1)
    check("given up", (head["class"], head["code"], head["http_status"]),
          ("uncertain", "timeout", 0))
    check("it says why", head["message"],
          "the reply stalled: fewer than 20 bytes in 500 ms")
    check("silence before the first byte is none",
          broker.result_of(0)[0]["class"], "ok")
    check("nor is a steady stream", broker.result_of(2)[0]["class"], "ok")
    check_that("it took longer than is allowed to stall",
               broker.result_of(2)[0]["latency_ms"] > 1000)


def peak_kib(pid):
    with open("/proc/%d/status" % pid) as file:
        return [int(line.split()[1]) for line in file
                if line.startswith("VmHWM")][0]


def case_a_gzip_bomb_is_not_unpacked(stage):
    bomb = gzip.compress(bytes(256 << 20), 9)

    def answer(request):
        if b"bomb" in request.body:
            return 200, {"Content-Encoding": "gzip"}, bomb
        return answer_well(request)

    server = stage.start_server(answer)
    broker = stage.start_broker(upstream={"base_url": server.url})
    stage.start_worker()
    broker.wait_hello()
    broker.lease(1, chat("well"))
    broker.result_of(1)
    before = peak_kib(stage.worker.pid)
    broker.lease(2, chat("bomb"))
    head, body = broker.result_of(2)
    check("no answer", (head["class"], head["code"]),
          ("retryable", "malformed_reply"))
    check("as it came", body, bomb)
    check("none was asked for",
          server.requests[1].headers["Accept-Encoding"], "identity")
    grown = peak_kib(stage.worker.pid) - before
    check_that("memory grew by %d KiB" % grown, grown < 8192)


CLIENT = "client-1"
SECRET = "client-secret-0123456789"
TOKEN = "token-%d-0123456789abcdef"


class Issuer:
    """A token server at /token, and an API elsewhere that knows its tokens."""

    def __init__(self, stage, context=None):
        self.lock = threading.Lock()
        self.secret = SECRET
        self.expires_in = 3600
        self.delay_s = 0
        self.call_s = 0
        self.failure = None    # (status, headers, body) of the token server
        self.issued = 0
        self.good = set()      # tokens that the API takes
        self.running = 0
        self.running_max = 0
        self.server = stage.start_server(self.answer, context)
        self.url = self.server.url + "/v1"
        self.token_url = self.server.url + "/token/"

    def answer(self, request):
        if not request.path.startswith("/token"):
            time.sleep(self.call_s)
            if request.headers["Authorization"] not in self.good:
                return 401, {}, json.dumps({"error": {
                    "message": "bad " + str(request.headers["Authorization"])
                }}).encode()
            return answer_well(request)
        with self.lock:
            self.running += 1
            self.running_max = max(self.running, self.running_max)
        time.sleep(self.delay_s)
        try:
            return self.issue(request)
        finally:
            request.answered = time.monotonic()
            with self.lock:
                self.running -= 1

    def issue(self, request):
        if self.failure:
            return self.failure
        basic = base64.b64encode(("%s:%s" % (CLIENT, self.secret)).encode())
        if (request.headers["Authorization"] != "Basic " + basic.decode() or
                request.body != b"grant_type=client_credentials&scope=a%20b"):
            return 401, {}, json.dumps({
                "error": "invalid_client", "error_description":
                "bad secret " + SECRET}).encode()
        with self.lock:
            self.issued += 1
            token = TOKEN % self.issued
            self.good.add("Bearer " + token)
        return 200, {}, json.dumps({
            "access_token": token, "token_type": "Bearer",
            "expires_in": self.expires_in}).encode()

    def asked(self):
        return [request for request in self.server.requests
                if request.path == "/token/"]

    def called(self):
        return [request for request in self.server.requests
                if request.path != "/token/"]

    def conf(self, stage, how=None, more=""):
        path = os.path.join(stage.dir, "secret")
        if not how:
            self.write(path)
            how = "oauth_client_secret_file = " + path
        return keyed_conf(self.url, "oauth_token_url = %s\n"
                          "oauth_client_id = %s\noauth_scope = a b\n%s\n%s"
                          % (self.token_url, CLIENT, how, more))

    def write(self, path, secret=SECRET):
        with open(path, "w") as file:
            file.write(secret + "\n")
        os.chmod(path, 0o600)


def start_with_issuer(stage, conf=None, env=None, **welcome):
    issuer = Issuer(stage)
    broker = stage.start_broker(upstream={"base_url": issuer.url}, **welcome)
    stage.start_worker(conf=conf or issuer.conf(stage), env=env)
    broker.wait_hello()
    return issuer, broker


def counted(broker):
    pairs = [head["tokens"] for head, _ in broker.heard if "tokens" in head]
    return [sum(pair[i] for pair in pairs) for i in (0, 1)]


def expect_no_secret(stage, broker):
    texts = [stage.read_log()] + [json.dumps(head) for head, _ in
                                  broker.heard]
    bodies = [body for _, body in broker.heard]
    for secret in (SECRET, "0123456789abcdef", "Basic "):
        check_that("%s is in no log or message" % secret,
                   not any(secret in text for text in texts))
        check_that("%s is in no body" % secret,
                   not any(secret.encode() in body for body in bodies))


def case_a_token_is_fetched_once_for_many_calls(stage):
    issuer = Issuer(stage)
    issuer.delay_s = 0.3
    broker = stage.start_broker(upstream={"base_url": issuer.url})
    stage.start_worker(conf=issuer.conf(stage),
                       env={"http_proxy": "http://127.0.0.1:9"})
    broker.wait_hello()
    for request in range(12):
        broker.lease(request, chat("text %d" % request))
    broker.wait_results(12)
    check("all are well", set(head["class"] for head, _ in broker.results),
          {"ok"})
    check("requests for a token", len(issuer.asked()), 1)
    check("its type", issuer.asked()[0].headers["Content-Type"],
          "application/x-www-form-urlencoded")
    check("calls", len(issuer.called()), 12)
    broker.until("it is counted", lambda: counted(broker) == [11, 1])
    expect_no_secret(stage, broker)


def case_a_token_is_refreshed_while_calls_go_on(stage):
    issuer = Issuer(stage)
    issuer.expires_in = 3  # used for 2.7 s, refreshed from 2.16 s on
    issuer.delay_s = 0.4
    broker = stage.start_broker(upstream={"base_url": issuer.url})
    stage.start_worker(conf=issuer.conf(stage))
    broker.wait_hello()
    request = 0
    while issuer.issued < 3:
        broker.lease(request, chat("text %d" % request))
        broker.result_of(request)
        request += 1
        check_that("it comes to an end", request < 20000)
    check("all are well", set(head["class"] for head, _ in broker.results),
          {"ok"})
    check("one request at a time", issuer.running_max, 1)
    second = issuer.asked()[1]
    during = [call for call in issuer.called()
              if second.time < call.time < second.answered]
    check("with the old one meanwhile",
          set(call.headers["Authorization"] for call in during),
          {"Bearer " + TOKEN % 1})
    check("none was refused", [head["http_status"] for head, _ in
                               broker.results if head["http_status"] != 200],
          [])


def case_a_worker_that_starts_has_no_token(stage):
    issuer, broker = start_with_issuer(stage)
    broker.lease(1, chat("x"))
    broker.result_of(1)
    stage.worker.send_signal(signal.SIGKILL)
    stage.worker.wait()
    stage.start_worker(conf=issuer.conf(stage))
    broker.until("hello", lambda: broker.count("hello") == 2)
    broker.lease(2, chat("y"))
    broker.result_of(2)
    check("with another one", [call.headers["Authorization"] for call in
                               issuer.called()],
          ["Bearer " + TOKEN % 1, "Bearer " + TOKEN % 2])
    files = [os.path.join(path, leaf) for path, _, leaves in os.walk(stage.dir)
             for leaf in leaves]
    for path in filter(os.path.isfile, files):
        with open(path, "rb") as file:
            check_that("no token in " + path,
                       b"0123456789abcdef" not in file.read())


def case_a_refused_token_is_replaced_once(stage):
    issuer, broker = start_with_issuer(stage)
    broker.lease(1, chat("x"))
    broker.result_of(1)
    issuer.good.clear()  # revoked
    broker.lease(2, chat("y"))
    check("tried once more", broker.result_of(2)[0]["class"], "ok")
    calls = issuer.called()
    check("calls", [call.headers["Authorization"] for call in calls],
          ["Bearer " + TOKEN % 1] * 2 + ["Bearer " + TOKEN % 2])
    check("named apart", calls[2].headers["X-Request-Id"],
          calls[1].headers["X-Request-Id"] + "-2")
    issuer.good.clear()
    broker.lease(3, chat("z"))
    head, body = broker.result_of(3)
    check("now it counts", (head["class"], head["http_status"]),
          ("stop", 401))
    check("no storm of tokens", issuer.issued, 2)
    check_that("the body does not give it away",
               b"bad Bearer " + b"*" * len(TOKEN % 2) in body)
    expect_no_secret(stage, broker)


def case_a_worker_that_goes_leaves_a_refused_call_to_others(stage):
    issuer, broker = start_with_issuer(stage)
    broker.lease(1, chat("x"))
    broker.result_of(1)
    issuer.good.clear()
    issuer.call_s = 1
    broker.lease(2, chat("y"))
    broker.until("it runs", lambda: len(issuer.called()) == 2)
    stage.worker.send_signal(signal.SIGTERM)
    head, _ = broker.result_of(2)
    check("no attempt is spent", (head["class"], head["code"]),
          ("aborted", "token_refused"))
    stage.wait_end(broker, 0)


def case_many_refused_at_once_fetch_one_token(stage):
    issuer, broker = start_with_issuer(stage)
    issuer.delay_s = 0.3
    broker.lease(0, chat("x"))
    broker.result_of(0)
    issuer.good.clear()
    for request in range(1, 6):
        broker.lease(request, chat("y %d" % request))
    broker.wait_results(6)
    check("all are well", set(head["class"] for head, _ in broker.results),
          {"ok"})
    check("tokens", issuer.issued, 2)


def case_a_token_that_does_not_come_holds_up_no_other(stage):
    stage.start_upstream()
    issuer = Issuer(stage)
    issuer.failure = (503, {"Retry-After": "0"}, b"{\"error\":\"busy\"}")
    other = {"name": "other", "base_url": stage.url}
    broker = stage.start_broker(
        upstreams=[{"name": "test", "base_url": issuer.url}, other], slots=1)
    stage.start_worker(conf=issuer.conf(stage, more="oauth_wait_ms = 1500\n"))
    broker.wait_hello()
    start = time.monotonic()
    broker.lease(1, chat("waits"))
    broker.lease(2, chat("goes on"), upstream="other")
    broker.wait_results(1)
    check("the slot is free for others", broker.results[0][0]["request"], 2)
    broker.wait_results(2)
    took = time.monotonic() - start
    head = broker.results[1][0]
    check("then it fails", (head["class"], head["code"], head["sent"]),
          ("retryable", "token_unavailable", 0))
    check("and says why", head["message"], "no access token: the token server:"
          " it answered with status 503, busy")
    check_that("after its time, %.1f s" % took, 1.4 < took < 6)
    check_that("it was tried again, %d times" % len(issuer.asked()),
               2 <= len(issuer.asked()) <= 4)
    issuer.failure = None
    broker.until("it is asked again", lambda: heals(broker, issuer))
    expect_no_secret(stage, broker)


def heals(broker, issuer):
    """Leases again, as a broker does, until there is a token."""
    broker.count_healing = getattr(broker, "count_healing", 100) + 1
    broker.lease(broker.count_healing, chat("again"))
    return broker.result_of(broker.count_healing)[0]["class"] == "ok"


def case_a_token_server_that_hangs_stops_nothing_else(stage):
    stage.start_upstream()
    issuer = Issuer(stage)
    issuer.delay_s = 3
    broker = stage.start_broker(upstreams=[
        {"name": "test", "base_url": issuer.url},
        {"name": "other", "base_url": stage.url}])
    stage.start_worker(conf=issuer.conf(stage, more="oauth_wait_ms = 1000\n"))
    broker.wait_hello()
    broker.lease(1, chat("waits"))
    beats = broker.count("beat")
    head, _ = broker.result_of(1)
    check("given up", head["code"], "token_unavailable")
    check_that("heartbeats went on", broker.count("beat") - beats >= 5)
    broker.until("it comes late", lambda: issuer.issued == 1)
    broker.lease(2, chat("then"))
    check("but it serves", broker.result_of(2)[0]["class"], "ok")


def case_a_token_request_follows_no_redirect(stage):
    other = stage.start_server(answer_well)
    issuer = Issuer(stage)
    issuer.failure = (307, {"Location": other.url + "/token"}, b"")
    broker = stage.start_broker(upstream={"base_url": issuer.url})
    stage.start_worker(conf=issuer.conf(stage, more="oauth_wait_ms = 1000\n"))
    broker.wait_hello()
    broker.lease(1, chat("x"))
    head, _ = broker.result_of(1)
    check("it is an error", head["message"], "no access token: the token "
          "server: it answered with status 307")
    check("nothing went there", other.requests, [])


def case_a_token_reply_has_a_limit(stage):
    issuer = Issuer(stage)
    issuer.failure = (200, {}, b'{"access_token":"' + b"x" * 70000 + b'"}')
    broker = stage.start_broker(upstream={"base_url": issuer.url})
    stage.start_worker(conf=issuer.conf(stage, more="oauth_wait_ms = 1000\n"))
    broker.wait_hello()
    broker.lease(1, chat("x"))
    check("it is an error", broker.result_of(1)[0]["message"], "no access "
          "token: the token server: no reply came: the reply is above its size "
          "limit")


def case_a_token_server_that_nobody_vouches_for_gets_nothing(stage):
    issuer = Issuer(stage, Authority(stage.dir).context())
    broker = stage.start_broker(upstream={"base_url": issuer.url})
    stage.start_worker(conf=issuer.conf(stage, more="oauth_wait_ms = 1000\n"))
    broker.wait_hello()
    broker.lease(1, chat("x"))
    head, _ = broker.result_of(1)
    check("no token", head["code"], "token_unavailable")
    check("nothing came", issuer.server.requests, [])


def case_a_token_goes_to_its_own_url_only(stage):
    issuer, broker = start_with_issuer(stage)
    stage.upstream["base_url"] = issuer.server.url + "/other"
    broker = stage.restart_broker(broker)
    broker.wait_hello()
    broker.lease(1, chat("x"))
    check("refused", broker.result_of(1)[0]["http_status"], 401)
    check("no token was asked for", issuer.asked(), [])
    check("none was sent", issuer.called()[0].headers["Authorization"], None)
    check_that("it is logged",
               "event=upstream_mismatch" in stage.read_log())


def case_a_token_stands_where_no_key_does(stage):
    issuer = Issuer(stage)
    broker = stage.start_broker(upstream={"base_url": issuer.url,
                                          "dialect": "azure"})
    stage.start_worker(conf=issuer.conf(stage))
    broker.wait_hello()
    broker.lease(1, chat("x"), path="/deployments/d/chat/completions")
    check("it is taken", broker.result_of(1)[0]["class"], "ok")
    check("no key is sent", issuer.called()[0].headers["api-key"], None)


def case_a_clients_secret_is_read_anew(stage):
    issuer = Issuer(stage)
    issuer.secret = "new-" + SECRET
    path = os.path.join(stage.dir, "secret")
    broker = stage.start_broker(upstream={"base_url": issuer.url})
    stage.start_worker(conf=issuer.conf(stage))
    broker.wait_hello()
    broker.lease(1, chat("x"))
    stage.await_true("it fails", lambda:
                     stage.read_log().count("event=token_failed") >= 2)
    check_that("it says why", "invalid_client: bad secret ***"
               in stage.read_log())
    issuer.write(path, issuer.secret)
    stage.worker.send_signal(signal.SIGHUP)
    check("with the new one", broker.result_of(1)[0]["class"], "ok")
    expect_no_secret(stage, broker)


def case_a_clients_secret_comes_from_the_environment(stage):
    issuer = Issuer(stage)
    broker = stage.start_broker(upstream={"base_url": issuer.url})
    conf = issuer.conf(stage, "oauth_client_secret_env = MY_SECRET",
                       "oauth_wait_ms = 1000\n")
    stage.start_worker(conf=conf, env={"MY_SECRET": SECRET})
    broker.wait_hello()
    broker.lease(1, chat("x"))
    check("it is sent", broker.result_of(1)[0]["class"], "ok")
    with open("/proc/%d/environ" % stage.worker.pid, "rb") as file:
        check_that("gone from there", SECRET.encode() not in file.read())
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 0)
    stage.start_worker(conf=conf)
    broker.until("hello", lambda: broker.count("hello") == 2)
    broker.lease(2, chat("y"))
    check("without it", broker.result_of(2)[0]["message"], "no access token: "
          "the token server: the client's secret was not in the environment")


if __name__ == "__main__":
    main(globals())
