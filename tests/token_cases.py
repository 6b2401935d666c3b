# token_cases.py - a real sheaf-worker, and the access tokens that it fetches
#
#   python3 token_cases.py BIN [CASE…]
#
# Each function case_* is one claim, as worker_stage.py has it.
#
# SPDX-License-Identifier: MIT
import base64
import json
import os
import signal
import threading
import time

from fake_server import Authority, answer_well
from worker_stage import chat, check, check_that, keyed_conf, main

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
