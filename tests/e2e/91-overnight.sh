#!/bin/sh
# 91-overnight.sh - examples/overnight/ works off a spool in its window
#
# BIN is the directory of the built programs.
# SPDX-License-Identifier: MIT
set -u

. "$(dirname "$0")/claims.sh"

units=$PWD/examples/overnight
script=$units/overnight.sh
pid='' group=''

leave() {
    [ -z "$group" ] || kill -KILL "-$group" 2>/dev/null
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
}

calls() {
    curl -s "$url/stats" | sed 's/.*"calls":\([0-9]*\).*/\1/'
}

fill() { # FOLDER [WORDS]
    mkdir -p "$1"
    for n in 1 2 3 4 5; do
        echo "${2:-What happened on} day $n." >"$1/$n.txt"
    done
}

# What systemd would run for a unit, with %S below our directory.
exec_start() { # UNIT
    sed -n "s|^ExecStart=\(.*\)|\1|p" "$1" | sed "s|%S|$dir/state|g"
}

echo "match='Nobody may see' times=1 status=401" >"$dir/script"
"$BIN/upstream" --port-file "$dir/port" --script "$dir/script" &
pid=$!
await "the upstream listens" has_port
url=http://127.0.0.1:$(cat "$dir/port")
export OPENAI_BASE_URL="$url/v1"

test_units() {
    mkdir "$dir/units" "$dir/state"
    for unit in "$units"/sheaf-overnight.*; do
        sed "s|/usr/local/libexec/sheaf-overnight|$script|" "$unit" \
            >"$dir/units/${unit##*/}"
    done
    if command -v systemd-analyze >/dev/null; then
        check "systemd finds nothing wrong" "$(systemd-analyze verify \
            --man=no "$dir/units"/* 2>&1)" ""
    fi
    fill "$dir/state/sheaf-overnight/incoming"
    command=$(exec_start "$dir/units/sheaf-overnight.service")
    # shellcheck disable=SC2086 # systemd splits it too
    WINDOW=00:00-24:00 sh $command 2>"$dir/log"
    check "what the unit starts ends well" $? 0
    cd "$dir/state/sheaf-overnight" || exit 1
    check "all is taken out of incoming" "$(ls incoming)" ""
    check "five results" "$(cat done/night-*.jsonl | grep -c '"status":"ok"')" 5
    check "the documents are beside them" "$(ls done/night-*/)" \
        "$(printf '%d.txt\n' 1 2 3 4 5)"
    check "five calls" "$(calls)" 5
    WINDOW=00:00-24:00 sh "$script" . 2>"$dir/log"
    check "an empty folder is no work" "$?: $(ls done | wc -l)" "0: 2"
}

# A day that is neither today nor tomorrow anywhere.
closed() {
    echo "$((($(date -u +%u) + 2) % 7 + 1)) 00:00-24:00"
}

start() { # in the background, as a process group
    WINDOW=$(closed) ZONE=UTC setsid sh "$script" "$dir/spool" \
        2>>"$dir/log" &
    group=$!
}

stop() {
    kill -KILL "-$group"
    wait "$group" 2>/dev/null
    group=
    await "the broker ends with the command" has_no_broker
}

has_no_broker() {
    ! grep -q endpoint "$dir/spool/store/lock"
}

# Asks the broker that the script keeps, and does not start another.
ask() { # COMMAND…
    endpoint=$(sed -n 's/^endpoint //p' "$dir/spool/store/lock" 2>/dev/null)
    [ -n "$endpoint" ] && sheaf "$@" --broker "$endpoint" 2>/dev/null
}

# The state of the only batch, and how many drafts it has.
is_waiting() {
    [ "$(ask list --json |
        sed 's/.*"state":"\([a-z]*\)".*"drafts":\([0-9]*\).*/\1 \2/')" = \
        "sealed 5" ]
}

test_window() {
    before=$(calls)
    fill "$dir/spool/incoming"
    start
    await "the batch is handed in" is_waiting
    stop
    fill "$dir/spool/incoming"
    start
    await "the same batch is found again" is_waiting
    check "nothing is called outside of the window" "$(calls)" "$before"
    id=$(ask list --json | sed 's/.*"batch":"\([^"]*\)".*/\1/')
    ask cancel "$id" >/dev/null
    check "it can be cancelled" $? 0
    wait "$group"
    check "the script ends with the batch" $? 1
    group=
    check "five results of it" \
        "$(grep -c '"status":"cancelled"' "$dir/spool/done"/*.jsonl)" 5
    check "what came later is for the next night" \
        "$(ls "$dir/spool/incoming" | wc -l)" 5
    check "nothing was called" "$(calls)" "$before"
}

# Nobody may ask the upstream until somebody has seen to it.
test_stall() {
    spool=$dir/stalled
    SHEAF_CONFIG=$dir/sheaf.conf WINDOW=00:00-24:00 ZONE=UTC
    export SHEAF_CONFIG WINDOW ZONE
    cat >"$SHEAF_CONFIG" <<END
[sheaf]
slots_max = 1
lease_ahead_max = 0
[upstream "test"]
base_url = $OPENAI_BASE_URL
model = test-model
END
    fill "$spool/incoming" "Nobody may see"
    sh "$script" "$spool" 2>"$dir/err"
    check "a night that cannot be done" $? 75
    check "it is told what to do" \
        "$(grep -c 'upstreams resume test' "$dir/err")" 1
    check "it stays where it is" \
        "$(ls "$spool/done") $(ls "$spool"/night-*/ | wc -l)" " 5"
    sheaf upstreams resume test -C "$spool/store" >"$dir/out" 2>&1
    check "the upstream is resumed" $? 0
    sh "$script" "$spool" 2>"$dir/err"
    check "a document was spent on the stop" $? 1
    check "the same night is done" \
        "$(cat "$spool/done"/*.jsonl | grep -c '"status":"ok"')" 4
    check "and filed away" "$(ls "$spool/done"/night-*/ | wc -l)" 5
}

# Where there is no batch, there is nothing to wait for either.
test_refused() {
    spool=$dir/refused
    mkdir -p "$spool/incoming"
    printf '\377' >"$spool/incoming/binary"
    sh "$script" "$spool" 2>"$dir/err"
    check "a night of nothing but refused documents" $? 1
    check "it holds up no other" "$(ls "$spool/done"/night-*/)" binary
}

test_units
test_window
test_stall
test_refused
exit $failed
