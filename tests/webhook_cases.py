# webhook_cases.py - a real sheaf-worker that carries events to receivers
#
#   python3 webhook_cases.py BIN [CASE…]
#
# Each function case_* is one claim, as worker_stage.py has it. Signatures are
# checked with Python's own hmac.
#
# SPDX-License-Identifier: MIT
import base64
import hashlib
import hmac
import os
import signal
import time

from fake_server import Authority
from worker_stage import check, check_that, main

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
BODY = b'{"id":"evt_1","object":"event","type":"batch.completed"}'


def well(request):
    return 204, {}, b""


def write_secret(stage, secret=SECRET, mode=0o600):
    path = os.path.join(stage.dir, "hook.secret")
    with open(path, "w") as file:
        file.write(secret + "\n")
    os.chmod(path, mode)
    return path


def section(stage, url, name="hook", *more):
    return "[webhook \"%s\"]\nurl = %s\nsecret_file = %s\n%s\n" % (
        name, url, write_secret(stage), "\n".join(more))


def start(stage, answer=well, conf=None):
    """A receiver, a broker and a worker."""
    stage.receiver = stage.start_server(answer)
    broker = stage.start_broker()
    stage.hook_url = stage.receiver.url + "/in"
    stage.start_worker(conf=conf or section(stage, stage.hook_url))
    broker.wait_hello()
    return broker


def post(stage, broker, delivery, attempt=1, url=None, webhook="hook",
         event="evt_0b51c2a4-1111-4222-8333-444455556666", timeout_ms=5000):
    broker.say("post", BODY, delivery=delivery, attempt=attempt,
               webhook=webhook, url=url or stage.hook_url, id=event,
               timeout_ms=timeout_ms)


def told(broker, count):
    """What was said of the first events, when it was said of `count`."""
    broker.until("%d are told, got %d" % (count, len(broker.posted)),
                 lambda: len(broker.posted) >= count)
    return broker.posted


def expect_signed(request, key=KEY):
    headers = request.headers
    what = b".".join([headers["webhook-id"].encode(),
                      headers["webhook-timestamp"].encode(), request.body])
    digest = hmac.new(key, what, hashlib.sha256).digest()
    check("the signature", headers["webhook-signature"],
          "v1," + base64.b64encode(digest).decode())
    check_that("the time is now",
               abs(int(headers["webhook-timestamp"]) - time.time()) < 60)


def case_events_are_posted_signed_and_told_of(stage):
    broker = start(stage)
    hello = broker.last("hello")
    check("webhooks that it can sign for", hello["webhooks"], ["hook"])
    check("events that it has", hello["posts"], [])
    post(stage, broker, 7)
    head = told(broker, 1)[0]
    for name, want in {"delivery": 7, "attempt": 1, "class": "ok",
                       "http_status": 204, "code": "", "message": "",
                       "wait_ms": 0}.items():
        check(name, head[name], want)
    request = stage.receiver.requests[0]
    check("the path", request.path, "/in")
    check("the body", request.body, BODY)
    check("the type", request.headers["Content-Type"], "application/json")
    check("the id", request.headers["webhook-id"],
          "evt_0b51c2a4-1111-4222-8333-444455556666")
    expect_signed(request)
    broker.during(1.3)
    check("it is told once", len(broker.posted), 1)
    check("it was posted once", len(stage.receiver.requests), 1)
    check_that("no secret in the log", SECRET not in stage.read_log())
    check_that("nor a part of it", SECRET[6:] not in stage.read_log())


def case_what_a_receiver_says_is_told(stage):
    answers = {
        "/500": (500, {}, b"no"),
        "/429": (429, {"Retry-After": "120"}, b""),
        "/410": (410, {}, b""),
        "/302": (302, {"Location": "/in"}, b""),
        "/200": (200, {}, b"x" * 200000),
        "/205": (205, {}, b""),
        # What they announce never comes.
        "/206": (206, {"Content-Length": "9"}, b"cut"),
        "/503": (503, {"Content-Length": "9"}, b"cut"),
    }
    wants = {"/500": ("failed", 500, "http_status", 0),
             "/429": ("failed", 429, "http_status", 120000),
             "/410": ("failed", 410, "http_status", 0),
             "/302": ("failed", 302, "http_status", 0),
             "/200": ("ok", 200, "", 0),
             "/205": ("ok", 205, "", 0),
             "/206": ("ok", 206, "", 0),
             "/503": ("failed", 503, "timeout", 0)}
    receiver = stage.start_server(lambda request: answers[request.path])
    broker = stage.start_broker()
    stage.start_worker(conf="".join(
        section(stage, receiver.url + path, "n" + path[1:])
        for path in answers))
    broker.wait_hello()
    for number, path in enumerate(answers):
        post(stage, broker, number, url=receiver.url + path,
             webhook="n" + path[1:], timeout_ms=2000)
    told(broker, len(answers))
    for head in broker.posted:
        path = list(answers)[head["delivery"]]
        check(path, (head["class"], head["http_status"], head["code"],
                     head["wait_ms"]), wants[path])
    check("no redirect is followed", sorted(request.path for request
                                            in receiver.requests),
          sorted(answers))


