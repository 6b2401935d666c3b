#!/bin/sh
# 51-restart.sh - a restart, planned or not, repeats no call
#
# Five calls are held back by the upstream, eight requests more are leased ahead
# of their slots, and others are ready, when broker, worker or both are told to
# end or are killed. What is started in their place goes on: the upstream sees
# each call once, every result has one attempt and one revision, no lease counts
# as lost. With a worker of the broker's own, and with one started by hand.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

DRAFTS=20
SLOTS=5

calls_are() { # COUNT
    [ "$(figure calls)" -eq "$1" ]
}

ended_are() { # COUNT; calls that were answered
    [ "$(grep -c '"event":"end"' upstream.log)" -ge "$1" ]
}

answers_are() { # COUNT; answers that workers have read
    [ "$(cat broker.err worker.err | grep -c event=upstream_call)" -ge "$1" ]
}

logged() { # COUNT EVENT; by brokers and workers
    [ "$(cat broker.err worker.err | grep -c "event=$2")" -ge "$1" ]
}

# The workers of this case, by their processes.
workers() {
    pgrep -f "^$BIN/sheaf-worker .*$XDG_RUNTIME_DIR" | sort
}

has_new_worker() { # OLD_PID
    [ -n "$(workers)" ] && [ "$(workers)" != "$1" ]
}

is_welcome_again() {
    logged 2 broker_welcome
}

let_go() {
    : >go
}

start_worker() {
    "$BIN/sheaf-worker" --config sheaf.conf \
        --broker "ipc://$XDG_RUNTIME_DIR/sheaf/workers" 2>>worker.err &
    WORKER_PID=$!
}

end_worker() {
    kill -TERM "$WORKER_PID"
    wait "$WORKER_PID"
    equal $? 0 "exit code of a worker that was told to end"
}

start_again() {
    if [ $who = own ]; then
        start_broker --set group_window_ms=0
    else
        start_broker --set group_window_ms=0 --workers 0
    fi
}

# A broker, a worker and a batch, of which five calls are in flight.
begin() { # NAME
    case_name="$1, $who worker"
    store=store-$1-$who
    rm -f go
    : >broker.err
    : >worker.err
    forget_calls
    start_again
    WORKER_PID=
    [ $who = own ] || start_worker
    run_sheaf 0 submit --goal Summarize drafts.jsonl
    batch=$(cat out)
    until_true 20 calls_are $SLOTS
    until_true 20 has_leases_ahead
    [ -n "$WORKER_PID" ] || WORKER_PID=$(workers)
}

# Five that are started, eight that wait for a slot.
has_leases_ahead() {
    sheaf stats --json | grep -q '"requests_leased":13\b'
}

# All is done, once, by whoever is there now.
end() {
    let_go
    run_sheaf 0 wait --timeout 60 "$batch"
    run_sheaf 0 results --order input -o results.jsonl "$batch"
    "$python" "$here/answers.py" drafts.jsonl results.jsonl --cache none \
        --revision 1 --attempts 1 >tiers || fail "$case_name: see above"
    equal "$(figure calls)" $DRAFTS "calls of: $case_name"
    equal "$(figure repeated)" 0 "repeated calls of: $case_name"
    at_most "$(figure in_flight_max)" $SLOTS "calls in flight of: $case_name"
    for event in lease_expired late_result worker_lost; do
        equal "$(grep -c "event=$event" broker.err)" 0 "$event: $case_name"
    done
    run_sheaf 0 stats --json
    contains "$(cat out)" '"leases_lost":0,' "lost leases of: $case_name"
    [ $who = own ] || end_worker
    stop_broker
    until_true 20 nothing_runs
    say "$case_name: $DRAFTS calls"
}

nothing_runs() {
    [ -z "$(workers)" ]
}

# ---- the broker alone ----

# Told to end, it waits for the calls of its own worker.
drained() {
    begin drained
    kill -TERM "$BROKER_PID"
    until_true 20 logged 1 draining
    calls_are $SLOTS || fail "a broker that drains started calls"
    kill -0 "$BROKER_PID" || fail "a broker left the calls of its worker"
    let_go
    wait "$BROKER_PID" 2>>quiet
    equal $? 0 "exit code of a broker that was told to end"
    until_true 20 nothing_runs
    equal "$(figure calls)" $SLOTS "calls of a broker that drained"
    rm go
    start_again
    run_sheaf 0 results "$batch"
    equal "$(wc -l <out)" $SLOTS "results of a broker that drained"
    end
}

# Told to end at once, or without a worker of its own, it does not wait.
stopped() {
    begin stopped
    kill -TERM "$BROKER_PID"
    if [ $who = own ]; then
        until_true 20 logged 2 draining
        kill -TERM "$BROKER_PID"
    fi
    wait "$BROKER_PID" 2>>quiet
    equal $? 0 "exit code of a broker that was told to end"
    kill -0 "$WORKER_PID" || fail "a worker ended with its broker"
    start_again
    until_true 20 is_welcome_again
    calls_are $SLOTS || fail "calls were repeated by a restart"
    end
}

killed() {
    begin killed
    kill -KILL "$BROKER_PID"
    wait "$BROKER_PID" 2>>quiet
    start_again
    until_true 20 is_welcome_again
    calls_are $SLOTS || fail "calls were repeated by a restart"
    equal "$(workers)" "$WORKER_PID" "workers after a restart"
    end
}

# The answers come while there is no broker. The worker goes on with what it
# was leased, until as many answers wait as may be lost.
away() {
    begin away
    kill -KILL "$BROKER_PID"
    wait "$BROKER_PID" 2>>quiet
    let_go
    until_true 20 answers_are $((2 * SLOTS))
    start_again
    equal "$(workers)" "$WORKER_PID" "workers after a restart"
    end
}

# ---- the worker, and both ----

# A worker that was told to end finishes its calls, and is replaced.
replaced() {
    begin replaced
    kill -TERM "$WORKER_PID"
    until_true 20 logged 1 draining
    leaving=$WORKER_PID
    [ $who = own ] || start_worker
    run_sheaf 0 stats
    let_go
    until_true 20 is_gone "$leaving"
    until_true 20 has_new_worker "$leaving"
    equal "$(grep -c event=lease_refused broker.err worker.err |
        cut -d : -f 2 | sort -n | tail -n 1)" 0 \
        "leases for a worker that drains"
    end
}

both() {
    begin both
    # Which word reaches the worker first, the signal or the broker's, is open.
    kill -TERM "$BROKER_PID" "$WORKER_PID"
    until_true 20 logged 2 draining
    let_go
    wait "$BROKER_PID" 2>>quiet
    equal $? 0 "exit code of a broker that was told to end"
    leaving=$WORKER_PID
    start_again
    [ $who = own ] || start_worker
    until_true 20 is_gone "$leaving"
    end
}

"$python" "$here/drafts.py" $DRAFTS >drafts.jsonl
echo 'until=go' >held.script
start_upstream --script held.script
for who in own separate; do
    [ $who = separate ] || drained
    stopped
    killed
    away
    replaced
    both
done
