#!/bin/sh
# 52-freeze.sh - worker or broker stands still for twice a lease
#
# Five calls are in flight when one of the two is stopped (SIGSTOP); their
# answers come while it stands still. A second worker takes over from the first:
# when that one wakes, there is still one result each, the first one, and never
# more than five calls at a time. A broker that wakes charges nobody for the
# time in which it could not listen: no lease is lost and no call repeated. Nor
# if its worker has ended meanwhile: what that said last is heard first.
#
# They play at the same time, each in a directory of its own: a lease cannot be
# shorter than the time-out of its call and a margin, which is 18 s here.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

DRAFTS=20
SLOTS=5
TIMEOUT_MS=3000
LEASE_MS=$((TIMEOUT_MS + 15000))

calls_are() { # COUNT
    [ "$(figure calls)" -ge "$1" ]
}

leased_are() { # COUNT
    sheaf stats --json | grep -q "\"requests_leased\":$1\\b"
}

logged() { # FILE EVENT COUNT
    [ "$(grep -c "event=$2" "$1")" -ge "$3" ]
}

workers_are() { # COUNT
    sheaf stats --json | grep -q "\"workers\":$1\\b"
}

is_after() { # MS of the monotonic clock
    [ "$(now_ms)" -ge "$1" ]
}

# An upstream that holds its calls until there is a file `go`, and a broker.
begin() { # OPTION… of sheafd
    echo 'until=go' >held.script
    start_upstream --script held.script
    echo "request_timeout_ms = $TIMEOUT_MS" >>sheaf.conf
    "$python" "$here/drafts.py" $DRAFTS --prefix one >one.jsonl
    "$python" "$here/drafts.py" $DRAFTS --prefix two >two.jsonl
    start_broker --set lease_ms=1000 --set heartbeat_ms=400 \
        --set group_window_ms=0 "$@"
}

start_worker() { # NAME; sets WORKER_PID
    "$BIN/sheaf-worker" --config sheaf.conf --name "$1" \
        --broker "ipc://$XDG_RUNTIME_DIR/sheaf/workers" 2>>"$1.err" &
    WORKER_PID=$!
}

submit() { # FILE; sets batch
    run_sheaf 0 submit --goal Summarize "$1"
    batch=$(cat out)
}

check() { # DRAFTS OPTION…
    run_sheaf 0 wait --timeout 60 "$batch"
    run_sheaf 0 results --order input -o results.jsonl "$batch"
    "$python" "$here/answers.py" "$1" results.jsonl --revision 1 >tiers ||
        fail "results of $1: see above"
}

frozen_worker() {
    begin --workers 0
    start_worker first
    first=$WORKER_PID
    submit one.jsonl
    until_true 20 calls_are $SLOTS
    until_true 20 leased_are $((SLOTS + 8))
    kill -STOP "$first"
    stopped=$(now_ms)
    start_worker second
    # As long as its calls may run, nobody else gets its slots: they would be
    # seen beside it.
    until_true 60 is_after $((stopped + LEASE_MS / 2))
    : >go
    until_true 60 is_after $((stopped + 2 * LEASE_MS))
    check one.jsonl
    cp results.jsonl before.jsonl
    equal "$(figure calls)" $((DRAFTS + SLOTS)) \
        "calls: those of a worker that was given up, and all"
    logged broker.err worker_lost 1 || fail "its slots were lent again"
    earlier=$(figure calls)

    # It wakes, tells what it has, and works again.
    rm go
    kill -CONT "$first"
    until_true 20 logged first.err broker_welcome 2
    submit two.jsonl
    until_true 20 calls_are $((earlier + SLOTS))
    until_true 20 workers_are 2
    : >go
    check two.jsonl
    run_sheaf 0 results --order input -o after.jsonl \
        "$(sheaf list --json | tail -n 1 | grep -o '"batch":"[^"]*"' |
            cut -d '"' -f 4)"
    cmp before.jsonl after.jsonl ||
        fail "results were changed by a worker that woke"
    equal "$(figure calls)" $((earlier + DRAFTS)) "calls in all"
    at_most "$(figure in_flight_max)" $SLOTS "calls in flight"
    # Those whose call had started, as far as the broker had heard.
    at_most "$(sheaf stats --json | grep -o '"leases_lost":[0-9]*' |
        cut -d : -f 2)" $SLOTS "leases lost"
    say "worker: late results of $SLOTS calls, which were repeated, are ignored"
    stop_broker
}

