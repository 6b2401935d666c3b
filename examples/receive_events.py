#!/usr/bin/python3
"""receive_events.py - what a [webhook "name"] section points to, in plain Python

    receive_events.py SECRET_FILE [PORT]

Listens on 127.0.0.1:PORT (8080) and prints a line for each event: its type, and
the batch. Three things make a receiver a good one:

- It verifies the signature before it believes anything, and refuses what is
  older than five minutes: somebody may have recorded it.
- It answers at once, with 204, and does its work afterwards. What takes longer
  than `timeout_ms` is posted again.
- It knows the events that it has had by their id: each comes at least once.

An answer of 410 says that this event is not wanted at all; any other status
than 2xx, that it is to come again.
"""
# SPDX-License-Identifier: MIT
import base64
import hashlib
import hmac
import http.server
import json
import sys
import time

TOO_OLD_S = 300
BODY_BYTES_MAX = 65536
CLIENT_S = 10  # a connection that says nothing is closed then
SEEN_MAX = 10000


def read_key(path):
    with open(path) as file:
        return base64.b64decode(file.read().strip().removeprefix("whsec_"))


def is_signed(key, headers, body):
    """True if the body is ours, by one of the signatures, and fresh."""
    event = headers.get("webhook-id", "")
    sent = headers.get("webhook-timestamp", "")
    if not sent.isdecimal() or abs(time.time() - int(sent)) > TOO_OLD_S:
        return False
    what = b".".join([event.encode(), sent.encode(), body])
    want = base64.b64encode(hmac.new(key, what, hashlib.sha256).digest())
    return any(hmac.compare_digest(b"v1," + want, given.encode())
               for given in headers.get("webhook-signature", "").split())


class Receiver(http.server.BaseHTTPRequestHandler):
    timeout = CLIENT_S
    seen = {}  # ids, the oldest first

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            self.answer(413)
            return
        body = self.rfile.read(int(length))
        if not is_signed(self.server.key, self.headers, body):
            self.answer(400)
            return
        self.answer(204)
        event = json.loads(body)
        if event["id"] in self.seen:
            return
        self.seen[event["id"]] = True
        if len(self.seen) > SEEN_MAX:
            self.seen.pop(next(iter(self.seen)))
        print(event["type"], event["data"].get("id", ""), flush=True)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()

    def log_message(self, *args):
        pass


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.split("\n\n")[1].strip())
    port = int(sys.argv[2]) if len(sys.argv) == 3 else 8080
    server = http.server.HTTPServer(("127.0.0.1", port), Receiver)
    server.key = read_key(sys.argv[1])
    print("listening on port", server.server_address[1], file=sys.stderr,
          flush=True)
    server.serve_forever()


main()
