# streams.py - what pages cost the broker, and what they are told
#
#   streams.py SHEAF_HTTP costs    many streams, and none
#   streams.py SHEAF_HTTP drops    one that does not read
#
# A broker of a few verbs counts what it is asked. Nothing waits for a time, but
# for what must come within it.
#
# SPDX-License-Identifier: MIT
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import zmq

WAIT_S = 40
READERS = 20
BATCHES = 100
NAME_BYTES = 256
SEARCHED_MAX = 20000
FAR = 10000000  # a cursor behind which a page is empty, and goes on so far
FAR_GOES_ON = 1000
RESULT = b'{"seq":%d,"custom_id":"x","status":"ok","text":"nothing"}\n'
ENDPOINT = "ipc://" + os.path.abspath("streams-%s.sock" % sys.argv[2])


class Failed(Exception):
    pass


def until(claim, test):
    end = time.monotonic() + WAIT_S
    while not test():
        if time.monotonic() > end:
            raise Failed("not within %d s: %s" % (WAIT_S, claim))
        time.sleep(0.02)


class Broker(threading.Thread):
    """Answers what the gateway asks, and counts it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.asked = {}
        self.changes_all = False  # each time it is asked
        self.done = [0] * BATCHES
        self.turns = 0
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.bind(ENDPOINT)

    def rows(self, head):
        """How many results a page has: behind FAR, the first one has none."""
        return 0 if head["after"] == FAR else head["limit"]

    def behind(self, head):
        return head["after"] + (self.rows(head) or FAR_GOES_ON)

    def answer(self, head):
        verb = head["verb"]
        if verb == "hello":
            return {"verb": "welcome", "version": "0.0.1", "limits": {}}
        if verb == "stats":
            return {"verb": verb, "stats": {"calls": 1, "upstreams": []}}
        if verb in ("upstreams", "alerts"):
            return {"verb": verb, verb: []}
        if verb == "results":
            return {"verb": verb, "more": True, "cursor": self.behind(head)}
        if verb != "list":
            return {"verb": "error", "code": "protocol", "message": verb}
        self.turns += self.changes_all
        return {"verb": verb, "more": False, "batches": [
            {"batch": "%08d-0000-4000-8000-000000000000" % i,
             "name": ("%d " % self.turns).ljust(NAME_BYTES, "x"),
             "counts": {"done": self.done[i]}} for i in range(BATCHES)]}

    def run(self):
        while True:
            peer, head = self.socket.recv_multipart()[:2]
            head = json.loads(head)
            self.asked[head["verb"]] = self.asked.get(head["verb"], 0) + 1
            answer = dict(self.answer(head), re=head["re"])
            body = b""
            if head["verb"] == "results":
                body = b"".join(
                    RESULT % (head["after"] + 1 + i)
                    for i in range(self.rows(head)))
            self.socket.send_multipart(
                [peer, json.dumps(answer).encode(), body])


class Reader(threading.Thread):
    """A page, as far as its stream goes."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.events = []  # (name, data)
        self.is_ended = False
        self.socket = connect(port)
        self.start()

    def run(self):
        file = self.socket.makefile("rb")
        name = None
        try:
            for line in file:
                if line.startswith(b"event: "):
                    name = line[7:].strip().decode()
                elif line.startswith(b"data: "):
                    self.events.append((name, json.loads(line[6:])))
        except OSError:
            pass
        self.is_ended = True

    def all(self, name):
        return [data for wanted, data in self.events if wanted == name]


