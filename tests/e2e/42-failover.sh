#!/bin/sh
# 42-failover.sh - two upstreams, and the first is killed in the middle
#
# Every draft is answered, none is called at both that was answered by one, and
# the second takes over at once: how long that took is printed.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

start_upstream --latency-ms 30
first=$UPSTREAM_PID
first_url=$URL
mv upstream.log first.log 2>/dev/null
rm -f port
"$BIN/upstream" --port-file port --log second.log --latency-ms 30 \
    2>>second.err &
until_true 10 test -s port
second_url=http://127.0.0.1:$(cat port)/v1
cat >sheaf.conf <<END
[sheaf]
route = first, second
group_window_ms = 0
[upstream "first"]
base_url = $first_url
model = model-a
priority = 2
[upstream "second"]
base_url = $second_url
model = model-b
END
"$python" "$here/drafts.py" 200 >drafts.jsonl
start_broker
run_sheaf 0 submit drafts.jsonl
batch=$(cat out)
called() { # LOG CALLS
    [ "$("$python" "$here/calls.py" "$1" calls)" -ge "$2" ]
}
until_true 20 called first.log 20
equal "$("$python" "$here/calls.py" second.log calls)" 0 \
    "calls of the second while the first works"
"$python" - "$first" <<'END' >killed
import os, signal, sys, time
os.kill(int(sys.argv[1]), signal.SIGKILL)
print(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
END
run_sheaf 0 wait --timeout 60 "$batch"
run_sheaf 0 results -o results.jsonl "$batch"
"$python" "$here/answers.py" drafts.jsonl results.jsonl >tiers ||
    fail "not every draft has its answer"
"$python" - <<'END' || fail "see above"
import collections, json
killed = int(open("killed").read())
results = [json.loads(line) for line in open("results.jsonl")]
by = collections.Counter(result["upstream"] for result in results)
models = {(result["upstream"], result["model"]) for result in results}
logs = {name: [json.loads(line) for line in open(name + ".log")]
        for name in ("first", "second")}
answered = collections.Counter(
    event["n"] for event in logs["first"]
    if event["event"] == "end" and event["status"] == 200)
starts = [event["t_us"] for event in logs["second"]
          if event["event"] == "start"]
calls = len(starts) + sum(event["event"] == "start"
                          for event in logs["first"])
print(f"{by['first']} answered by the first, {by['second']} by the second, "
      f"{calls} calls, {(min(starts) - killed) / 1000:.1f} ms to switch")
assert len(results) == 200 and all(r["status"] == "ok" for r in results)
assert by["first"] + by["second"] == 200 and by["second"] > 100
assert models == {("first", "model-a"), ("second", "model-b")}, models
# At most those in flight when it died were answered and not heard, or called
# and not answered.
assert calls <= 200 + 2 * 5 + 10, f"calls: got {calls}"
assert min(starts) > killed - 1000
assert min(starts) - killed < 2000000, "the switch took too long"
END
run_sheaf 0 upstreams
contains "$(cat out)" "first             broken" "state of the one that died"
contains "$(cat out)" "second            ready" "state of the other"
say "the second took over"
