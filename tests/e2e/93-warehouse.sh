#!/bin/sh
# 93-warehouse.sh - examples/warehouse/ misses nothing, whenever it is killed
#
# While a batch runs, while its fallbacks are tried again, and in between, the
# loader is killed at random moments, alone or with what it has started. In the
# end there is one row for each draft, with the last revision of its result.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

script=$examples/warehouse/load.sh
drafts=1500
kills=0

query() { # SQL
    sqlite3 warehouse/warehouse.db ".timeout 10000" "$1" 2>>loader.err
}

# Starts a loader, as a process group, and kills it after a while: all of it,
# or the script alone, whose children then go on without it.
load_and_kill() { # GROUP | ALONE
    setsid sh "$script" warehouse 0.01 2>>loader.err &
    group=$!
    sleep "0.$(shuf -i 10-45 -n 1)"
    case $1 in
    GROUP) kill -KILL "-$group" ;;
    ALONE) kill -KILL "$group" ;;
    esac
    wait "$group" 2>/dev/null
    group=
    kills=$((kills + 1))
}

load_and_kill_often() { # TIMES
    for round in $(seq "$1"); do
        if [ $((round % 3)) -eq 0 ]; then
            load_and_kill ALONE
        else
            load_and_kill GROUP
        fi
    done
}

# Every third draft fails at its first attempt, of one that is allowed.
awk -v drafts=$drafts 'BEGIN { for (n = 0; n < drafts; n++)
    printf "{\"id\":\"%d\",\"text\":\"%s %d\\n\\u00e4, \\\"x\\\"\\u001f\"}\n", n,
        n % 3 ? "sound" : "flaky", n }' >drafts.jsonl
echo 'match=flaky each=1 times=1 status=500' >rules
start_upstream --script rules --latency-ms 15
start_broker --set attempts_max=1

batch=$(sheaf submit --goal Load drafts.jsonl)
equal $? 0 "the batch is submitted"
load_and_kill_often 8
equal "$(sheaf status "$batch" |
    sed -n 's/^state *//p')" sealed "the loader was killed while the batch ran"
sheaf wait "$batch" >/dev/null 2>>loader.err
equal $? 1 "a third of it has no answer at first"
load_and_kill_often 3
sheaf retry "$batch" >/dev/null 2>>loader.err
equal $? 0 "they are tried again"
load_and_kill_often 4
sheaf wait "$batch" >/dev/null 2>>loader.err
equal $? 0 "now all have an answer"

sh "$script" warehouse
equal $? 0 "a last pass, once"
equal "$kills" 15 "it was killed often"
equal "$(query 'SELECT count(*),
    count(DISTINCT custom_id), count(DISTINCT batch) FROM results')" \
    "$drafts|$drafts|1" "one row for each draft"
equal "$(query "SELECT revision, status,
    text IS NOT NULL, essence IS NULL, error_code IS NULL, count(*)
    FROM results GROUP BY 1, 2, 3, 4, 5")" "1|ok|1|1|1|$((drafts * 2 / 3))
2|ok|1|1|1|$((drafts / 3))" "each with its last revision"
query 'SELECT seq, custom_id, revision, text FROM results ORDER BY seq' \
    >rows
sheaf results "$batch" | sed \
    's/^{"seq":\([0-9]*\),.*"custom_id":"\([0-9]*\)",.*"revision":\([0-9]*\),.*"text":"\([^"]*\)".*/\1|\2|\3|\4/' \
    >results
equal "$(cmp rows results 2>&1)" "" \
    "the rows are what the broker has"
equal "$(ls warehouse)" "cursor
lock
warehouse.db" "nothing is left to load"

stop_broker
stop_upstream
until_true 5 nothing_is_left
