#!/bin/sh
# cost.sh - what a request costs: instructions and time of a processor
#
# COST_REQUESTS (2000) different drafts, each a request of its own, are answered
# by an upstream that answers at once. The time is what the kernel counted for
# sheafd and its worker from before the first draft until after the last, and
# for the commands that submit, wait and print the results. Instructions are
# counted by callgrind (Debian: valgrind), in two runs, of which the second has
# COST_MORE (400) requests more than the first: the difference is theirs alone.
# BIN is the directory of the built programs.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/../e2e/lib.sh"

tests=$(cd "$here/../e2e" && pwd)
requests=${COST_REQUESTS:-2000}
few=100
more=${COST_MORE:-400}
# valgrind has no room for a map of the size that is the default.
store_bytes=268435456
command -v valgrind >/dev/null ||
    fail "valgrind is not there (Debian: valgrind)"

# Writes drafts.jsonl.
write_drafts() { # COUNT
    "$python" "$tests/drafts.py" "$1" >drafts.jsonl
}

# All of them are answered, none by the cache.
check_results() { # COUNT
    "$python" "$tests/answers.py" drafts.jsonl results.jsonl >tiers ||
        fail "wrong results"
    equal "$(cat tiers)" "none=$1" "tiers of $1 drafts"
}

# ---- time ----

# Milliseconds, of both kinds, that a process has had so far.
process_ms() { # PID
    awk -v ticks="$(getconf CLK_TCK)" \
        '{ print int(($14 + $15) * 1000 / ticks) }' "/proc/$1/stat"
}

# Runs a command, and adds what it took to client-ms.
timed() { # COMMAND…
    "$python" - "$@" >>client-ms <<'END' || fail "see above: $*"
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=open("out", "w"))
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(round((used.ru_utime + used.ru_stime) * 1000))
END
}

worker_is_there() {
    sheaf stats | grep -qx 'workers *1'
}

measure_time() {
    write_drafts "$requests"
    start_broker
    until_true 20 worker_is_there
    worker=$(pgrep -P "$BROKER_PID")
    broker_ms=$(process_ms "$BROKER_PID")
    worker_ms=$(process_ms "$worker")
    : >client-ms
    timed "$BIN/sheaf" submit --wait drafts.jsonl
    timed "$BIN/sheaf" results -o results.jsonl "$(cat out)"
    broker_ms=$(($(process_ms "$BROKER_PID") - broker_ms))
    worker_ms=$(($(process_ms "$worker") - worker_ms))
    client_ms=$(awk '{ sum += $1 } END { print sum }' client-ms)
    stop_broker
    check_results "$requests"
}

# ---- instructions ----

counted() { # NAME COMMAND…; in the background
    name_of=$1
    shift
    valgrind --tool=callgrind --callgrind-out-file="$name_of.callgrind" \
        --log-file="$name_of.valgrind" "$@" 2>>"$name_of.err" &
}

instructions() { # NAME
    sed -n 's/^\(totals\|summary\): //p' "$1.callgrind" | head -n 1
}

# Leaves the programs' counts in broker-COUNT.callgrind, worker-COUNT.callgrind.
count_run() { # COUNT
    write_drafts "$1"
    counted "broker-$1" "$BIN/sheafd" --store "store-$1" --workers 0 \
        --config sheaf.conf --set "store_bytes_max=$store_bytes"
    BROKER_PID=$!
    until_true 60 answers
    counted "worker-$1" "$BIN/sheaf-worker" --config sheaf.conf
    worker=$!
    run_sheaf 0 submit --wait drafts.jsonl
    run_sheaf 0 results -o results.jsonl "$(cat out)"
    kill -TERM "$worker"
    wait "$worker"
    equal $? 0 "exit code of the worker that was told to stop"
    stop_broker
    check_results "$1"
}

each_of() { # broker|worker
    all=$(instructions "$1-$((few + more))")
    echo $(((all - $(instructions "$1-$few")) / more))
}

row() { # PROGRAM INSTRUCTIONS MILLISECONDS
    printf '%-14s %12s %12s %12s\n' "$1" "$2" "$3" $(($3 * 1000 / requests))
}

start_upstream
measure_time
count_run "$few"
count_run "$((few + more))"
stop_upstream
printf '%-14s %12s %12s %12s\n' "" instructions "ms for" "us for"
printf '%-14s %12s %12s %12s\n' "" "a request" "$requests" "a request"
row sheafd "$(each_of broker)" "$broker_ms"
row sheaf-worker "$(each_of worker)" "$worker_ms"
row sheaf - "$client_ms"
