#!/bin/sh
# 60-memory.sh - many drafts take no more memory than few, and leave no files
#
# MEMORY_DRAFTS (10000) drafts of 1 KiB, all different, go through a broker, a
# worker and a client. Each of them may have a quarter more anonymous memory, at
# its peak, than with 6000 drafts, which fill what the client sends ahead. All
# results must be there and right. Under a sanitizer, which keeps what is freed,
# memory is not measured.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

MEMORY_DRAFTS=${MEMORY_DRAFTS:-10000}
FEW=6000
GROWTH_PERCENT_MAX=125

# Every file that is not the script's own. The broker's two sockets stay where
# the next one makes them anew.
files() {
    find tmp home store-* -type f | sed 's/^store-[0-9]*/store/'
    find "$XDG_RUNTIME_DIR" ! -type d ! \( -type s -name clients \) \
        ! \( -type s -name workers \)
}

worker_runs() {
    cat "/proc/$BROKER_PID/task/"*/children | grep -q .
}

# One run over a store of its own: the peaks are in peaks-$1.json, the time that
# it took in took-$1.
measure() { # COUNT
    store=store-$1
    "$python" "$here/drafts.py" "$1" --bytes 1024 --seed "$1" >drafts.jsonl
    start_broker
    until_true 10 worker_runs
    began=$(now_ms)
    "$python" "$here/memory.py" "peaks-$1.json" "$BROKER_PID" "$BIN/sheaf" \
        submit --goal 'Summarize' drafts.jsonl >out 2>err ||
        fail "submit of $1 drafts: $(cat err)"
    batch=$(cat out)
    "$python" "$here/memory.py" "peaks-$1.json" "$BROKER_PID" "$BIN/sheaf" \
        wait --timeout 280 "$batch" >out 2>err ||
        fail "$1 drafts: $(cat out err)"
    echo $(($(now_ms) - began)) >"took-$1"
    "$python" "$here/memory.py" "peaks-$1.json" "$BROKER_PID" "$BIN/sheaf" \
        results -o results.jsonl "$batch" 2>err ||
        fail "results of $1 drafts: $(cat err)"
    "$python" "$here/answers.py" drafts.jsonl results.jsonl >tiers ||
        fail "wrong results"
    equal "$(cat tiers)" "none=$1" "tiers of $1 drafts"
    stop_broker
}

peak() { # COUNT WHO
    sed -n "s/.*\"$2\": \([0-9]*\).*/\1/p" "peaks-$1.json"
}

start_upstream
measure $FEW
measure "$MEMORY_DRAFTS"
stop_upstream

printf '%-10s %12s %12s   peak of RssAnon in KiB\n' \
    drafts $FEW "$MEMORY_DRAFTS"
for who in broker worker client; do
    printf '%-10s %12d %12d\n' $who "$(peak $FEW $who)" \
        "$(peak "$MEMORY_DRAFTS" $who)"
done
took=$(cat "took-$MEMORY_DRAFTS")
say "$MEMORY_DRAFTS drafts took $took ms, $((MEMORY_DRAFTS * 1000 / took)) a second"
for who in broker worker client; do
    [ -z "${SAN-}" ] || break
    [ "$(peak $FEW $who)" -gt 0 ] || fail "$who was not seen"
    at_most "$(peak "$MEMORY_DRAFTS" $who)" \
        $(($(peak $FEW $who) * GROWTH_PERCENT_MAX / 100)) \
        "peak of the $who with $MEMORY_DRAFTS drafts, in KiB"
done

equal "$(files | sort -u | tr '\n' ' ')" \
    'store/data.mdb store/lock store/lock.mdb ' 'files that are left'
