#!/usr/bin/python3
"""files.py - uploads files, makes batches from them, reads what they end in

  files.py CONFIG LARGE-CONFIG

CONFIG names an upstream that answers all four endpoints, LARGE-CONFIG one whose
replies are large. The broker is killed while it reads a file, and while it
makes the files that a batch ends in.
"""
# SPDX-License-Identifier: MIT

import hashlib
import json
import os
import sys

from broker import Broker, Client, Failure, Refused, wait_for

CLIENT = "alice"
PART_BYTES = 50000
TRIES_MAX = 8
SETTINGS = ("group_window_ms=0", "chunk_drafts_max=20", "cache_ttl_ms=0")
ENDPOINTS = {
    "/v1/chat/completions": (
        lambda text: {"messages": [{"role": "user", "content": text}]},
        lambda body: body["choices"][0]["message"]["content"]),
    "/v1/completions": (
        lambda text: {"prompt": text},
        lambda body: body["choices"][0]["text"]),
    "/v1/responses": (
        lambda text: {"input": text},
        lambda body: body["output"][0]["content"][0]["text"]),
    "/v1/embeddings": (
        lambda text: {"input": text},
        lambda body: body["data"][0]["embedding"]),
}


def equal(got, want, what):
    if got != want:
        raise Failure(f"{what}\n  got  {str(got)[:500]}\n"
                      f"  want {str(want)[:500]}")


def echo(text):
    return "echo " + hashlib.sha256(text.encode()).hexdigest()[:16]


def text_of(word, number):
    return f"{word} {number}: \u00fcber den Flu\u00df \U0001f30a"


def lines(endpoint, word, count):
    make_body = ENDPOINTS[endpoint][0]
    return b"".join(
        json.dumps({"custom_id": f"{word}-{number}", "method": "POST",
                    "url": endpoint,
                    "body": {"model": "m", **make_body(text_of(word, number))}},
                   ensure_ascii=number % 2 == 0).encode() + b"\n"
        for number in range(count))


def chain(content, piece_bytes):
    digest = bytes(32)
    for at in range(0, len(content), piece_bytes):
        digest = hashlib.sha256(
            digest + content[at:at + piece_bytes]).digest()
    return digest.hex()


class Files(Client):
    def __init__(self, endpoint, client=CLIENT):
        super().__init__(endpoint)
        self.client = client

    def begin(self, key, content):
        return self.ask("file_open", client=self.client, key=key,
                        name=f"{key}.jsonl", bytes=len(content))[0]

    def part(self, file, content, at):
        body = content[at:at + PART_BYTES]
        return self.ask("file_part", body, client=self.client, file=file, at=at,
                        digest=hashlib.sha256(body).hexdigest())[0]["received"]

    def upload(self, key, content):
        head = self.begin(key, content)
        file, at = head["file"]["file"], head["file"]["received"]
        while at < len(content):
            at = self.part(file, content, at)
        digest = chain(content, head["piece_bytes"])
        stored = self.ask("file_close", client=self.client, file=file,
                          digest=digest)[0]["file"]
        equal(stored["state"], "stored", "an upload that was closed")
        return file

    def download(self, file):
        content, more = b"", True
        while more:
            head, body = self.ask("file_read", client=self.client, file=file,
                                  at=len(content), length=PART_BYTES + 7)
            content, more = content + body, head["more"]
        return content

    def batch(self, key, file, endpoint):
        return self.ask("open", client=self.client, key=key, file=file,
                        endpoint=endpoint)[0]["batch"]

    def status(self, batch):
        return self.ask("status", client=self.client,
                        batch=batch)[0]["from_file"]

    def ended(self, batch):
        def end():
            status = self.ask("wait", client=self.client, batch=batch,
                              timeout=2000)[0]["from_file"]
            return status if status["status"] in (
                "completed", "failed", "expired", "cancelled") else None
        return wait_for(end, f"the end of batch {batch}")

    def results(self, file):
        return {row["custom_id"]: row for row in
                map(json.loads, self.download(file).splitlines())}


def check_output(client, status, endpoint, word, count):
    equal(status["status"], "completed", f"the batch {word}")
    equal(status["request_counts"],
          {"total": count, "completed": count, "failed": 0}, "its counts")
    equal(status["error_file"], None, "its error file")
    rows = client.results(status["output_file"])
    equal(len(rows), count, "lines of its output file")
    read_body = ENDPOINTS[endpoint][1]
    for number in range(count):
        row = rows[f"{word}-{number}"]
        equal(row["error"], None, "error of a line")
        equal(row["response"]["status_code"], 200, "status of a line")
        want = ([0.25, -1e-3] if endpoint == "/v1/embeddings"
                else echo(text_of(word, number)))
        equal(read_body(row["response"]["body"]), want, "a reply")


