#!/usr/bin/python3
"""uploads.py - cases of 39-uploads.sh: uploads that no package would make

  uploads.py CASE API GATEWAY_PID BROKER_PID

Clients that vanish, forms that are too large, brokers that stand still: what is
left, in the broker and of the spool, is looked at.
"""
# SPDX-License-Identifier: MIT

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

SECONDS = 20
LINE = b'{"custom_id":"%d","method":"POST","url":"/v1/embeddings","body":{}}\n'
END = b"\r\n--b--\r\n"


def check(claim, got, want):
    if got != want:
        sys.exit(f"{claim}\n  got  {str(got)[:500]}\n  want {str(want)[:500]}")


def wait_for(condition, what):
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"not within {SECONDS} s: {what}")
        time.sleep(0.01)


def stored():
    """Files in the store, those that are open included."""
    return json.loads(subprocess.run(
        ["sheaf", "stats", "--json"], check=True, timeout=SECONDS,
        stdout=subprocess.PIPE).stdout)["files"]


def form(content, name="in.jsonl"):
    return (b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n'
            b'batch\r\n--b\r\nContent-Disposition: form-data; name="file"; '
            b'filename="' + name.encode() + b'"\r\n\r\n' + content + END)


def content_of(count):
    return b"".join(LINE % number for number in range(count))


class Gateway:
    def __init__(self, api, pid):
        self.api, self.pid = api, pid
        self.host, port = api[len("http://"):].split(":")
        self.port = int(port)

    def ask(self, path, body=None, **headers):
        """Status and JSON of a request as a plain client makes it."""
        head = {"Content-Type": "multipart/form-data; boundary=b"}
        head.update({k.replace("_", "-"): v for k, v in headers.items()})
        try:
            with urllib.request.urlopen(urllib.request.Request(
                    self.api + path, body, head), timeout=SECONDS) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def begin(self, length):
        """A connection on which a form of that length is to follow."""
        sock = socket.create_connection((self.host, self.port), SECONDS)
        sock.sendall(f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\n"
                     f"Content-Type: multipart/form-data; boundary=b\r\n"
                     f"{length}\r\n\r\n".encode())
        return sock

    def is_closed(self):
        """Whether nobody listens. A connection that was in the queue of
        a listener as it closed is reset: the next one tells."""
        try:
            socket.create_connection((self.host, self.port), SECONDS).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            pass
        return False

    def files(self):
        return [file["id"] for file in self.ask("/v1/files")[1]["data"]]

    def spooled(self):
        """How many files of the spool it has open."""
        found = 0
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                found += "/spool/" in os.readlink(f"/proc/{self.pid}/fd/{fd}")
            except FileNotFoundError:
                pass
        return found


