#!/bin/sh
# 93-warehouse.sh - examples/warehouse/ misses nothing, whenever it is killed
#
# BIN is the directory of the built programs. While a batch runs, while its
# fallbacks are tried again, and in between, the loader is killed at random
# moments, alone or with what it has started. In the end there is one row for
# each draft, with the last revision of its result.
# SPDX-License-Identifier: MIT
set -u

: "${BIN:?the directory of the built programs}"
PATH=$BIN:$PATH
export PATH
script=$PWD/examples/warehouse/load.sh
dir=$(mktemp -d) || exit 1
broker='' upstream='' group=''
drafts=1500
failed=0

cleanup() {
    [ -z "$group" ] || kill -KILL "-$group" 2>/dev/null
    for pid in $broker $upstream; do
        kill "$pid" 2>/dev/null
    done
    wait
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

check() { # CLAIM GOT WANT
    [ "$2" = "$3" ] && return
    printf 'FAIL %s\n  got:  %s\n  want: %s\n' "$1" "$2" "$3" >&2
    failed=1
}

await() { # CLAIM COMMAND…
    claim=$1
    shift
    for _ in $(seq 600); do
        "$@" && return
        sleep 0.05
    done
    check "$claim" "not within 30 s" "$*"
    tail -n 40 "$dir/log" "$dir/loader" >&2
    exit 1
}

has_port() {
    [ -s "$dir/port" ]
}

query() { # SQL
    sqlite3 "$dir/warehouse/warehouse.db" ".timeout 10000" "$1" 2>>"$dir/loader"
}

# Starts a loader, as a process group, and kills it after a while: all of it,
# or the script alone, whose children then go on without it.
load_and_kill() { # GROUP | ALONE
    setsid sh "$script" "$dir/warehouse" 0.01 2>>"$dir/loader" &
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
        n % 3 ? "sound" : "flaky", n }' >"$dir/drafts.jsonl"
echo 'match=flaky each=1 times=1 status=500' >"$dir/rules"
"$BIN/upstream" --port-file "$dir/port" --script "$dir/rules" --latency-ms 15 &
upstream=$!
await "the upstream listens" has_port
OPENAI_BASE_URL=http://127.0.0.1:$(cat "$dir/port")/v1
export OPENAI_BASE_URL
sheafd --store "$dir/store" --set attempts_max=1 2>"$dir/log" &
broker=$!
kills=0

batch=$(sheaf submit --goal Load "$dir/drafts.jsonl")
check "the batch is submitted" $? 0
load_and_kill_often 8
check "the loader was killed while the batch ran" "$(sheaf status "$batch" |
    sed -n 's/^state *//p')" sealed
sheaf wait "$batch" >/dev/null 2>>"$dir/loader"
check "a third of it has no answer at first" $? 1
load_and_kill_often 3
sheaf retry "$batch" >/dev/null 2>>"$dir/loader"
check "they are tried again" $? 0
load_and_kill_often 4
sheaf wait "$batch" >/dev/null 2>>"$dir/loader"
check "now all have an answer" $? 0

sh "$script" "$dir/warehouse"
check "a last pass, once" $? 0
check "it was killed often" "$kills" 15
check "one row for each draft" "$(query 'SELECT count(*),
    count(DISTINCT custom_id), count(DISTINCT batch) FROM results')" \
    "$drafts|$drafts|1"
check "each with its last revision" "$(query "SELECT revision, status,
    text IS NOT NULL, essence IS NULL, error_code IS NULL, count(*)
    FROM results GROUP BY 1, 2, 3, 4, 5")" "1|ok|1|1|1|$((drafts * 2 / 3))
2|ok|1|1|1|$((drafts / 3))"
query 'SELECT seq, custom_id, revision, text FROM results ORDER BY seq' \
    >"$dir/rows"
sheaf results "$batch" | sed \
    's/^{"seq":\([0-9]*\),.*"custom_id":"\([0-9]*\)",.*"revision":\([0-9]*\),.*"text":"\([^"]*\)".*/\1|\2|\3|\4/' \
    >"$dir/results"
check "the rows are what the broker has" \
    "$(cmp "$dir/rows" "$dir/results" 2>&1)" ""
check "nothing is left to load" "$(ls "$dir/warehouse")" "cursor
lock
warehouse.db"
[ $failed -eq 0 ] || tail -n 20 "$dir/loader" >&2
exit $failed
