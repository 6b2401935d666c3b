#!/bin/sh
# 31-groups.sh - drafts of the same goal reach the upstream next to each other
#
# Two goals that are submitted in turns, in one file or in many submissions
# within the window, arrive as all of the one and then all of the other, as long
# as their texts are short enough for one group each.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

# The log shows the beginning of the system message: it must reach the goal.
SYSTEM='Work.'

order() { # CALLS SWITCHES SLOTS
    "$python" "$here/order.py" upstream.log alpha,beta \
        --calls "$1" --switches "$2" --slots "$3" || fail "wrong order"
    forget_calls
}

drafts() { # COUNT PREFIX
    "$python" "$here/drafts.py" "$1" --goals alpha,beta --prefix "$2"
}

# Submits each line of a file as a batch of its own, and waits for all.
submit_each() { # FILE
    : >batches
    while read -r line; do
        printf '%s\n' "$line" | sheaf submit --system "$SYSTEM" - >>batches ||
            fail "exit code of submit: got $?, want 0"
    done <"$1"
    # shellcheck disable=SC2046 # ids have no blanks
    run_sheaf 0 wait --timeout 60 $(cat batches)
}

start_upstream --latency-ms 20
# Twelve commands take their time on a busy machine.
start_broker --set slots_max=1 --set group_window_ms=4000

drafts 40 file >file.jsonl
run_sheaf 0 submit --wait --system "$SYSTEM" file.jsonl
order 40 1 1
say "one file: 20 of the one goal, then 20 of the other"

drafts 12 each >each.jsonl
submit_each each.jsonl
order 12 1 1
say "12 submissions: 6 of the one goal, then 6 of the other"
stop_broker

# With five calls in flight at a time, those may overtake each other.
store=five
start_broker --set group_window_ms=4000
drafts 40 many >many.jsonl
run_sheaf 0 submit --wait --system "$SYSTEM" many.jsonl
order 40 1 5
drafts 12 more >more.jsonl
submit_each more.jsonl
order 12 1 5
say "the same with five slots"
stop_broker

# 100 texts of 100 characters are three groups: at least 39 and fewer than 40
# fit below 4000 characters.
store=long
start_broker --set slots_max=1 --set group_window_ms=100
"$python" "$here/drafts.py" 200 --goals alpha,beta --bytes 100 >long.jsonl
run_sheaf 0 submit --wait --system "$SYSTEM" long.jsonl
order 200 5 1
say "10,000 characters of each goal: six groups"
