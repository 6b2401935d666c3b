# secret_cases.py - a real sheaf-worker, and what it keeps to itself
#
#   python3 secret_cases.py BIN [CASE…]
#
# Each function case_* is one claim, as worker_stage.py has it.
#
# SPDX-License-Identifier: MIT
import gzip
import os
import signal
import socket
import ssl
import warnings

from fake_server import Authority, answer_well
from worker_stage import CANARY, chat, check, check_that, keyed_conf, main


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


def case_a_variable_that_is_named_and_not_set_is_told(stage):
    conf = keyed_conf("http://127.0.0.1:9", "key_env = MY_KEY")
    broker = stage.start_broker()
    stage.start_worker(conf=conf)
    broker.until("hello", lambda: broker.count("hello") == 1)
    check_that("it says which", "event=key_missing upstream=test "
               "variable=MY_KEY" in stage.read_log())
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 0)
    stage.start_worker(conf=conf, env={"MY_KEY": ""})
    stage.wait_end(broker, 2)
    check_that("an empty one is none",
               "key_env MY_KEY: is empty" in stage.read_log())


def case_a_key_that_cannot_be_read_stops_its_upstream_only(stage):
    stage.start_upstream()
    path = os.path.join(stage.dir, "key")
    upstreams = [{"name": name, "base_url": stage.url}
                 for name in ("test", "keyed", "client")]
    broker = stage.start_broker(upstreams=upstreams)
    conf = keyed_conf(stage.url, "")
    conf += keyed_conf(stage.url, "key_file = " + path).replace("test", "keyed")
    conf += keyed_conf(stage.url, "oauth_token_url = %s/token\noauth_client_id "
                       "= us\noauth_client_secret_file = %s" %
                       (stage.url, path)).replace("test", "client")
    stage.start_worker(conf=conf)
    broker.wait_hello()
    for request, name in ((1, "keyed"), (2, "client")):
        broker.lease(request, chat("x"), upstream=name)
        head, _ = broker.result_of(request)
        check("no call is made", (head["class"], head["code"], head["sent"]),
              ("stop", "key_unreadable", 0))
        check_that("it says why", path + ": No such file" in head["message"])
    broker.lease(3, chat("x"))
    check("the others go on", broker.result_of(3)[0]["class"], "ok")
    check("calls", len(stage.calls("start")), 1)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write(CANARY)
    broker.lease(4, chat("y"), upstream="keyed")
    check("it is looked for again", broker.result_of(4)[0]["class"], "ok")
    check("with the key", stage.calls("start")[1]["auth"], "Bearer " + CANARY)
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 0)


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


def case_a_ca_file_that_is_missing_stops_its_upstream_only(stage):
    authority = Authority(stage.dir)
    server = stage.start_server(answer_well, authority.context())
    stage.start_upstream()
    missing = os.path.join(stage.dir, "missing.ca")
    broker = stage.start_broker(upstreams=[
        {"name": "test", "base_url": stage.url},
        {"name": "own", "base_url": server.url}])
    conf = keyed_conf(stage.url, "")
    conf += keyed_conf(server.url, "ca_file = " + missing).replace("test", "own")
    stage.start_worker(conf=conf)
    broker.wait_hello()
    check_that("it says so", "event=ca_unreadable upstream=own reason=\"ca_file "
               + missing + ": No such file" in stage.read_log())
    broker.lease(1, chat("x"), upstream="own")
    head, _ = broker.result_of(1)
    check("no call is made", (head["class"], head["code"], head["sent"]),
          ("stop", "ca_unreadable", 0))
    check_that("it says why", missing + ": No such file" in head["message"])
    broker.lease(2, chat("x"))
    check("the others go on", broker.result_of(2)[0]["class"], "ok")
    os.symlink(authority.ca, missing)
    broker.lease(3, chat("x"), upstream="own")
    check("it is looked for again", broker.result_of(3)[0]["class"], "ok")
    os.unlink(missing)
    broker.say("reload")
    broker.until("it is missed", lambda:
                 stage.read_log().count("event=ca_unreadable") == 2)
    broker.lease(4, chat("x"), upstream="own")
    check("again", broker.result_of(4)[0]["code"], "ca_unreadable")
    check("calls", len(server.requests), 1)


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

if __name__ == "__main__":
    main(globals())
