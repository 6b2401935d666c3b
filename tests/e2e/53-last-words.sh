#!/bin/sh
# 53-last-words.sh - what a worker keeps back outlives it
#
# The answers of a first round wait for those of the second, which are held back by
# the upstream, when the worker is killed; or broker and worker are. The calls that
# ran are made again, and the answers that waited are not paid for twice.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

DRAFTS=8
SLOTS=2

words_are_kept() {
    grep -q sheafLW1 "$XDG_RUNTIME_DIR"/sheaf/worker-*.lock
}

has_worker() {
    WORKER_PID=$(pgrep -f "^$BIN/sheaf-worker .*$XDG_RUNTIME_DIR")
}

start_again() {
    start_broker --set group_window_ms=0 --set slots_max=$SLOTS \
        --set commit_window_ms=1000
}

# The first round is kept, and the second one runs.
begin() { # NAME
    case_name=$1
    store=store-$1
    rm -f go
    : >broker.err
    forget_calls
    start_again
    until_true 20 has_worker
    run_sheaf 0 submit --goal Summarize drafts.jsonl
    batch=$(cat out)
    until_true 20 words_are_kept
}

end() {
    : >go
    run_sheaf 0 wait --timeout 60 "$batch"
    run_sheaf 0 results --order input -o results.jsonl "$batch"
    "$python" "$here/answers.py" drafts.jsonl results.jsonl >tiers ||
        fail "$case_name: see above"
    equal "$(grep -c event=last_words broker.err)" 1 "last words: $case_name"
    # Without them it were two a slot. A slow machine may keep one of them only.
    repeated=$(figure repeated)
    at_most "$repeated" $((2 * SLOTS - 1)) "repeated calls of: $case_name"
    stop_broker
    say "$case_name: $repeated calls repeated"
}

"$python" "$here/drafts.py" $DRAFTS >drafts.jsonl
# All but the first two wait.
for n in $(seq $SLOTS $((DRAFTS - 1))); do
    echo "match=d$n until=go latency=20"
done >held.script
start_upstream --script held.script --latency-ms 20

begin worker
kill -KILL "$WORKER_PID"
end

begin both
kill -KILL "$BROKER_PID" "$WORKER_PID"
wait "$BROKER_PID" 2>>quiet
start_again
end