def endpoints(broker):
    client = Files(broker.endpoint)
    for number, endpoint in enumerate(ENDPOINTS):
        word = f"w{number}"
        file = client.upload(word, lines(endpoint, word, 5))
        status = client.ended(client.batch(word, file, endpoint))
        check_output(client, status, endpoint, word, 5)
    usage = client.ask("list", client=CLIENT, from_file=True)[0]["batches"]
    equal(len(usage), len(ENDPOINTS), "batches that are made from files")
    if not all(batch["usage"]["total_tokens"] for batch in usage):
        raise Failure("a batch without usage")
    client.close()
    print(f"{len(ENDPOINTS)} endpoints, 5 lines each")


def bad_lines(broker):
    client = Files(broker.endpoint)
    good = lines("/v1/chat/completions", "good", 3)
    other = lines("/v1/embeddings", "other", 1)
    content = (b"\xef\xbb\xbf" + good + b"\r\n" + b"{\"custom_id\":\n" + other
               + good[:good.index(b"\n") + 1] + b"[1]")
    status = client.ended(client.batch(
        "bad", client.upload("bad", content), "/v1/chat/completions"))
    equal(status["status"], "failed", "a batch of bad lines")
    equal([(error["line"], error["code"]) for error in status["errors"]],
          [(5, "invalid_json_line"), (6, "url_mismatch"),
           (7, "duplicate_custom_id"), (8, "invalid_json_line")],
          "what is wrong")
    client.close()
    print("bad lines named by number, nothing called")


def shown(broker):
    """Ranges, lists, and what another client sees."""
    client = Files(broker.endpoint)
    other = Files(broker.endpoint, "mallory")
    content = os.urandom(123456)
    file = client.upload("bytes", content)
    equal(client.download(file), content, "a file that is read again")
    head, body = client.ask("file_read", client=CLIENT, file=file, at=31990,
                            length=20)
    equal((body, head["more"]), (content[31990:32010], True), "a range")
    for verb, members in (("file", {}), ("file_read", {"length": 1}),
                          ("file_delete", {})):
        other.expect_refusal(other.send(verb, client="mallory", file=file,
                                        **members), "not_found")
    _, page = client.ask("file_list", client=CLIENT, purpose="batch", limit=2)
    equal(json.loads(page.splitlines()[0])["file"], file, "the newest file")
    client.ask("file_delete", client=CLIENT, file=file)
    client.expect_refusal(client.send("file", client=CLIENT, file=file),
                          "not_found")
    client.close()
    other.close()
    print("ranges, lists and foreign files as they must be")


def kill_when(broker, client, batch, word):
    """Kills the broker when a batch is seen there; False: it was too fast."""
    def is_there():
        status = client.status(batch)
        if status["status"] == word and (word != "validating"
                                         or status["lines_read"] > 0):
            return "there"
        return "over" if status["status"] == "completed" or (
            word == "validating" and status["status"] != word) else None
    seen = wait_for(is_there, f"a batch that is {word}")
    if seen == "there":
        client.close()
        broker.kill()
        broker.start()
    return seen == "there"


def killed(broker, word, count):
    endpoint = "/v1/chat/completions"
    hits = tries = 0
    while hits < 2 and tries < TRIES_MAX:
        tries += 1
        name = f"{word}{tries}"
        client = Files(broker.endpoint)
        file = client.upload(name, lines(endpoint, name, count))
        batch = client.batch(name, file, endpoint)
        if kill_when(broker, client, batch, word):
            hits += 1
            client = Files(broker.endpoint)
        equal(client.batch(name, file, endpoint), batch, "the batch of a key")
        status = client.ended(batch)
        equal(status["request_counts"]["completed"], count, "answers")
        equal(len(client.results(status["output_file"])), count,
              f"lines of a batch that was {word}")
        client.close()
    if hits == 0:
        raise Failure(f"no broker was killed while a batch was {word}")
    print(f"killed {hits} times in {tries} while {word}")


def upload_killed(broker):
    client = Files(broker.endpoint)
    content = os.urandom(8 * PART_BYTES + 11)
    file = client.begin("halves", content)["file"]["file"]
    for at in range(0, 4 * PART_BYTES, PART_BYTES):
        client.part(file, content, at)
    client.close()
    broker.kill()
    broker.start()
    client = Files(broker.endpoint)
    head = client.begin("halves", content)
    equal(head["file"]["received"], 4 * PART_BYTES, "bytes that were kept")
    equal(client.upload("halves", content), file, "the file of a key")
    equal(client.download(file), content, "a file in two halves")
    client.close()
    print("an upload went on after a kill")


def main():
    config, large = sys.argv[1:]
    broker = Broker(".", os.environ["XDG_RUNTIME_DIR"], sys.stderr, SETTINGS,
                    config)
    try:
        broker.start()
        endpoints(broker)
        bad_lines(broker)
        shown(broker)
        upload_killed(broker)
        killed(broker, "validating", 400)
        equal(broker.stop(), 0, "exit code of sheafd")
        broker.config = large
        broker.start()
        killed(broker, "finalizing", 60)
        equal(broker.stop(), 0, "exit code of sheafd")
    finally:
        broker.end()


if __name__ == "__main__":
    try:
        main()
    except (Failure, Refused) as error:
        sys.exit(f"files.py: {error}")
