# webhooks.py - what receivers have heard, for 37-webhooks.sh
#
#   python3 webhooks.py count LOG PATH [N]     how often, alerts apart; true if it
#                                              is N or more
#   python3 webhooks.py requests LOG           for the verifier: all of them
#   python3 webhooks.py again LOG PATH SECONDS the same event, so much later
#   python3 webhooks.py event LOG PATH MEMBER  of the newest one there
#
# SPDX-License-Identifier: MIT
import json
import sys

with open(sys.argv[2]) as file:
    heard = [json.loads(line) for line in file]


def of(path):
    return [request for request in heard if request["path"] == path]


def is_alert(request):
    """Who is told of everything hears of a slow machine, too."""
    return json.loads(request["body"])["type"].startswith("alert.")


def member(value, path):
    for name in path.split("."):
        value = value[name]
    return value


def again(path, seconds):
    tries = of(path)
    first = tries[0]
    # Other events may have been posted in between.
    second = next(request for request in tries[1:]
                  if request["headers"]["webhook-id"] ==
                  first["headers"]["webhook-id"])
    assert (first["headers"]["content-type"] ==
            second["headers"]["content-type"])
    assert first["body"] == second["body"], "another body"
    same_time, same_signature = (
        first["headers"][name] == second["headers"][name]
        for name in ("webhook-timestamp", "webhook-signature"))
    assert same_time == same_signature, "not signed with the time of the try"
    assert second["at"] - first["at"] >= seconds, "too early"


what = sys.argv[1]
if what == "count":
    count = sum(not is_alert(request) for request in of(sys.argv[3]))
    print(count)
    sys.exit(len(sys.argv) > 4 and count < int(sys.argv[4]))
elif what == "requests":
    print(json.dumps([[request["body"], request["headers"]]
                      for request in heard]))
elif what == "again":
    again(sys.argv[3], float(sys.argv[4]))
else:
    print(member(json.loads(of(sys.argv[3])[-1]["body"]), sys.argv[4]))
