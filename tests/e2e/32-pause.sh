#!/bin/sh
# 32-pause.sh - a batch is paused while it runs, and goes on
#
# What was called before the pause is the last that is, over a restart of the
# broker too; whoever waits is told why nothing goes on.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

DRAFTS=40
AHEAD=1

calls() {
    figure calls
}

calls_at_least() { # COUNT
    [ "$(calls)" -ge "$1" ]
}

is_told() {
    grep -q 'is paused' wait.err
}

state() {
    sheaf status "$batch" --json | grep -o '"state":"[a-z]*"'
}

# No call runs any more.
is_quiet() {
    sheaf stats --json | grep -q '"requests_leased":0\b'
}

i=0
while [ $i -lt $DRAFTS ]; do
    echo "{\"id\":\"$i\",\"text\":\"draft $i\"}"
    i=$((i + 1))
done >drafts.jsonl

start_upstream --latency-ms 100
start_broker --set slots_max=2 --set lease_ahead_max=$AHEAD
run_sheaf 0 submit drafts.jsonl
batch=$(cat out)
until_true 20 calls_at_least 4

run_sheaf 0 pause "$batch"
equal "$(state)" '"state":"paused"' "the state after a pause"
sheaf wait "$batch" >wait.out 2>wait.err &
waiter=$!
until_true 10 is_told
until_true 10 is_quiet
before=$(calls)
stop_broker
start_broker --set slots_max=2
equal "$(state)" '"state":"paused"' "the state after a restart"
run_sheaf 4 wait "$batch" --timeout 1
equal "$(calls)" "$before" "calls while it was paused"
say "paused after $before of $DRAFTS calls"

run_sheaf 0 resume "$batch"
run_sheaf 0 wait "$batch" --timeout 60
equal "$(calls)" $DRAFTS "calls in all"
wait $waiter || :
run_sheaf 8 pause "$batch"
contains "$(cat err)" "the batch is finished" "why a finished batch is not paused"
say "resumed, and finished with one call each"
