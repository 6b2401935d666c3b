#!/bin/sh
# 40-statuses.sh - every way a draft can end, and a retry of all fallbacks
#
# The cases of statuses.py, one draft each, in one batch; then, on their own,
# a Retry-After that holds the upstream, a deadline and a cancel.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

cases() { # ARGUMENT…
    "$python" "$here/statuses.py" "$@" || fail "see above"
}

# The value of a member of the only line of `out`.
member() { # NAME
    "$python" -c 'import json, sys
value = json.load(open("out"))
for name in sys.argv[1].split("."):
    value = value[name]
print(json.dumps(value))' "$1"
}

# A port where nobody listens, and where somebody will later.
start_upstream
absent_port=$(cat port)
stop_upstream

cases write .
start_upstream --script script
test_port=$(cat port)
cat >sheaf.conf <<END
[upstream "test"]
base_url = http://127.0.0.1:$test_port/v1
model = test-model
request_timeout_ms = 1000
[upstream "absent"]
base_url = http://127.0.0.1:$absent_port/v1
model = test-model
END
# What suspends an upstream has one of its own, though it is the same server.
suspending='busy patient hopeless locked elsewhere'
for name in $suspending; do
    cat >>sheaf.conf <<END
[upstream "$name"]
base_url = http://127.0.0.1:$test_port/v1
model = test-model
END
done
# So many failures in a row are meant.
start_broker --set attempts_max=3 --set throttle_max=6 \
    --set backoff_base_ms=20 --set backoff_cap_ms=100 \
    --set breaker_failures=1000

# ---- one batch of all cases ----

run_sheaf 1 submit --wait --goal Summarize drafts.jsonl
batch=$(cat out)
run_sheaf 0 results -o first.jsonl "$batch"
cases check . first.jsonl upstream.log
say "$(wc -l <first.jsonl) results as expected"

# ---- what nobody is to ask ----

state_of() { # UPSTREAM
    sheaf upstreams --json | "$python" -c 'import json, sys
print([row["state"] for row in json.load(sys.stdin)["upstreams"]
       if row["name"] == sys.argv[1]][0])' "$1"
}
equal "$(state_of elsewhere)" stopped "where nothing was ever found"
equal "$(state_of test)" ready "where other calls failed"
forget_calls
echo '{"id":"next","text":"kindmissing, once more","upstream":"elsewhere"}' \
    >next.jsonl
run_sheaf 0 submit next.jsonl
stalled=$(cat out)
run_sheaf 1 wait --timeout 10 "$stalled"
contains "$(cat err)" "stalled: upstream elsewhere is suspended" "why it waits"
equal "$(figure calls)" 0 "calls of an upstream that is not to be asked"
run_sheaf 0 cancel "$stalled"

# ---- Retry-After ----

stop_upstream
forget_calls
echo 'times=1 status=429 header="Retry-After: 1"' >script
start_upstream --port "$test_port" --script script --latency-ms 20
"$python" "$here/drafts.py" 20 --prefix held >held.jsonl
run_sheaf 0 submit --wait --goal Summarize held.jsonl
run_sheaf 0 results -o held.out "$(cat out)"
"$python" "$here/answers.py" held.jsonl held.out >tiers || fail "held results"
cat >held.py <<'END'
import json
events = [json.loads(line) for line in open("upstream.log")]
(held,) = [e for e in events if e.get("status") == 429]
after = [e["t_us"] for e in events
         if e["event"] == "start" and e["t_us"] > held["t_us"]]
# Those that started together with the one that was told to wait.
gap_ms = (min(t for t in after if t > held["t_us"] + 100000) -
          held["t_us"]) // 1000
assert 1000 <= gap_ms <= 1500, f"held for: got {gap_ms} ms, want 1000 to 1500"
early = [t for t in after if t < held["t_us"] + 1000000]
assert len(early) <= 5, f"calls meanwhile: got {len(early)}, want 5 at most"
print(f"held for {gap_ms} ms, {len(early)} calls had started")
END
"$python" held.py || fail "Retry-After"

# ---- the deadline ----

forget_calls
echo '{"id":"late","text":"river stone market"}' >late.jsonl
run_sheaf 0 submit --goal Summarize --not-before +1h --deadline +3s late.jsonl
expired=$(cat out)
run_sheaf 0 why "$expired" late
contains "$(cat out)" 'but its batch expires before that' 'a deadline before it'
run_sheaf 1 wait --timeout 10 "$expired"
run_sheaf 0 results "$expired"
equal "$(member status)" '"expired"' "status after the deadline"
equal "$(member essence)" '"river stone market Summarize [expired]"' \
    "essence after the deadline"
equal "$(member text)" null "text after the deadline"
equal "$(member error.code)" '"expired"' "code after the deadline"
equal "$(member attempts)" 0 "attempts after the deadline"
equal "$(figure calls)" 0 "calls of what has expired"

# ---- cancel ----

stop_upstream
echo 'action=hang' >script
forget_calls
start_upstream --port "$test_port" --script script
echo '{"id":"gone","text":"valley season paper"}' >gone.jsonl
run_sheaf 0 submit --goal Summarize gone.jsonl
cancelled=$(cat out)
is_called() {
    [ "$(figure calls)" -ge 1 ]
}
until_true 10 is_called
run_sheaf 0 cancel "$cancelled"
run_sheaf 0 results "$cancelled"
equal "$(member status)" '"cancelled"' "status after a cancel"
equal "$(member essence)" null "essence after a cancel"
equal "$(member text)" null "text after a cancel"
equal "$(member error)" null "error after a cancel"
run_sheaf 8 retry "$cancelled"
# The call is aborted, not waited for.
is_aborted() {
    grep -q '"closed_by":"client"' upstream.log
}
until_true 10 is_aborted

# ---- all is well now: retry ----

stop_upstream
start_upstream --port "$test_port"
"$BIN/upstream" --port "$absent_port" --log absent.log 2>>upstream.err &
listens() {
    "$python" -c "import socket
socket.create_connection(('127.0.0.1', $absent_port), 1)"
}
until_true 10 listens
for name in $suspending; do
    run_sheaf 0 upstreams resume "$name"
done
cursor=$("$python" -c 'import json
print(max(json.loads(line)["seq"] for line in open("first.jsonl")))')

# By status first: only those.
run_sheaf 0 retry --status server_error,rate_limited "$batch"
run_sheaf 1 wait "$batch"
run_sheaf 0 results --after "$cursor" -o some.jsonl "$batch"
statuses=$("$python" -c 'import json
print(sorted(json.loads(line)["custom_id"] for line in open("some.jsonl")))')
equal "$statuses" \
    "['kindbroken', 'kindbusy', 'kindhopeless', 'kindtwin', 'kindtwin-2']" \
    "results after a retry of two statuses"
run_sheaf 0 retry "$batch"
run_sheaf 0 wait --timeout 30 "$batch"
run_sheaf 0 results --after "$cursor" -o second.jsonl "$batch"
cases healed . first.jsonl second.jsonl
say "$(wc -l <second.jsonl) fallbacks answered by retries"
run_sheaf 0 retry "$batch"
contains "$(cat out err)" 0 "a retry when nothing is left"

# What has expired gets a deadline anew, and is not held back by the old start.
run_sheaf 0 retry "$expired"
run_sheaf 0 results "$expired"
equal "$(member status)" '"expired"' "status until a better one comes"
