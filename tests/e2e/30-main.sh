#!/bin/sh
# 30-main.sh - 1000 drafts, 300 of them repeats, cost 700 calls, once
#
# With one worker of the broker and with three on their own, never more than
# five calls are in flight; done again, nothing is called.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

DRAFTS=1000
DISTINCT=700

submit_and_wait() { # RESULTS
    run_sheaf 0 submit --goal 'Summarize' drafts.jsonl
    batch=$(cat out)
    run_sheaf 0 wait --timeout 120 "$batch"
    run_sheaf 0 results -o "$1" "$batch"
}

check() { # RESULTS OPTION…
    "$python" "$here/answers.py" drafts.jsonl "$@" >tiers ||
        fail "wrong results"
    tiers=$(cat tiers)
}

# What was called for the results in $1, by $2.
first_run() { # RESULTS WHO
    submit_and_wait "$1"
    check "$1"
    equal "$tiers" "joined=$((DRAFTS - DISTINCT)) none=$DISTINCT" \
        "tiers of the first run, $2"
    equal "$(figure calls)" $DISTINCT "calls of $2"
    equal "$(figure distinct)" $DISTINCT "different requests of $2"
    equal "$(figure in_flight_max)" 5 "calls in flight of $2"
}

"$python" "$here/drafts.py" $DRAFTS --repeats 30 >drafts.jsonl
start_upstream --latency-ms 20

start_broker
first_run one.jsonl 'one worker'

forget_calls
submit_and_wait again.jsonl
check again.jsonl --cache memory,store
equal "$(figure calls)" 0 "calls of the same drafts again"
say "again: $tiers"

stop_broker
start_broker
submit_and_wait restarted.jsonl
check restarted.jsonl --cache memory,store
contains "$tiers" store= "tiers after a restart"
equal "$(figure calls)" 0 "calls of the same drafts after a restart"
stop_broker

# Three workers, started by hand, over a new store.
store=three
start_broker --workers 0
workers=
for worker in 1 2 3; do
    "$BIN/sheaf-worker" --config sheaf.conf --name "w$worker" \
        2>"worker$worker.err" &
    workers="$workers $!"
done
connected() {
    [ "$(sheaf stats --json | sed -n 's/.*"workers":\([0-9]*\).*/\1/p')" = 3 ]
}
until_true 10 connected
first_run three.jsonl 'three workers'
for worker in 1 2 3; do
    calls=$(grep -c event=upstream_call "worker$worker.err")
    [ "$calls" -gt 0 ] || fail "worker $worker made no call"
    say "worker $worker made $calls calls"
done

# They end on request, and leave nothing.
for pid in $workers; do
    kill "$pid"
done
for pid in $workers; do
    wait "$pid"
    equal $? 0 "exit code of a worker that was told to stop"
done
stop_broker
