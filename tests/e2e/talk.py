#!/usr/bin/python3
"""talk.py - says one thing to the broker, as a client, and prints its answer

  talk.py ENDPOINT MEMBERS [BODY-FILE]

MEMBERS is the header's JSON object without `re`; a chunk's digest is added. The
answer's header is printed as one line of JSON. Exit code 0 whatever the answer
is, 1 if there is none.
"""
# SPDX-License-Identifier: MIT

import hashlib
import json
import sys

import zmq

PATIENCE_MS = 20000


def main():
    endpoint, members, *files = sys.argv[1:]
    header = {**json.loads(members), "re": 1}
    frames = []
    for path in files:
        with open(path, "rb") as file:
            frames.append(file.read())
        header["digest"] = hashlib.sha256(frames[0]).hexdigest()
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(endpoint)
    socket.send_multipart([json.dumps(header).encode(), *frames])
    if not socket.poll(PATIENCE_MS):
        sys.exit(1)
    print(socket.recv_multipart()[0].decode())


if __name__ == "__main__":
    main()
