#!/bin/sh
# 31-chunks.sh - the chunks of clients that submit at one time stay apart
#
# CLIENTS send DRAFTS lines each, with bad ones among them and options of their
# own, while sheafd reads chunks ahead of their turn; it is killed meanwhile, and
# started again. Each bad line is named by its number, each other one is answered
# once, and none was sent with another client's goal.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

CLIENTS='1 2 3 4 5'
DRAFTS=4000

stored() {
    sheaf stats --json | sed 's/.*"drafts":\([0-9]*\).*/\1/'
}

# Enough is stored for chunks of all clients to be under way.
is_under_way() {
    [ "$(stored)" -ge "$1" ]
}

start_upstream
start_broker --set group_window_ms=0 --set slots_max=16
for client in $CLIENTS; do
    "$python" "$here/chunks.py" write "drafts-$client" $DRAFTS "$client"
done
for client in $CLIENTS; do
    sheaf submit --input jsonl --goal "Goal $client" --key "key-$client" \
        "drafts-$client" >"batch-$client" 2>"errors-$client" &
    eval "submit_$client=$!"
done
until_true 60 is_under_way 1000
kill -KILL "$BROKER_PID"
wait "$BROKER_PID" 2>>broker.err
start_broker --set group_window_ms=0 --set slots_max=16
say "$(stored) of $(cat drafts-? | wc -l) lines were stored soon after the kill"

for client in $CLIENTS; do
    eval "wait \$submit_$client"
    equal $? 1 "exit code of client $client, of whom some lines are bad"
done
for client in $CLIENTS; do
    batch=$(cat "batch-$client")
    run_sheaf 1 wait --timeout 200 "$batch"
    run_sheaf 0 results "$batch" --order input -o results
    "$python" "$here/chunks.py" check "drafts-$client" "errors-$client" \
        results || fail 'see above'
    run_sheaf 0 why "$batch" "$client-1" --json
    contains "$(cat out)" "Goal: Goal $client" 'what was asked'
done
stop_broker
stop_upstream
