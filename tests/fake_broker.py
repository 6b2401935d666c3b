# fake_broker.py - as much of a broker as a worker can see, under a test's hand
#
# Speaks the workers' verbs of queue/PROTOCOL.md over one ROUTER socket, keeps
# every message it gets, and answers only what it is told to answer. A test
# turns it by waiting for something: nothing happens in between.
#
# SPDX-License-Identifier: MIT
import ctypes
import json
import time

import zmq

ZSTD = ctypes.CDLL("libzstd.so.1")
ZSTD.ZSTD_decompress.restype = ctypes.c_size_t
ZSTD.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t,
                                 ctypes.c_char_p, ctypes.c_size_t]

PATIENCE_S = 10  # nothing that is waited for takes longer

# What stands for the members that a result leaves out.
UNSAID = {
    "code": "", "message": "", "wait_ms": 0, "wait_from": "", "model": "",
    "finish": "", "prompt_tokens": -1, "completion_tokens": -1,
    "total_tokens": -1, "latency_ms": -1, "text_at": 0, "text_bytes": 0,
    "text_follows": 0,
}


class Failed(Exception):
    pass


def unpacked(result, body):
    """The body of a result, which may have come packed."""
    size = result.get("unpacked_bytes", 0)
    if not size:
        return body
    room = ctypes.create_string_buffer(size)
    got = ZSTD.ZSTD_decompress(room, size, body, len(body))
    if got != size:
        raise Failed("a body of %d bytes unpacks to %d" % (size, got))
    return room.raw


def parts(head, body):
    """What the parts of a `turn` would be by themselves; another message is
    itself."""
    if head["verb"] != "turn":
        return [(head, body)]
    found = []
    if "started" in head:
        found.append(({"verb": "started", "held": head["started"]}, b""))
    for result in head.get("results", []):
        size = result.get("bytes", 0)
        found.append(({"verb": "result", **result},
                      unpacked(result, body[:size])))
        body = body[size:]
    if body:
        raise Failed("%d bytes of a body are nobody's" % len(body))
    return found


class Broker:
    """One life of a broker. A second one on the same endpoint is a restart."""

    def __init__(self, endpoint, is_new=True, **welcome):
        self.welcome = {
            "protocol": 1, "session": 1, "heartbeat_ms": 100,
            "lease_ms": 60000, "slots": 5, "drop": [], "upstreams": [],
        }
        self.welcome.update(welcome)
        self.knows_worker = not is_new  # else everything gets a rehello
        self.must_hear_hello = not is_new
        self.answers_hello = True
        self.answers_beats = True
        self.answers_every = 1  # so many beats one
        self.confirms = True
        self.heard = []    # (header, body) in order, turns in their parts
        self.turns = []    # headers of turns
        self.results = []  # the same, results only
        self.slots = []    # counts that the worker told
        self.beats = []    # when they were heard, in seconds
        self.held = None   # of the latest hello or beat
        self.posted = []   # what became of events
        self.notes = True  # of them
        self.peer = None
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.socket.bind(endpoint)

    def close(self):
        self.socket.close()
        self.context.term()

    def say(self, verb, body=None, **members):
        frames = [self.peer, json.dumps({"verb": verb, **members}).encode()]
        if body is not None:
            frames.append(body)
        self.socket.send_multipart(frames)

    def lease(self, request, body, fence=1, upstream="test", kind="text",
              timeout_ms=20000, path="/v1/chat/completions", **members):
        self.say("lease", body, request=request, fence=fence,
                 upstream=upstream, path=path, timeout_ms=timeout_ms,
                 kind=kind, **members)

    def say_turn(self, leases=(), confirmed=()):
        """Several leases, as (members, body), and confirmations at once."""
        offers = [{"fence": 1, "upstream": "test", "timeout_ms": 20000,
                   "path": "/v1/chat/completions", "kind": "text",
                   "bytes": len(body), **members} for members, body in leases]
        self.say("turn", b"".join(body for _, body in leases) or None,
                 confirmed=confirmed, leases=offers)

    def turn(self, wait_ms):
        """Takes one message, if one comes in time."""
        if not self.socket.poll(wait_ms):
            return
        peer, head, *rest = self.socket.recv_multipart()
        self.peer = peer
        head = json.loads(head)
        body = rest[0] if rest else b""
        if head["verb"] == "turn":
            self.turns.append(head)
        for head, body in parts(head, body):
            self.heard.append((head, body))
            self.react(head, body)

    def react(self, head, body):
        verb = head["verb"]
        if verb == "hello":
            self.held = head["held"]
            if self.answers_hello:
                self.say("welcome", **self.welcome)
                self.knows_worker = True
        elif not self.knows_worker:
            self.say("rehello")
        elif verb == "beat":
            self.held = head["held"]
            self.beats.append(time.monotonic())
            if self.answers_beats and len(self.beats) % self.answers_every == 0:
                self.answer_beat(head["nth"])
        elif verb == "slots":
            self.slots.append(head["count"])
        elif verb == "result":
            self.results.append(({**UNSAID, **head}, body))
            if self.confirms:
                self.confirm(head)
        elif verb == "posted":
            self.posted.append(head)
            if self.notes:
                self.say("noted", delivery=head["delivery"],
                         attempt=head["attempt"])

    def answer_beat(self, nth):
        """The last one may be of a worker that has gone already."""
        try:
            self.say("beat", nth=nth)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def confirm(self, result):
        self.say("confirmed", request=result["request"],
                 fence=result["fence"])

    def until(self, claim, condition, patience_s=PATIENCE_S):
        """Turns until the condition holds, and returns its value."""
        end = time.monotonic() + patience_s
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise Failed("not in time: %s" % claim)
            self.turn(20)

    def during(self, seconds):
        """Turns for a while; for claims that something does not happen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn(20)

    def count(self, verb):
        return sum(1 for head, _ in self.heard if head["verb"] == verb)

    def last(self, verb):
        for head, _ in reversed(self.heard):
            if head["verb"] == verb:
                return head
        return None

    def wait_hello(self):
        return self.until("the worker says hello", lambda: self.last("hello"))

    def wait_results(self, count):
        """The first results, in the order they came, when `count` are there."""
        self.until("%d results, got %d" % (count, len(self.results)),
                   lambda: len(self.results) >= count)
        return [head for head, _ in self.results]

    def result_of(self, request):
        def find():
            for head, body in self.results:
                if head["request"] == request:
                    return head, body
            return None
        return self.until("a result of request %d" % request, find)
