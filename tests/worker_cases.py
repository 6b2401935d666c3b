# worker_cases.py - a real sheaf-worker between a fake broker and the upstream
#
#   python3 worker_cases.py BIN [CASE…]
#
# Each function case_* is one claim; see worker_stage.py.
#
# SPDX-License-Identifier: MIT
import base64
import json
import os
import random
import signal
import struct
import subprocess
import time

from fake_broker import Failed
from worker_stage import chat, check, check_that, echo_of, main


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


def case_bodies_of_all_sizes_are_called_whole(stage):
    words = random.Random(1)
    texts = [words.randbytes(size // 2).hex()
             for size in (100, 9000, 200000, 60, 8000, 70000)]
    broker = stage.start_all(slots=3)
    for request, text in enumerate(texts):
        broker.lease(request, chat(text))
    broker.say_turn([({"request": 10 + request}, chat(text + " again"))
                     for request, text in enumerate(texts)])
    for request, text in enumerate(texts):
        for asked, want in ((request, text), (10 + request, text + " again")):
            head, body = broker.result_of(asked)
            said = body[head["text_at"]:head["text_at"] + head["text_bytes"]]
            check("what was called with %d bytes" % len(want), said.decode(),
                  echo_of(want))


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


def case_a_start_is_told_before_the_answer_is_looked_at(stage):
    """While results wait for those beside them, too."""
    released = os.path.join(stage.dir, "released")
    broker = stage.start_all("match=beside until=%s" % released, slots=3,
                             window_ms=25)
    broker.say_turn([({"request": 99}, chat("beside"))] + [
        ({"request": n}, chat("n %d" % n)) for n in range(60)])
    broker.wait_results(60)
    open(released, "w").close()
    broker.wait_results(61)
    told = set()
    for head in broker.turns:
        results = {result["request"] for result in head.get("results", [])}
        check("results of calls that nobody knew of", results - told, set())
        told |= {request for request, _ in head.get("started", [])}
    check("starts that were told", len(told), 61)


def rounds_of(stage, **how):
    """What each message brings of eight calls in two slots."""
    broker = stage.start_all(slots=2, **how)
    broker.say_turn([({"request": request}, chat("n %d" % request))
                     for request in range(8)])
    broker.wait_results(8)
    return [sorted(result["request"] for result in head["results"])
            for head in broker.turns if head.get("results")]


def case_results_of_short_calls_wait_for_the_next_round(stage):
    first = rounds_of(stage, latency_ms=20, window_ms=1000)[0]
    check_that("more than a round comes first: %s" % first, len(first) > 2)


def case_results_of_longer_calls_wait_for_none(stage):
    for results in rounds_of(stage, latency_ms=100, window_ms=25):
        check("rounds in %s" % results, len({n // 2 for n in results}), 1)


def last_words(path):
    """Which requests stand in the file of a worker's lock (last_words.h)."""
    with open(path, "rb") as file:
        text = file.read()
    if text[:8] != b"sheafLW1":
        return []
    head_bytes, body_bytes = struct.unpack("<II", text[16:24])
    check_that("they are whole", len(text) >= 24 + head_bytes + body_bytes)
    head = json.loads(text[24:24 + head_bytes])
    check("bytes of bodies", sum(result["bytes"] for result in head["results"]),
          body_bytes)
    return sorted(result["request"] for result in head["results"])


def kept_by(broker, lock):
    """Results of the first round that wait: on a slow machine not all of it."""
    broker.until("some are kept", lambda: last_words(lock) != [])
    kept = last_words(lock)
    check_that("%s are of the first round" % kept, set(kept) <= {0, 1})
    return kept


def case_what_waits_outlives_the_worker(stage):
    released = os.path.join(stage.dir, "released")
    broker = stage.start_all("match=later until=%s" % released, slots=2,
                             latency_ms=20, window_ms=1000)
    lock = broker.last("hello")["lock"]
    broker.say_turn([({"request": n}, chat("%s %d" % (
        "later" if n in (2, 3) else "n", n))) for n in range(6)])
    kept = kept_by(broker, lock)
    check("results that were sent", broker.results, [])
    stage.worker.kill()
    stage.worker.wait()
    check("what is left of a worker that was killed", last_words(lock), kept)


def case_what_waits_outlives_a_worker_that_has_to_go(stage):
    """Where no broker confirms it; it says no bye, so that it is looked for."""
    released = os.path.join(stage.dir, "released")
    broker = stage.start_all("match=later until=%s" % released, slots=2,
                             latency_ms=20, window_ms=1000)
    lock = broker.last("hello")["lock"]
    broker.confirms = False
    broker.say_turn([({"request": n}, chat("%s %d" % (
        "later" if n in (2, 3) else "n", n))) for n in range(6)])
    kept = kept_by(broker, lock)
    stage.worker.send_signal(signal.SIGTERM)
    broker.wait_results(2)
    stage.worker.send_signal(signal.SIGTERM)
    stage.wait_end(broker, 143)
    check("what is left", last_words(lock), kept)
    check("the broker heard no", broker.count("bye"), 0)


def case_what_arrived_is_kept_no_longer(stage):
    broker = stage.start_all(slots=2, latency_ms=20, window_ms=1000)
    lock = broker.last("hello")["lock"]
    broker.confirms = False
    broker.say_turn([({"request": n}, chat("n %d" % n)) for n in range(8)])
    kept = kept_by(broker, lock)
    broker.wait_results(4)
    check("while they are not confirmed", last_words(lock), kept)
    broker.confirms = True
    broker.until("they are crossed out", lambda: last_words(lock) == [])


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


def case_heartbeats_without_an_answer_make_no_other_one_older(stage):
    broker = stage.start_all(slots=0, lease_ms=800, heartbeat_ms=50)
    broker.answers_every = 3
    broker.lease(1, chat("x"), timeout_ms=1)
    broker.during(2.5)
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


def case_what_is_kept_is_not_at_risk(stage):
    """Two calls a slot are, beside it. No heartbeat is answered meanwhile."""
    broker = stage.start_all(latency_ms=100, window_ms=1000, heartbeat_ms=3000)
    lock = broker.last("hello")["lock"]
    broker.confirms = False
    for request in range(30):
        broker.lease(request, chat("t %d" % request))
    broker.until("more than ten are finished", lambda: len(
        set(head["request"] for head, _ in broker.results)) > 10)
    broker.during(0.5)
    kept = len(last_words(lock))
    check_that("%d are kept" % kept, 0 < kept <= 5)
    check("calls have stopped", stage.stats()["calls"], 10 + kept)
    broker.confirms = True
    broker.until("all are done", lambda: len(
        set(head["request"] for head, _ in broker.results)) == 30)
    check("each called once", stage.stats()["calls"], 30)


def case_what_waits_unkept_is_at_risk(stage):
    """Answers of the second round wait for the last one beside them. They have
    waited for long when that and the third round come, all at once."""
    gates = [os.path.join(stage.dir, name) for name in ("first", "later")]
    words = ["first"] * 5 + ["n"] * 4 + ["later"] * 5 + ["n"] * 16
    broker = stage.start_all("match=first until=%s\nmatch=later until=%s" %
                             tuple(gates), latency_ms=20, window_ms=1000,
                             heartbeat_ms=3000)
    lock = broker.last("hello")["lock"]
    broker.confirms = False
    broker.say_turn([({"request": n}, chat("%s %d" % (word, n)))
                     for n, word in enumerate(words)])
    broker.until("the first round runs",
                 lambda: stage.stats()["in_flight"] == 5)
    open(gates[0], "w").close()
    broker.until("what runs has to wait", lambda: len(stage.calls("end")) == 9
                 and stage.stats()["in_flight"] > 0)
    broker.during(0.05)
    stage.worker.send_signal(signal.SIGSTOP)
    open(gates[1], "w").close()
    broker.until("all have ended", lambda: stage.stats()["in_flight"] == 0)
    broker.lease(30, chat("the broker was heard just now"))
    broker.during(0.05)
    stage.worker.send_signal(signal.SIGCONT)
    broker.until("ten are sent", lambda: len(
        set(head["request"] for head, _ in broker.results)) >= 10)
    broker.during(0.5)
    kept = len(last_words(lock))
    check_that("%d are kept" % kept, kept <= 5)
    check_that("calls have stopped, at %d" % stage.stats()["calls"],
               stage.stats()["calls"] <= 10 + kept)
    broker.confirms = True
    broker.until("all are done", lambda: len(
        set(head["request"] for head, _ in broker.results)) == 31)
    check("each called once", stage.stats()["calls"], 31)


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
    # Longer than a busy machine may keep both of them from running.
    stage.start_worker(conf="[sheaf]\norphan_ttl_ms = 2000\n"
                            "heartbeat_ms = 100\n")
    broker.wait_hello()
    broker.during(2.8)
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


if __name__ == "__main__":
    main(globals())
