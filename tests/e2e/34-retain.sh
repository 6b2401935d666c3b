#!/bin/sh
# 34-retain.sh - ended batches go by age while others run
#
# Two batches are old enough to be purged. Meanwhile others are submitted and
# answered, and one whose calls the upstream holds back stays, however old it is.
# A reader of all results, whose cursor stands within what is gone, goes on
# behind it.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

OLD=3000
LIVE=3 # as many slots are taken, and two are free

submit() { # FILE OPTION…; sets batch
    file=$1
    shift
    run_sheaf 0 submit --goal Summarize "$@" "$file"
    batch=$(cat out)
}

is_gone_by_age() { # BATCH
    sheaf status "$1" >status.out 2>&1
    [ $? -eq 3 ]
}

# Numbers of `sheaf stats`.
figure_of() { # NAME
    sheaf stats --json | grep -o "\"$1\":[0-9]*" | cut -d : -f 2
}

no_draft_but() { # COUNT
    [ "$(figure_of drafts)" -eq "$1" ]
}

# What is exported behind the cursor, by batch: COUNT BATCH, sorted.
export_more() {
    run_sheaf 0 export --cursor-file cursor
    grep -o '"batch":"[^"]*"' out | cut -d '"' -f 4 | sort | uniq -c |
        sed 's/^ *//'
}

for kind in first second live; do
    count=$OLD
    [ $kind != live ] || count=$LIVE
    "$python" "$here/drafts.py" $count --prefix $kind >$kind.jsonl
done
echo '{"id":"short","text":"short"}' >short.jsonl
echo 'match="text live" until=go' >held.script
start_upstream --script held.script

# Nothing goes yet.
start_broker --set group_window_ms=0
submit first.jsonl --wait
first=$batch
equal "$(export_more)" "$OLD $first" 'results for a reader who comes early'
submit second.jsonl --wait
second=$batch
submit live.jsonl
live=$batch
calls_are() { # COUNT
    [ "$(figure calls)" -eq "$1" ]
}
until_true 20 calls_are $((2 * OLD + LIVE))
equal "$(figure_of drafts)" $((2 * OLD + LIVE)) 'drafts that are kept'

# All goes that has ended, even a second ago. The worker lives on.
kill -KILL "$BROKER_PID"
wait "$BROKER_PID" 2>>quiet
start_broker --set group_window_ms=0 --set results_ttl_ms=1000
rounds=0
until is_gone_by_age "$first" && is_gone_by_age "$second"; do
    rounds=$((rounds + 1))
    [ $rounds -lt 1000 ] || fail 'what is old is not purged'
    run_sheaf 0 submit --wait --system "round $rounds" short.jsonl
done
[ $rounds -gt 0 ] || fail 'nothing was done before the purge'
until_true 60 no_draft_but $LIVE
equal "$(figure calls)" $((2 * OLD + LIVE + rounds)) 'calls while batches went'
equal "$(figure_of batches_purged)" $((2 + rounds)) 'batches that were purged'
run_sheaf 0 status --json "$live"
contains "$(cat out)" '"state":"sealed"' 'a live batch that is as old'
say "$((2 * OLD)) drafts went by age, with $rounds batches on the way"

# The reader had seen the first batch, and finds the live one next.
kill -KILL "$BROKER_PID"
wait "$BROKER_PID" 2>>quiet
start_broker --set group_window_ms=0
: >go
run_sheaf 0 wait --timeout 60 "$live"
equal "$(export_more)" "$LIVE $live" 'results for a reader who comes late'
equal "$(export_more)" '' 'results that the reader has had'
run_sheaf 0 results --order input -o results.jsonl "$live"
"$python" "$here/answers.py" live.jsonl results.jsonl --revision 1 \
    --attempts 1 >tiers || fail 'results of the live batch: see above'
equal "$(figure repeated)" 0 'calls that were made twice'
stop_broker
say 'an export goes on behind what is gone'
