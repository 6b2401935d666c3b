#!/bin/sh
# 31-groups.sh - what has a goal in common reaches the upstream together
#
# Drafts of two goals that take turns, in one file and in 20 submissions, are
# called one goal after the other. A draft too long for a group does not wait.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

SUBMISSIONS=20
FILE_WINDOW_MS=500

groups() { # ARGUMENT…
    "$python" "$here/groups.py" "$@" >shown || fail "see above"
}

# A broker with a new store, and its worker.
start_new() { # OPTION…
    # shellcheck disable=SC2034 # for start_broker
    store=$(mktemp -d "$work/store.XXXXXX")
    forget_calls
    start_broker "$@"
    until_true 20 has_worker
}

has_worker() {
    sheaf stats --json | grep -q '"workers":1\b'
}

# Two goals in one file; each has more than a group may hold.
one_file() { # SLOTS
    start_new --set slots_max="$1" --set group_window_ms=$FILE_WINDOW_MS
    run_sheaf 0 submit --wait --system Work. drafts.jsonl
    groups order drafts.jsonl upstream.log "$1"
    say "one file, slots: $1: $(cat shown)"
    measure
    stop_broker
}

# Sets the window for SUBMISSIONS: twice what as many commands take now, and 2 s.
measure() {
    began=$(now_ms)
    for _ in 1 2 3 4 5; do
        sheaf stats >/dev/null || fail "stats"
    done
    window_ms=$((2000 + ($(now_ms) - began) * SUBMISSIONS * 2 / 5))
}

# The same in many submissions, within the window.
many_submissions() { # SLOTS
    start_new --set slots_max="$1" \
        --set group_window_ms="$window_ms"
    batches=
    began=$(now_ms)
    for number in $(seq $SUBMISSIONS); do
        run_sheaf 0 submit --system Work. "part$number.jsonl"
        batches="$batches $(cat out)"
    done
    at_most $(($(now_ms) - began)) "$window_ms" \
        "ms for $SUBMISSIONS submissions, which must be within the window"
    equal "$(figure calls)" 0 "calls while the groups are held"
    # shellcheck disable=SC2086 # several words
    run_sheaf 0 wait --timeout 30 $batches
    groups order few.jsonl upstream.log "$1"
    say "$SUBMISSIONS submissions, slots: $1: $(cat shown)"
    stop_broker
}

start_upstream --latency-ms 10

# Of each goal 60 with 150 characters: three groups.
"$python" "$here/groups.py" write 120 150 >drafts.jsonl
# Two drafts for each submission.
"$python" "$here/groups.py" write $((SUBMISSIONS * 2)) 80 >few.jsonl
for number in $(seq $SUBMISSIONS); do
    # Lines of one goal: 1 and 3, 2 and 4, 5 and 7, …
    line=$(((number - 1) / 2 * 4 + 1 + (number - 1) % 2))
    sed -n "${line}p;$((line + 2))p" few.jsonl >"part$number.jsonl"
done

for slots in 1 5; do
    one_file $slots
    many_submissions $slots
done

groups long long.jsonl
start_new --set group_window_ms=$FILE_WINDOW_MS
run_sheaf 0 submit --wait --system Work. long.jsonl
groups alone long.jsonl upstream.log $FILE_WINDOW_MS
say "a long draft is called $(cat shown)"
stop_broker