frozen_broker() {
    begin
    submit one.jsonl
    until_true 20 calls_are $SLOTS
    until_true 20 leased_are $((SLOTS + 8))
    kill -STOP "$BROKER_PID"
    stopped=$(now_ms)
    : >go
    # The worker goes on as long as it may without being heard.
    until_true 20 logged broker.err upstream_call $((2 * SLOTS))
    until_true 60 is_after $((stopped + 2 * LEASE_MS))
    calls=$(figure calls)
    equal "$calls" $((2 * SLOTS)) "calls while nobody listened"
    kill -CONT "$BROKER_PID"
    check one.jsonl
    equal "$(figure calls)" $DRAFTS "calls of a broker that stood still"
    equal "$(figure repeated)" 0 "repeated calls"
    at_most "$(figure in_flight_max)" $SLOTS "calls in flight"
    for event in lease_expired worker_lost; do
        equal "$(grep -c "event=$event" broker.err)" 0 "$event"
    done
    run_sheaf 0 stats --json
    contains "$(cat out)" '"leases_lost":0,' "lost leases"
    "$python" "$here/answers.py" one.jsonl results.jsonl --attempts 1 >tiers ||
        fail "attempts: see above"
    say "broker: $(grep -o 'loop_late ms=[0-9]*' broker.err |
        cut -d = -f 2 | sort -n | tail -n 1) ms late, no lease was lost"
    stop_broker
}

has_ended() { # PID of another's child
    grep -q '^State:.Z' "/proc/$1/status"
}

# The worker has its answers in the link, says good-bye and ends. The broker sees
# all of that at once when it wakes: its lock is free, too.
last_words() {
    begin
    submit one.jsonl
    until_true 20 calls_are $SLOTS
    until_true 20 leased_are $((SLOTS + 8))
    worker=$(grep -o 'event=worker_started pid=[0-9]*' broker.err |
        cut -d = -f 3)
    kill -STOP "$BROKER_PID"
    : >go
    until_true 20 logged broker.err upstream_call $((2 * SLOTS))
    kill -TERM "$worker"
    until_true 20 logged broker.err draining 1
    kill -TERM "$worker" # it waits for nobody any more
    until_true 20 has_ended "$worker"
    kill -CONT "$BROKER_PID"
    check one.jsonl
    equal "$(figure calls)" $DRAFTS "calls, with those of a worker that ended"
    equal "$(figure repeated)" 0 "repeated calls"
    at_most "$(figure in_flight_max)" $SLOTS "calls in flight"
    logged broker.err worker_bye 1 || fail "its good-bye was not heard"
    for event in lease_expired worker_died; do
        equal "$(grep -c "event=$event" broker.err)" 0 "$event"
    done
    run_sheaf 0 stats --json
    contains "$(cat out)" '"leases_lost":0,' "lost leases"
    contains "$(cat out)" '"workers_lost":0,' "lost workers"
    say "broker: the last words of a worker were heard"
    stop_broker
}

play() { # CASE
    mkdir -p "$work/$1" "$XDG_RUNTIME_DIR/$1"
    chmod 700 "$XDG_RUNTIME_DIR/$1"
    XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR/$1
    cd "$work/$1" || exit 1
    "$1"
}

(play frozen_worker) &
worker_case=$!
(play frozen_broker) &
broker_case=$!
(play last_words) &
words_case=$!
wait $worker_case
code=$?
wait $broker_case || code=$?
wait $words_case || code=$?
[ $code -eq 0 ] || {
    work=$work/frozen_worker show_logs
    work=$work/frozen_broker show_logs
    work=$work/last_words show_logs
    fail "see above"
}
