# fake_server.py - an HTTP server in a test's hand, with or without TLS
#
# Keeps every request, and answers what a function of the test says. For what
# the test upstream (tests/upstream.c) does not do: TLS, and tokens that differ
# from one request to the next.
#
# SPDX-License-Identifier: MIT
import http.server
import json
import os
import ssl
import subprocess
import threading
import time

PATIENCE_S = 20  # a connection that says nothing is closed then


class Request:
    def __init__(self, path, headers, body):
        self.path = path
        self.headers = headers
        self.body = body
        self.time = time.monotonic()


class Server:
    """`answer` takes a Request and gives status, headers and body."""

    def __init__(self, answer, context=None):
        self.answer = answer
        self.requests = []
        self.lock = threading.Lock()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = PATIENCE_S
            wbufsize = -1  # head and body in one packet

            def do_POST(self):
                owner.serve(self)

            def log_message(self, *args):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                connection, address = super().get_request()
                connection.settimeout(PATIENCE_S)
                if context:
                    connection = context.wrap_socket(
                        connection, server_side=True,
                        do_handshake_on_connect=False)
                return connection, address

            def handle_error(self, request, client_address):
                pass  # clients that leave are what is tested

        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.url = "%s://127.0.0.1:%d" % ("https" if context else "http",
                                          self.listener.server_address[1])
        threading.Thread(target=self.listener.serve_forever,
                         kwargs={"poll_interval": 0.02}, daemon=True).start()

    def serve(self, handler):
        length = int(handler.headers.get("Content-Length", 0))
        request = Request(handler.path, handler.headers,
                          handler.rfile.read(length))
        with self.lock:
            self.requests.append(request)
        status, headers, body = self.answer(request)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if "Content-Length" not in headers:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self):
        self.listener.shutdown()
        self.listener.server_close()


class Authority:
    """A CA, and the certificates that it gives out."""

    def __init__(self, directory):
        self.directory = directory
        self.ca = self.path("ca.pem")
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", "/CN=test", "-keyout", self.path("ca.key"),
                 "-out", self.ca)

    def path(self, leaf):
        return os.path.join(self.directory, leaf)

    def run(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def context(self, name="IP:127.0.0.1"):
        """For a server of that name."""
        key, request, chain = (self.path(leaf) for leaf in
                               ("key.pem", "request.pem", "chain.pem"))
        with open(self.path("extensions"), "w") as file:
            file.write("subjectAltName = %s\n" % name)
        self.run("req", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                 "/CN=server", "-keyout", key, "-out", request)
        self.run("x509", "-req", "-days", "2", "-in", request, "-CA", self.ca,
                 "-CAkey", self.path("ca.key"), "-CAcreateserial", "-extfile",
                 self.path("extensions"), "-out", chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        return context


def answer_well(request):
    """What an upstream says that has nothing to complain about."""
    return 200, {"Content-Type": "application/json"}, json.dumps(
        {"model": "m", "choices": [{"message": {"content": "well"},
                                    "finish_reason": "stop"}]}).encode()