def case_a_receiver_that_is_not_there_is_told(stage):
    broker = start(stage)
    stage.receiver.close()
    stage.servers.remove(stage.receiver)
    post(stage, broker, 1)
    head = told(broker, 1)[0]
    check("class", head["class"], "failed")
    check("status", head["http_status"], 0)
    check("code", head["code"], "connect_failed")
    check_that("and why", head["message"] != "")


def case_a_slow_receiver_is_given_up_and_holds_up_nothing(stage):
    gate = []

    def answer(request):
        end = time.monotonic() + 20
        while not gate and time.monotonic() < end:
            time.sleep(0.02)
        return 200, {}, b""

    slow = stage.start_server(answer)
    fast = stage.start_server(well)
    broker = stage.start_broker(slots=1)
    stage.start_worker(conf=section(stage, slow.url, "slow") +
                       section(stage, fast.url, "fast"))
    broker.wait_hello()
    for number in range(8):
        post(stage, broker, number, url=slow.url, webhook="slow",
             timeout_ms=3000)
    post(stage, broker, 100, url=fast.url, webhook="fast")
    start_s = time.monotonic()
    check("the other one first", told(broker, 1)[0]["delivery"], 100)
    check_that("at once", time.monotonic() - start_s < 2)
    broker.lease(1, b"{}", upstream="local")
    broker.wait_results(1)
    check("nor are leases held up", len(broker.posted), 1)
    told(broker, 9)
    gate.append(True)
    check("given up", {head["code"] for head in broker.posted[1:]},
          {"timeout"})


def case_what_is_not_noted_is_told_again(stage):
    broker = start(stage)
    broker.notes = False
    post(stage, broker, 1)
    told(broker, 2)
    check("it is the same", broker.posted[0], broker.posted[1])
    broker = stage.restart_broker(broker)
    hello = broker.wait_hello()
    check("it is listed", hello["posts"], [[1, 1]])
    check("with the welcome", told(broker, 1)[0]["class"], "ok")
    check("posted once", len(stage.receiver.requests), 1)


def case_one_that_is_given_again_goes_on(stage):
    gate = []

    def answer(request):
        end = time.monotonic() + 20
        while not gate and time.monotonic() < end:
            time.sleep(0.02)
        return 200, {}, b""

    broker = start(stage, answer)
    post(stage, broker, 1, attempt=1)
    stage.await_true("it runs", lambda: len(stage.receiver.requests) == 1)
    post(stage, broker, 1, attempt=2)
    broker.during(0.2)
    gate.append(True)
    head = told(broker, 1)[0]
    check("under the new number", (head["attempt"], head["class"]), (2, "ok"))
    check("one post", len(stage.receiver.requests), 1)


def case_only_its_own_url_is_posted_to(stage):
    broker = start(stage)
    other = stage.start_server(well)
    post(stage, broker, 1, url=other.url + "/in")
    post(stage, broker, 2, webhook="unknown")
    post(stage, broker, 3, event="evt_1\r\nX-Evil: 1")
    told(broker, 3)
    check("codes", [(head["class"], head["code"]) for head in broker.posted],
          [("unmade", "url_mismatch"), ("unmade", "no_secret"),
           ("unmade", "bad_order")])
    check("nothing was sent there", other.requests, [])
    check("nor here", stage.receiver.requests, [])


def case_a_secret_that_cannot_be_used_stops_its_webhook_only(stage):
    bad = (("no-prefix", 0o600, "does not begin with whsec_"),
           ("whsec_!", 0o600, "is not Base64"),
           ("whsec_c2hvcnQ=", 0o600, "is the Base64 of 5 bytes"),
           (SECRET, 0o644, "others have access to it"))
    other = os.path.join(stage.dir, "other.secret")
    for hello, (secret, mode, why) in enumerate(bad, 1):
        conf = section(stage, "http://127.0.0.1:1/")
        os.rename(write_secret(stage), other)
        conf += section(stage, "http://127.0.0.1:1/", "other").replace(
            "hook.secret", "other.secret")
        write_secret(stage, secret, mode)
        if hello == 1:
            broker = stage.start_broker()
        stage.start_worker(conf=conf)
        broker.until("hello", lambda: broker.count("hello") == hello)
        check("the other one is left", broker.last("hello")["webhooks"],
              ["other"])
        check_that(why, "event=secret_unusable webhook=hook reason=\"secret_file"
                   in stage.read_log() and why in stage.read_log())
        check_that("it is not repeated", secret not in stage.read_log())
        stage.worker.send_signal(signal.SIGTERM)
        stage.wait_end(broker, 0)


