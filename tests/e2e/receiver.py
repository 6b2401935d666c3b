# receiver.py - where webhooks point to
#
#   python3 receiver.py PORT_FILE LOG MODES [PORT]
#
# Writes each request to LOG, a JSON object a line. What it answers at /NAME
# stands in the file MODES/NAME: a status, or "hang": nothing until the file says
# something else; 204 without a file. A 302 leads to /elsewhere.
#
# SPDX-License-Identifier: MIT
import http.server
import json
import os
import sys
import threading
import time

PATIENCE_S = 20


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()

    def mode(self):
        try:
            with open(os.path.join(sys.argv[3], self.path[1:])) as file:
                return file.read().strip() or "204"
        except OSError:
            return "204"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        mode = self.mode()
        with self.lock, open(sys.argv[2], "a") as log:
            log.write(json.dumps({
                "at": time.time(), "path": self.path, "mode": mode,
                "body": body.decode(),
                "headers": {name.lower(): value
                            for name, value in self.headers.items()}}) + "\n")
        end = time.monotonic() + PATIENCE_S
        while mode == "hang" and time.monotonic() < end:
            time.sleep(0.02)
            mode = self.mode()
        self.send_response(int(mode) if mode != "hang" else 503)
        if mode == "302":
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # workers that are killed are what is tested


port = int(sys.argv[4]) if len(sys.argv) > 4 else 0
listener = Listener(("127.0.0.1", port), Receiver)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(listener.server_address[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
listener.serve_forever()