def connect(port, receive_bytes=None):
    client = socket.socket()
    if receive_bytes:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.connect(("127.0.0.1", port))
    client.sendall(b"GET /ui/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client


def start_gateway(program):
    gateway = subprocess.Popen(
        [program, "--broker", ENDPOINT, "--listen", "127.0.0.1:0",
         "--metrics-listen", "127.0.0.1:0", "--connections-each", "128"],
        stdout=subprocess.PIPE, text=True,
        stderr=open("streams-%s.err" % sys.argv[2], "w"))
    port = int(gateway.stdout.readline().rsplit(":", 1)[1])
    return gateway, port


def resident_kib(pid):
    with open("/proc/%d/status" % pid) as file:
        row = next(row for row in file if row.startswith("VmRSS"))
    return int(row.split()[1])


def ended(client):
    """True if the gateway has closed a connection, seen from its side: who does
    not read does not hear of it."""
    with open("/proc/net/tcp") as file:
        here, there = client.getsockname()[1], client.getpeername()[1]
        for row in file:
            fields = row.split()
            if fields[0] != "sl" and \
                    int(fields[1].split(":")[1], 16) == there and \
                    int(fields[2].split(":")[1], 16) == here:
                return fields[3] != "01"  # not established
    return True


def many_cost_as_one(broker, port):
    readers = [Reader(port) for _ in range(READERS)]
    until("each reader knows the batches",
          lambda: all(reader.all("batches") for reader in readers))
    before = dict(broker.asked)
    until("five polls", lambda: broker.asked["list"] >= before["list"] + 5)
    for verb in ("stats", "upstreams", "alerts"):
        more = broker.asked[verb] - before[verb]
        if not 3 <= more <= 7:
            raise Failed("%d readers: %d times %s within five polls" %
                         (READERS, more, verb))
    first = readers[0].all("batches")[0]
    if len(first["batches"]) != BATCHES or len(first["order"]) != BATCHES:
        raise Failed("the first event holds not all batches")
    broker.done[7] = 1
    until("each reader knows what has changed",
          lambda: all(len(reader.all("batches")) == 2 for reader in readers))
    change = readers[0].all("batches")[1]
    if len(change["batches"]) != 1 or "order" in change or \
            change["batches"][0]["counts"]["done"] != 1:
        raise Failed("of one change is told: %.200s" % change)
    return readers


def nobody_costs_little(broker, readers):
    for reader in readers:
        reader.socket.shutdown(socket.SHUT_RDWR)
    until("all streams are ended", lambda: all(r.is_ended for r in readers))
    count = broker.asked["stats"]
    until("a sample", lambda: broker.asked["stats"] > count)
    before = dict(broker.asked)
    until("another one", lambda: broker.asked["stats"] > before["stats"])
    for verb in ("list", "upstreams", "alerts"):
        if broker.asked[verb] != before[verb]:
            raise Failed("nobody looks, and %s is asked" % verb)


def a_search_has_an_end(port):
    """However many results there are, one reply looks at so many."""
    for query, found, searched, cursor, asked in (
            ("text=NOTHING&limit=3", 3, 3, 3, "a match"),
            ("text=something", 0, SEARCHED_MAX, SEARCHED_MAX, "no match"),
            ("status=fallback", 0, SEARCHED_MAX, SEARCHED_MAX,
             "no such status"),
            ("after=7&limit=5", 5, 5, 12, "all of them"),
            ("after=%d&limit=5" % FAR, 5, 5, FAR + FAR_GOES_ON + 5,
             "behind an empty page")):
        url = "http://127.0.0.1:%d/ui/batches/b/results?%s" % (port, query)
        with urllib.request.urlopen(url, timeout=WAIT_S) as reply:
            page = json.load(reply)
        if (len(page["results"]), page["searched"], page["cursor"],
                page["more"]) != (found, searched, cursor, True):
            raise Failed("%s: %s" % (asked, page))


def who_does_not_read_is_dropped(broker, port, gateway):
    broker.changes_all = True
    reader = Reader(port)
    until("the reader reads", lambda: reader.all("batches"))
    before_kib = resident_kib(gateway.pid)
    idle = connect(port, 4096)
    until("who does not read is dropped", lambda: ended(idle))
    grown_kib = resident_kib(gateway.pid) - before_kib
    # A sanitizer keeps what was freed.
    if grown_kib > 4096 and not os.environ.get("SAN"):
        raise Failed("for it, %d KiB were kept" % grown_kib)
    count = len(reader.all("batches"))
    until("the others go on", lambda: len(reader.all("batches")) > count)


def main():
    broker = Broker()
    broker.start()
    gateway, port = start_gateway(sys.argv[1])
    try:
        if sys.argv[2] == "costs":
            readers = many_cost_as_one(broker, port)
            nobody_costs_little(broker, readers)
            a_search_has_an_end(port)
        else:
            who_does_not_read_is_dropped(broker, port, gateway)
        gateway.terminate()
        if gateway.wait(WAIT_S) != 0:
            raise Failed("the gateway ends with %d" % gateway.returncode)
    except Failed as failure:
        print("streams.py: %s" % failure, file=sys.stderr)
        return 1
    finally:
        gateway.kill()
    print({"costs": "%d pages cost the broker as much as one" % READERS,
           "drops": "a page that does not read is dropped"}[sys.argv[2]])
    return 0


sys.exit(main())
