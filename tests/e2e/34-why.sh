#!/bin/sh
# 34-why.sh - what a draft waits for, with every call that was made for it
#
# A real worker reads the waits out of real headers and bodies; the broker is
# asked while the drafts wait, after a restart, and when all is done.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

# A value of the explanation of a draft, as JSON; paths such as waits.0.for.
why() { # ID PATH
    sheaf why "$batch" "$1" --json | "$python" -c 'import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    value = value[int(name)] if isinstance(value, list) else value[name]
print(json.dumps(value))' "$2"
}

is() { # ID PATH VALUE
    [ "$(why "$1" "$2")" = "$3" ]
}

# The first line for people.
answer() { # ID
    sheaf why "$batch" "$1" | head -n 1
}

matches() { # TEXT PATTERN WHAT
    printf '%s\n' "$1" | grep -qxE -- "$2" || fail "$3
  got  $1
  want $2"
}

cat >script <<'END'
match=kindheader each=1 times=1 status=429 header="Retry-After: 600"
match=kindmillis each=1 times=1 status=429 header="retry-after-ms: 600500"
match=kindreset each=1 times=1 status=429 header="x-ratelimit-reset-requests: 11m0s" header="x-ratelimit-remaining-requests: 0"
match=kindbody each=1 times=1 status=429 body='{"error":{"message":"busy","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"602s"}]}}'
match=kindwords each=1 times=1 status=429 body='{"error":{"message":"Please try again in 603s."}}'
match=kindserver each=1 times=1 status=503 header="Retry-After: 604"
match=kindbroken each=1 times=2 status=503
match=kindhanging action=hang
END
start_upstream --script script
# An upstream of its own for each: one that names a wait is left alone.
port=$(cat port)
: >sheaf.conf
for kind in header millis reset body words server broken hanging fine; do
    printf '[upstream "%s"]\nbase_url = http://127.0.0.1:%s/v1\nmodel = m\n' \
        $kind "$port" >>sheaf.conf
    echo "{\"id\":\"$kind\",\"text\":\"kind$kind\",\"upstream\":\"$kind\"}"
done >drafts.jsonl
echo '{"id":"wrong","txet":"x"}' >>drafts.jsonl
echo '{"id":"twin","text":"kindheader","upstream":"header"}' >>drafts.jsonl
settings='--set slots_max=2 --set backoff_base_ms=300000 --set heartbeat_ms=500
    --set backoff_cap_ms=600000 --set backoff_jitter_percent=0
    --set drain_ms=500'
# shellcheck disable=SC2086 # several words
start_broker $settings

# ---- before anything was called ----

run_sheaf 1 submit --not-before +1h drafts.jsonl
batch=$(cat out)
matches "$(answer fine)" \
    'fine waits for the start of its batch at [0-9:]{8}Z \(in .*\)' \
    "a batch that starts later"
run_sheaf 0 cancel "$batch"
matches "$(answer fine)" 'fine ended: cancelled' "a draft that was cancelled"

# ---- every source of a wait ----

run_sheaf 1 submit --early drafts.jsonl
batch=$(cat out)
for kind in header millis reset body words server broken; do
    until_true 20 is $kind attempts_total 1
done
expect_call() { # ID STATUS HTTP WAIT FROM CAUSE
    equal "$(why "$1" attempts_total)" 1 "calls of $1"
    equal "$(why "$1" attempts.0.status)" "\"$2\"" "status of $1"
    equal "$(why "$1" attempts.0.http_status)" "$3" "HTTP status of $1"
    equal "$(why "$1" attempts.0.wait_ms)" "$4" "wait of $1"
    equal "$(why "$1" attempts.0.wait_from)" "\"$5\"" "where the wait of $1 stood"
    equal "$(why "$1" waits.0.for)" "\"$6\"" "what $1 waits for"
}
expect_all() {
    expect_call header rate_limited 429 600000 retry-after cooldown
    expect_call millis rate_limited 429 600500 retry-after-ms cooldown
    expect_call reset rate_limited 429 660000 x-ratelimit-reset-requests cooldown
    expect_call body rate_limited 429 602000 error.details.retryDelay cooldown
    expect_call words rate_limited 429 603000 error.message cooldown
    expect_call server server_error 503 604000 retry-after server
    expect_call broken server_error 503 300000 backoff backoff
}
expect_all
matches "$(answer broken)" \
    'broken waits for its backoff until [0-9:]{8}Z \(in .* s\), after attempt 1 of 5: 503' \
    "a backoff in a sentence"
