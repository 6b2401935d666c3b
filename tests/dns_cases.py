# dns_cases.py - a real sheaf-worker whose name server never answers
#
#   python3 dns_cases.py BIN [CASE…]
#
# To be run where 127.0.0.1 is the name server and nothing listens there yet:
# see e2e/nameless.sh. Each function case_* is one claim, as worker_stage.py has
# it.
#
# SPDX-License-Identifier: MIT
import os
import signal
import time

from silence import bring_up_loopback, listen_in_silence
from worker_stage import chat, check, check_that, main

GAP_S_MAX = 1.0     # what one thing may hold up another
HEARTBEAT_S = 0.1   # as the fake broker asks for


def was_asked(sink):
    sink.setblocking(False)
    try:
        return len(sink.recv(512)) > 0
    except BlockingIOError:
        return False


def start(stage, env=None, **dead):
    stage.start_upstream()
    broker = stage.start_broker(slots=8, upstreams=[
        {"name": "dead", "base_url": "http://nobody.example/v1", **dead},
        {"name": "test", "base_url": stage.url}])
    stage.start_worker("--capacity", "8", env=env)
    broker.wait_hello()
    broker.until("heartbeats come", lambda: len(broker.beats) >= 3)
    return broker


def work_for(broker, seconds, first=1000):
    """Calls the upstream that lives, one by one; the longest time it took."""
    end = time.monotonic() + seconds
    longest, request = 0, first
    while time.monotonic() < end:
        begin = time.monotonic()
        broker.lease(request, chat("text %d" % request))
        check("it goes on", broker.result_of(request)[0]["class"], "ok")
        longest = max(longest, time.monotonic() - begin)
        request += 1
    return longest, request - first


def longest_gap(broker, since):
    beats = [when for when in broker.beats if when >= since]
    return max(b - a for a, b in
               zip([since] + beats, beats + [time.monotonic()]))


def measure(stage, broker, what, seconds=6):
    since = time.monotonic()
    longest, count = work_for(broker, seconds)
    gap = longest_gap(broker, since)
    print("%s: %d other calls, the longest %.3f s; heartbeats every %.1f s, "
          "the longest gap %.3f s" % (what, count, longest, HEARTBEAT_S, gap))
    check_that("heartbeats go on, gap %.3f s" % gap, gap < GAP_S_MAX)
    check_that("calls go on, %.3f s" % longest, longest < GAP_S_MAX)


def case_calls_that_are_given_up_hold_up_nothing(stage):
    sink = listen_in_silence()
    broker = start(stage, env={"RES_OPTIONS": "timeout:5 attempts:2"},
                   connect_timeout_ms=500)
    for request in range(1, 6):
        broker.lease(request, chat("x %d" % request), upstream="dead")
    measure(stage, broker, "connections given up after 0.5 s")
    check_that("the name server was asked", was_asked(sink))
    check("each has failed",
          [(head["code"], head["sent"]) for head, _ in broker.results
           if head["request"] < 6], [("timeout", 0)] * 5)
    sink.close()


def case_calls_that_are_cancelled_hold_up_nothing(stage):
    sink = listen_in_silence()
    broker = start(stage, env={"RES_OPTIONS": "timeout:5 attempts:2"},
                   connect_timeout_ms=10000)
    for request in range(1, 6):
        broker.lease(request, chat("x %d" % request), upstream="dead")
    broker.until("they run", lambda: sum(
        started for _, _, started in broker.held) == 5)
    broker.say("cancel", requests=[[request, 1] for request in range(1, 6)])
    measure(stage, broker, "calls cancelled", seconds=2)
    broker.until("they are gone", lambda: broker.held == [])
    check_that("the name server was asked", was_asked(sink))
    sink.close()


def case_a_dead_name_server_is_noticed_in_time(stage):
    sink = listen_in_silence()
    broker = start(stage, connect_timeout_ms=10000)
    for request in range(1, 6):
        broker.lease(request, chat("x %d" % request), upstream="dead")
    measure(stage, broker, "names looked up to the end")
    for request in range(1, 6):
        head, _ = broker.result_of(request)
        check("it says what it was", (head["class"], head["code"],
                                      head["sent"]),
              ("retryable", "name_not_resolved", 0))
        took_s = head["latency_ms"] / 1000
        check_that("before its connection is given up, %.1f s" % took_s,
                   took_s < 9)
    broker.until("no thread is left", lambda: len(os.listdir(
        "/proc/%d/task" % stage.worker.pid)) <= 3)
    sink.close()


def case_an_end_does_not_wait_for_a_name(stage):
    sink = listen_in_silence()
    broker = start(stage, env={"RES_OPTIONS": "timeout:5 attempts:2"},
                   connect_timeout_ms=10000)
    broker.lease(1, chat("x"), upstream="dead")
    broker.until("it runs", lambda: broker.held == [[1, 1, 1]])
    stage.worker.send_signal(signal.SIGTERM)
    stage.await_true("it drains",
                     lambda: "event=draining" in stage.read_log())
    begin = time.monotonic()
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 143)
    took = time.monotonic() - begin
    check_that("at once, %.3f s" % took, took < GAP_S_MAX)
    sink.close()


if __name__ == "__main__":
    bring_up_loopback()
    main(globals())
