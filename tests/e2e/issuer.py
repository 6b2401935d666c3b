# issuer.py - a token server, and an API that takes its tokens
#
#   python3 issuer.py PORT_FILE ORDERS_FILE LOG
#
# POST /token gives a token to the client of the orders; any other path is a
# call, which needs a token that is good. The orders are a JSON object, read
# with each request: `secret` of the client `sheaf`, `expires_in` in seconds,
# `token_s` and `call_s` that a reply takes, and `revoked`: so many tokens, from
# the first, are not good any more. The log has a JSON object for each request:
# what it was, the number of the token, the status, and for tokens how many
# requests were being answered.
#
# SPDX-License-Identifier: MIT
import base64
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from fake_server import Server  # noqa: E402

TOKEN = "issued-token-%d-89abcdef"


class Issuer:
    def __init__(self, orders_path, log_path):
        self.orders_path = orders_path
        self.log = open(log_path, "a", buffering=1)
        self.lock = threading.Lock()
        self.issued = 0
        self.running = 0

    def answer(self, request):
        with open(self.orders_path) as file:
            orders = json.load(file)
        if request.path != "/token":
            return self.answer_call(request, orders)
        with self.lock:
            self.running += 1
            running = self.running
        time.sleep(orders["token_s"])
        with self.lock:
            self.running -= 1
        basic = base64.b64encode(b"sheaf:" + orders["secret"].encode())
        if request.headers["Authorization"] != "Basic " + basic.decode():
            return self.reply("token", 0, 401, {"error": "invalid_client"},
                              running)
        with self.lock:
            self.issued += 1
            number = self.issued
        return self.reply("token", number, 200, {
            "access_token": TOKEN % number, "token_type": "Bearer",
            "expires_in": orders["expires_in"]}, running)

    def answer_call(self, request, orders):
        time.sleep(orders["call_s"])
        given = request.headers["Authorization"]
        for number in range(orders["revoked"] + 1, self.issued + 1):
            if given == "Bearer " + TOKEN % number:
                return self.reply("call", number, 200, {
                    "model": "m", "choices": [{
                        "message": {"content": "well"},
                        "finish_reason": "stop"}]})
        return self.reply("call", 0, 401,
                          {"error": {"message": "bad " + str(given)}})

    def reply(self, what, number, status, body, running=0):
        with self.lock:
            self.log.write(json.dumps({"what": what, "token": number,
                                       "status": status,
                                       "running": running}) + "\n")
        return status, {"Content-Type": "application/json"}, \
            json.dumps(body).encode()


def main():
    port_path, orders_path, log_path = sys.argv[1:]
    server = Server(Issuer(orders_path, log_path).answer)
    with open(port_path + ".new", "w") as file:
        file.write(server.url.rsplit(":", 1)[1])
    os.rename(port_path + ".new", port_path)
    threading.Event().wait()


if __name__ == "__main__":
    main()