matches "$(answer header)" \
    'header waits for the cooldown of its upstream until [0-9:]{8}Z \(in .* s\), header' \
    "an upstream that is left alone, in a sentence"
matches "$(answer server)" \
    'server waits as its upstream asked it to until [0-9:]{8}Z \(in .* s\), .*503.*' \
    "a server's wait in a sentence"
matches "$(sheaf why "$batch" server | sed -n 2p)" \
    '  and waits for the cooldown of its upstream until .*, server' \
    "the upstream that is left alone"
until_true 20 is hanging waits.0.for '"answer"'
say "seven sources of a wait are told"

# ---- who shares, what went into the key ----

equal "$(why twin cache)" '"joined"' "how the twin came by its request"
equal "$(why twin request.source.custom_id)" '"header"' "whose request it joined"
equal "$(why twin request.id)" "$(why header request.id)" "the request of both"
equal "$(why twin request.drafts)" 2 "drafts that share it"
sheaf why "$batch" twin --json >twin.json
"$python" - <<'END' || fail "the key is not the digest of what is shown"
import hashlib, json
answer = json.load(open("twin.json"))
parts = answer["digested"]
text = "".join((parts[name] or "") + "\0" for name in (
    "template", "upstream", "base_url", "path", "sample_index", "kind", "body"))
assert hashlib.sha256(text.encode()).hexdigest() == answer["request"]["key"]
assert json.loads(parts["body"])["messages"][-1]["content"] == "kindheader"
END
contains "$(sheaf why "$batch" twin)" "made for    header of batch $batch" \
    "whose request it joined, for people"

# ---- refused, unknown, malformed ----

matches "$(answer wrong)" 'wrong was refused: txet: is no field of a draft' \
    "a refused draft"
run_sheaf 0 why "$batch" --index 9
matches "$(cat out)" 'wrong was refused: .*' "a refused draft by its index"
run_sheaf 3 why "$batch" nobody
contains "$(cat err)" 'no draft "nobody"' "why there is no answer"
run_sheaf 3 why "$batch" --index 11
run_sheaf 3 why 5f0c0000-0000-4000-8000-000000000000 fine
run_sheaf 2 why 5f0c fine
run_sheaf 2 why "$batch"
run_sheaf 2 why "$batch" fine --index 1

# ---- a worker that dies, a broker that is started again ----

kill -KILL "$(pgrep -P "$BROKER_PID")"
until_true 20 is hanging attempts_total 1
equal "$(why hanging attempts.0.class)" '"lost"' "a call of which nobody tells"
equal "$(why hanging request.lost)" 1 "lost leases"
# The next worker calls it, too, and keeps that call for the next broker.
until_true 20 is hanging waits.0.for '"answer"'
worker=$(pgrep -P "$BROKER_PID")
stop_broker
kill -KILL "$worker"
# shellcheck disable=SC2086 # several words
start_broker $settings --workers 0
expect_all
matches "$(answer fine)" 'fine is done: ok, after 1 attempt' "a draft that is done"
until_true 20 is hanging state '"waiting"'
run_sheaf 0 pause "$batch"
matches "$(answer hanging)" 'hanging waits for its batch to be resumed' \
    "a paused batch"
run_sheaf 0 resume "$batch"
matches "$(answer hanging)" 'hanging waits for a worker to connect' \
    "a broker without workers"
say "all of it survives a restart"

# ---- attempts over several tries ----

stop_broker
start_broker --set slots_max=2 --set backoff_base_ms=50 --set attempts_max=3 \
    --set backoff_jitter_percent=0
cat >again.jsonl <<'END'
{"id":"again","text":"kindbroken, but another one","upstream":"broken"}
END
run_sheaf 0 submit --wait again.jsonl
batch=$(cat out)
matches "$(answer again)" 'again is done: ok, after 3 attempts' \
    "a draft that was tried three times"
equal "$(why again attempts | "$python" -c 'import json, sys
for call in json.load(sys.stdin):
    print(call["n"], call["status"], call["wait_ms"], call["wait_from"],
          call["fence"])')" "1 server_error 50 backoff 1
2 server_error 100 backoff 2
3 ok 0 None 3" "its calls"
say "and so do the tries of one that came through"