def case_what_a_webhook_lacks_is_looked_for_on_sighup(stage):
    authority = Authority(stage.dir)
    receiver = stage.start_server(well, authority.context())
    missing = os.path.join(stage.dir, "missing.ca")
    broker = stage.start_broker()
    stage.start_worker(conf=section(stage, receiver.url, "hook",
                                    "ca_file = " + missing))
    broker.wait_hello()
    check("it cannot post", broker.last("hello")["webhooks"], [])
    check_that("it says why", "event=ca_unreadable webhook=hook reason=\"ca_file "
               + missing + ": No such file" in stage.read_log())
    post(stage, broker, 1, url=receiver.url)
    check("nor does it", [(head["class"], head["code"])
                          for head in told(broker, 1)],
          [("unmade", "unusable")])
    write_secret(stage, SECRET, 0o644)
    os.symlink(authority.ca, missing)
    stage.worker.send_signal(signal.SIGHUP)
    broker.until("it says that it can", lambda: broker.count("hello") == 2)
    check("the webhook", broker.last("hello")["webhooks"], ["hook"])
    check_that("with the earlier secret", "the earlier one stays in use" in
               stage.read_log())
    post(stage, broker, 2, url=receiver.url)
    check("posted", told(broker, 2)[1]["class"], "ok")
    expect_signed(receiver.requests[0])
    stage.worker.send_signal(signal.SIGHUP)
    stage.await_true("read", lambda: stage.read_log().count("event=reload") == 2)
    broker.during(0.3)
    check("nothing new is not told", broker.count("hello"), 2)


def case_secrets_are_read_anew_on_sighup(stage):
    broker = start(stage)
    key = b"k" * 24
    write_secret(stage, "whsec_" + base64.b64encode(key).decode())
    stage.worker.send_signal(signal.SIGHUP)
    stage.await_true("read", lambda: "event=secret_changed" in
                     stage.read_log())
    post(stage, broker, 1)
    told(broker, 1)
    expect_signed(stage.receiver.requests[0], key)
    write_secret(stage, "broken")
    stage.worker.send_signal(signal.SIGHUP)
    stage.await_true("told", lambda: "event=secret_unusable" in
                     stage.read_log())
    post(stage, broker, 2)
    told(broker, 2)
    expect_signed(stage.receiver.requests[1], key)


def case_a_secret_in_the_environment_is_taken_out_of_it(stage):
    stage.receiver = stage.start_server(well)
    stage.hook_url = stage.receiver.url
    conf = ("[webhook \"hook\"]\nurl = %s\nsecret_env = HOOK_SECRET\n" %
            stage.hook_url)
    broker = stage.start_broker()
    stage.start_worker(conf=conf, env={"HOOK_SECRET": SECRET})
    broker.wait_hello()
    with open("/proc/%d/environ" % stage.worker.pid, "rb") as file:
        check_that("gone from there", SECRET.encode() not in file.read())
    post(stage, broker, 1)
    told(broker, 1)
    expect_signed(stage.receiver.requests[0])
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 0)
    stage.start_worker(conf=conf)
    broker.until("hello", lambda: broker.count("hello") == 2)
    check("without it, it says so", broker.last("hello")["webhooks"], [])


def case_a_drain_lets_posts_end_and_takes_no_more(stage):
    gate = []

    def answer(request):
        end = time.monotonic() + 20
        while not gate and time.monotonic() < end:
            time.sleep(0.02)
        return 200, {}, b""

    broker = start(stage, answer)
    post(stage, broker, 1)
    stage.await_true("it runs", lambda: len(stage.receiver.requests) == 1)
    stage.worker.send_signal(signal.SIGTERM)
    broker.until("it drains", lambda: broker.last("beat") and
                 broker.last("beat")["leaving"])
    post(stage, broker, 2)
    check("not taken", told(broker, 1)[0]["code"], "draining")
    gate.append(True)
    check("the other one ends", told(broker, 2)[1]["class"], "ok")
    stage.wait_end(broker, 0)
    check("one post", len(stage.receiver.requests), 1)


def case_a_receivers_certificate_is_checked(stage):
    authority = Authority(stage.dir)
    receiver = stage.start_server(well, authority.context())
    broker = stage.start_broker()
    stage.start_worker(conf=section(stage, receiver.url, "no") +
                       section(stage, receiver.url, "yes",
                               "ca_file = " + authority.ca))
    broker.wait_hello()
    post(stage, broker, 1, url=receiver.url, webhook="no")
    check("not trusted", told(broker, 1)[0]["code"], "tls_untrusted")
    post(stage, broker, 2, url=receiver.url, webhook="yes")
    check("trusted", told(broker, 2)[1]["class"], "ok")
    check("one post", len(receiver.requests), 1)


if __name__ == "__main__":
    main(globals())
