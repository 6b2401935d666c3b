# gate.py - cases of 38-gate.sh: what is sent to the HTTP gateway, and what is to
# come back
#
#   gate.py abuse|crowd|drips|completions|… URL…
#
# Most of it speaks over plain sockets, as no HTTP library would.
# SPDX-License-Identifier: MIT
import hashlib
import json
import os
import re
import socket
import sys
import threading
import time
import urllib.error
import urllib.request

SECONDS = 10  # for a reply that is to come at once
failures = []


def check(claim, got, want):
    if got != want:
        failures.append(f"{claim}\n  got  {got!r}\n  want {want!r}")


def place(url):
    host, port = url[len("http://"):].split(":")
    return host, int(port)


def connect(url, source=None):
    return socket.create_connection(
        place(url), timeout=SECONDS,
        source_address=(source, 0) if source else None)


def read_all(sock):
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def raw(url, data):
    """What comes back until the server closes the connection."""
    with connect(url) as sock:
        try:
            sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was refused before its end
        return read_all(sock)


def statuses(reply):
    return [int(status) for status in
            re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", reply)]


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.json = json.loads(body) if body[:1] == b"{" else None
        self.code = ((self.json or {}).get("error") or {}).get("code")


def request(url, path, body=None, token=None, source=None, **headers):
    """One request as a plain client makes it."""
    data = body if body is None or isinstance(body, bytes) else \
        json.dumps(body).encode()
    head = {"Content-Type": "application/json"} if data is not None else {}
    if token:
        head["Authorization"] = "Bearer " + token
    head.update({k.replace("_", "-"): v for k, v in headers.items()})
    if source:
        return request_from(url, path, head, source)
    try:
        answer = urllib.request.urlopen(
            urllib.request.Request(url + path, data, head), timeout=60)
        return Reply(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())


def request_from(url, path, headers, source):
    head = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    with connect(url, source) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{head}"
                     "Connection: close\r\n\r\n".encode())
        reply = read_all(sock)
    top, _, body = reply.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1)
                  for line in top.decode().split("\r\n")[1:])
    return Reply(int(top.split()[1]), fields, body)


def chat(text):
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def complete(url, text, **more):
    return request(url, "/v1/chat/completions", chat(text), **more)


def healthy(watch):
    return request(watch, "/healthz").status == 200


def metric(watch, name):
    for line in request(watch, "/metrics").body.decode().split("\n"):
        if line.startswith(name + " "):
            return float(line.split()[1])
    return None


def until(claim, condition, seconds=SECONDS):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            failures.append(f"{claim}: not within {seconds} s")
            return
        time.sleep(0.02)


# ---- abuse ----

SECOND = b"GET /second HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
TYPE = b"Content-Type: application/json\r\n"
FORM = (b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n'
        b'batch\r\n--x\r\nContent-Disposition: form-data; name="file"; '
        b'filename="a.jsonl"\r\n\r\n{}\n\r\n--x--\r\n')
MODELS = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n"