def vanish(gateway, _):
    """A client that goes within its form leaves nothing."""
    before = gateway.files()
    text = form(content_of(50000))
    sock = gateway.begin(f"Content-Length: {len(text)}")
    sock.sendall(text[:len(text) // 2])
    wait_for(lambda: gateway.spooled() == 1, "an upload that has begun")
    sock.close()
    wait_for(lambda: gateway.spooled() == 0, "its end")
    check("files after a client that went", gateway.files(), before)


def late(gateway, broker):
    """Nor does one that goes while the broker is asked."""
    before = stored()
    text = form(content_of(10000))
    os.kill(broker, signal.SIGSTOP)
    try:
        sock = gateway.begin(f"Content-Length: {len(text)}")
        sock.sendall(text)
        wait_for(lambda: gateway.spooled() == 1, "an upload that has begun")
        sock.shutdown(socket.SHUT_WR)
        # The gateway closes when it has seen that the client is gone.
        sock.settimeout(SECONDS)
        check("what a client gets that has gone", sock.recv(100), b"")
        sock.close()
    finally:
        os.kill(broker, signal.SIGCONT)
    wait_for(lambda: gateway.spooled() == 0, "its end")
    wait_for(lambda: stored() == before, "the file is taken back")


def large(gateway, _):
    """Refused by its length, and by its count, and the reply is read."""
    text = form(b"x" * 9000000)
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in
                      (text[at:at + 100000]
                       for at in range(0, len(text), 100000))) + b"0\r\n\r\n"
    for length, body in ((f"Content-Length: {len(text)}", text),
                         ("Transfer-Encoding: chunked", pieces)):
        sock = gateway.begin(length)
        sock.sendall(body)  # all of it, before a byte of the reply is read
        reply = b""
        while piece := sock.recv(65536):
            reply += piece
        check(f"the reply to {length}", reply[:12], b"HTTP/1.1 413")
        check("that the connection ends", b"\r\nConnection: close\r\n" in reply,
              True)
    wait_for(lambda: gateway.spooled() == 0, "the end of what was refused")


def keyed(gateway, _):
    """The same upload under the same key is the same file."""
    text = form(content_of(3))
    status, first = gateway.ask("/v1/files", text, Idempotency_Key="k")
    check("the first upload", status, 200)
    check("the same again", gateway.ask("/v1/files", text, Idempotency_Key="k"),
          (200, first))
    status, reply = gateway.ask("/v1/files", form(content_of(4)),
                                Idempotency_Key="k")
    check("another under its key", (status, reply["error"]["code"]),
          (409, "conflict"))
    status, reply = gateway.ask("/v1/files", form(content_of(3)[::-1]),
                                Idempotency_Key="k")
    check("one of the same length", (status, reply["error"]["code"]),
          (409, "conflict"))
    check("the file is there still", first["id"] in gateway.files(), True)
    status, reply = gateway.ask("/v1/files", text, Idempotency_Key="k" * 129)
    check("a key that is too long", status, 400)


def crowd(gateway, _):
    """Several at a time are not mixed up."""
    texts = [content_of(20000 + number) for number in range(6)]
    replies = [None] * len(texts)

    def upload(number):
        replies[number] = gateway.ask("/v1/files", form(texts[number]))

    threads = [threading.Thread(target=upload, args=(number,))
               for number in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for text, (status, file) in zip(texts, replies):
        check("an upload of several", status, 200)
        with urllib.request.urlopen(
                f"{gateway.api}/v1/files/{file['id']}/content",
                timeout=SECONDS) as reply:
            check("its content", reply.read() == text, True)


def outlive(gateway, broker):
    """An upload outlives its broker, which the script kills at `sent`."""
    content = content_of(20000)
    text = form(content)
    os.kill(broker, signal.SIGSTOP)
    sock = gateway.begin(f"Content-Length: {len(text)}\r\nConnection: close")
    sock.sendall(text)
    wait_for(lambda: gateway.spooled() == 1, "an upload that has begun")
    with open("sent", "wb"):
        pass
    reply = b""
    while piece := sock.recv(65536):
        reply += piece
    check("the reply over a new broker", reply[:12], b"HTTP/1.1 200")
    file = json.loads(reply[reply.index(b"{"):])
    check("the file", (file["bytes"], file["id"] in gateway.files()),
          (len(content), True))


def drain(gateway, _):
    """A gateway that is told to stop lets an upload end."""
    text = form(content_of(50000))
    sock = gateway.begin(f"Content-Length: {len(text)}")
    sock.sendall(text[:len(text) // 2])
    wait_for(lambda: gateway.spooled() == 1, "an upload that has begun")
    os.kill(gateway.pid, signal.SIGTERM)
    wait_for(gateway.is_closed, "the end of its listening")
    sock.sendall(text[len(text) // 2:])
    check("the reply of a gateway that stops", sock.recv(12), b"HTTP/1.1 200")


def end(gateway, broker):
    """Told twice, it ends at once, whatever is under way."""
    text = form(content_of(1000))
    os.kill(broker, signal.SIGSTOP)
    try:
        sock = gateway.begin(f"Content-Length: {len(text)}")
        sock.sendall(text)
        wait_for(lambda: gateway.spooled() == 1, "an upload that has begun")
        os.kill(gateway.pid, signal.SIGTERM)
        wait_for(gateway.is_closed, "the end of its listening")
        os.kill(gateway.pid, signal.SIGTERM)
        check("what a client gets of it", sock.recv(100), b"")
    finally:
        os.kill(broker, signal.SIGCONT)


def main():
    case, api, gateway, broker = sys.argv[1:]
    globals()[case](Gateway(api, int(gateway)), int(broker))


if __name__ == "__main__":
    main()
