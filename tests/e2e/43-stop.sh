#!/bin/sh
# 43-stop.sh - an upstream that is not to be asked, until somebody mends it
#
# Nothing was ever found there, so it is not asked again. `run` and `wait` say so
# and end; after `upstreams resume` the same command goes on.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

echo 'status=404' >script
start_upstream --script script
test_port=$(cat port)
printf '[sheaf]\nslots_max = 1\nlease_ahead_max = 0\n' >>sheaf.conf
"$python" "$here/drafts.py" 20 >drafts.jsonl

run() { # WANTED_CODE
    run_sheaf "$1" run -C store --config sheaf.conf --fallback-ok \
        -o results.jsonl drafts.jsonl
}
calls() { # COMMAND…
    "$BIN/sheaf" -C store --config sheaf.conf "$@"
}

run 1
contains "$(cat err)" "stalled: upstream test is suspended" "why it ended"
contains "$(cat err)" "'sheaf -C store upstreams resume test'" "what to do"
[ ! -e results.jsonl ] || fail "there are results of a run that has not ended"
equal "$(figure calls)" 1 "calls of an upstream where nothing is found"
contains "$(calls upstreams)" "test              stopped    resumed" \
    "what the table says"
run 1
equal "$(figure calls)" 1 "calls of the same command, before it is mended"
batch=$(calls list --json | "$python" -c 'import json, sys
print(json.loads(sys.stdin.readline())["batch"])')
run_sheaf 1 -C store --config sheaf.conf wait "$batch"
contains "$(cat err)" "is stalled" "what wait says"
contains "$(calls why "$batch" --index 19)" "waits for its upstream, test, which \
said stop (status_404: test upstream: as the script says): only 'upstreams resume \
test' lets it be asked again" "what why says"
run_sheaf 1 -C store --config sheaf.conf submit --key other --wait \
    --goal Essence --last-resort essence drafts.jsonl
contains "$(calls status "$(cat out)")" "20 error" \
    "drafts that end with their essence"
equal "$(figure calls)" 1 "calls of those"

stop_upstream
start_upstream --port "$test_port"
printf '[sheaf]\nslots_max = 1\nlease_ahead_max = 0\n' >>sheaf.conf
run_sheaf 3 -C store --config sheaf.conf upstreams resume nobody
run_sheaf 2 -C store --config sheaf.conf upstreams reopen test
run_sheaf 0 -C store --config sheaf.conf upstreams resume test
run 0
equal "$(wc -l <results.jsonl)" 20 "results when it is mended"
equal "$(grep -c '"status":"ok"' results.jsonl)" 19 "answers among them"
equal "$(grep -c '"status":"not_found"' results.jsonl)" 1 \
    "drafts that met the stop"
contains "$(calls upstreams)" "test              ready" "what the table says"
say "the same command went on"