ABUSES = [
    ("a length beside a coding", CHAT + TYPE + b"Content-Length: 4\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("two lengths", CHAT + TYPE + b"Content-Length: 2\r\nContent-Length: 50\r\n"
     b"\r\n{}", 400),
    ("a length that is negative", CHAT + TYPE + b"Content-Length: -2\r\n\r\n{}",
     400),
    ("bare line feeds", b"GET /v1/models HTTP/1.1\nHost: localhost\n\n", 400),
    ("a bare line feed within", MODELS + b"A: b\nC: d\r\n\r\n", 400),
    ("a bare line feed at the end", MODELS + b"\n", 400),
    ("a blank before the colon", CHAT + TYPE +
     b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("another coding", CHAT + TYPE + b"Transfer-Encoding: gzip\r\n\r\n"
     b"0\r\n\r\n", 400),
    ("a NUL in the path", b"GET /v1/models%00/x HTTP/1.1\r\nHost: localhost"
     b"\r\n\r\n", 400),
    ("a slash in a segment", b"GET /v1%2fmodels HTTP/1.1\r\nHost: localhost"
     b"\r\n\r\n", 400),
    ("dots in the path", b"GET /v1/../v1/models HTTP/1.1\r\nHost: localhost"
     b"\r\n\r\n", 400),
    ("a NUL in a field", MODELS + b"A: b\0c\r\n\r\n", 400),
    ("a folded line", MODELS + b"A: b\r\n c: d\r\n\r\n", 400),
    ("two authorizations", MODELS + b"Authorization: Bearer a\r\n"
     b"Authorization: Bearer b\r\n\r\n", 400),
    ("two hosts", MODELS + b"Host: localhost\r\n\r\n", 400),
    ("40 KB of header", MODELS + b"A: " + b"a" * 40000 + b"\r\n\r\n", 431),
    ("100 KB of header", MODELS + b"A: " + b"a" * 100000 + b"\r\n\r\n", 431),
    ("100 fields", MODELS + b"".join(b"A%d: b\r\n" % i for i in range(100)) +
     b"\r\n", 431),
    ("a chunk's size of 17 digits", CHAT + TYPE +
     b"Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n",
     413),
    ("a body that is too large", CHAT + TYPE +
     b"Content-Length: 99999999999999999999\r\n\r\n{}", (400, 413)),
    ("another version", b"GET /v1/models HTTP/1.2\r\nHost: localhost\r\n\r\n",
     505),
    ("no version", b"GET /v1/models\r\n\r\n", 400),
    ("a form", CHAT + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n"
     b"{}", 415),
    ("a compressed body", CHAT + TYPE + b"Content-Encoding: gzip\r\n"
     b"Content-Length: 2\r\n\r\n{}", 415),
    ("a body where none is expected", MODELS + TYPE +
     b"Content-Length: 2\r\n\r\n{}", 400),
    ("another method", b"PUT /v1/models HTTP/1.1\r\nHost: localhost\r\n"
     b"Content-Length: 2\r\n\r\n{}", 405),
]


def abuse(api, watch):
    for claim, data, want in ABUSES:
        reply = raw(api, data + SECOND)
        got = statuses(reply)
        # Of a length that is none the library says so twice, in one reply.
        if len(got) == 2 and got[0] == got[1] and b"<html>" in reply:
            got = got[:1]
        if isinstance(want, tuple):
            want = got[0] if got and got[0] in want else want
        check(claim, got, [want])
        check(claim + ": /healthz", healthy(watch), True)
    # Two requests that are well-formed are two, or nothing would be shown above.
    reply = raw(api, MODELS + b"\r\n" + SECOND)
    check("two requests", statuses(reply), [200, 404])
    reply = raw(api, b"DELETE /v1/models HTTP/1.1\r\nHost: localhost\r\n"
                b"Connection: close\r\n\r\n")
    check("a method that is not served", b"\r\nAllow: GET, HEAD\r\n" in reply,
          True)
    for field in (b"X-Content-Type-Options: nosniff", b"x-request-id: req_",
                  b"Cache-Control: no-store", b"x-should-retry: false"):
        check(f"every error has {field}", field in reply, True)
    reply = raw(api, b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n"
                b"Connection: close\r\n\r\n")
    check("a page under another name", statuses(reply), [403])
    # A form is sent to whatever host a page likes, and asks nobody before.
    for origin, want in ((b"https://evil.example", 403), (b"null", 403),
                         (b"http://localhost", 200)):
        reply = raw(api, b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\n"
                    b"Origin: %s\r\nConnection: close\r\nContent-Type: "
                    b"multipart/form-data; boundary=x\r\nContent-Length: %d"
                    b"\r\n\r\n%s" % (origin, len(FORM), FORM))
        check(f"a form on a page of {origin}", statuses(reply), [want])
    check("a token in the URL",
          request(api, "/v1/models?api_key=sk-1").code, "token_in_url")
    check("an unknown path", request(api, "/v1/nothing").code, "unknown_url")


def crowd(api, watch):
    crowd = []
    for _ in range(300):
        try:
            crowd.append(connect(api))
        except OSError:
            pass
    check("a crowd: /healthz", healthy(watch), True)
    until("a crowd is thinned out",
          lambda: (metric(watch, "sheaf_http_connections") or 0) <= 130)
    for sock in crowd:
        sock.close()
    until("a crowd has gone",
          lambda: metric(watch, "sheaf_http_connections") <= 4)
    check("after a crowd", request(api, "/v1/models").status, 200)


def drip(url, data, connected, result):
    """Sends byte by byte; how it ended, and after how long."""
    start = time.monotonic()
    reply = b""
    with connect(url) as sock:
        connected.wait()
        sock.settimeout(0.3)
        for i in range(10 ** 6):
            try:
                sock.send(data[i % len(data):][:1])
                if not (piece := sock.recv(65536)):
                    break
                reply += piece
            except socket.timeout:
                pass
            except OSError:
                break
            if time.monotonic() - start > 25:
                break
    result.append((statuses(reply), time.monotonic() - start))


def drips(api, watch):
    head, body, rest = [], [], []
    body_head = CHAT + TYPE + b"Content-Length: 100000\r\n\r\n"
    connected = threading.Barrier(4, timeout=SECONDS)

    def drip_body():
        start = time.monotonic()
        with connect(api) as sock:
            connected.wait()
            sock.sendall(body_head)
            sock.settimeout(0.3)
            reply = b""
            while time.monotonic() - start < 25:
                try:
                    sock.send(b" ")
                    if not (piece := sock.recv(65536)):
                        break
                    reply += piece
                except socket.timeout:
                    pass
                except OSError:
                    break
        body.append((statuses(reply), time.monotonic() - start))

    threads = [
        threading.Thread(target=drip, args=(api, MODELS + b"A: " + b"a" * 999,
                                            connected, head)),
        threading.Thread(target=drip_body),
        threading.Thread(
            target=lambda: rest.append(raw_silent(api, connected))),
    ]
    for thread in threads:
        thread.start()
    connected.wait()
    print("all are connected", flush=True)
    unhealthy = 0
    while any(thread.is_alive() for thread in threads):
        unhealthy += not healthy(watch)
        time.sleep(0.1)
    check("a header that drips is refused", head[0][0], [408])
    check("a body that drips is refused", body[0][0], [408])
    check("a client that says nothing is refused", rest[0], [408])
    check("in time", head[0][1] < 20 and body[0][1] < 20, True)
    check("/healthz meanwhile", unhealthy, 0)
    print(f"drips end after {head[0][1]:.0f} and {body[0][1]:.0f} s")


def raw_silent(url, connected):
    with connect(url) as sock:
        connected.wait()
        sock.settimeout(25)
        return statuses(read_all(sock))


# ---- tokens ----

def tokens(api, alice, reader, past):
    reply = request(api, "/v1/models")
    check("without a token", (reply.status, reply.code),
          (401, "missing_api_key"))
    check("it is told how", reply.headers["WWW-Authenticate"], "Bearer")
    check("SDKs do not repeat it", reply.headers["x-should-retry"], "false")
    check("an error object", sorted(reply.json["error"]),
          ["code", "message", "param", "type"])
    check("alice looks", request(api, "/v1/models", token=alice).status, 200)
    check("alice asks", complete(api, "alice", token=alice).status, 200)
    check("a reader looks", request(api, "/v1/models", token=reader).status,
          200)
    check("a reader asks", complete(api, "x", token=reader).code,
          "insufficient_scope")
    check("a token that ended", request(api, "/v1/models", token=past).code,
          "invalid_api_key")
    guess = alice[:-1] + ("0" if alice[-1] != "0" else "1")
    for address in ("127.0.0.7",):
        codes = [request(api, "/v1/models", token=guess, source=address).status
                 for _ in range(10)]
        check("ten guesses", codes, [401] * 10)
        reply = request(api, "/v1/models", token=alice, source=address)
        check("then nobody there is listened to", reply.status, 429)
        check("for a while", 1 <= int(reply.headers["Retry-After"]) <= 7, True)
    check("elsewhere alice is", request(api, "/v1/models", token=alice).status,
          200)


def revoked(api, alice):
    check("a token that was taken out",
          request(api, "/v1/models", token=alice).status, 401)


# ---- completions ----

def completions(api):
    reply = complete(api, "plain")
    check("a completion", reply.status, 200)
    check("its text", reply.json["choices"][0]["message"]["content"],
          "echo " + hashlib.sha256(b"plain").hexdigest()[:16])
    check("its cache", reply.headers["x-sheaf-cache"], "none")
    again = complete(api, "plain")
    check("the same again", (again.body, again.headers["x-sheaf-cache"]),
          (reply.body, "memory"))

    got = []
    pair = [threading.Thread(
        target=lambda: got.append(complete(api, "together")))
        for _ in range(2)]
    for thread in pair:
        thread.start()
    log_has("together")
    until("both are there", lambda: in_flight(2))
    open("both", "w").close()
    for thread in pair:
        thread.join()
    check("two at a time", [r.status for r in got], [200, 200])
    check("of one call", got[0].body, got[1].body)

    check("429 and then an answer", complete(api, "busy").status, 200)
    reply = complete(api, "wrong")
    check("the upstream's error, as it came",
          (reply.status, reply.code, reply.json["error"]["message"]),
          (400, "odd", "no such thing"))
    reply = complete(api, "broken")
    check("500s", (reply.status, reply.headers["x-should-retry"]),
          (500, "false"))
    check("500s have an error object", "message" in reply.json["error"], True)
    check("no JSON from upstream", complete(api, "page").status, 502)
    reply = complete(api, "large")
    check("a reply of several pages",
          (reply.status, len(reply.body) > 2500 * 1024,
           int(reply.headers["Content-Length"])),
          (200, True, len(reply.body)))
    json.loads(reply.body)
    for path in ("/v1/responses", "/v1/completions", "/v1/embeddings"):
        reply = request(api, path, {"model": "m", "input": path,
                                    "prompt": path})
        check(path, reply.status, 200)
    completions_refused(api)


def in_flight(count):
    """True when the broker has so many live batches."""
    out = os.popen("sheaf list --json").read().strip()
    lines = [json.loads(line) for line in out.split("\n") if line]
    rows = lines[0]["batches"] if lines and "batches" in lines[0] else lines
    return sum(row["state"] == "sealed" for row in rows) == count


def completions_refused(api):
    path = "/v1/chat/completions"
    reply = request(api, path, dict(chat("x"), stream=True))
    check("a stream", (reply.status, reply.json["error"]["param"]),
          (400, "stream"))
    check("no JSON", request(api, path, b"{").code, "invalid_json")
    check("no object", request(api, path, b"[]").code, "invalid_json")
    check("a key twice",
          request(api, path, b'{"model":"a","model":"b"}').code,
          "invalid_json")
    check("a draft that is too long",
          request(api, path, chat("x" * 1100000)).status, 413)
    reply = raw(api, CHAT + TYPE + b"Content-Length: 17000000\r\n\r\n")
    check("too long for any", statuses(reply), [413])
    # A chunked body is counted as it comes.
    data = b"%x\r\n" % 16777216 + b" " * 16777216 + b"\r\n" + b"2\r\n{}\r\n"
    reply = raw(api, CHAT + TYPE + b"Transfer-Encoding: chunked\r\n\r\n" + data)
    check("too long for any, in chunks", statuses(reply), [413])
    body = json.dumps(chat("chunked")).encode()
    reply = raw(api, CHAT + TYPE + b"Connection: close\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" %
                (len(body), body))
    check("a body in chunks", statuses(reply), [200])


def log_has(text):
    """Waits until the upstream has a call about a text."""
    user = hashlib.sha256(text.encode()).hexdigest()[:16]
    until(f"a call about {text}",
          lambda: f'"user":"{user}"' in open("upstream.log").read())


def late(api, alice):
    start = time.monotonic()
    reply = complete(api, "patient", token=alice)
    check("an answer that does not come in time",
          (reply.status, reply.code, reply.headers["x-should-retry"]),
          (504, "answer_timeout", "true"))
    check("is given up in time", time.monotonic() - start < 8, True)
    threading.Timer(0.3, lambda: open("patience", "w").close()).start()
    reply = complete(api, "patient", token=alice)
    check("the next one joins it", (reply.status,
                                    reply.headers["x-sheaf-cache"]),
          (200, "joined"))


def vanish(api, watch):
    body = json.dumps(chat("slow")).encode()
    head = CHAT + TYPE + b"Content-Length: %d\r\n\r\n" % len(body)
    with connect(api) as sock:
        sock.sendall(head + body[:20])
    with connect(api) as sock:
        sock.sendall(head + body)
        log_has("slow")
    until("a call that nobody wants is cut off", lambda: '"closed_by":"client"'
          in open("upstream.log").read())
    got = []
    other = threading.Thread(
        target=lambda: got.append(complete(api, "shared")))
    body = json.dumps(chat("shared")).encode()
    with connect(api) as sock:
        sock.sendall(CHAT + TYPE + b"Content-Length: %d\r\n\r\n" % len(body) +
                     body)
        log_has("shared")
        other.start()
        until("both are there", lambda: in_flight(2))
    until("one has left", lambda: in_flight(1))
    open("shared", "w").close()
    other.join()
    check("what another wants goes on", got[0].status, 200)
    until("its connection is gone",
          lambda: metric(watch, "sheaf_http_connections") <= 4)


def restart(api):
    check("a completion whose broker is killed", complete(api, "again").status,
          200)


def away(api, watch):
    reply = complete(api, "nobody")
    check("a broker that is away",
          (reply.status, reply.headers["x-should-retry"],
           int(reply.headers["Retry-After"]) >= 1), (503, "true", True))
    check("/readyz", request(watch, "/readyz").status, 503)
    check("/healthz", healthy(watch), True)
    check("the gateway's own figures", metric(watch, "sheaf_http_broker_up"),
          0.0)


def drain(api, watch, pid):
    got = []
    thread = threading.Thread(
        target=lambda: got.append(complete(api, "drained")))
    thread.start()
    log_has("drained")
    os.kill(int(pid), 15)

    def is_closed():
        try:
            connect(api).close()
            return False
        except OSError:
            return True
    until("no connection is taken any more", is_closed)
    open("drained", "w").close()
    thread.join()
    check("what runs is finished", got[0].status, 200)


def count(log, text):
    user = hashlib.sha256(text.encode()).hexdigest()[:16]
    print(sum(f'"user":"{user}"' in line for line in open(log)))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    for failure in failures:
        print("FAIL " + failure, file=sys.stderr)
    sys.exit(1 if failures else 0)
